//! One answer's bytes to its records, its next token and its count, in one validating pass.
//!
//! Everything wrong here is `Drift`: the page cannot be trusted, so nothing of it is used. Errors name places and key
//! names, never values. Absent on purpose: what a record holds (see `decoder`).
use super::{
    Envelope, Page,
    fault::{Fault, Read, Step, pointer, shown},
    number,
    scan::Scan,
};
use crate::{
    error::{Error, Kind, Result},
    time::Timestamp,
};
use bytes::Bytes;
use std::ops::Range;

/// Cuts an answer into its records. Fails `Drift` when the body is not one JSON document in UTF-8, when the list of
/// records is not where `envelope` says, or when token or count have another type. An empty token is none.
pub fn page(body: Bytes, envelope: &Envelope, asked_at: Timestamp) -> Result<Page> {
    let text = str::from_utf8(&body).map_err(|e| {
        let at = e.valid_up_to();
        // Bytes before the first bad one may still show that this is a web page.
        if looks_like_html(&body) { html() } else { drift("the answer is not UTF-8").with("byte", at) }
    })?;
    if text.trim_ascii().is_empty() {
        return Err(drift("the answer is empty"));
    }
    if looks_like_html(&body) {
        return Err(html());
    }
    let records = split(&envelope.records);
    let next = envelope.next.as_deref().map(split);
    let total = envelope.total.as_deref().map(split);
    let wanted = Wanted { records: Some(&records), next: next.as_deref(), total: total.as_deref() };
    let mut walk = Walk { scan: Scan::page(&body), found: Found::default() };
    let done = walk.value(wanted).and_then(|()| Ok(walk.scan.end()?));
    let found = match done {
        Ok(()) => walk.found,
        Err(Stop::Malformed(fault)) => return Err(malformed(&body, &fault)),
        Err(Stop::Contract { error, path }) => {
            let pointer = pointer(path.iter().rev());
            return Err(error.with("pointer", if pointer.is_empty() { "/" } else { &pointer }));
        }
    };
    Ok(Page { records: found.records, next: found.next, total: found.total, asked_at, body })
}

fn drift(what: impl Into<String>) -> Error {
    Error::new(Kind::Drift, what)
}

fn looks_like_html(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

fn html() -> Error {
    drift("the answer is a web page or XML, not JSON").hint("check the connection's address and path")
}

fn malformed(body: &[u8], fault: &Fault) -> Error {
    let rest = body.trim_ascii_end().get(fault.at..).unwrap_or_default();
    if [&b"true"[..], b"false", b"null"].iter().any(|word| word.starts_with(rest) && *word != rest) {
        return drift("the answer is cut off in the middle of its JSON").with("byte", body.len());
    }
    drift("the answer is not JSON").with("byte", fault.at).with("expected", fault.expected())
}

fn split(pointer: &str) -> Vec<&str> {
    pointer.split('/').skip(1).collect()
}

/// What is still looked for below the cursor: the steps that remain to it.
#[derive(Clone, Copy)]
struct Wanted<'p> {
    records: Option<&'p [&'p str]>,
    next: Option<&'p [&'p str]>,
    total: Option<&'p [&'p str]>,
}

impl<'p> Wanted<'p> {
    fn below(self, step: &str) -> Self {
        let below = |steps: Option<&'p [&'p str]>| match steps?.split_first() {
            Some((first, rest)) if *first == step => Some(rest),
            _ => None,
        };
        Self { records: below(self.records), next: below(self.next), total: below(self.total) }
    }
    fn present(self) -> [bool; 3] {
        [self.records.is_some(), self.next.is_some(), self.total.is_some()]
    }
    fn is_nothing(self) -> bool {
        self.present() == [false; 3]
    }
}

#[derive(Default)]
struct Found {
    records: Vec<Range<usize>>,
    next: Option<String>,
    total: Option<u64>,
}

enum Stop {
    Malformed(Box<Fault>),
    /// The path grows from the inside out.
    Contract {
        error: Error,
        path: Vec<Step>,
    },
}

impl Stop {
    #[cold]
    fn under(mut self, step: Step) -> Self {
        if let Self::Contract { path, .. } = &mut self {
            path.push(step);
        }
        self
    }
}

impl From<Box<Fault>> for Stop {
    fn from(fault: Box<Fault>) -> Self {
        Self::Malformed(fault)
    }
}

struct Walk<'a> {
    scan: Scan<'a>,
    found: Found,
}

impl Walk<'_> {
    fn value(&mut self, wanted: Wanted<'_>) -> Result<(), Stop> {
        let first = self.scan.peek();
        if wanted.next == Some(&[]) {
            return self.next(first);
        }
        if wanted.total == Some(&[]) {
            return self.total(first);
        }
        match wanted.records.map(<[_]>::split_first) {
            Some(None) => {
                let from = self.scan.at();
                self.scan.skip()?;
                self.found.records.push(from..self.scan.at());
                Ok(())
            }
            Some(Some((&"*", _))) if first == b'[' => self.array(wanted),
            Some(Some((&"*", _))) => mismatch(self.scan, "an array", first),
            _ if first == b'{' => self.object(wanted),
            Some(Some(_)) => mismatch(self.scan, "an object", first),
            // A pointer to the token or the count that leads through something else finds nothing.
            None => Ok(self.scan.skip()?),
        }
    }
    fn array(&mut self, wanted: Wanted<'_>) -> Result<(), Stop> {
        let below = wanted.below("*");
        let mut more = self.scan.enter(b']')?;
        let mut index = 0;
        while more {
            self.value(below).map_err(|stop| stop.under(Step::Index(index)))?;
            index += 1;
            more = self.scan.more(b']')?;
        }
        Ok(())
    }
    fn object(&mut self, wanted: Wanted<'_>) -> Result<(), Stop> {
        let needed = wanted.records.and_then(<[_]>::first).copied();
        let start = self.scan;
        let mut taken = [false; 3];
        let mut more = self.scan.enter(b'}')?;
        while more {
            let text = self.scan.string()?.text().unwrap_or_default();
            self.scan.colon()?;
            let key = str::from_utf8(&text).unwrap_or_default();
            let below = wanted.below(key);
            if below.is_nothing() {
                self.scan.skip()?;
            } else {
                for (taken, now) in taken.iter_mut().zip(below.present()) {
                    if *taken && now {
                        return Err(
                            contract(drift("the answer has a key twice")).under(Step::Key(key.into()))
                        );
                    }
                    *taken |= now;
                }
                self.value(below).map_err(|stop| stop.under(Step::Key(key.into())))?;
            }
            more = self.scan.more(b'}')?;
        }
        match needed {
            Some(key) if !taken.starts_with(&[true]) => {
                let error = drift("the answer lacks its records").with("found", keys(start)).hint(RENAMED);
                Err(contract(error).under(Step::Key(key.into())))
            }
            _ => Ok(()),
        }
    }
    /// At the token: text as it is, a number as it stands, null and empty as none.
    fn next(&mut self, first: u8) -> Result<(), Stop> {
        let text = match first {
            b'"' => {
                let before = self.scan;
                match self.scan.string()?.text().map(|text| String::from_utf8(text.into_owned())) {
                    Ok(Ok(token)) => token,
                    _ => return mismatch(before, "a token of readable characters", first),
                }
            }
            b'-' | b'0'..=b'9' => String::from_utf8_lossy(self.scan.number()?).into_owned(),
            b'n' => {
                self.scan.literal()?;
                return Ok(());
            }
            _ => return mismatch(self.scan, "a string, a number or null", first),
        };
        self.found.next = Some(text).filter(|text| !text.is_empty());
        Ok(())
    }
    fn total(&mut self, first: u8) -> Result<(), Stop> {
        match first {
            b'-' | b'0'..=b'9' => {
                let before = self.scan;
                let count = number::int(self.scan.number()?).ok().and_then(|n| u64::try_from(n).ok());
                self.found.total = count;
                if count.is_some() { Ok(()) } else { mismatch(before, "a count of 0 or more", first) }
            }
            b'n' => Ok(self.scan.literal()?),
            _ => mismatch(self.scan, "a count or null", first),
        }
    }
}

const RENAMED: &str = "the provider renamed a field, or served an error with status 200: compare the connector's `records` and `errors`";

/// The value at the cursor has another type than the envelope says; if it is no JSON at all, that is said.
fn mismatch(mut scan: Scan<'_>, expected: &str, first: u8) -> Result<(), Stop> {
    scan.skip()?;
    let found = match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b'n' => "null",
        b't' | b'f' => "true or false",
        _ => "a number",
    };
    let error = drift("the answer has another form than the connector says");
    Err(contract(error.with("found", found).with("expected", expected).hint(RENAMED)))
}

fn contract(error: Error) -> Stop {
    Stop::Contract { error, path: Vec::new() }
}

/// The names of the object's first keys, for a message.
fn keys(mut scan: Scan<'_>) -> String {
    const SHOWN_MAX: usize = 5;
    let mut names = Vec::new();
    let mut walk = || -> Read<()> {
        let mut more = scan.enter(b'}')?;
        while more && names.len() < SHOWN_MAX {
            names.push(shown(scan.string()?.bytes));
            scan.colon()?;
            scan.skip()?;
            more = scan.more(b'}')?;
        }
        Ok(())
    };
    match walk() {
        Ok(()) if names.is_empty() => "no keys".to_string(),
        _ => format!("keys {}", names.join(", ")),
    }
}
