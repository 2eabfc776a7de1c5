//! Why a record was refused, and where in it. Built on the cold path only; a good record never pays for it.
//!
//! Absent on purpose: no offset of a page (see `page`) and no retry.
/// The closed vocabulary of `Reject::rule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The JSON type is not the declared one.
    WrongType,
    /// A number with a fraction where an integer is declared.
    FractionInInt,
    /// A number, time or year beyond what its type holds.
    OutOfRange,
    /// More digits after the point than the type keeps.
    TooManyDigits,
    /// A text that should hold a number and does not hold exactly one JSON number.
    BadNumberText,
    /// A key twice in one object: no reading of it is safe.
    DuplicateKey,
    /// U+0000, which Postgres text cannot hold.
    NulCharacter,
    /// A lone surrogate or bytes that are not UTF-8.
    BadUnicode,
    /// A text that is not a time or date of the declared form.
    BadTime,
    /// The record's key is absent, null or empty.
    MissingKey,
    /// A delete told by an event without the version that orders it.
    MissingVersion,
    /// The record is a scalar, an array or null.
    NotAnObject,
    /// Not JSON, or nested deeper than `DEPTH_MAX`.
    Malformed,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::WrongType,
        Self::FractionInInt,
        Self::OutOfRange,
        Self::TooManyDigits,
        Self::BadNumberText,
        Self::DuplicateKey,
        Self::NulCharacter,
        Self::BadUnicode,
        Self::BadTime,
        Self::MissingKey,
        Self::MissingVersion,
        Self::NotAnObject,
        Self::Malformed,
    ];
    /// As stored in `Reject::rule`.
    pub fn name(self) -> &'static str {
        match self {
            Self::WrongType => "wrong_type",
            Self::FractionInInt => "fraction_in_int",
            Self::OutOfRange => "out_of_range",
            Self::TooManyDigits => "too_many_digits",
            Self::BadNumberText => "bad_number_text",
            Self::DuplicateKey => "duplicate_key",
            Self::NulCharacter => "nul_character",
            Self::BadUnicode => "bad_unicode",
            Self::BadTime => "bad_time",
            Self::MissingKey => "missing_key",
            Self::MissingVersion => "missing_version",
            Self::NotAnObject => "not_an_object",
            Self::Malformed => "malformed",
        }
    }
}

/// A step of a JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into an object.
    Key(Box<str>),
    /// Into an array.
    Index(usize),
}

/// One refusal. The path grows from the inside out while the error travels up.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    /// Byte where it was noticed.
    pub(super) at: usize,
    found: String,
    expected: String,
    path: Vec<Step>,
}

/// What every reading function returns. Boxed, so that the good case stays small.
pub(super) type Read<T> = Result<T, Box<Fault>>;

impl Fault {
    #[cold]
    pub(super) fn new(
        rule: Rule,
        at: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self { rule, at, found: found.into(), expected: expected.into(), path: Vec::new() })
    }
    #[cold]
    pub(super) fn under(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.path.push(step);
        self
    }
    #[cold]
    pub(super) fn under_key(self: Box<Self>, key: &str) -> Box<Self> {
        self.under(Step::Key(key.into()))
    }
    /// From the record's root; empty for the whole.
    pub(super) fn pointer(&self) -> String {
        pointer(self.path.iter().rev())
    }
    pub(super) fn expected(&self) -> &str {
        &self.expected
    }
    pub(super) fn message(&self) -> String {
        format!("found {}, expected {}", self.found, self.expected)
    }
}

/// JSON pointer (RFC 6901) from the outermost step to the innermost.
pub(super) fn pointer<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    steps.fold(String::new(), |mut out, step| {
        match step {
            Step::Key(key) => {
                out.push('/');
                out.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Step::Index(i) => out.push_str(&format!("/{i}")),
        }
        out
    })
}

/// Characters of a value shown in a message.
const SHOWN_MAX: usize = 60;

/// At most 60 characters of `bytes`, on one line.
pub(super) fn shown(bytes: &[u8]) -> String {
    let head = bytes.get(..SHOWN_MAX * 4).unwrap_or(bytes);
    let text: String =
        String::from_utf8_lossy(head).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX - 1).chain(['…']).collect()
}
