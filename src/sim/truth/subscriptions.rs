//! Chargebee subscriptions with their items and discounts.
use super::{Cells, Truth, json_object, json_texts};
use crate::sim::{
    money::Dec,
    world::{
        catalog::ItemKind,
        model::{Row, Subscription, SubscriptionStatus},
    },
};

impl Truth<'_> {
    pub(super) fn subscriptions(&mut self) {
        for row in self.world.subscriptions.rows() {
            let cells = self.subscription(row);
            self.add("subscriptions", cells);
            self.items(row);
            self.discounts(row);
        }
    }

    fn subscription(&self, row: &Subscription) -> Cells {
        let customer = &self.world.customers[row.customer];
        let (count, unit) = row.period.count_and_unit();
        let mut c = Cells::new(&row.id, row.stamp);
        c.put("customer_id", self.id(Row::Customer(row.customer)));
        c.put(
            "status",
            match row.status {
                SubscriptionStatus::InTrial => "trialing",
                other => other.word(),
            },
        );
        c.put("status_raw", row.status.word());
        c.put("currency", row.currency.code());
        c.put("interval_unit", unit);
        c.put("interval_count", count);
        c.time("started_at", row.started_at.or(row.start_date));
        c.time("activated_at", row.activated_at);
        c.time("created_at", Some(row.created_at));
        c.time("updated_at", row.stamp.stamped.then_some(row.stamp.updated_at));
        c.time("trial_start", row.trial.map(|t| t.0));
        c.time("trial_end", row.trial.map(|t| t.1));
        c.time("current_term_start", row.term.map(|t| t.0));
        c.time("current_term_end", row.term.map(|t| t.1));
        c.time("next_billing_at", row.next_billing_at);
        let leaving = row.status == SubscriptionStatus::NonRenewing;
        c.time("cancel_at", row.term.filter(|_| leaving).map(|t| t.1));
        c.time("cancelled_at", row.cancelled_at);
        c.time("ended_at", row.cancelled_at);
        c.opt("cancel_reason", row.cancel_reason.or(row.cancel_reason_code));
        if row.status == SubscriptionStatus::Cancelled {
            c.put("cancel_kind", if row.cancel_reason.is_some() { "involuntary" } else { "voluntary" });
        }
        c.time("pause_at", row.pause_at);
        c.time("resume_at", row.resume_at);
        c.opt("remaining_cycles", row.remaining_cycles);
        if let Some(contract) = &row.contract {
            c.put("contract_start", self.date(contract.start));
            c.put("contract_end", self.date(contract.end));
            c.money("contract_value", contract.value, row.currency);
        }
        c.put("auto_collection", if customer.auto_collection { "on" } else { "off" });
        c.money("balance_due", row.total_dues, row.currency);
        c.time("due_since", row.due_since);
        c.money("provider_mrr", row.mrr, row.currency);
        let coupons = row.coupons.iter().map(|c| c.coupon);
        c.opt("coupon_codes", (!row.coupons.is_empty()).then(|| json_texts(coupons)));
        c.put("created_from", "web");
        c.opt("metadata", self.world.meta_of(&row.id));
        c.opt("custom_fields", json_object(&self.world.custom_of(&row.id)));
        c
    }

    fn items(&mut self, row: &Subscription) {
        for item in &row.items {
            let mut c = Cells::new(format!("{}:{}", row.id, item.price_id), row.stamp);
            c.put("subscription_id", &row.id);
            c.put("price_id", &item.price_id);
            c.put("item_kind", item.item.kind().word());
            c.put("quantity", item.quantity);
            c.put("unit_amount", item.unit);
            c.money("amount", item.amount, row.currency);
            c.put("free_quantity", 0);
            c.time("trial_end", row.trial.map(|t| t.1).filter(|_| item.item.kind() == ItemKind::Addon));
            c.put("is_recurring", item.item.kind() != ItemKind::Charge);
            self.add("subscription_items", c);
        }
    }

    fn discounts(&mut self, row: &Subscription) {
        for (n, coupon) in row.coupons.iter().enumerate() {
            let mut c = Cells::new(format!("{}:coupon:{n}", row.id), row.stamp);
            c.put("subscription_id", &row.id);
            c.put("coupon_id", coupon.coupon);
            c.time("apply_till", coupon.apply_till);
            self.add("subscription_discounts", c);
        }
        for (n, discount) in row.discounts.iter().enumerate() {
            let mut c = Cells::new(format!("{}:discount:{n}", row.id), row.stamp);
            c.put("subscription_id", &row.id);
            c.put("kind", if discount.percentage.is_some() { "percent" } else { "fixed" });
            c.opt("value", discount.percentage.or(discount.amount.map(|a| Dec::minor(a, row.currency))));
            c.put(
                "duration",
                match discount.duration {
                    "limited_period" => "limited",
                    "one_time" => "once",
                    other => other,
                },
            );
            c.time("apply_till", discount.apply_till);
            c.put(
                "apply_on",
                if discount.price_id.is_some() { "specific_item_price" } else { "invoice_amount" },
            );
            c.opt("price_id", discount.price_id.as_ref());
            c.put("included_in_mrr", discount.in_mrr);
            self.add("subscription_discounts", c);
        }
    }
}
