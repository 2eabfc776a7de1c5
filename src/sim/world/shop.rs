//! How does what is for sale change? The catalog is filled at the start and changes every few days. A row is never
//! removed; one that was deleted may come back under its id. Absent: what subscriptions pay (`catalog` says it).
use super::{
    Action, DAY, World,
    catalog::{DOCUMENT_COUPON, ITEM_COUPON, Item, ItemKind, Period},
    log::{Happening, Subject},
    model::{Stamp, What},
    table::{At, Table},
    ware::{Details, Pricing, Tier, Ware, WareKind, WareStatus},
};
use crate::sim::money::{Currency, Dec};

/// Seconds between two changes of the catalog.
const CHANGE_EVERY: i64 = 9 * DAY;

/// Everything for sale, with a die of its own, so that the catalog does not change what customers do.
#[derive(Debug)]
pub(super) struct Shop {
    rng: fastrand::Rng,
    /// Changes made so far.
    turn: u32,
    wares: Table<Ware>,
}

impl Shop {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed ^ 0x5609_CA7A), turn: 0, wares: Table::default() }
    }
}

const MAIN: &str = "main";
const EXTRAS: &str = "extras";

impl World {
    /// Everything that is or was for sale.
    pub fn wares(&self) -> &Table<Ware> {
        &self.shop.wares
    }

    /// Fills the catalog and plans its changes.
    pub(super) fn stock(&mut self) {
        for (id, name) in [(MAIN, "Main products"), (EXTRAS, "Extras \u{2014} \"packs\"")] {
            let description = (id == EXTRAS).then(|| "Sold by the pack".to_owned());
            self.put_ware(id, name, Details::Family { description });
        }
        for item in Item::ALL {
            self.stock_item(item);
        }
        let ten = Some(Dec::new(10, 0));
        self.coupon(DOCUMENT_COUPON, (ten, None), None, false);
        self.coupon(ITEM_COUPON, (Some(Dec::new(15, 0)), None), Some(6), true);
        self.volume_plan();
        self.pack();
        self.plan(self.now + CHANGE_EVERY, Action::Restock);
    }

    fn stock_item(&mut self, item: Item) {
        let kind = item.kind();
        let details = Details::Item {
            family: MAIN.into(),
            kind,
            metered: item == Item::ApiCalls,
            unit: (item == Item::Seats).then_some("seat"),
            meta: (item == Item::Pro).then(|| r#"{"features":["a","b"],"limit":12.50}"#.to_owned()),
            custom: if kind == ItemKind::Plan { vec![("cf_team", "\"core\"".into())] } else { Vec::new() },
        };
        self.put_ware(item.slug(), item.title(), details);
        let periods = [Period::Monthly, Period::Quarterly, Period::Yearly];
        for currency in Currency::ALL {
            for period in periods.into_iter().take(if kind == ItemKind::Charge { 1 } else { 3 }) {
                let unit = item.unit_price(period, currency);
                let details = Details::Price {
                    item: item.slug().into(),
                    family: MAIN.into(),
                    kind,
                    currency,
                    period: (kind != ItemKind::Charge).then_some(period),
                    pricing: match item {
                        Item::Seats | Item::ApiCalls => Pricing::PerUnit(unit),
                        Item::Basic | Item::Pro | Item::Setup => Pricing::Flat(unit),
                    },
                    trial_days: (kind == ItemKind::Plan).then_some(14),
                    account: (kind == ItemKind::Plan).then_some(("SKU-1", "4400")),
                };
                self.put_ware(&item.price_id(period, currency), item.title(), details);
            }
        }
    }

    fn put_ware(&mut self, id: &str, name: &str, details: Details) -> At<Ware> {
        let at = self.shop.wares.push(Ware {
            id: id.to_owned(),
            name: name.to_owned(),
            stamp: Stamp::default(),
            created_at: self.now,
            status: WareStatus::Active,
            archived_at: None,
            details,
        });
        self.mark_ware(at, What::Created);
        at
    }

    fn coupon(
        &mut self,
        id: &str,
        (percentage, amount): (Option<Dec>, Option<(i64, Currency)>),
        months: Option<i64>,
        specific: bool,
    ) {
        let details =
            Details::Coupon { percentage, amount, months, valid_till: None, max_redemptions: None, specific };
        self.put_ware(id, &format!("Coupon {id}"), details);
    }

    /// As `mark`, for what is for sale.
    fn mark_ware(&mut self, at: At<Ware>, what: What) {
        let now = self.now;
        let ware = &mut self.shop.wares[at];
        ware.stamp.updated_at = ware.stamp.updated_at.max(now);
        ware.stamp.version = (ware.stamp.version + 1).max(now * 1_000 + 17);
        ware.stamp.stamped = true;
        let subject = Subject::Ware(Box::new(ware.clone()), at);
        self.log.push(Happening { at: now, what, subject });
    }

    pub(super) fn restock(&mut self) {
        self.change_catalog();
        self.plan(self.now + CHANGE_EVERY, Action::Restock);
    }

    /// The next change of the catalog: they go round, so that every world sees all of them.
    pub(super) fn change_catalog(&mut self) {
        if self.shop.wares.is_empty() {
            return;
        }
        self.shop.turn += 1;
        let turn = self.shop.turn;
        match turn % 8 {
            1 | 5 => self.campaign(turn),
            2 => self.pack(),
            3 => self.edit_prices(),
            4 => self.archive(),
            6 => self.delete_coupon(),
            7 => self.retire_pack(),
            _ => self.bring_back(),
        }
    }

    fn campaign(&mut self, turn: u32) {
        let id = format!("PROMO-{turn}");
        let amount = match self.shop.rng.u32(0..4) {
            0 => None,
            1 => Some((500, Currency::Usd)),
            2 => Some((450, Currency::Eur)),
            _ => Some((700, Currency::Jpy)),
        };
        // Now and then units are given instead of money.
        let amount = amount.filter(|_| turn % 16 != 13);
        let percentage = (amount.is_none() && turn % 16 != 13).then_some(Dec::new(125, 1));
        self.coupon(&id, (percentage, amount), Some(3), false);
    }

    /// A plan whose price depends on the quantity; nobody has it yet.
    fn volume_plan(&mut self) {
        let tier = |from, to, mantissa| Tier { from, to, price: Dec::new(mantissa, 2), package: None };
        let details = Details::Price {
            item: Item::Pro.slug().into(),
            family: MAIN.into(),
            kind: ItemKind::Plan,
            currency: Currency::Usd,
            period: Some(Period::Monthly),
            pricing: Pricing::Tiers("volume", vec![tier(1, Some(10), 9_900), tier(11, None, 8_900)]),
            trial_days: None,
            account: None,
        };
        self.put_ware("pro-volume-USD-Monthly", "Pro by volume", details);
    }

    /// A new addon whose price depends on the quantity.
    fn pack(&mut self) {
        let n = self.shop.wares.len();
        let id = format!("pack-{n}");
        let details = Details::Item {
            family: EXTRAS.into(),
            kind: ItemKind::Addon,
            metered: false,
            unit: Some("pack"),
            meta: None,
            custom: Vec::new(),
        };
        self.put_ware(&id, &format!("Pack {n}"), details);
        let models = [(Currency::Usd, "tiered"), (Currency::Eur, "volume"), (Currency::Jpy, "stairstep")];
        for (currency, model) in models {
            let price = |mantissa: i128| match currency {
                Currency::Usd => Dec::new(mantissa * 1_111 + 7, 5),
                Currency::Eur => Dec::new(mantissa, 2),
                Currency::Jpy => Dec::new(mantissa, 0),
            };
            let tier = |from, to, mantissa, package| Tier { from, to, price: price(mantissa), package };
            let package = (model == "tiered").then_some(10);
            let tiers = vec![
                tier(1, Some(10), 995, None),
                tier(11, Some(100), 899, package),
                tier(101, None, 799, package),
            ];
            let details = Details::Price {
                item: id.clone(),
                family: EXTRAS.into(),
                kind: ItemKind::Addon,
                currency,
                period: Some(Period::Monthly),
                pricing: Pricing::Tiers(model, tiers),
                trial_days: None,
                account: None,
            };
            let name = format!("Pack {n} {}", currency.code());
            self.put_ware(&format!("{id}-{}-Monthly", currency.code()), &name, details);
        }
    }

    fn any_ware(&mut self, fits: impl Fn(&Ware) -> bool) -> Option<At<Ware>> {
        let all: Vec<At<Ware>> = self.shop.wares.iter().filter(|(_, w)| fits(w)).map(|(at, _)| at).collect();
        self.shop.rng.choice(all)
    }

    fn edit_prices(&mut self) {
        let tiered = |w: &Ware| {
            let by_tiers = matches!(&w.details, Details::Price { pricing: Pricing::Tiers(..), .. });
            by_tiers && w.status == WareStatus::Active
        };
        if let Some(at) = self.any_ware(tiered) {
            if let Details::Price { pricing: Pricing::Tiers(_, tiers), .. } = &mut self.shop.wares[at].details
            {
                tiers.iter_mut().for_each(|t| t.price.mantissa += 1);
            }
            self.mark_ware(at, What::Edited);
        }
    }

    fn archive(&mut self) {
        let now = self.now;
        for id in [Item::Setup.slug(), "basic-USD-Quarterly", "seats-USD-Quarterly"] {
            let found = self.shop.wares.iter().find(|(_, w)| w.id == id && w.status == WareStatus::Active);
            if let Some((at, _)) = found {
                self.shop.wares[at].status = WareStatus::Archived;
                self.shop.wares[at].archived_at = Some(now);
                self.mark_ware(at, What::Edited);
            }
        }
        let campaign = |w: &Ware| w.id.starts_with("PROMO-") && w.status == WareStatus::Active;
        if let Some(at) = self.any_ware(campaign) {
            let ware = &mut self.shop.wares[at];
            ware.status = WareStatus::Archived;
            ware.archived_at = Some(now);
            if let Details::Coupon { valid_till, max_redemptions, .. } = &mut ware.details {
                *valid_till = Some(now);
                *max_redemptions = Some(100);
            }
            self.mark_ware(at, What::Edited);
        }
    }

    fn delete_ware(&mut self, at: At<Ware>) {
        let ware = &mut self.shop.wares[at];
        ware.status = WareStatus::Deleted;
        ware.stamp.deleted = true;
        self.mark_ware(at, What::Deleted);
    }

    fn delete_coupon(&mut self) {
        let campaign = |w: &Ware| w.id.starts_with("PROMO-") && w.status != WareStatus::Deleted;
        if let Some(at) = self.any_ware(campaign) {
            self.delete_ware(at);
        }
    }

    /// The oldest pack goes: its prices first, then the item.
    fn retire_pack(&mut self) {
        let living = |w: &Ware| w.status != WareStatus::Deleted && w.id.starts_with("pack-");
        let item = |w: &Ware| living(w) && w.kind() == WareKind::Item;
        let Some(id) = self.shop.wares.rows().find(|w| item(w)).map(|w| w.id.clone()) else { return };
        let of_it = |w: &Ware| matches!(&w.details, Details::Price { item, .. } if *item == id);
        let prices = self.shop.wares.iter().filter(|(_, w)| living(w) && of_it(w)).map(|(at, _)| at);
        let item = self.shop.wares.iter().filter(|(_, w)| w.id == id).map(|(at, _)| at);
        let all: Vec<At<Ware>> = prices.chain(item).collect();
        all.into_iter().for_each(|at| self.delete_ware(at));
    }

    /// A deleted coupon is made again under its id.
    fn bring_back(&mut self) {
        let now = self.now;
        let gone = |w: &Ware| w.kind() == WareKind::Coupon && w.status == WareStatus::Deleted;
        if let Some(at) = self.any_ware(gone) {
            let ware = &mut self.shop.wares[at];
            ware.status = WareStatus::Active;
            ware.stamp.deleted = false;
            ware.created_at = now;
            ware.archived_at = None;
            self.mark_ware(at, What::Created);
        }
    }

    /// As `forget_stamps`, for what is for sale and was never deleted: a delete leaves a stamp for good.
    pub(super) fn forget_ware_stamps(&mut self, percent: u32) {
        let old = self.now - 30 * DAY;
        let Shop { rng, wares, .. } = &mut self.shop;
        let campaign = |w: &Ware| w.id.starts_with("PROMO-");
        let all: Vec<At<Ware>> = wares.iter().filter(|(_, w)| !campaign(w)).map(|(at, _)| at).collect();
        for at in all {
            let stamp = &mut wares[at].stamp;
            if stamp.updated_at < old && !stamp.deleted && rng.u32(0..100) < percent {
                stamp.stamped = false;
            }
        }
    }
}
