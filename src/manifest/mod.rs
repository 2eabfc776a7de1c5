//! Connectors, proven: what `connectors/<name>/` says, after every check. Nothing downstream checks it again.
//!
//! The raw file is in `raw`; only `prove` makes one into the other. Absent on purpose: running a mapping (`normalize`)
//! and asking a provider (`extract`).
mod embedded;
mod erasure;
mod fingerprint;
mod hide;
mod keys;
mod lint;
mod overlay;
mod promote;
mod prove;
mod raw;
mod record;
mod stream;
mod told;

pub use embedded::{Catalog, catalog, json_schema};
pub use lint::FUNCTIONS;
pub use overlay::{MAPPED, ZONE};
pub use prove::load;

use crate::{
    decode::{Cut, Mark, Struct, Told},
    entity::{Entity, Policies},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// One provider's API and what its records mean. Immutable.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Folder name.
    pub name: String,
    /// The provider's name for people.
    pub title: String,
    /// Hash of connector.yaml, for checkpoints (tokens of another hash are dropped).
    pub hash: String,
    /// Hash of connector.yaml, mappings and unified files together: `status` compares it for "rebuild due".
    pub mapping_hash: String,
    /// What the operator gives, in the order of the file.
    pub inputs: Vec<Input>,
    /// With `{input}` places.
    pub base_url: Template,
    /// How requests authenticate.
    pub auth: Auth,
    /// Sent with every request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Shared by everything with an equal scope.
    pub budget: Budget,
    /// First match answers; what nothing matches is `Permanent`.
    pub errors: Vec<ErrorRule>,
    /// How integer amounts become major units.
    pub minor_units: MinorUnits,
    /// A cheap request: `check` uses it, and its `Date` anchors the signpost.
    pub probe: Probe,
    /// The least that the key must be allowed, and how to see that it is not more.
    pub rights: Option<String>,
    /// In the order of the file.
    pub streams: Vec<Arc<Stream>>,
    /// What a pipeline stores of personal data; the connector's own file says nothing of it.
    pub policies: Policies,
}

/// Text with `{name}` places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub String);

/// One thing the operator gives under `source.connection`.
#[derive(Clone, Debug)]
pub struct Input {
    /// Key in the pipeline file.
    pub name: String,
    /// What it may hold.
    pub kind: InputKind,
    /// One sentence for `init` and error messages.
    pub meaning: String,
}

/// What an input may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// One DNS label: letters, digits, `-`.
    HostLabel,
    /// Any text, percent-encoded in paths.
    Text,
    /// Only from the environment or a file.
    Secret,
}

/// How requests authenticate; the named input is a secret.
#[derive(Clone, Debug)]
pub enum Auth {
    /// HTTP Basic: user from an input, password fixed (may be empty).
    Basic {
        /// Input used as user.
        user: String,
        /// Fixed password.
        password: String,
    },
    /// One header holding the secret as it is.
    Header {
        /// Lower case.
        name: String,
        /// Input.
        value: String,
    },
}

/// How fast we may ask.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Everything with an equal rendered scope shares the budget.
    pub scope: Template,
    /// Requests in any trailing `per`.
    pub requests: u32,
    /// The trailing window.
    pub per: Duration,
    /// Requests in flight.
    pub concurrency: u16,
}

/// What happens next after an answer that is not a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Stop; the operator renews credentials.
    Denied,
    /// Wait, halve the pace, repeat.
    Throttled,
    /// Back off and repeat.
    Transient,
    /// Stop this stream; the account does not offer it.
    Unavailable,
    /// Stop; repeating cannot help.
    Permanent,
}

/// One line of the error table.
#[derive(Clone, Debug)]
pub struct ErrorRule {
    /// Any of these; empty: any status outside 200..=299.
    pub status: Vec<u16>,
    /// JSON pointer into the error body and the texts it must be one of.
    pub body: Option<(String, Vec<String>)>,
    /// What happens next.
    pub class: ErrorClass,
    /// What the operator should do, when there is something.
    pub hint: Option<String>,
}

/// Decimal places of an integer amount, per currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinorUnits {
    /// Places of every currency not listed.
    pub default: u8,
    /// Exceptions by ISO 4217 code.
    pub exceptions: BTreeMap<String, u8>,
}

/// A cheap request.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Below the base URL.
    pub path: Template,
    /// Fixed parameters.
    pub query: Vec<(String, String)>,
}

/// One resource of a provider.
#[derive(Clone, Debug)]
pub struct Stream {
    /// snake_case; also the table name in its mappings.
    pub name: String,
    /// List path below the base URL.
    pub path: Template,
    /// Where the records are: `/list/*/invoice`, `/results/*`, `/*`.
    pub records: String,
    /// Fixed parameters of every list request.
    pub query: Vec<(String, String)>,
    /// How one record is asked for by its key, where that is possible.
    pub get: Option<Get>,
    /// Field holding the key; a text field of `record`.
    pub key: String,
    /// Field holding the provider's version; an int field of `record`.
    pub version: Option<String>,
    /// Field holding the provider's modification time; a time field of `record`.
    pub updated: Option<String>,
    /// What marks a deleted record: a bool field of `record`, or a word in a text field.
    pub deleted: Option<Mark>,
    /// Field that only a record has that the provider cut short; such a record is rejected.
    pub cut: Option<String>,
    /// Deletes that only another stream tells of.
    pub deletes: Option<Deletes>,
    /// What the probe's answer must say for the account to offer the stream.
    pub requires: Option<Requires>,
    /// How pages follow each other.
    pub paging: Paging,
    /// How changes are found.
    pub cursor: Cursor,
    /// How this stream tells that a person's data was cleared.
    pub clearing: Option<Clearing>,
    /// What of its records tells of a person.
    pub personal: Option<Personal>,
    /// What the mappings use of a record.
    pub record: Struct,
    /// The first is the main entity (one row per record); others are its child entities.
    pub feeds: Vec<Feed>,
}

/// A record that says so tells that the data of the person whose key it has was cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// Text field of `record`.
    pub field: String,
    /// What it holds then.
    pub value: String,
}

/// What of a stream's records is personal.
#[derive(Clone, Debug)]
pub struct Personal {
    /// How a record says whose it is; any of them counts.
    pub whose: Vec<Whose>,
    /// The members of its body that are personal.
    pub cut: Arc<Cut>,
}

/// One way of a record to say whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Column of the stream's main table that holds the person's key.
    pub column: String,
    /// Path of the same in the body.
    pub at: String,
    /// Only where this column, a field of the body too, holds this.
    pub when: Option<(String, String)>,
    /// The column holds the key of a record of this stream, which says whose that is.
    pub via: Option<String>,
}

/// How one record is asked for.
#[derive(Clone, Debug)]
pub struct Get {
    /// Below the base URL, with the place `{id}`.
    pub path: Template,
    /// JSON pointer to the record in the answer.
    pub record: String,
}

/// Deletes that another stream tells of: its events hold the last state of a deleted record.
#[derive(Clone, Debug)]
pub struct Deletes {
    /// How such an event looks.
    pub told: Told,
    /// The stream as it is asked for these events: path, paging and cursor of the other stream, the rest its own.
    pub walk: Arc<Stream>,
}

/// What the probe's answer must say for the account to offer a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requires {
    /// JSON pointer into the probe's answer.
    pub pointer: String,
    /// Texts, one of which must stand there.
    pub any_of: Vec<String>,
    /// Said when another text stands there: what the account has instead.
    pub otherwise: String,
}

/// One mapping of a stream.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Unified table.
    pub entity: Arc<Entity>,
    /// `connectors/<provider>/<entity>.sql`, for messages.
    pub file: String,
    /// One SELECT whose columns are `_row` and columns of the entity.
    pub sql: String,
    /// Columns that it gives as more than NULL.
    pub fills: BTreeSet<String>,
    /// What a pipeline makes of its answer.
    pub overlay: Option<Arc<Overlay>>,
}

/// A pipeline's own columns of a table: one SELECT over what the mapping answers.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// `pipelines/overlays/acme_invoices.sql`, for messages.
    pub file: String,
    /// One SELECT from `mapped`.
    pub sql: String,
    /// On which lines it gives columns of its own, for messages.
    pub lines: BTreeMap<String, u64>,
    /// What columns of `mapped` each of them is made of.
    pub reads: BTreeMap<String, BTreeSet<String>>,
}

/// Page size parameter.
#[derive(Clone, Debug)]
pub struct PageSize {
    /// Parameter name.
    pub send: String,
    /// Records a page.
    pub value: u32,
}

/// How pages follow each other.
#[derive(Clone, Debug)]
pub enum Paging {
    /// The answer names the next page.
    Token {
        /// Parameter that carries the token.
        send: String,
        /// JSON pointer to the token; absent or null on the last page.
        read: String,
        /// Page size.
        size: PageSize,
    },
    /// Numbered pages over a live table.
    PageNumber {
        /// Parameter that carries the number.
        send: String,
        /// Number of the first page.
        first: u32,
        /// JSON pointer to the count of all rows, the proof of a complete scan.
        total: String,
        /// Page size.
        size: PageSize,
    },
}

/// Unit of times sent and compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Whole seconds since 1970.
    EpochS,
}

/// How changes are found.
#[derive(Clone, Debug)]
pub enum Cursor {
    /// A closed range filter on a modification time.
    Window {
        /// Parameter, e.g. `updated_at[between]`; its value is `[from,to]`, both closed.
        send: String,
        /// Unit of the bounds.
        unit: TimeUnit,
        /// Every window begins this much before the watermark.
        overlap: Duration,
        /// No window ends later than now minus this.
        lag: Duration,
        /// Parameter and value that sort by an immutable field.
        sort: Option<(String, String)>,
        /// Slices of the first load; None: one serial walk.
        slices: Option<Slices>,
    },
    /// Nothing to filter on: every scan reads all. With numbered pages and a total, a complete one proves deletes.
    Snapshot {
        /// With pages by token: the time field that never changes, in whose order the records come. A scan in that
        /// order proves deletes; without it none does.
        order: Option<String>,
        /// How far lists may lag behind the truth: a scan speaks for the time this much before it began.
        lag: Duration,
    },
}

/// How a first load is cut, so that several walks run at a time.
#[derive(Clone, Debug)]
pub struct Slices {
    /// Range parameter on an immutable field, e.g. `date[between]`.
    pub send: String,
    /// The parameter and value that select rows without that field; None: the provider always sets it.
    pub absent: Option<(String, String)>,
    /// Length of a slice.
    pub length: Duration,
}
