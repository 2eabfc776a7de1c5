//! What comes next for a smaller row? Quotes are accepted, orders sent, cards expire, gifts claimed.
use super::{
    World,
    model::{Invoice, Subscription, What},
    side::{Body, Gift, HostedPage, Order, PaymentSource, Quote, Side},
    table::At,
};

impl World {
    /// Moves a smaller row on to whatever comes next for it; rows that have come to their end stay.
    pub(super) fn step(&mut self, at: At<Side>) {
        let (now, dice) = (self.now, self.side_rng.u32(0..100));
        let stamp = self.sides[at].stamp;
        if stamp.deleted || stamp.gone {
            return;
        }
        let bought = self.bought(at);
        let more = match &mut self.sides[at].body {
            Body::PaymentSource(source) => step_source(source),
            Body::Order(order) => step_order(order, now, dice),
            Body::Quote(quote) => step_quote(quote, dice, bought),
            Body::HostedPage(page) => step_page(page, dice, bought),
            Body::Gift(gift) => {
                gift.invoice = gift.invoice.or(bought.map(|b| b.invoice));
                step_gift(gift, now, dice)
            }
            Body::Usage(usage) => {
                usage.quantity.mantissa += 1_000;
                usage.note = Some("corrected".into());
                usage.billed = bought.map(|b| (b.invoice, b.line));
                Next::Rest
            }
            Body::VirtualAccount(_) => Next::Delete,
            Body::Movement(_) | Body::Comment(_) | Body::UnbilledCharge(_) => Next::Nothing,
        };
        match more {
            Next::Nothing => {}
            Next::Delete => self.delete_side(at),
            Next::Rest => self.change(at, What::Edited),
            Next::Later => {
                self.change(at, What::Edited);
                self.plan_step(1..15, at);
            }
        }
    }
    /// What the row's customer has bought so far: the first subscription that was billed.
    fn bought(&self, at: At<Side>) -> Option<Bought> {
        let subscriptions = &self.customers[self.sides[at].customer].subscriptions;
        subscriptions.iter().find_map(|subscription| {
            let invoice = *self.subscriptions[*subscription].invoices.first()?;
            let line = self.invoices[invoice].lines.first()?.id.clone();
            Some(Bought { subscription: *subscription, invoice, line })
        })
    }
    /// Changes a random smaller row, as `touch_random` does with rows of the core.
    pub(super) fn touch_side(&mut self) {
        let n = self.side_rng.usize(0..self.sides.len().max(1));
        if self.side_percent(50)
            && let Some(at) = self.sides.at(n)
        {
            self.step(at);
        }
    }
}

/// What a customer has bought.
struct Bought {
    subscription: At<Subscription>,
    invoice: At<Invoice>,
    line: String,
}

/// What comes after a step.
enum Next {
    /// It did not change.
    Nothing,
    /// It is deleted.
    Delete,
    /// It changed.
    Rest,
    /// It changed and will again.
    Later,
}

fn step_source(source: &mut PaymentSource) -> Next {
    source.status = match source.status {
        "valid" => "expiring",
        "expiring" => "expired",
        _ => return Next::Delete,
    };
    Next::Later
}

fn step_order(order: &mut Order, now: i64, dice: u32) -> Next {
    match order.status {
        "new" if dice < 8 => {
            order.status = "cancelled";
            order.cancelled_at = Some(now);
        }
        "new" => order.status = "processing",
        "processing" => {
            order.status = "shipped";
            order.shipped_at = Some(now);
        }
        "shipped" => {
            order.status = "delivered";
            order.delivered_at = Some(now);
            return Next::Rest;
        }
        "cancelled" => return Next::Delete,
        _ => return Next::Nothing,
    }
    Next::Later
}

fn step_quote(quote: &mut Quote, dice: u32, bought: Option<Bought>) -> Next {
    match (quote.status, dice) {
        ("open", 0..25) => {
            quote.revision += 1;
            // By now there may be a subscription to change.
            if let Some(bought) = bought {
                quote.operation = "change_subscription";
                quote.subscription = Some(bought.subscription);
                if let Some(line) = quote.lines.first_mut() {
                    line.prorated = true;
                    line.reference = Some(bought.line);
                }
            }
            // A revised offer has one line less, as long as one stays.
            quote.lines.truncate(quote.lines.len().saturating_sub(1).max(1));
            return Next::Later;
        }
        ("open", 25..70) => quote.status = "accepted",
        ("open", 70..90) => quote.status = "declined",
        ("open", _) => quote.status = "expired",
        ("accepted", _) => {
            quote.status = "invoiced";
            quote.invoice = bought.map(|b| b.invoice);
            return Next::Rest;
        }
        ("declined" | "expired", _) => return Next::Delete,
        _ => return Next::Nothing,
    }
    Next::Later
}

fn step_page(page: &mut HostedPage, dice: u32, bought: Option<Bought>) -> Next {
    match page.state {
        "requested" if dice < 25 => {
            page.state = "cancelled";
            return Next::Rest;
        }
        // Left alone: nobody came.
        "requested" if dice < 40 => return Next::Nothing,
        "requested" => {
            page.state = "succeeded";
            page.subscription = bought.as_ref().map(|b| b.subscription);
            page.invoice = bought.map(|b| b.invoice);
        }
        "succeeded" => {
            page.state = "acknowledged";
            return Next::Rest;
        }
        _ => return Next::Nothing,
    }
    Next::Later
}

fn step_gift(gift: &mut Gift, now: i64, dice: u32) -> Next {
    gift.status = match (gift.status, dice) {
        ("scheduled", 0..15) => "cancelled",
        ("scheduled", _) => "unclaimed",
        ("unclaimed", 0..60) => "claimed",
        ("unclaimed", _) => "expired",
        _ => return Next::Nothing,
    };
    gift.timeline.push((gift.status, now));
    if gift.status == "unclaimed" { Next::Later } else { Next::Rest }
}
