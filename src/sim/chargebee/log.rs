//! What does Chargebee tell of what happened? Events, in the order of the world's log, never changed once told.
//!
//! The content holds what the event's type promises: things for sale whole, other resources with what identifies
//! them, their status, their amount and their version. Absent: the rest of those snapshots, and webhooks.
use super::{
    ProductCatalog,
    pen::Pen,
    query::Wrong,
    wares::Range,
    wish::{Rules, Wish},
};
use crate::sim::{
    json::{Object, text},
    world::{
        World,
        log::{Happening, Subject},
        model::{Row, TransactionKind, What},
    },
};

const RULES: Rules = Rules {
    time: "occurred_at",
    sorts: &["occurred_at"],
    words: &["id", "event_type", "source", "webhook_status"],
    deletes: false,
};

/// The event's id.
pub(in crate::sim) fn id(number: usize) -> String {
    format!("ev_{number:010}")
}

/// Who or what set it off.
pub(in crate::sim) fn source(happening: &Happening) -> &'static str {
    match happening.what {
        What::Renewed | What::Dues | What::Closed | What::Due | What::Started => "scheduled_job",
        What::Failed | What::Paid => "system",
        _ => "api",
    }
}

/// Who was at work when a key was used in another's name.
pub(in crate::sim) fn origin(number: usize, source: &str) -> Option<&'static str> {
    (source == "api" && number.is_multiple_of(7)).then_some("ops@example.com")
}

/// The event's type; None when the catalog has no word for it.
pub(in crate::sim) fn kind(world: &World, happening: &Happening, catalog: ProductCatalog) -> Option<String> {
    let what = happening.what;
    let plain = |updated: &'static str| match what {
        What::Created => "created",
        What::Deleted => "deleted",
        _ => updated,
    };
    let row = match &happening.subject {
        Subject::Ware(ware, _) => {
            return Some(format!("{}_{}", Range::of(ware, catalog)?.singular, plain("updated")));
        }
        Subject::Row { row, .. } => *row,
    };
    Some(match (row, what) {
        (Row::Customer(_), _) => format!("customer_{}", plain("changed")),
        (Row::Subscription(_), What::Started) => "subscription_activated".into(),
        (Row::Subscription(_), What::Renewed) => "subscription_renewed".into(),
        (Row::Subscription(_), What::CancelScheduled) => "subscription_cancellation_scheduled".into(),
        (Row::Subscription(_), What::Cancelled) => "subscription_cancelled".into(),
        (Row::Subscription(_), What::Paused) => "subscription_paused".into(),
        (Row::Subscription(_), What::Resumed) => "subscription_resumed".into(),
        (Row::Subscription(_), _) => format!("subscription_{}", plain("changed")),
        (Row::Invoice(_), What::Created) => "invoice_generated".into(),
        (Row::Transaction(at), What::Created) => match (world.transactions()[at].kind, happening.status()) {
            (TransactionKind::Payment, "success") => "payment_succeeded".into(),
            (TransactionKind::Payment, "failure") => "payment_failed".into(),
            (TransactionKind::Payment, _) => "payment_initiated".into(),
            (TransactionKind::Refund, _) => "payment_refunded".into(),
            (TransactionKind::Authorization, _) => "authorization_succeeded".into(),
            (TransactionKind::Reversal, _) => "transaction_created".into(),
        },
        (row, _) => format!("{}_{}", row.resource().singular(), plain("updated")),
    })
}

impl Happening {
    fn status(&self) -> &'static str {
        match &self.subject {
            Subject::Row { status, .. } => status,
            Subject::Ware(..) => "",
        }
    }
}

/// The event's content: JSON text.
pub(in crate::sim) fn content(world: &World, happening: &Happening, catalog: ProductCatalog) -> String {
    let pen = Pen { world, additions: false, lines: (0, usize::MAX), catalog };
    let mut o = Object::new();
    match &happening.subject {
        Subject::Ware(ware, _) => {
            if let Some(range) = Range::of(ware, catalog) {
                o.raw(range.singular, &pen.ware(ware, range));
            }
        }
        Subject::Row { row, .. } => resources(&mut o, world, *row, happening),
    }
    o.end()
}

/// The row itself, and those that the type promises beside it.
fn resources(o: &mut Object, world: &World, row: Row, happening: &Happening) {
    let Subject::Row { version, deleted, status, amount, .. } = &happening.subject else { return };
    let mut body = Object::new();
    body.put("id", world.id(row));
    let customer = |at| world.id(Row::Customer(at)).to_owned();
    let subscription = |at: Option<_>| at.map(|at| world.id(Row::Subscription(at)).to_owned());
    let (mut payer, mut billed) = (None, None);
    match row {
        Row::Subscription(at) => {
            let row = &world.subscriptions()[at];
            payer = Some(customer(row.customer));
            body.put("status", status).put("mrr", amount).put("currency_code", row.currency.code());
        }
        Row::Invoice(at) => {
            let row = &world.invoices()[at];
            body.put("customer_id", customer(row.customer));
            body.opt("subscription_id", subscription(row.subscription));
            body.put("status", status).put("amount_due", amount).put("currency_code", row.currency.code());
        }
        Row::CreditNote(at) => {
            let row = &world.notes()[at];
            body.put("customer_id", customer(row.customer));
            body.opt("subscription_id", subscription(row.subscription));
            body.put("status", status).put("total", amount).put("currency_code", row.currency.code());
        }
        Row::Transaction(at) => {
            let row = &world.transactions()[at];
            (payer, billed) = (Some(customer(row.customer)), subscription(row.subscription));
            body.put("status", status).put("amount", amount).put("currency_code", row.currency.code());
            body.opt("subscription_id", billed.as_ref());
        }
        _ => {}
    }
    body.opt("customer_id", payer.as_ref());
    body.put("updated_at", happening.at).put("resource_version", version).put("deleted", deleted);
    body.put("object", row.resource().singular());
    o.raw(row.resource().singular(), &body.end());
    for (name, id) in [("customer", payer), ("subscription", billed)] {
        if let Some(id) = id {
            let mut other = Object::new();
            other.put("id", id).put("object", name);
            o.raw(name, &other.end());
        }
    }
}

/// One event.
pub(super) fn event(world: &World, number: usize, happening: &Happening, catalog: ProductCatalog) -> String {
    let mut o = Object::new();
    let source = source(happening);
    o.put("id", id(number)).put("occurred_at", happening.at).put("source", source);
    o.opt("user", (source == "api").then_some("full_access_key_v1")).put("object", "event");
    o.opt("origin_user", origin(number, source));
    o.put("api_version", "v2").raw("content", &content(world, happening, catalog));
    o.opt("event_type", kind(world, happening, catalog)).put("webhook_status", "not_configured");
    o.list("webhooks", []);
    o.end()
}

/// Elements of the page that is asked for, and the token of the next one. Lists show the first `visible` events.
pub(super) fn page(
    world: &World,
    visible: usize,
    catalog: ProductCatalog,
    query: &[(String, String)],
    repeat: usize,
) -> Result<(Vec<String>, Option<String>), Wrong> {
    let wish = Wish::parse(RULES, query)?;
    let log = world.log().get(..visible).unwrap_or_default();
    let word = |number: usize, happening: &Happening, field: &str| match field {
        "id" => id(number),
        "event_type" => kind(world, happening, catalog).unwrap_or_default(),
        "source" => source(happening).to_owned(),
        _ => "not_configured".to_owned(),
    };
    let span = wish.span();
    let low = log.partition_point(|h| h.at < span.from);
    let high = log.partition_point(|h| h.at <= span.to).max(low);
    let keeps = |number: &usize| {
        log.get(*number).is_some_and(|h| {
            kind(world, h, catalog).is_some() && wish.keeps(Some(h.at), |field| word(*number, h, field))
        })
    };
    let after = wish.start.as_ref().map(|(_, number)| *number);
    let again = after.map_or(0, |_| repeat.min(wish.limit / 4));
    let mut found: Vec<usize> = if wish.ascending {
        let from = after.map_or(low, |n| n + 1).clamp(low, high);
        let mut seen: Vec<usize> = (low..from).rev().filter(keeps).take(again).collect();
        seen.reverse();
        seen.extend((from..high).filter(keeps).take(wish.limit + 1));
        seen
    } else {
        let to = after.unwrap_or(high).clamp(low, high);
        (low..to).rev().filter(keeps).take(wish.limit + 1).collect()
    };
    let more = found.len() > wish.limit;
    found.truncate(wish.limit);
    let rows: Vec<(usize, &Happening)> = found.iter().filter_map(|n| Some((*n, log.get(*n)?))).collect();
    let token = rows.last().filter(|_| more).map(|(n, h)| text(&[(h.at * 1_000).to_string(), n.to_string()]));
    Ok((rows.into_iter().map(|(n, h)| event(world, n, h, catalog)).collect(), token))
}
