//! A record without the members that tell of a person: their bytes are cut out, all others stay as they were.
//!
//! Paths lead through arrays by themselves. Absent on purpose: what is personal (the connector says), and any rewriting
//! of what stays.
use super::{fault::Read, number, scan::Scan, told::members};
use std::{borrow::Cow, ops::Range};

/// Which members go. A path is names with `/` between them; `cf_*` is every name that begins so, `*` every name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    name: String,
    /// A beginning of names.
    prefix: bool,
    /// The member goes whole.
    whole: bool,
    below: Cut,
}

impl Step {
    fn fits(&self, key: &[u8]) -> bool {
        let name = self.name.as_bytes();
        if self.prefix { key.starts_with(name) } else { key == name }
    }
}

impl Cut {
    /// Of these paths.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut cut = Self::default();
        paths.into_iter().for_each(|path| cut.add(path));
        cut
    }
    fn add(&mut self, path: &str) {
        let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let (name, prefix) = first.strip_suffix('*').map_or((first, false), |name| (name, true));
        let known = self.0.iter().position(|s| s.name == name && s.prefix == prefix);
        let place = known.unwrap_or(self.0.len());
        if known.is_none() {
            self.0.push(Step { name: name.to_owned(), prefix, whole: false, below: Self::default() });
        }
        let Some(step) = self.0.get_mut(place) else { return };
        match rest {
            Some(rest) => step.below.add(rest),
            None => step.whole = true,
        }
    }
    /// Whether the member at this path goes, or one that it is in.
    pub fn takes(&self, path: &str) -> bool {
        let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let mut fits = self.0.iter().filter(|step| step.fits(first.as_bytes()));
        fits.any(|step| step.whole || rest.is_some_and(|rest| step.below.takes(rest)))
    }
    /// The body without these members; borrowed when it has none of them. None: it is not JSON.
    pub fn apply<'b>(&self, body: &'b [u8]) -> Option<Cow<'b, [u8]>> {
        let mut scan = Scan::record(body);
        let mut gone = Vec::new();
        let steps: Vec<&Step> = self.0.iter().collect();
        value(&mut scan, &steps, &mut gone).and_then(|()| scan.end()).ok()?;
        if gone.is_empty() {
            return Some(Cow::Borrowed(body));
        }
        gone.sort_unstable_by_key(|span: &Range<usize>| span.start);
        let mut kept = Vec::with_capacity(body.len());
        let mut at = 0;
        for span in gone {
            kept.extend_from_slice(body.get(at..span.start).unwrap_or_default());
            at = span.end;
        }
        kept.extend_from_slice(body.get(at..).unwrap_or_default());
        Some(Cow::Owned(kept))
    }
}

fn value(scan: &mut Scan<'_>, steps: &[&Step], gone: &mut Vec<Range<usize>>) -> Read<()> {
    match scan.peek() {
        b'{' => object(scan, steps, gone),
        b'[' => {
            let mut more = scan.enter(b']')?;
            while more {
                value(scan, steps, gone)?;
                more = scan.more(b']')?;
            }
            Ok(())
        }
        _ => scan.skip(),
    }
}

fn object(scan: &mut Scan<'_>, steps: &[&Step], gone: &mut Vec<Range<usize>>) -> Read<()> {
    let mut found: Vec<(Range<usize>, bool)> = Vec::new();
    let mut more = scan.enter(b'}')?;
    while more {
        scan.peek();
        let from = scan.at();
        let key = scan.string()?.text().unwrap_or_default();
        scan.colon()?;
        let fits: Vec<&&Step> = steps.iter().filter(|step| step.fits(&key)).collect();
        let whole = fits.iter().any(|step| step.whole);
        if whole || fits.is_empty() {
            scan.skip()?;
        } else {
            let below: Vec<&Step> = fits.iter().flat_map(|step| &step.below.0).collect();
            value(scan, &below, gone)?;
        }
        found.push((from..scan.at(), whole));
        more = scan.more(b'}')?;
    }
    spans(&found, gone);
    Ok(())
}

/// A member goes with the comma after it; those behind the last that stays, with the comma before them.
fn spans(found: &[(Range<usize>, bool)], gone: &mut Vec<Range<usize>>) {
    let last = found.iter().rposition(|(_, whole)| !whole);
    let front = found.get(..last.unwrap_or(0)).unwrap_or_default();
    let next = found.iter().skip(1);
    gone.extend(
        front.iter().zip(next).filter(|((_, whole), _)| *whole).map(|((a, _), (b, _))| a.start..b.start),
    );
    let from = match last {
        Some(last) => found.get(last).map(|(span, _)| span.end),
        None => found.first().map(|(span, _)| span.start),
    };
    let behind = found.len() > last.map_or(0, |last| last + 1);
    if let (Some(from), Some((end, _)), true) = (from, found.last(), behind) {
        gone.push(from..end.end);
    }
}

/// Texts and whole numbers at a path of the record; what was read before something malformed counts.
pub fn texts(body: &[u8], path: &str) -> Vec<String> {
    let steps: Vec<&str> = path.split('/').collect();
    let mut found = Vec::new();
    let _ = gather(&mut Scan::record(body), &steps, &mut found);
    found
}

fn gather(scan: &mut Scan<'_>, steps: &[&str], found: &mut Vec<String>) -> Read<()> {
    match (scan.peek(), steps.split_first()) {
        (b'"', None) => {
            let text = scan.string()?.text().map(Cow::into_owned).unwrap_or_default();
            found.extend(String::from_utf8(text));
            Ok(())
        }
        (b'-' | b'0'..=b'9', None) => {
            found.extend(number::int(scan.number()?).map(|n| n.to_string()));
            Ok(())
        }
        (b'[', _) => {
            let mut more = scan.enter(b']')?;
            while more {
                gather(scan, steps, found)?;
                more = scan.more(b']')?;
            }
            Ok(())
        }
        (b'{', Some((first, rest))) => members(scan, &mut |scan, key| {
            if key == first.as_bytes() { gather(scan, rest, found) } else { scan.skip() }
        }),
        _ => scan.skip(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(paths: &[&str], body: &str) -> String {
        let cut = Cut::of(paths.iter().copied()).apply(body.as_bytes()).unwrap().into_owned();
        String::from_utf8(cut).unwrap()
    }

    #[test]
    fn members_are_cut_out_and_every_other_byte_stays() {
        let cases = [
            (r#"{ "a" : 1 , "b":2,"c": 3 }"#, r#"{ "b":2,"c": 3 }"#),
            (r#"{ "b":2, "a" : 1 }"#, r#"{ "b":2 }"#),
            (r#"{"b":2,"a":1,"c":3}"#, r#"{"b":2,"c":3}"#),
            (r#"{"a":[1,{"a":2}]}"#, "{}"),
            (r#"{"a":1,"\u0061":2,"b":1.50,"a":3}"#, r#"{"b":1.50}"#),
            (r#" {"b":{"a":1}} "#, r#" {"b":{"a":1}} "#),
            ("{}", "{}"),
            ("[]", "[]"),
        ];
        for (body, kept) in cases {
            assert_eq!(without(&["a"], body), kept, "{body}");
        }
    }

    #[test]
    fn paths_lead_through_objects_and_arrays_and_by_the_beginning_of_names() {
        let body = r#"{"id":"x","cf_a":1,"cs":2,"at":[{"k":1,"name":"N"},{"name":"M"}],"in":{"c":{"e":1,"id":2},"d":{"e":3}}}"#;
        assert_eq!(
            without(&["cf_*", "at/name", "in/*/e"], body),
            r#"{"id":"x","cs":2,"at":[{"k":1},{}],"in":{"c":{"id":2},"d":{}}}"#
        );
        assert_eq!(without(&["in/*/e", "in/c"], body).matches("\"c\"").count(), 0);
    }

    #[test]
    fn a_member_is_taken_with_what_it_is_in() {
        let cut = Cut::of(["cf_*", "in/*/e"]);
        assert!(["cf_a", "cf_a/b", "in/x/e", "in/x/e/f"].iter().all(|path| cut.takes(path)));
        assert!(!["c", "in", "in/x", "e", "in/e"].iter().any(|path| cut.takes(path)));
    }

    #[test]
    fn what_is_not_json_is_not_cut() {
        let cut = Cut::of(["a"]);
        for body in ["", "{", r#"{"a":1"#, r#"{"a":1}}"#, r#"{"a":tru}"#] {
            assert_eq!(cut.apply(body.as_bytes()), None, "{body}");
        }
        assert!(matches!(cut.apply(b"{\"b\":1}"), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn texts_of_a_path_are_found_in_broken_records_too() {
        let body = br#"{"a":{"id":"\u0078"},"l":[{"id":7},{"id":"y"}],"a":"#;
        assert_eq!(texts(body, "a/id"), ["x"]);
        assert_eq!(texts(body, "l/id"), ["7", "y"]);
        assert!(texts(body, "b").is_empty());
    }
}
