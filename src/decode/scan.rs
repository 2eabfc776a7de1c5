//! A cursor over JSON bytes: every step is validated, nothing is built. RFC 8259, no extensions.
//!
//! Absent on purpose: UTF-8 is checked by the caller once for all bytes, and no value is interpreted here.
//! The end of the bytes reads as 0, which no valid JSON holds.
use super::fault::{Fault, Read, Rule, shown};

/// Levels of objects and arrays in a record, the record itself included.
pub const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    depth_max: usize,
}

/// The text between two quotes as it stands in the source, its escapes well-formed.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) escaped: bool,
}

impl<'a> Scan<'a> {
    /// Over one record.
    pub(super) fn record(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, depth_max: DEPTH_MAX }
    }
    /// Over a page: its depth is not limited, so that one deep record does not cost the page.
    pub(super) fn page(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0, depth_max: usize::MAX }
    }
    /// The same bytes from `at`, at most one level deeper than here.
    pub(super) fn inside(&self, at: usize) -> Self {
        Self { at, depth: self.depth.saturating_add(1), ..*self }
    }
    pub(super) fn at(&self) -> usize {
        self.at
    }
    pub(super) fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }
    /// From `from` to the cursor.
    pub(super) fn since(&self, from: usize) -> &'a [u8] {
        self.bytes.get(from..self.at).unwrap_or_default()
    }
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }
    /// Skips white space and shows the byte after it.
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.byte() {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                other => return other,
            }
        }
    }
    /// Steps over `token` when it stands here.
    pub(super) fn eat(&mut self, token: &[u8]) -> bool {
        let here = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(token));
        if here {
            self.at += token.len();
        }
        here
    }

    /// At an opening bracket: steps in. False: it is empty, and closed again.
    pub(super) fn enter(&mut self, close: u8) -> Read<bool> {
        if self.depth >= self.depth_max {
            return Err(self.too_deep());
        }
        self.at += 1;
        let filled = self.peek() != close;
        if filled {
            self.depth += 1
        } else {
            self.at += 1
        }
        Ok(filled)
    }
    /// After an item: steps over a comma (true) or over the closing bracket (false).
    pub(super) fn more(&mut self, close: u8) -> Read<bool> {
        let found = self.peek();
        if found == b',' {
            self.at += 1;
            return Ok(true);
        }
        if found == close {
            self.at += 1;
            self.depth = self.depth.saturating_sub(1);
            return Ok(false);
        }
        Err(self.malformed(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" }))
    }
    pub(super) fn colon(&mut self) -> Read<()> {
        if self.peek() != b':' {
            return Err(self.malformed("`:` after a key"));
        }
        self.at += 1;
        Ok(())
    }
    /// Nothing but white space is left.
    pub(super) fn end(&mut self) -> Read<()> {
        self.peek();
        if self.ended() { Ok(()) } else { Err(self.malformed("the end")) }
    }

    /// A string, cursor on its quote (after white space).
    pub(super) fn string(&mut self) -> Read<Raw<'a>> {
        if self.peek() != b'"' {
            return Err(self.malformed("a string"));
        }
        self.at += 1;
        let from = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(self.bytes.get(self.at..).unwrap_or_default());
            match self.byte() {
                b'"' => {
                    let bytes = self.since(from);
                    self.at += 1;
                    return Ok(Raw { bytes, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.malformed("the rest of a string without control characters")),
            }
        }
    }
    fn escape(&mut self) -> Read<()> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.byte().is_ascii_hexdigit() {
                        return Err(self.malformed("four hexadecimal digits after \\u"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.malformed("an escape that JSON knows")),
        }
        Ok(())
    }
    /// A number's text, cursor on its first byte (after white space).
    pub(super) fn number(&mut self) -> Read<&'a [u8]> {
        self.peek();
        let from = self.at;
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1
        } else {
            self.digits()?
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(from))
    }
    fn digits(&mut self) -> Read<()> {
        let from = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == from { Err(self.malformed("a digit")) } else { Ok(()) }
    }

    /// Steps over one value of any type, fully validated.
    pub(super) fn skip(&mut self) -> Read<()> {
        let mut open = Brackets::default();
        loop {
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    if self.descend(&mut open, true, b'}')? {
                        self.key()?;
                        continue;
                    }
                }
                b'[' => {
                    if self.descend(&mut open, false, b']')? {
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                }
                _ => self.literal()?,
            }
            loop {
                let Some(object) = open.last() else { return Ok(()) };
                if self.more(if object { b'}' } else { b']' })? {
                    if object {
                        self.key()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }
    fn descend(&mut self, open: &mut Brackets, object: bool, close: u8) -> Read<bool> {
        let filled = self.enter(close)?;
        if filled {
            open.push(object);
        }
        Ok(filled)
    }
    fn key(&mut self) -> Read<()> {
        self.string()?;
        self.colon()
    }
    /// `true`, `false` or `null`.
    pub(super) fn literal(&mut self) -> Read<()> {
        if self.eat(b"true") || self.eat(b"false") || self.eat(b"null") {
            return Ok(());
        }
        Err(self.malformed("a JSON value"))
    }

    /// Not JSON, noticed at the cursor.
    #[cold]
    pub(super) fn malformed(&self, expected: &str) -> Box<Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = if rest.is_empty() { "the end".to_string() } else { shown(rest) };
        Fault::new(Rule::Malformed, self.at, found, expected)
    }
    #[cold]
    fn too_deep(&self) -> Box<Fault> {
        let expected = format!("at most {} levels of objects and arrays", self.depth_max);
        Fault::new(Rule::Malformed, self.at, "one level more", expected)
    }
    /// The value that begins at `from` breaks `rule`; if it is not even JSON, it is that which is said.
    #[cold]
    pub(super) fn refuse(&self, from: usize, rule: Rule, expected: impl Into<String>) -> Box<Fault> {
        let mut value = Self { at: from, depth: 0, ..*self };
        value.peek();
        let start = value.at;
        match value.skip() {
            Ok(()) => Fault::new(rule, start, shown(value.since(start)), expected),
            Err(fault) => fault,
        }
    }
}

/// Open brackets, innermost last: true for objects. One bit each, so that 64 levels need no memory.
#[derive(Default)]
struct Brackets {
    bits: u64,
    count: usize,
    below: Vec<u64>,
}

impl Brackets {
    fn push(&mut self, object: bool) {
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.below.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.count += 1;
    }
    fn pop(&mut self) {
        self.count = self.count.saturating_sub(1);
        self.bits >>= 1;
        if self.count > 0 && self.count.is_multiple_of(64) {
            self.bits = self.below.pop().unwrap_or(0);
        }
    }
    fn last(&self) -> Option<bool> {
        (self.count > 0).then_some(self.bits & 1 == 1)
    }
}

/// Bytes before the first quote, backslash or control character.
fn plain(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut count = 0;
    for word in words {
        let hits = special(u64::from_le_bytes(*word));
        if hits != 0 {
            return count + (hits.trailing_zeros() / 8) as usize;
        }
        count += 8;
    }
    count + tail.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1f)).count()
}

/// The high bit of each byte that is a quote, a backslash or below 0x20. Bits above the lowest set one may lie:
/// a borrow can reach the byte above a hit.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let quote = zero(word ^ (ONES * 0x22));
    let backslash = zero(word ^ (ONES * 0x5c));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & (ONES * 0x80)
}
