//! What truly happened? One seeded billing world: rows, the plan of what will happen to them, and the list of what did.
//!
//! Deterministic for (seed, size, start) and the sequence of calls. Absent: any provider's wire format.
mod aside;
mod bill;
pub mod catalog;
mod collect;
mod credit;
mod custom;
mod event;
mod life;
pub mod log;
pub mod model;
mod privacy;
mod refund;
mod shop;
pub mod side;
mod sign_up;
mod step;
pub mod table;
mod touch;
pub mod ware;
mod words;

pub use event::Resource;

use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use model::{CreditNote, Customer, Event, Invoice, Row, Stamp, Subscription, Transaction, What};
use side::Side;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use table::{At, Table};

/// Seconds in a day.
pub(in crate::sim) const DAY: i64 = 86_400;
/// How long before its start the world's history begins.
const HISTORY: i64 = 240 * DAY;

/// How big a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Customers at the start; more sign up as time passes.
    pub customers: usize,
}

impl Size {
    /// For tests and demos.
    pub const SMALL: Self = Self { customers: 40 };
    /// A young company.
    pub const MEDIUM: Self = Self { customers: 2_000 };
    /// For benchmarks: about 300 MB of JSON.
    pub const LARGE: Self = Self { customers: 20_000 };
    /// `small`, `medium`, `large` or `customers=N`; else `Invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let number = text.strip_prefix("customers=").and_then(|n| n.parse().ok());
        match (text, number) {
            ("small", _) => Ok(Self::SMALL),
            ("medium", _) => Ok(Self::MEDIUM),
            ("large", _) => Ok(Self::LARGE),
            (_, Some(customers)) => Ok(Self { customers }),
            _ => Err(Error::new(Kind::Invalid, format!("`{text}` is not a size"))
                .hint("use small, medium, large or customers=N")),
        }
    }
}

/// What is planned for a row.
#[derive(Clone, Copy, Debug)]
enum Action {
    SignUp,
    Grow,
    Start(At<Subscription>),
    TrialEnd(At<Subscription>),
    /// Valid only while the subscription's `life` is the given one.
    Renew(At<Subscription>, u32),
    Upgrade(At<Subscription>),
    ScheduleCancel(At<Subscription>),
    Cancel(At<Subscription>),
    Pause(At<Subscription>),
    Resume(At<Subscription>, u32),
    Close(At<Invoice>),
    Charge(At<Invoice>),
    Settle(At<Transaction>),
    Return(At<Transaction>),
    Transfer(At<Invoice>),
    Due(At<Invoice>),
    Waive(At<Invoice>),
    WriteOff(At<Invoice>),
    Void(At<Invoice>),
    Complain(At<Invoice>),
    Refund(At<CreditNote>),
    VoidNote(At<CreditNote>),
    EditCustomer(At<Customer>),
    DeleteCustomer(At<Customer>),
    DeleteInvoice(At<Invoice>),
    Step(At<Side>),
    Restock,
}

/// The billing world.
#[derive(Debug)]
pub struct World {
    rng: fastrand::Rng,
    now: i64,
    plan: BTreeMap<(i64, u64), Action>,
    planned: u64,
    growth: i64,
    events: Vec<Event>,
    log: Vec<log::Happening>,
    shop: shop::Shop,
    ids: HashMap<(Resource, String), Row>,
    pub(in crate::sim) customers: Table<Customer>,
    pub(in crate::sim) subscriptions: Table<Subscription>,
    pub(in crate::sim) invoices: Table<Invoice>,
    pub(in crate::sim) notes: Table<CreditNote>,
    pub(in crate::sim) transactions: Table<Transaction>,
    pub(in crate::sim) sides: Table<Side>,
    sides_of: HashMap<At<Customer>, Vec<At<Side>>>,
    side_rng: fastrand::Rng,
    /// By row id.
    free: HashMap<String, privacy::Free>,
    cleared: BTreeSet<At<Customer>>,
    /// False: only what is asked for happens.
    lively: bool,
}

impl World {
    /// A world of `size.customers` customers that signed up over the eight months before `start`.
    pub fn new(seed: u64, size: Size, start: Timestamp) -> Self {
        let mut world = Self::bare(seed, Timestamp::from_secs(start.secs() - HISTORY));
        world.lively = true;
        let customers = i64::try_from(size.customers).unwrap_or(i64::MAX).max(1);
        world.growth = (HISTORY / customers).max(60);
        world.stock();
        for k in 0..size.customers {
            let even = (HISTORY - DAY) / customers * i64::try_from(k).unwrap_or(0);
            let at = world.now + 1 + even + world.rng.i64(0..(HISTORY / customers).max(1));
            world.plan(at, Action::SignUp);
        }
        world.plan(start.secs() + world.growth, Action::Grow);
        world.advance(start);
        world
    }
    /// An empty world in which nothing happens by itself.
    pub fn bare(seed: u64, start: Timestamp) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: start.secs(),
            plan: BTreeMap::new(),
            planned: 0,
            growth: HISTORY,
            events: Vec::new(),
            log: Vec::new(),
            shop: shop::Shop::new(seed),
            ids: HashMap::new(),
            customers: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            notes: Table::default(),
            transactions: Table::default(),
            sides: Table::default(),
            sides_of: HashMap::new(),
            side_rng: fastrand::Rng::with_seed(seed ^ 0x51DE),
            free: HashMap::new(),
            cleared: BTreeSet::new(),
            lively: false,
        }
    }
    /// Lets everything happen that is planned up to and including `to`. Never goes back.
    pub fn advance(&mut self, to: Timestamp) {
        let to = to.secs();
        while let Some(next) = self.plan.first_entry() {
            let at = next.key().0;
            if at > to {
                break;
            }
            let action = next.remove();
            self.now = self.now.max(at);
            self.run(action);
        }
        self.now = self.now.max(to);
    }
    /// The time up to which everything has happened.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.now)
    }
    /// Every change of every row, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
    /// The row with that id, deleted or not.
    pub fn find(&self, resource: Resource, id: &str) -> Option<Row> {
        self.ids.get(&(resource, id.to_owned())).copied()
    }
    /// All customers, deleted ones included.
    pub fn customers(&self) -> &Table<Customer> {
        &self.customers
    }
    /// All subscriptions, deleted ones included.
    pub fn subscriptions(&self) -> &Table<Subscription> {
        &self.subscriptions
    }
    /// All invoices, deleted ones included.
    pub fn invoices(&self) -> &Table<Invoice> {
        &self.invoices
    }
    /// All credit notes, deleted ones included.
    pub fn notes(&self) -> &Table<CreditNote> {
        &self.notes
    }
    /// All transactions.
    pub fn transactions(&self) -> &Table<Transaction> {
        &self.transactions
    }
    /// All rows of the smaller resources, deleted ones included.
    pub fn sides(&self) -> &Table<Side> {
        &self.sides
    }
    /// A row's version and whether it lives.
    pub fn stamp(&self, row: Row) -> Stamp {
        match row {
            Row::Customer(at) => self.customers[at].stamp,
            Row::Subscription(at) => self.subscriptions[at].stamp,
            Row::Invoice(at) => self.invoices[at].stamp,
            Row::CreditNote(at) => self.notes[at].stamp,
            Row::Transaction(at) => self.transactions[at].stamp,
            Row::Side(_, at) => self.sides[at].stamp,
        }
    }
    /// A row's id.
    pub fn id(&self, row: Row) -> &str {
        match row {
            Row::Customer(at) => &self.customers[at].id,
            Row::Subscription(at) => &self.subscriptions[at].id,
            Row::Invoice(at) => &self.invoices[at].id,
            Row::CreditNote(at) => &self.notes[at].id,
            Row::Transaction(at) => &self.transactions[at].id,
            Row::Side(_, at) => &self.sides[at].id,
        }
    }

    fn plan(&mut self, at: i64, action: Action) {
        self.planned += 1;
        self.plan.insert((at, self.planned), action);
    }
    fn plan_in(&mut self, days: std::ops::Range<i64>, action: Action) {
        let at = self.now + self.rng.i64(days.start * DAY..days.end * DAY);
        self.plan(at, action);
    }
    fn percent(&mut self, share: u32) -> bool {
        self.rng.u32(0..100) < share
    }
    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.rng.usize(0..from.len().max(1)))
    }
    fn stamp_mut(&mut self, row: Row) -> &mut Stamp {
        match row {
            Row::Customer(at) => &mut self.customers[at].stamp,
            Row::Subscription(at) => &mut self.subscriptions[at].stamp,
            Row::Invoice(at) => &mut self.invoices[at].stamp,
            Row::CreditNote(at) => &mut self.notes[at].stamp,
            Row::Transaction(at) => &mut self.transactions[at].stamp,
            Row::Side(_, at) => &mut self.sides[at].stamp,
        }
    }
    /// Every change of a row ends here: new `updated_at`, higher version, one event.
    fn mark(&mut self, row: Row, what: What) {
        let at = self.now;
        let stamp = self.stamp_mut(row);
        stamp.updated_at = stamp.updated_at.max(at);
        stamp.version = (stamp.version + 1).max(at * 1_000 + 17);
        stamp.stamped = true;
        self.events.push(Event { at, row, what });
        self.aside(row, what);
        self.tell(row, what);
    }
    fn register(&mut self, row: Row) {
        let key = (row.resource(), self.id(row).to_owned());
        self.ids.insert(key, row);
        self.mark(row, What::Created);
    }
    /// Adds a row as it is; its stamp is set by the world's time.
    pub fn put_customer(&mut self, row: Customer) -> At<Customer> {
        let at = self.customers.push(row);
        self.register(Row::Customer(at));
        at
    }
    /// Adds a row as it is and tells its customer.
    pub fn put_subscription(&mut self, row: Subscription) -> At<Subscription> {
        let customer = row.customer;
        let at = self.subscriptions.push(row);
        self.customers[customer].subscriptions.push(at);
        self.register(Row::Subscription(at));
        at
    }
    /// Adds a row as it is and tells its customer and subscription.
    pub fn put_invoice(&mut self, row: Invoice) -> At<Invoice> {
        let (customer, subscription) = (row.customer, row.subscription);
        let at = self.invoices.push(row);
        self.customers[customer].invoices.push(at);
        if let Some(subscription) = subscription {
            self.subscriptions[subscription].invoices.push(at);
        }
        self.register(Row::Invoice(at));
        at
    }
    /// Adds a row as it is and tells its customer. The caller links it to its invoice.
    pub fn put_note(&mut self, row: CreditNote) -> At<CreditNote> {
        let customer = row.customer;
        let at = self.notes.push(row);
        self.customers[customer].notes.push(at);
        self.register(Row::CreditNote(at));
        at
    }
    /// Adds a row as it is. The caller links it to its invoices.
    pub fn put_transaction(&mut self, row: Transaction) -> At<Transaction> {
        let at = self.transactions.push(row);
        self.register(Row::Transaction(at));
        at
    }
    /// For hand-written worlds: changes an invoice in place and marks it.
    pub fn edit_invoice(&mut self, at: At<Invoice>, edit: impl FnOnce(&mut Invoice)) {
        edit(&mut self.invoices[at]);
        self.mark(Row::Invoice(at), What::Edited);
    }

    fn run(&mut self, action: Action) {
        match action {
            Action::SignUp => self.sign_up(),
            Action::Grow => {
                self.sign_up();
                self.plan(self.now + self.growth, Action::Grow);
            }
            Action::Start(at) => self.start(at),
            Action::TrialEnd(at) => self.end_trial(at),
            Action::Renew(at, life) => self.renew(at, life),
            Action::Upgrade(at) => self.upgrade(at),
            Action::ScheduleCancel(at) => self.schedule_cancel(at),
            Action::Cancel(at) => self.cancel(at, None),
            Action::Pause(at) => self.pause(at),
            Action::Resume(at, life) => self.resume(at, life),
            Action::Close(at) => self.close(at),
            Action::Charge(at) => self.charge(at),
            Action::Settle(at) => self.settle(at),
            Action::Return(at) => self.give_back(at),
            Action::Transfer(at) => self.transfer(at),
            Action::Due(at) => self.due(at),
            Action::Waive(at) => self.waive(at),
            Action::WriteOff(at) => self.write_off(at),
            Action::Void(at) => self.void(at),
            Action::Complain(at) => self.complain(at),
            Action::Refund(at) => self.refund(at),
            Action::VoidNote(at) => self.void_note(at),
            Action::EditCustomer(at) => self.edit_customer(at),
            Action::DeleteCustomer(at) => self.delete_customer(at),
            Action::DeleteInvoice(at) => self.delete_invoice(at),
            Action::Step(at) => self.step(at),
            Action::Restock => self.restock(),
        }
    }
}
