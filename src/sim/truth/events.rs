//! Chargebee's log, and what of it concerns subscriptions.
//!
//! What an event's content says is by nature the provider's own wording, so that one column is taken from the
//! imitation; everything else comes from the world.
use super::{Cells, Truth};
use crate::sim::{
    chargebee::{ProductCatalog, log},
    world::{
        log::{Happening, Subject},
        model::{Row, Stamp},
        ware::Details,
    },
};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

impl Truth<'_> {
    pub(super) fn events(&mut self, catalog: ProductCatalog) {
        for (number, happening) in self.world.log().iter().enumerate() {
            let Some(kind) = log::kind(self.world, happening, catalog) else { continue };
            let content = log::content(self.world, happening, catalog);
            let parts: BTreeMap<String, &RawValue> = serde_json::from_str(&content).unwrap_or_default();
            let whole = parts.iter().map(|(k, v)| format!("{}:{}", super::json_text(k), canonical(v)));
            let whole = format!("{{{}}}", whole.collect::<Vec<_>>().join(","));
            let mut c = Cells::new(log::id(number), Stamp::default());
            c.time("occurred_at", Some(happening.at));
            c.put("occurred_date", self.date(happening.at));
            c.put("event_type", &kind);
            let source = log::source(happening);
            c.put("source", source);
            c.opt("user_name", (source == "api").then_some("full_access_key_v1"));
            c.opt("origin_user_name", log::origin(number, source));
            c.put("api_version", "v2");
            self.concerned(&mut c, happening, catalog);
            c.put("content", whole);
            self.add("events", c);
            if let Subject::Row { row: row @ Row::Subscription(_), .. } = &happening.subject {
                let subscription = self.id(*row);
                let mut c = Cells::new(format!("{}:{subscription}", log::id(number)), Stamp::default());
                c.put("event_id", log::id(number));
                c.put("subscription_id", subscription);
                c.time("at", Some(happening.at));
                c.put("kind", kind);
                c.opt("after", parts.get("subscription").map(|part| canonical(part)));
                self.add("subscription_events", c);
            }
        }
    }

    /// The ids of what the event is about.
    fn concerned(&self, c: &mut Cells, happening: &Happening, catalog: ProductCatalog) {
        let world = self.world;
        match &happening.subject {
            Subject::Ware(ware, _) => match &ware.details {
                Details::Family { .. } => {}
                Details::Item { .. } => c.put("item_id", &ware.id),
                Details::Price { .. } if catalog == ProductCatalog::V1 => c.put("item_id", &ware.id),
                Details::Price { item, .. } => {
                    c.put("item_id", item);
                    c.put("price_id", &ware.id);
                }
                Details::Coupon { .. } => c.put("coupon_id", &ware.id),
            },
            Subject::Row { row, .. } => {
                let (column, customer, subscription) = match *row {
                    Row::Customer(at) => ("customer_id", Some(at), None),
                    Row::Subscription(at) => {
                        ("subscription_id", Some(world.subscriptions[at].customer), None)
                    }
                    Row::Invoice(at) => {
                        let row = &world.invoices[at];
                        ("invoice_id", Some(row.customer), row.subscription)
                    }
                    Row::CreditNote(at) => {
                        let row = &world.notes[at];
                        ("credit_note_id", Some(row.customer), row.subscription)
                    }
                    Row::Transaction(at) => {
                        let row = &world.transactions[at];
                        ("payment_id", Some(row.customer), row.subscription)
                    }
                    Row::Side(..) => return,
                };
                c.opt("customer_id", customer.map(|at| self.id(Row::Customer(at))));
                c.opt("subscription_id", subscription.map(|at| self.id(Row::Subscription(at))));
                c.put(column, self.id(*row));
            }
        }
    }
}

/// Keys in order, no spaces, numbers as they stand.
fn canonical(json: &RawValue) -> String {
    let text = json.get();
    if let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        let members = members.into_iter().map(|(k, v)| format!("{}:{}", super::json_text(&k), canonical(v)));
        return format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    }
    match serde_json::from_str::<Vec<&RawValue>>(text) {
        Ok(items) => format!("[{}]", items.into_iter().map(canonical).collect::<Vec<_>>().join(",")),
        Err(_) => text.to_owned(),
    }
}
