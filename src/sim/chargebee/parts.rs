//! What does Chargebee say a subscription is made of? Items and their prices (catalog 2.0), or a plan, addons and what
//! events set off (1.0).
use super::pen::Pen;
use crate::sim::{
    json::Object,
    money::Dec,
    world::{
        catalog::ItemKind,
        model::{Subscription, SubscriptionItem, extra_of},
    },
};

const EVENT: &str = "subscription_creation";

impl Pen<'_> {
    pub(super) fn items(self, row: &Subscription) -> impl Iterator<Item = String> {
        let items = row.items.iter().map(move |i| {
            let exponent = row.currency.exponent();
            let mut item = self.object();
            item.put("item_price_id", &i.price_id).put("item_type", i.item.kind().word());
            item.put("quantity", i.quantity.rounded(0));
            if i.item.is_decimal(row.currency) {
                item.put("quantity_in_decimal", i.quantity.to_string());
                item.put("unit_price_in_decimal", i.unit.to_string());
                item.put("amount_in_decimal", Dec::minor(i.amount, row.currency).to_string());
                item.put("metered_quantity", i.quantity.to_string());
            }
            item.put("unit_price", i.unit.rounded(exponent)).put("amount", i.amount);
            item.put("free_quantity", 0);
            if i.item.kind() == ItemKind::Addon {
                item.opt("trial_end", row.trial.map(|t| t.1)).opt("billing_cycles", row.remaining_cycles);
            }
            item.put("object", "subscription_item");
            item.end()
        });
        let extra = extra_of(&row.id, row.currency).map(move |(price, unit)| {
            let unit = unit.rounded(row.currency.exponent());
            let mut item = self.object();
            item.put("item_price_id", price).put("item_type", "charge").put("quantity", 1);
            item.put("unit_price", unit).put("amount", unit).put("free_quantity", 0);
            item.put("charge_on_event", EVENT).put("charge_once", true).put("object", "subscription_item");
            item.end()
        });
        items.chain(extra)
    }

    pub(super) fn plan_and_addons(self, o: &mut Object, row: &Subscription) {
        let exponent = row.currency.exponent();
        let of_kind = |kind: ItemKind| row.items.iter().filter(move |i| i.item.kind() == kind);
        for plan in of_kind(ItemKind::Plan) {
            o.put("plan_id", &plan.price_id).put("plan_quantity", plan.quantity.rounded(0));
            o.put("plan_unit_price", plan.unit.rounded(exponent)).put("plan_amount", plan.amount);
            o.put("plan_free_quantity", 0);
        }
        o.some("addons", of_kind(ItemKind::Addon).map(|i| self.addon(row, i)));
        o.some(
            "event_based_addons",
            extra_of(&row.id, row.currency).map(|(id, unit)| {
                let mut addon = self.object();
                addon.put("id", id).put("quantity", 1).put("unit_price", unit.rounded(exponent));
                addon.put("on_event", EVENT).put("charge_once", true).put("object", "event_based_addon");
                addon.end()
            }),
        );
    }

    fn addon(self, row: &Subscription, i: &SubscriptionItem) -> String {
        let mut addon = self.object();
        addon.put("id", &i.price_id).put("quantity", i.quantity.rounded(0));
        addon.put("unit_price", i.unit.rounded(row.currency.exponent())).put("amount", i.amount);
        if i.item.is_decimal(row.currency) {
            addon.put("quantity_in_decimal", i.quantity.to_string());
            addon.put("unit_price_in_decimal", i.unit.to_string());
            addon.put("amount_in_decimal", Dec::minor(i.amount, row.currency).to_string());
        }
        addon.opt("trial_end", row.trial.map(|t| t.1));
        addon.opt("remaining_billing_cycles", row.remaining_cycles).put("object", "addon");
        addon.end()
    }
}
