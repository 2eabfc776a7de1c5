//! What does the world know of a person, and what is left of it when the provider clears it?
//!
//! Only when asked for: worlds of their own accord clear nobody. What never changes (comments, movements of credit, the
//! log) keeps saying what it said.
use super::{
    World,
    model::{Customer, Row, What, custom_of, meta_of},
    side::{Body, Means},
    table::At,
};

/// Free fields of one row, instead of those told from its id.
#[derive(Clone, Debug, Default)]
pub(super) struct Free {
    custom: Vec<(&'static str, String)>,
    meta: Option<String>,
}

impl World {
    /// Custom fields of a row other than a customer, sorted by name: (name, JSON value).
    pub fn custom_of(&self, id: &str) -> Vec<(&'static str, String)> {
        self.free.get(id).map_or_else(|| custom_of(id), |free| free.custom.clone())
    }
    /// Free data of a subscription: canonical JSON text.
    pub fn meta_of(&self, id: &str) -> Option<String> {
        self.free.get(id).map_or_else(|| meta_of(id), |free| free.meta.clone())
    }
    /// Whether the provider cleared the customer's personal data.
    pub fn is_cleared(&self, at: At<Customer>) -> bool {
        self.cleared.contains(&at)
    }

    /// Gives a customer and all that is theirs personal values that hold `mark`, so that they can be found again.
    pub fn sign(&mut self, at: At<Customer>, mark: &str) {
        let row = &mut self.customers[at];
        (row.first_name, row.last_name) = (format!("{mark}-first"), format!("{mark}-last"));
        (row.company, row.email) = (Some(format!("{mark}-company")), format!("{mark}@example.com"));
        (row.phone, row.vat_number) = (Some(format!("{mark}-phone")), Some(format!("{mark}-vat")));
        (row.city, row.line1) = (format!("{mark}-city"), format!("{mark}-street"));
        row.postcode = format!("{mark}-zip");
        row.contacts = vec![format!("{mark}-2@example.com")];
        row.meta = vec![("said", format!("\"{mark}-meta\""))];
        row.custom = vec![("cf_secret", format!("\"{mark}-custom\""))];
        let free = Free {
            custom: vec![("cf_secret", format!("\"{mark}-custom\""))],
            meta: Some(format!("{{\"said\":\"{mark}-meta\"}}")),
        };
        self.rewrite(at, &free, Some(mark));
        let notes = format!("{mark} called");
        self.comment(at, Row::Customer(at), &notes, Some(&format!("{mark}@staff.example.com")));
        if let Some(invoice) = self.customers[at].invoices.first().copied() {
            self.comment(at, Row::Invoice(invoice), &notes, None);
        }
    }

    /// Clears the personal data of a customer, as its page in the provider's console does: blank fields, new versions,
    /// nothing deleted.
    pub fn clear(&mut self, at: At<Customer>) {
        self.cleared.insert(at);
        let row = &mut self.customers[at];
        for text in [
            &mut row.first_name,
            &mut row.last_name,
            &mut row.email,
            &mut row.city,
            &mut row.line1,
            &mut row.postcode,
        ] {
            text.clear();
        }
        (row.company, row.phone, row.vat_number) = (None, None, None);
        row.contacts.clear();
        row.meta.clear();
        row.custom.clear();
        self.rewrite(at, &Free::default(), None);
    }

    /// Gives everything of a customer these free fields and this mark, or none.
    fn rewrite(&mut self, at: At<Customer>, free: &Free, mark: Option<&str>) {
        let row = self.customers[at].clone();
        let mut ids: Vec<String> = Vec::new();
        ids.extend(row.subscriptions.iter().map(|s| self.subscriptions[*s].id.clone()));
        for invoice in &row.invoices {
            let invoice = &mut self.invoices[*invoice];
            invoice.note = mark.map(|mark| format!("{mark}-note"));
            ids.push(invoice.id.clone());
            ids.extend(invoice.lines.iter().map(|l| l.id.clone()));
        }
        for note in &row.notes {
            ids.push(self.notes[*note].id.clone());
            ids.extend(self.notes[*note].lines.iter().map(|l| l.id.clone()));
        }
        let sides = self.sides_of.get(&at).cloned().unwrap_or_default();
        for side in &sides {
            let side = &mut self.sides[*side];
            match &mut side.body {
                Body::PaymentSource(source) => match &mut source.means {
                    Means::Card { last4, .. } | Means::Bank { last4, .. } => {
                        *last4 = mark.unwrap_or_default().to_owned();
                    }
                    Means::Wallet { email } => *email = mark.unwrap_or_default().to_owned(),
                },
                Body::VirtualAccount(account) => account.account = mark.unwrap_or_default().to_owned(),
                Body::HostedPage(page) => page.pass_thru = mark.map(str::to_owned),
                Body::Usage(usage) => usage.note = mark.map(str::to_owned),
                Body::Gift(gift) => gift.email = mark.unwrap_or_default().to_owned(),
                Body::Quote(quote) => {
                    quote.custom = free.custom.clone();
                    ids.extend(quote.lines.iter().map(|l| l.id.clone()));
                }
                Body::Order(_) | Body::Movement(_) | Body::Comment(_) | Body::UnbilledCharge(_) => {}
            }
        }
        self.free.extend(ids.into_iter().map(|id| (id, free.clone())));
        self.mark(Row::Customer(at), What::Edited);
        row.subscriptions.iter().for_each(|s| self.mark(Row::Subscription(*s), What::Edited));
        row.invoices.iter().for_each(|i| self.mark(Row::Invoice(*i), What::Edited));
        row.notes.iter().for_each(|n| self.mark(Row::CreditNote(*n), What::Edited));
        let paid: Vec<_> =
            self.transactions.iter().filter(|(_, t)| t.customer == at).map(|(t, _)| t).collect();
        for paid in paid {
            let card = &mut self.transactions[paid].masked_card;
            *card = card.as_ref().and(mark).map(|mark| format!("****{mark}"));
            self.mark(Row::Transaction(paid), What::Edited);
        }
        for side in sides {
            if !matches!(self.sides[side].body, Body::Movement(_) | Body::Comment(_)) {
                self.change(side, What::Edited);
            }
        }
    }
}
