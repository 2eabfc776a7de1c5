//! Where do the rows of the world live? Append-only tables with typed row numbers, so that rows cannot be mixed up.
use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
    ops::{Index, IndexMut},
};

/// The number of a row of `Table<T>`. Only `Table` makes one, and rows are never removed.
pub struct At<T>(u32, PhantomData<fn() -> T>);

impl<T> At<T> {
    /// Position in the table, from 0.
    pub fn number(self) -> usize {
        self.0 as usize
    }
}

impl<T> Clone for At<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for At<T> {}
impl<T> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
impl<T> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for At<T> {}
impl<T> PartialOrd for At<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for At<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for At<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Rows of one kind, in the order in which they came to be.
#[derive(Clone, Debug)]
pub struct Table<T>(Vec<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Table<T> {
    /// Appends a row.
    pub(in crate::sim) fn push(&mut self, row: T) -> At<T> {
        let at = At(u32::try_from(self.0.len()).unwrap_or(u32::MAX), PhantomData);
        self.0.push(row);
        at
    }
    /// How many rows there are, deleted ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// True before the first row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The row number at a position.
    pub fn at(&self, position: usize) -> Option<At<T>> {
        let number = u32::try_from(position).ok()?;
        (position < self.0.len()).then_some(At(number, PhantomData))
    }
    /// All rows with their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (At<T>, &T)> {
        self.0.iter().enumerate().map(|(i, row)| (At(i as u32, PhantomData), row))
    }
    /// All rows.
    pub fn rows(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Index<At<T>> for Table<T> {
    type Output = T;
    #[expect(clippy::indexing_slicing, reason = "a row number comes from push, and rows are never removed")]
    fn index(&self, at: At<T>) -> &T {
        &self.0[at.number()]
    }
}

impl<T> IndexMut<At<T>> for Table<T> {
    #[expect(clippy::indexing_slicing, reason = "a row number comes from push, and rows are never removed")]
    fn index_mut(&mut self, at: At<T>) -> &mut T {
        &mut self.0[at.number()]
    }
}
