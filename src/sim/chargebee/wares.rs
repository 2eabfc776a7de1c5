//! What does Chargebee show of its catalog? Families, items, prices and coupons (2.0), or plans, addons and coupons
//! (1.0), where every price is a plan or an addon of its own. Deleted ones leave the lists; the log tells of them.
use super::{
    ProductCatalog, length,
    pen::Pen,
    wish::{Rules, Wish},
};
use crate::sim::{
    json::{Object, text},
    money::{Currency, Dec},
    world::{
        World,
        catalog::{Item, ItemKind, Period},
        log::Subject,
        table::At,
        ware::{Details, Pricing, Tier, Ware, WareKind},
    },
};
use std::collections::BTreeMap;

/// A list of the catalog: what it holds and what may be asked of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    kind: WareKind,
    /// 1.0 only: plans, or what is not a plan.
    plans: Option<bool>,
    /// None: both have it.
    catalog: Option<ProductCatalog>,
    rules: Rules,
}

const WORDS: &[&str] = &["id", "name", "status"];

const fn range(
    (plural, singular): (&'static str, &'static str),
    kind: WareKind,
    plans: Option<bool>,
    catalog: Option<ProductCatalog>,
    sorts: &'static [&'static str],
) -> Range {
    let rules = Rules { time: "updated_at", sorts, words: WORDS, deletes: plans.is_some() };
    Range { plural, singular, kind, plans, catalog, rules }
}

const TWO: Option<ProductCatalog> = Some(ProductCatalog::V2);
const ONE: Option<ProductCatalog> = Some(ProductCatalog::V1);
const BY_NAME: &[&str] = &["name", "id", "updated_at"];

/// Every list of either catalog.
const RANGES: [Range; 6] = [
    range(("item_families", "item_family"), WareKind::Family, None, TWO, &[]),
    range(("items", "item"), WareKind::Item, None, TWO, BY_NAME),
    range(("item_prices", "item_price"), WareKind::Price, None, TWO, BY_NAME),
    range(("coupons", "coupon"), WareKind::Coupon, None, None, &["created_at"]),
    range(("plans", "plan"), WareKind::Price, Some(true), ONE, &[]),
    range(("addons", "addon"), WareKind::Price, Some(false), ONE, &[]),
];

impl Range {
    /// The list of that name.
    pub(super) fn named(plural: &str) -> Option<Self> {
        RANGES.into_iter().find(|r| r.plural == plural)
    }
    /// The list that shows this, in that catalog.
    pub(super) fn of(ware: &Ware, catalog: ProductCatalog) -> Option<Self> {
        RANGES.into_iter().find(|r| r.is_in(catalog) && r.holds(ware))
    }
    pub(super) fn is_in(self, catalog: ProductCatalog) -> bool {
        self.catalog.is_none_or(|c| c == catalog)
    }
    fn holds(self, ware: &Ware) -> bool {
        let plan = matches!(ware.details, Details::Price { kind: ItemKind::Plan, .. });
        ware.kind() == self.kind && self.plans.is_none_or(|plans| plans == plan)
    }
}

/// What lists see of the catalog, brought up to date from the log.
#[derive(Debug, Default)]
pub(super) struct Counter {
    wares: BTreeMap<usize, Ware>,
}

impl Counter {
    /// Shows what a happening tells. A stamp that was forgotten since then is forgotten here too.
    pub(super) fn show(&mut self, world: &World, subject: &Subject) {
        if let Subject::Ware(ware, at) = subject {
            let mut ware = ware.as_ref().clone();
            let now = world.wares()[*at].stamp;
            ware.stamp.stamped = now.stamped || now.version != ware.stamp.version;
            self.wares.insert(at.number(), ware);
        }
    }

    /// The page that is asked for, and the token of the next one. `repeat`: records shown again.
    pub(super) fn page(&self, range: Range, query: &[(String, String)], repeat: usize) -> Page<'_> {
        let wish = Wish::parse(range.rules, query)?;
        let shown = |ware: &&Ware| range.holds(ware) && (wish.deleted || !ware.stamp.deleted);
        let word = |ware: &Ware, field: &str| match field {
            "id" => ware.id.clone(),
            "name" => ware.name.clone(),
            _ => ware.status.word().to_owned(),
        };
        let time = |ware: &Ware| ware.stamp.stamped.then_some(ware.stamp.updated_at);
        let mut rows: Vec<((String, usize), &Ware)> = self
            .wares
            .iter()
            .filter(|(_, w)| shown(w) && wish.keeps(time(w), |field| word(w, field)))
            .map(|(number, ware)| ((sort_value(ware, wish.sort), *number), ware))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        if !wish.ascending {
            rows.reverse();
        }
        let seen = |key: &(String, usize)| match &wish.start {
            None => false,
            Some(start) if wish.ascending => key <= start,
            Some(start) => key >= start,
        };
        let from = rows.partition_point(|(key, _)| seen(key));
        let again = if wish.start.is_some() { repeat.min(wish.limit / 4) } else { 0 };
        let rows: Vec<_> = rows.into_iter().skip(from.saturating_sub(again)).collect();
        let last = rows.get(wish.limit.saturating_sub(1)).filter(|_| rows.len() > wish.limit);
        let token = last.map(|((key, number), _)| text(&[key.clone(), number.to_string()]));
        Ok((rows.into_iter().take(wish.limit).map(|(_, ware)| ware).collect(), token))
    }
}

/// Rows and the next token, or what was wrong.
type Page<'a> = Result<(Vec<&'a Ware>, Option<String>), super::query::Wrong>;

/// As it stands in a token; times in milliseconds, all of equal length.
fn sort_value(ware: &Ware, sort: Option<&str>) -> String {
    match sort {
        Some("id") => ware.id.clone(),
        Some("name") => ware.name.clone(),
        Some("updated_at") => {
            let at = if ware.stamp.stamped { ware.stamp.updated_at } else { 0 };
            format!("{:013}", at * 1_000)
        }
        _ => format!("{:013}", ware.created_at * 1_000),
    }
}

impl Pen<'_> {
    /// One thing for sale, in that catalog's words.
    pub(super) fn ware(self, ware: &Ware, range: Range) -> String {
        let mut o = self.object();
        o.put("id", &ware.id).put("name", &ware.name).put("status", ware.status.word());
        o.opt("archived_at", ware.archived_at);
        match &ware.details {
            Details::Family { description } => {
                o.opt("description", description.as_ref());
                length::family(&mut o, ware);
            }
            Details::Item { .. } => {
                item(&mut o, ware);
                length::item(&mut o, ware);
            }
            Details::Price { .. } if range.plans.is_some() => {
                plan_or_addon(&mut o, ware);
                length::plan_or_addon(&mut o, ware);
            }
            Details::Price { .. } => {
                price(&mut o, ware);
                length::price(&mut o, ware);
            }
            Details::Coupon { .. } => coupon(&mut o, ware, self.catalog),
        }
        self.stamp(&mut o, ware.stamp);
        o.put("object", range.singular);
        o.end()
    }
}

fn price(o: &mut Object, ware: &Ware) {
    let Details::Price { item, family, kind, currency, period, pricing, trial_days, account } = &ware.details
    else {
        return;
    };
    o.put("external_name", &ware.name).put("item_id", item).put("item_family_id", family);
    o.put("item_type", kind.word()).put("currency_code", currency.code()).put("created_at", ware.created_at);
    amounts(o, pricing, *currency);
    cycle(o, *period);
    if let Some(days) = trial_days {
        o.put("trial_period", days).put("trial_period_unit", "day").put("trial_end_action", "site_default");
    }
    o.put("free_quantity", 0).put("is_taxable", true).put("channel", "web");
    if *kind == ItemKind::Addon {
        o.put("proration_type", "site_default");
    }
    if let Some((sku, account)) = account {
        let mut detail = Object::new();
        detail.put("sku", sku).put("accounting_code", account).put("object", "accounting_detail");
        o.raw("accounting_detail", &detail.end());
        let mut tax = Object::new();
        tax.put("tax_profile_id", "tp_1").put("hsn_code", "9983").put("object", "tax_detail");
        o.raw("tax_detail", &tax.end());
    }
}

fn item(o: &mut Object, ware: &Ware) {
    let Details::Item { family, kind, metered, unit, meta, custom } = &ware.details else { return };
    o.put("external_name", &ware.name).put("item_family_id", family).put("type", kind.word());
    o.put("is_shippable", false).put("is_giftable", false).put("enabled_for_checkout", true);
    o.put("enabled_in_portal", *kind == ItemKind::Plan).put("metered", metered).opt("unit", *unit);
    o.opt("usage_calculation", metered.then_some("sum_of_usages"));
    o.opt("included_in_mrr", (*kind != ItemKind::Plan).then_some(*kind == ItemKind::Addon));
    let basic = ware.id == Item::Basic.slug();
    let applies = if basic { "restricted" } else { "all" };
    o.opt("item_applicability", (*kind == ItemKind::Plan).then_some(applies));
    if let Some(meta) = meta {
        o.raw("metadata", meta);
    }
    for (key, value) in custom {
        o.raw(key, value);
    }
}

fn plan_or_addon(o: &mut Object, ware: &Ware) {
    let Details::Price { kind, currency, period, pricing, trial_days, account, .. } = &ware.details else {
        return;
    };
    o.put("invoice_name", &ware.name).put("currency_code", currency.code()).put("taxable", true);
    amounts(o, pricing, *currency);
    if *kind == ItemKind::Plan {
        cycle(o, *period);
        let setup = Item::Setup.unit_price(Period::Monthly, *currency);
        o.put("setup_cost", setup.rounded(currency.exponent()));
        o.put("free_quantity", 0).put("addon_applicability", "all").put("giftable", false);
        if let Some(days) = trial_days {
            o.put("trial_period", days).put("trial_period_unit", "day");
        }
    } else {
        o.put("charge_type", if period.is_some() { "recurring" } else { "non_recurring" });
        o.put("type", if matches!(pricing, Pricing::Flat(_)) { "on_off" } else { "quantity" });
        o.put("included_in_mrr", *kind == ItemKind::Addon);
        match period {
            Some(_) => cycle(o, *period),
            None => drop(o.put("period_unit", "not_applicable")),
        }
    }
    if let Some((sku, account)) = account {
        o.put("sku", sku).put("accounting_code", account);
    }
}

fn coupon(o: &mut Object, ware: &Ware, catalog: ProductCatalog) {
    let Details::Coupon { percentage, amount, months, valid_till, max_redemptions, .. } = &ware.details
    else {
        return;
    };
    o.put(
        "discount_type",
        match (percentage, amount) {
            (Some(_), _) => "percentage",
            (None, Some(_)) => "fixed_amount",
            (None, None) => "offer_quantity",
        },
    );
    if let Some(percentage) = percentage {
        o.raw("discount_percentage", &percentage.float_text());
    }
    o.opt("discount_amount", amount.map(|(minor, _)| minor));
    o.opt("discount_quantity", (percentage.is_none() && amount.is_none()).then_some(2));
    o.opt("currency_code", amount.map(|(_, currency)| currency.code()));
    o.put("duration_type", if months.is_some() { "limited_period" } else { "forever" });
    o.opt("period", *months).opt("period_unit", months.map(|_| "month")).opt("duration_month", *months);
    o.opt("valid_till", *valid_till).opt("max_redemptions", *max_redemptions).put("redemptions", 0);
    o.put("included_in_mrr", percentage.is_some()).put("created_at", ware.created_at);
    length::coupon(o, ware, catalog);
}

fn cycle(o: &mut Object, period: Option<Period>) {
    if let Some(period) = period {
        let (count, unit) = period.count_and_unit();
        o.put("period", count).put("period_unit", unit);
    }
}

/// A price with more digits than the minor unit is shown twice: rounded, and exact as text.
fn amount(o: &mut Object, price: Dec, currency: Currency) {
    o.put("price", price.rounded(currency.exponent()));
    if is_fine(price, currency) {
        o.put("price_in_decimal", price.to_string());
    }
}

fn is_fine(price: Dec, currency: Currency) -> bool {
    let rounded = Dec::minor(price.rounded(currency.exponent()), currency);
    rounded.to_string() != price.to_string()
}

fn amounts(o: &mut Object, pricing: &Pricing, currency: Currency) {
    let model = match pricing {
        Pricing::Flat(_) => "flat_fee",
        Pricing::PerUnit(_) => "per_unit",
        Pricing::Tiers(model, _) => model,
    };
    o.put("pricing_model", model);
    match pricing {
        Pricing::Flat(price) | Pricing::PerUnit(price) => amount(o, *price, currency),
        Pricing::Tiers(_, tiers) => {
            o.list("tiers", tiers.iter().enumerate().map(|(i, tier)| step(i, tier, currency)));
        }
    }
}

fn step(index: usize, tier: &Tier, currency: Currency) -> String {
    let mut o = Object::new();
    o.put("starting_unit", tier.from).opt("ending_unit", tier.to);
    amount(&mut o, tier.price, currency);
    o.put("pricing_type", if tier.package.is_some() { "package" } else { "per_unit" });
    o.opt("package_size", tier.package).put("index", index).put("object", "tier");
    o.end()
}

/// The row that a single request finds: a deleted one is gone.
pub(super) fn find<'a>(world: &'a World, range: Range, id: &str) -> Option<(&'a Ware, At<Ware>)> {
    let found = world.wares().iter().find(|(_, w)| range.holds(w) && w.id == id && !w.stamp.deleted);
    found.map(|(at, ware)| (ware, at))
}
