//! Names of things that must not be swapped: tenant, connection, run.
use crate::error::{Error, Kind, Result};
use std::fmt;

fn checked(what: &'static str, text: &str) -> Result<String> {
    let first = text.starts_with(|c: char| c.is_ascii_lowercase());
    let rest = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
    if first && rest && text.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err(Error::new(Kind::Invalid, format!("`{text}` is not a valid {what} name")).hint(
        "start with a lower-case letter, then lower-case letters, digits, `_` or `-`; at most 63 characters",
    ))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);
        impl $name {
            /// Fails `Invalid` unless the text matches `[a-z][a-z0-9_-]{0,62}`.
            pub fn parse(text: &str) -> Result<Self> {
                checked($what, text).map(Self)
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// Isolation boundary; on every row, path, span.
    TenantId,
    "tenant"
);
name!(
    /// A tenant's configured access to one provider account. Its id is the pipeline's name.
    ConnectionId,
    "connection"
);

/// Whose data: part of every key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// Isolation boundary.
    pub tenant: TenantId,
    /// One provider account of that tenant.
    pub connection: ConnectionId,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.connection)
    }
}
