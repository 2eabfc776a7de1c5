//! Which rows does a list see, and in what order? Per resource: sorted keys and rendered bodies, brought up to date
//! from the world's events, or as far as a list may see them.
use crate::sim::world::{
    World,
    model::{Row, Stamp},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

/// Seconds and internal row number: what a list is sorted by.
pub(super) type Key = (i64, usize);

/// One row as lists see it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: Row,
    /// `created_at`, or the document's `date`.
    pub(super) created: i64,
    pub(super) stamp: Stamp,
    /// Rendered, wrapped and with its companions; None until somebody asks.
    pub(super) element: Option<String>,
}

/// The field that a list is sorted or filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `created_at` or `date`: never changes.
    Created,
    /// `updated_at`; rows without one come first.
    Updated,
}

/// A closed range of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Span {
    pub(super) const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    pub(super) fn holds(self, at: i64) -> bool {
        self.from <= at && at <= self.to
    }
    pub(super) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// What a list asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) created: Span,
    pub(super) updated: Span,
    /// Some(true): only rows with `updated_at`; Some(false): only rows without.
    pub(super) has_updated: Option<bool>,
    pub(super) has_created: Option<bool>,
    pub(super) deleted: bool,
}

impl Filter {
    fn keeps(self, entry: &Entry) -> bool {
        let stamped = entry.stamp.stamped;
        !entry.stamp.gone
            && (self.deleted || !entry.stamp.deleted)
            && self.created.holds(entry.created)
            && (self.updated == Span::ALL || (stamped && self.updated.holds(entry.stamp.updated_at)))
            && self.has_updated.is_none_or(|has| has == stamped)
            && self.has_created != Some(false)
    }
}

/// Rows of one resource.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    entries: BTreeMap<usize, Entry>,
    created: BTreeSet<Key>,
    updated: BTreeSet<Key>,
    /// The last window on a field that is not the sort field, already sorted: its pages come one after another.
    window: Option<(Filter, Order, Vec<Key>)>,
    /// Rows that no list shows, whatever is asked.
    hidden: BTreeSet<usize>,
}

impl Shelf {
    /// Lists do not show the row from now on, or show it again.
    pub(super) fn hide(&mut self, number: usize, hidden: bool) {
        if hidden {
            self.hidden.insert(number);
        } else {
            self.hidden.remove(&number);
        }
        self.window = None;
    }
    pub(super) fn hides(&self, number: usize) -> bool {
        self.hidden.contains(&number)
    }
    /// Shows the row as it is now.
    pub(super) fn show(&mut self, world: &World, row: Row) {
        let entry = Entry { row, created: created(world, row), stamp: world.stamp(row), element: None };
        let number = row.number();
        if let Some(old) = self.entries.get(&number) {
            self.created.remove(&(old.created, number));
            self.updated.remove(&(updated(old), number));
        }
        self.created.insert((entry.created, number));
        self.updated.insert((updated(&entry), number));
        self.entries.insert(number, entry);
        self.window = None;
    }
    pub(super) fn entry_mut(&mut self, number: usize) -> Option<&mut Entry> {
        self.entries.get_mut(&number)
    }
    pub(super) fn numbers(&self) -> Vec<usize> {
        self.entries.keys().copied().collect()
    }
    fn keep(&self, filter: Filter, key: &Key) -> bool {
        !self.hides(key.1) && self.entries.get(&key.1).is_some_and(|entry| filter.keeps(entry))
    }
    /// Up to `count` keys after `start` (all, when None), in `order`, ascending or descending.
    pub(super) fn page(
        &mut self,
        filter: Filter,
        order: Order,
        ascending: bool,
        start: Option<Key>,
        count: usize,
    ) -> Vec<Key> {
        let (index, span, other) = match order {
            Order::Created => (&self.created, filter.created, filter.updated),
            Order::Updated => (&self.updated, filter.updated, filter.created),
        };
        if span.from > span.to || other.from > other.to {
            return Vec::new();
        }
        if other == Span::ALL {
            let (low, high) = bounds(span, ascending, start);
            if empty(low, high) {
                return Vec::new();
            }
            let range = index.range((low, high)).copied();
            let kept = |key: &Key| self.keep(filter, key);
            return if ascending {
                range.filter(kept).take(count).collect()
            } else {
                range.rev().filter(kept).take(count).collect()
            };
        }
        let keys = self.window(filter, order);
        let (low, high) = bounds(Span::ALL, ascending, start);
        let inside = |key: &Key| after(low, key) && before(high, key);
        if ascending {
            let from = keys.partition_point(|key| !after(low, key));
            keys.iter().skip(from).copied().filter(inside).take(count).collect()
        } else {
            keys.iter().rev().copied().filter(inside).take(count).collect()
        }
    }
    /// All keys that pass the filter, ascending in `order`.
    fn window(&mut self, filter: Filter, order: Order) -> &[Key] {
        let known = self.window.as_ref().is_some_and(|(f, o, _)| (*f, *o) == (filter, order));
        if !known {
            let (index, span) = match order {
                Order::Created => (&self.updated, filter.updated),
                Order::Updated => (&self.created, filter.created),
            };
            let (low, high) = bounds(span, true, None);
            let rows = index.range((low, high)).filter(|key| self.keep(filter, key));
            let mut keys: Vec<Key> = rows
                .filter_map(|(_, number)| self.entries.get(number))
                .map(|entry| match order {
                    Order::Created => (entry.created, entry.row.number()),
                    Order::Updated => (updated(entry), entry.row.number()),
                })
                .collect();
            keys.sort_unstable();
            self.window = Some((filter, order, keys));
        }
        self.window.as_ref().map_or(&[], |(_, _, keys)| keys)
    }
}

fn updated(entry: &Entry) -> i64 {
    if entry.stamp.stamped { entry.stamp.updated_at } else { 0 }
}

fn bounds(span: Span, ascending: bool, start: Option<Key>) -> (Bound<Key>, Bound<Key>) {
    let low = Bound::Included((span.from, 0));
    let high = Bound::Included((span.to, usize::MAX));
    match start {
        None => (low, high),
        Some(key) if ascending => (if key < (span.from, 0) { low } else { Bound::Excluded(key) }, high),
        Some(key) => (low, if key > (span.to, usize::MAX) { high } else { Bound::Excluded(key) }),
    }
}

fn after(low: Bound<Key>, key: &Key) -> bool {
    match low {
        Bound::Included(bound) => *key >= bound,
        Bound::Excluded(bound) => *key > bound,
        Bound::Unbounded => true,
    }
}

fn before(high: Bound<Key>, key: &Key) -> bool {
    match high {
        Bound::Included(bound) => *key <= bound,
        Bound::Excluded(bound) => *key < bound,
        Bound::Unbounded => true,
    }
}

/// True for ranges that `BTreeSet::range` would refuse or that hold nothing.
fn empty(low: Bound<Key>, high: Bound<Key>) -> bool {
    match (low, high) {
        (Bound::Excluded(a), Bound::Included(b)) | (Bound::Included(a), Bound::Excluded(b)) => a >= b,
        (Bound::Included(a), Bound::Included(b)) => a > b,
        (Bound::Excluded(a), Bound::Excluded(b)) => a >= b,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

fn created(world: &World, row: Row) -> i64 {
    match row {
        Row::Customer(at) => world.customers[at].created_at,
        Row::Subscription(at) => world.subscriptions[at].created_at,
        Row::Invoice(at) => world.invoices[at].date,
        Row::CreditNote(at) => world.notes[at].date,
        Row::Transaction(at) => world.transactions[at].date,
        Row::Side(_, at) => world.sides[at].created_at,
    }
}
