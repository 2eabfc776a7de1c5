//! One canonical text per JSON value: keys sorted by code point, no white space, numbers as in the source, strings
//! with the fewest escapes. Equal values with equal number texts have equal bytes on every destination.
//!
//! Never longer than its source, which is what bounds a column's bytes.
use super::{
    fault::{Fault, Read, Rule, Step},
    scan::Scan,
    text::quote,
};
use std::{borrow::Cow, ops::Range};

/// Appends the canonical text of the value at the cursor.
pub(super) fn canonical(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    match scan.peek() {
        b'{' => object(scan, out),
        b'[' => array(scan, out),
        b'"' => string(scan, out).map(drop),
        _ => {
            let from = scan.at();
            scan.skip()?;
            out.extend_from_slice(scan.since(from));
            Ok(())
        }
    }
}

fn array(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    out.push(b'[');
    if scan.enter(b']')? {
        for index in 0.. {
            if index > 0 {
                out.push(b',');
            }
            canonical(scan, out).map_err(|f| f.under(Step::Index(index)))?;
            if !scan.more(b']')? {
                break;
            }
        }
    }
    out.push(b']');
    Ok(())
}

fn object(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
    let mut members = Members::begin(out);
    if scan.enter(b'}')? {
        loop {
            let from = members.separate(out);
            let key = string(scan, out)?;
            scan.colon()?;
            out.push(b':');
            canonical(scan, out).map_err(|f| f.under_key(&String::from_utf8_lossy(&key)))?;
            members.list.push((key, from..out.len()));
            if !scan.more(b'}')? {
                break;
            }
        }
    }
    members.finish(scan.at(), out)
}

/// One object being written: each key, and where its `"key":value` stands in the output.
pub(super) struct Members<'a> {
    start: usize,
    list: Vec<(Cow<'a, [u8]>, Range<usize>)>,
}

impl<'a> Members<'a> {
    pub(super) fn begin(out: &mut Vec<u8>) -> Self {
        let start = out.len();
        out.push(b'{');
        Self { start, list: Vec::new() }
    }
    fn separate(&self, out: &mut Vec<u8>) -> usize {
        if !self.list.is_empty() {
            out.push(b',');
        }
        out.len()
    }
    /// Adds a member from outside: the value at the cursor of `value`.
    pub(super) fn add(&mut self, key: &'a [u8], value: &mut Scan<'_>, out: &mut Vec<u8>) -> Read<()> {
        let from = self.separate(out);
        quote(key, out);
        out.push(b':');
        canonical(value, out)?;
        self.list.push((Cow::Borrowed(key), from..out.len()));
        Ok(())
    }
    /// Closes the object, its members sorted. Fails `DuplicateKey`; `at` is where that is noticed.
    pub(super) fn finish(mut self, at: usize, out: &mut Vec<u8>) -> Read<()> {
        if !self.list.is_sorted_by(|(a, _), (b, _)| a < b) {
            self.sort(at, out)?;
        }
        out.push(b'}');
        Ok(())
    }
    fn sort(&mut self, at: usize, out: &mut Vec<u8>) -> Read<()> {
        self.list.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut neighbours = self.list.iter().zip(self.list.iter().skip(1));
        if let Some(((key, _), _)) = neighbours.find(|((a, _), (b, _))| a == b) {
            return Err(duplicate(at, &String::from_utf8_lossy(key)));
        }
        let start = self.start + 1;
        let written = out.split_off(start);
        for (i, (_, range)) in self.list.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(written.get(range.start - start..range.end - start).unwrap_or_default());
        }
        Ok(())
    }
}

pub(super) fn duplicate(at: usize, key: &str) -> Box<Fault> {
    Fault::new(Rule::DuplicateKey, at, "the key twice", "every key once").under_key(key)
}

/// Writes the string at the cursor, and gives its text.
fn string<'a>(scan: &mut Scan<'a>, out: &mut Vec<u8>) -> Read<Cow<'a, [u8]>> {
    scan.peek();
    let from = scan.at();
    let raw = scan.string()?;
    let text = raw.text().map_err(|rule| scan.refuse(from, rule, "characters that every database holds"))?;
    if raw.escaped {
        quote(&text, out);
    } else {
        out.extend_from_slice(scan.since(from));
    }
    Ok(text)
}
