//! The keys of one declared object: which column a key fills, and whether it came twice.
//!
//! Providers send keys in nearly the same order every time, so the key after this one is guessed and compared as bytes
//! before anything is hashed. Absent on purpose: values.
use super::{
    Struct,
    fault::{Read, Rule},
    json::duplicate,
    scan::Scan,
    text::quote,
};
use std::collections::HashMap;

/// Undeclared keys remembered; an object whose keys are data (ids) starts afresh beyond it.
const LEARNED_MAX: usize = 4096;

/// What a key's value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The column of that position.
    Column(usize),
    /// A member of at least one rest column.
    Rest,
    /// Kept in the raw body only.
    Ignored,
}

/// One known key. Its position in `Names` is its id; declared keys come first.
struct Name {
    text: Box<str>,
    /// `"text"` as most sources write it; None when that text needs escapes.
    quoted: Option<Box<[u8]>>,
    target: Target,
    /// The object in which it was last seen.
    seen: u64,
    /// The id that came after it when that was last looked up.
    next: usize,
}

pub(super) struct Names {
    names: Vec<Name>,
    ids: HashMap<Box<str>, usize>,
    prefixes: Vec<String>,
    declared: usize,
    /// Counts objects; 0 is before the first.
    object: u64,
    /// The id that came first when that was last looked up.
    first: usize,
}

impl Names {
    pub(super) fn new(shape: &Struct) -> Self {
        let prefixes = shape.rest.iter().flat_map(|(_, prefixes)| prefixes.clone()).collect();
        let (names, ids) = (Vec::new(), HashMap::new());
        let mut all = Self { names, ids, prefixes, declared: shape.fields.len(), object: 0, first: 0 };
        for (i, field) in shape.fields.iter().enumerate() {
            all.add(&field.name, Target::Column(i));
        }
        all
    }
    /// Call before the first key of every object.
    pub(super) fn begin(&mut self) {
        self.object += 1;
        if self.names.len() > self.declared + LEARNED_MAX {
            self.names.truncate(self.declared);
            let declared = self.declared;
            self.ids.retain(|_, id| *id < declared);
        }
    }
    /// Reads the key at the cursor; `before` is the id of the key before it in this object.
    /// Fails `DuplicateKey` when this object had it already.
    pub(super) fn next(&mut self, scan: &mut Scan<'_>, before: Option<usize>) -> Read<(usize, Target)> {
        scan.peek();
        let from = scan.at();
        let guess = before.map_or(Some(self.first), |id| self.names.get(id).map(|name| name.next));
        let id = match self.guessed(scan, guess) {
            Some(id) => id,
            None => {
                let id = self.looked_up(scan)?;
                match before.and_then(|id| self.names.get_mut(id)) {
                    Some(name) => name.next = id,
                    None => self.first = id,
                }
                id
            }
        };
        let object = self.object;
        match self.names.get_mut(id) {
            Some(name) if name.seen != object => {
                name.seen = object;
                Ok((id, name.target))
            }
            _ => Err(duplicate(from, self.text(id))),
        }
    }
    /// The guess, or the guess after it: a record often lacks one key, and the next record has it again.
    fn guessed(&self, scan: &mut Scan<'_>, guess: Option<usize>) -> Option<usize> {
        let id = guess?;
        let name = self.names.get(id)?;
        if name.quoted.as_ref().is_some_and(|quoted| scan.eat(quoted)) {
            return Some(id);
        }
        let after = self.names.get(name.next)?;
        after.quoted.as_ref().is_some_and(|quoted| scan.eat(quoted)).then_some(name.next)
    }
    #[cold]
    fn looked_up(&mut self, scan: &mut Scan<'_>) -> Read<usize> {
        let from = scan.at();
        let raw = scan.string()?;
        let refuse = |rule| scan.refuse(from, rule, "a key of readable characters");
        let text = raw.text().map_err(refuse)?;
        let text = str::from_utf8(&text).map_err(|_| refuse(Rule::BadUnicode))?;
        Ok(match self.ids.get(text) {
            Some(id) => *id,
            None => {
                let rest = self.prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()));
                self.add(text, if rest { Target::Rest } else { Target::Ignored })
            }
        })
    }
    fn add(&mut self, text: &str, target: Target) -> usize {
        let id = self.names.len();
        let mut quoted = Vec::new();
        quote(text.as_bytes(), &mut quoted);
        let quoted = (quoted.len() == text.len() + 2).then(|| quoted.into());
        self.names.push(Name { text: text.into(), quoted, target, seen: 0, next: id + 1 });
        self.ids.insert(text.into(), id);
        id
    }
    pub(super) fn text(&self, id: usize) -> &str {
        self.names.get(id).map_or("", |name| &name.text)
    }
    /// The declared key of that position came in this object.
    pub(super) fn came(&self, column: usize) -> bool {
        self.names.get(column).is_some_and(|name| name.seen == self.object)
    }
}
