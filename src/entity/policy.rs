//! What becomes of a column with personal data before its row is hashed and stored?
//!
//! Absent on purpose: which columns may be chosen (`Column::pii`) and who chose (`pipeline`).
use crate::id::TenantId;
use ring::digest::{Context, SHA256};
use std::collections::BTreeMap;

/// What becomes of a column's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Stored as they are.
    #[default]
    Keep,
    /// Stored as [`pseudonym`]s: equal values stay equal within a tenant.
    Hash,
    /// Stored as NULL.
    Drop,
}

impl Policy {
    /// The words of a pipeline file.
    pub const WORDS: [&str; 3] = ["keep", "hash", "drop"];
    /// The policy of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Keep, Self::Hash, Self::Drop].into_iter().find(|p| p.word() == word)
    }
    /// As written in a pipeline file.
    pub fn word(self) -> &'static str {
        let [keep, hash, drop] = Self::WORDS;
        match self {
            Self::Keep => keep,
            Self::Hash => hash,
            Self::Drop => drop,
        }
    }
}

/// Policies by table and column; what is not named is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies(BTreeMap<String, BTreeMap<String, Policy>>);

impl Policies {
    /// Gives a column its policy, instead of the one it had.
    pub fn set(&mut self, table: &str, column: &str, policy: Policy) {
        self.0.entry(table.to_owned()).or_default().insert(column.to_owned(), policy);
        self.0.retain(|_, columns| {
            columns.retain(|_, policy| *policy != Policy::Keep);
            !columns.is_empty()
        });
    }
    /// A column's policy.
    pub fn of(&self, table: &str, column: &str) -> Policy {
        self.0.get(table).and_then(|columns| columns.get(column)).copied().unwrap_or_default()
    }
    /// Whether a column of the table is not kept as it is.
    pub fn touch(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }
    /// Whether everything is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// `hash customers.email, drop customers.phone`.
    pub fn told(&self) -> String {
        let of_table = |(table, columns): (&String, &BTreeMap<String, Policy>)| {
            let one = |(column, policy): (&String, &Policy)| format!("{} {table}.{column}", policy.word());
            columns.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        self.0.iter().map(of_table).collect::<Vec<_>>().join(", ")
    }
}

/// Bytes of a digest that are kept: two values of a tenant never meet by chance.
const KEPT: usize = 16;

/// What stands for a value: 32 hexadecimal digits, the first half of SHA-256 over tenant and value. Equal values of a
/// tenant have equal pseudonyms in every table and destination, those of two tenants do not. There is no key in it:
/// whoever knows the tenant's name can test a guess.
pub fn pseudonym(tenant: &TenantId, value: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    for part in [b"tidegate", tenant.as_str().as_bytes(), value] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().iter().take(KEPT).map(|byte| format!("{byte:02x}")).collect()
}
