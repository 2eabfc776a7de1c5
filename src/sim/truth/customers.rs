//! Chargebee customers.
use super::{Cells, Truth, filled, json_object, json_texts};
use crate::sim::world::{
    model::{Customer, Row, entity_of},
    table::At,
};

impl Truth<'_> {
    pub(super) fn customers(&mut self) {
        let rows: Vec<Cells> = self.world.customers.iter().map(|(at, row)| self.customer(at, row)).collect();
        rows.into_iter().for_each(|cells| self.add("customers", cells));
    }

    fn customer(&self, at: At<Customer>, row: &Customer) -> Cells {
        let mut c = Cells::new(&row.id, row.stamp);
        c.opt("first_name", filled(&row.first_name));
        c.opt("last_name", filled(&row.last_name));
        let both = || format!("{} {}", row.first_name, row.last_name).trim().to_owned();
        c.opt("name", filled(&row.company.clone().unwrap_or_else(both)));
        c.opt("company", row.company.as_ref());
        c.opt("email", filled(&row.email));
        c.opt("phone", row.phone.as_ref());
        c.opt("emails_extra", (!row.contacts.is_empty()).then(|| json_texts(row.contacts.iter())));
        c.put("status", if row.stamp.deleted { "deleted" } else { "active" });
        c.put("currency", row.currency.code());
        c.put("net_terms_days", row.net_terms);
        c.opt("tax_id", row.vat_number.as_ref());
        c.opt("tax_exempt", row.exempt);
        c.put("auto_collection", if row.auto_collection { "on" } else { "off" });
        c.put("payment_method_status", row.card_status);
        c.opt("parent_id", row.parent.map(|p| self.id(Row::Customer(p))));
        c.opt("payer_id", row.parent.map(|p| self.id(Row::Customer(p))));
        c.opt("external_ref", json_object(&row.meta));
        c.opt("custom_fields", json_object(&row.custom));
        c.money("credit_promotional", row.promotional_credits, row.currency);
        c.money("credit_refundable", row.refundable_credits, row.currency);
        c.money("excess_payments", row.excess_payments, row.currency);
        c.money("unbilled_amount", self.world.unbilled(at), row.currency);
        c.opt("business_entity_id", entity_of(&row.id));
        c.put("country", row.country.iso2);
        c.opt("state", row.country.state.map(|s| s.0));
        c.opt("postcode", filled(&row.postcode));
        c.opt("city", filled(&row.city));
        c.opt("line1", filled(&row.line1));
        c.time("created_at", Some(row.created_at));
        c.time("updated_at", row.stamp.stamped.then_some(row.stamp.updated_at));
        c
    }
}
