//! Chargebee subscriptions with their items and discounts.
use super::{Cells, Truth, json_object, json_texts};
use crate::sim::{
    chargebee::ProductCatalog,
    money::Dec,
    world::{
        catalog::ItemKind,
        model::{Row, Subscription, SubscriptionStatus, extra_of, net_terms_of},
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
        c.opt("net_terms_days", net_terms_of(&row.id));
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
            let kind = item.item.kind();
            let mut c = self.part(row, kind.word(), &item.price_id);
            c.put("quantity", item.quantity);
            c.put("unit_amount", item.unit);
            c.money("amount", item.amount, row.currency);
            if kind == ItemKind::Plan || self.catalog == ProductCatalog::V2 {
                c.put("free_quantity", 0);
            }
            c.time("trial_end", row.trial.map(|t| t.1).filter(|_| kind == ItemKind::Addon));
            c.put("is_recurring", true);
            match self.catalog {
                ProductCatalog::V1 => c.opt("remaining_cycles", row.remaining_cycles),
                ProductCatalog::V2 => {
                    c.opt("metered_quantity", item.item.is_decimal(row.currency).then_some(item.quantity));
                    c.opt("billing_cycles", row.remaining_cycles.filter(|_| kind == ItemKind::Addon));
                }
            }
            self.add("subscription_items", c);
        }
        if let Some((price, unit)) = extra_of(&row.id, row.currency) {
            let mut c = self.part(row, "subscription_creation", &price);
            c.put("item_kind", "charge");
            c.put("quantity", 1);
            c.put("unit_amount", unit);
            if self.catalog == ProductCatalog::V2 {
                c.put("amount", unit);
                c.put("free_quantity", 0);
            }
            c.put("is_recurring", false);
            self.add("subscription_items", c);
        }
    }

    /// One thing that a subscription is made of: a price, or what is item and price in one.
    fn part(&self, row: &Subscription, kind: &str, price: &str) -> Cells {
        let (column, id) = match self.catalog {
            ProductCatalog::V1 => ("item_id", format!("{}:{kind}:{price}", row.id)),
            ProductCatalog::V2 => ("price_id", format!("{}:{price}", row.id)),
        };
        let mut c = Cells::new(id, row.stamp);
        c.put("subscription_id", &row.id);
        c.put("item_kind", kind);
        c.put(column, price);
        c
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
