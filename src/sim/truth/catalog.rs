//! Chargebee's catalog: families, items, prices and coupons, or plans and addons.
use super::{Cells, Truth, json_text};
use crate::sim::{
    chargebee::ProductCatalog,
    money::{Currency, Dec},
    world::{
        catalog::{Item, ItemKind, Period},
        model::{entity_of, is_told_at_length},
        ware::{Details, Pricing, Tier, Ware},
    },
};

impl Truth<'_> {
    pub(super) fn catalog(&mut self, catalog: ProductCatalog) {
        for ware in self.world.wares().rows() {
            let (table, cells) = match (&ware.details, catalog) {
                (Details::Coupon { .. }, _) => ("coupons", coupon(ware, catalog)),
                (Details::Price { kind: ItemKind::Plan, .. }, ProductCatalog::V1) => ("plans", plan(ware)),
                (Details::Price { .. }, ProductCatalog::V1) => ("addons", addon(ware)),
                (Details::Price { .. }, ProductCatalog::V2) => ("prices", price(ware)),
                (Details::Item { .. }, ProductCatalog::V2) => ("items", item(ware)),
                (Details::Family { .. }, ProductCatalog::V2) => ("item_families", family(ware)),
                (Details::Item { .. } | Details::Family { .. }, ProductCatalog::V1) => continue,
            };
            self.add(table, cells);
        }
    }
}

fn cells(ware: &Ware) -> Cells {
    let mut c = Cells::new(&ware.id, ware.stamp);
    c.put("name", &ware.name);
    c.put("status", ware.status.word());
    c.put("status_raw", ware.status.word());
    c.time("archived_at", ware.archived_at);
    c.time("updated_at", ware.stamp.stamped.then_some(ware.stamp.updated_at));
    c
}

fn family(ware: &Ware) -> Cells {
    let mut c = cells(ware);
    if let Details::Family { description } = &ware.details {
        c.opt("description", description.as_ref());
    }
    if is_told_at_length(&ware.id) {
        c.put("custom_fields", "{\"cf_buyer\":\"Zo\u{eb}\"}");
    }
    c
}

fn item(ware: &Ware) -> Cells {
    let mut c = cells(ware);
    if let Details::Item { family, kind, metered, unit, meta, custom } = &ware.details {
        c.put("family_id", family);
        c.put("external_name", &ware.name);
        c.put("kind", if *metered { "usage" } else { kind.word() });
        c.put("kind_raw", kind.word());
        c.put("metered", metered);
        c.opt("usage_calculation", metered.then_some("sum_of_usages"));
        match kind {
            ItemKind::Plan if ware.id == Item::Basic.slug() => {
                c.put("item_applicability", "restricted");
                c.put("applicable_items", r#"[{"id":"seats","object":"applicable_item"}]"#);
            }
            ItemKind::Plan => c.put("item_applicability", "all"),
            ItemKind::Addon => c.put("included_in_mrr", true),
            ItemKind::Charge => c.put("included_in_mrr", false),
        }
        c.opt("unit", *unit);
        c.opt("description", (ware.id == Item::Seats.slug()).then_some("People who may log in"));
        let seats = r#"[{"item_id":"seats","item_type":"addon","object":"bundle_item","quantity":1}]"#;
        c.opt("bundle_items", (ware.id == Item::Pro.slug()).then_some(seats));
        c.put("is_giftable", false);
        c.put("enabled_for_checkout", true);
        c.put("enabled_in_portal", *kind == ItemKind::Plan);
        c.opt("metadata", meta.as_ref());
        let own: Vec<String> = custom.iter().map(|(k, v)| format!("{}:{v}", json_text(k))).collect();
        c.opt("custom_fields", (!own.is_empty()).then(|| format!("{{{}}}", own.join(","))));
    }
    c
}

fn price(ware: &Ware) -> Cells {
    let mut c = cells(ware);
    let Details::Price { item, family, kind, currency, period, pricing, trial_days, account } = &ware.details
    else {
        return c;
    };
    c.put("item_id", item);
    c.put("family_id", family);
    c.put("external_name", &ware.name);
    c.put("kind", kind.word());
    amounts(&mut c, *currency, *period, pricing);
    c.put("free_quantity", 0);
    if let Some(days) = trial_days {
        c.put("trial_unit", "day");
        c.put("trial_count", days);
        c.put("trial_end_action", "site_default");
    }
    c.opt("proration_type", (*kind == ItemKind::Addon).then_some("site_default"));
    c.put("taxable", true);
    if let Some((sku, code)) = account {
        c.put("sku", sku);
        c.put("revenue_account", code);
        let detail = format!(r#"{{"accounting_code":"{code}","object":"accounting_detail","sku":"{sku}"}}"#);
        c.put("accounting_detail", detail);
        c.put("tax_code", "9983");
        c.put("tax_detail", r#"{"hsn_code":"9983","object":"tax_detail","tax_profile_id":"tp_1"}"#);
    }
    c.put("channel", "web");
    c.opt("parent_item_id", (*item == Item::Seats.slug()).then_some("pro"));
    let calls = *item == Item::ApiCalls.slug();
    c.opt("usage_reset", calls.then_some("subscription_billing_frequency"));
    c.opt("business_entity_id", entity_of(&ware.id));
    if is_told_at_length(&ware.id) {
        sold(&mut c);
        c.put("billing_cycles", 24);
        c.put("price_variant_id", "pv_north");
        c.put("shipping_count", 1);
        c.put("shipping_unit", "month");
    }
    c.time("created_at", Some(ware.created_at));
    c
}

fn plan(ware: &Ware) -> Cells {
    let mut c = single(ware);
    c.put("free_quantity", 0);
    if let Details::Price { currency, .. } = &ware.details {
        c.put("setup_amount", Item::Setup.unit_price(Period::Monthly, *currency));
    }
    c.put("addon_applicability", "all");
    c.put("is_giftable", false);
    if is_told_at_length(&ware.id) {
        sold(&mut c);
        c.put("billing_cycles", 24);
        c.put("tax_code", "9983");
        c.put("attached_addons", r#"[{"id":"seats-USD-Monthly","quantity":1,"type":"recommended"}]"#);
        c.put("event_based_addons", r#"[{"id":"setup-USD","on_event":"subscription_creation"}]"#);
    }
    if let Details::Price { trial_days: Some(days), .. } = &ware.details {
        c.put("trial_unit", "day");
        c.put("trial_count", days);
    }
    c
}

/// What is said at length of prices, plans and addons.
fn sold(c: &mut Cells) {
    c.put("description", "All of it");
    c.put("invoice_notes", "Thank you");
    c.put("metadata", r#"{"tier":"gold"}"#);
    c.put("custom_fields", r#"{"cf_team":"core"}"#);
}

fn addon(ware: &Ware) -> Cells {
    let mut c = single(ware);
    if ware.id.starts_with(Item::Seats.slug()) {
        sold(&mut c);
        c.put("tax_code", "9983");
        c.put("sku", "SKU-2");
        c.put("revenue_account", "4410");
    }
    if let Details::Price { kind, period, .. } = &ware.details {
        c.put("is_recurring", period.is_some());
        c.put("included_in_mrr", *kind == ItemKind::Addon);
    }
    c
}

/// What plans and addons have in common.
fn single(ware: &Ware) -> Cells {
    let mut c = cells(ware);
    if let Details::Price { currency, period, pricing, account, .. } = &ware.details {
        c.put("invoice_name", &ware.name);
        amounts(&mut c, *currency, *period, pricing);
        c.put("taxable", true);
        c.opt("sku", account.map(|(sku, _)| sku));
        c.opt("revenue_account", account.map(|(_, code)| code));
    }
    c
}

fn amounts(c: &mut Cells, currency: Currency, period: Option<Period>, pricing: &Pricing) {
    c.put("currency", currency.code());
    if let Some((count, unit)) = period.map(Period::count_and_unit) {
        c.put("interval_unit", unit);
        c.put("interval_count", count);
    }
    match pricing {
        Pricing::Flat(price) => {
            c.put("pricing_model", "flat_fee");
            c.put("unit_amount", price);
        }
        Pricing::PerUnit(price) => {
            c.put("pricing_model", "per_unit");
            c.put("unit_amount", price);
        }
        Pricing::Tiers(model, steps) => {
            c.put("pricing_model", model);
            let steps: Vec<String> = steps.iter().enumerate().map(|(i, t)| step(i, t, currency)).collect();
            c.put("tiers", format!("[{}]", steps.join(",")));
        }
    }
}

/// Canonical JSON: keys in order, absent ones left out.
fn step(index: usize, tier: &Tier, currency: Currency) -> String {
    let minor = tier.price.rounded(currency.exponent());
    let exact = tier.price.to_string();
    let decimal = (Dec::minor(minor, currency).to_string() != exact).then_some(exact);
    let kind = if tier.package.is_some() { "package" } else { "per_unit" };
    let members = [
        tier.to.map(|n| format!(r#""ending_unit":{n}"#)),
        Some(format!(r#""index":{index}"#)),
        Some(r#""object":"tier""#.to_owned()),
        tier.package.map(|n| format!(r#""package_size":{n}"#)),
        Some(format!(r#""price":{minor}"#)),
        decimal.map(|exact| format!(r#""price_in_decimal":"{exact}""#)),
        Some(format!(r#""pricing_type":"{kind}""#)),
        Some(format!(r#""starting_unit":{}"#, tier.from)),
    ];
    format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(","))
}

fn coupon(ware: &Ware, catalog: ProductCatalog) -> Cells {
    let mut c = cells(ware);
    c.time("created_at", Some(ware.created_at));
    let Details::Coupon { percentage, amount, months, valid_till, max_redemptions, specific } = &ware.details
    else {
        return c;
    };
    c.put(
        "kind",
        match (percentage, amount) {
            (Some(_), _) => "percent",
            (None, Some(_)) => "fixed",
            (None, None) => "offer_quantity",
        },
    );
    c.opt("quantity", (percentage.is_none() && amount.is_none()).then_some(2));
    c.opt("percentage", *percentage);
    if let Some((minor, currency)) = amount {
        c.money("amount", *minor, *currency);
        c.put("currency", currency.code());
    }
    c.put("duration", if months.is_some() { "limited" } else { "forever" });
    c.opt("duration_unit", months.map(|_| "month"));
    c.opt("duration_count", *months);
    c.time("valid_till", *valid_till);
    c.opt("max_redemptions", *max_redemptions);
    c.put("redemptions", 0);
    c.put("apply_on", if *specific { "each_specified_item" } else { "invoice_amount" });
    c.put("included_in_mrr", percentage.is_some());
    if is_told_at_length(&ware.id) {
        c.put("invoice_name", "Campaign");
        c.time("valid_from", Some(ware.created_at));
        c.put("metadata", r#"{"wave":1}"#);
        c.put("custom_fields", r#"{"cf_owner":"ops"}"#);
        c.put("coupon_constraints", r#"[{"entity_type":"customer","type":"new_customer"}]"#);
    }
    if *specific && catalog == ProductCatalog::V2 {
        let only = r#"{"constraint":"specific","item_price_ids":["seats-USD-Monthly"],"item_type":"addon"}"#;
        c.put("item_constraints", format!("[{only}]"));
        c.put("item_constraint_criteria", r#"[{"currencies":["USD"],"item_type":"addon"}]"#);
    } else if *specific {
        c.put("plan_constraint", "specific");
        c.put("plan_ids", r#"["pro-USD-Monthly"]"#);
        c.put("addon_constraint", "specific");
        c.put("addon_ids", r#"["seats-USD-Monthly"]"#);
    }
    c
}
