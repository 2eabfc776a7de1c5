//! Billsby customers, as its list shows them.
use super::{Cells, Truth, instant};
use crate::sim::{
    billsby::{created_at, is_active, unique_id},
    world::model::Stamp,
};

impl Truth<'_> {
    pub(super) fn billsby(&mut self) {
        for (at, row) in self.world.customers.iter() {
            let mut c = Cells::new(unique_id(at), Stamp { deleted: row.stamp.deleted, ..Stamp::default() });
            c.put("first_name", &row.first_name);
            c.put("last_name", &row.last_name);
            c.put("name", format!("{} {}", row.first_name, row.last_name));
            c.put("email", &row.email);
            c.opt("phone", row.phone.as_ref().map(|p| format!("{}{p}", row.country.dial)));
            c.put("status", if is_active(self.world, row) { "active" } else { "inactive" });
            c.put("status_raw", if is_active(self.world, row) { "Active" } else { "Inactive" });
            c.put("country", row.country.text);
            c.opt("state", row.country.state.map(|s| s.0));
            c.put("postcode", &row.postcode);
            c.put("city", &row.city);
            c.put("line1", &row.line1);
            c.put("created_at", instant(created_at(at, row)));
            self.add("customers", c);
        }
    }
}
