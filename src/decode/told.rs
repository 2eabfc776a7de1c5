//! Is this record one of the stream's own, or another stream's word that one of them was deleted?
//!
//! A delete told by an event is kept as the event was received: the body says both what was deleted and why we
//! believe it, so that a rebuild or a redrive of the stored body comes to the same row. Absent on purpose: how such
//! events are asked for (`extract`).
use super::{fault::Read, scan::Scan};
use std::ops::Range;

/// What a told delete looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Text field at the top of an event, which the stream's own records never have.
    pub field: String,
    /// What it says when a record of the stream was deleted; other events say nothing of this stream.
    pub any_of: Vec<String>,
    /// Keys that lead from the event to the record's last state.
    pub record: Vec<String>,
}

/// What a body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A record of the stream, as it is now.
    Own,
    /// An event that does not concern the stream.
    Other,
    /// A delete, and where in the body the deleted record stands; None: it is not there.
    Deleted(Option<Range<usize>>),
}

impl Told {
    pub(super) fn look(&self, body: &[u8]) -> Look {
        let mut scan = Scan::record(body);
        let (mut kind, mut record) = (None, None);
        // Whatever stops the walk, the decoder stops at it too and says it.
        let _ = members(&mut scan, &mut |scan, key| {
            if key == self.field.as_bytes() {
                kind = Some(match scan.peek() {
                    b'"' => scan.string()?.text().map(|text| text.into_owned()).unwrap_or_default(),
                    _ => {
                        scan.skip()?;
                        Vec::new()
                    }
                });
                return Ok(());
            }
            match self.record.split_first() {
                Some((first, rest)) if key == first.as_bytes() => {
                    record = find(scan, rest)?;
                    Ok(())
                }
                _ => scan.skip(),
            }
        });
        match kind {
            None => Look::Own,
            Some(kind) if self.any_of.iter().any(|word| word.as_bytes() == kind) => Look::Deleted(record),
            Some(_) => Look::Other,
        }
    }
}

/// Steps over the value at the cursor and says where in it `path` leads.
fn find(scan: &mut Scan<'_>, path: &[String]) -> Read<Option<Range<usize>>> {
    let first = scan.peek();
    let Some((step, rest)) = path.split_first() else {
        let from = scan.at();
        scan.skip()?;
        return Ok(Some(from..scan.at()));
    };
    if first != b'{' {
        scan.skip()?;
        return Ok(None);
    }
    let mut found = None;
    members(scan, &mut |scan, key| {
        if key == step.as_bytes() {
            found = find(scan, rest)?;
            return Ok(());
        }
        scan.skip()
    })?;
    Ok(found)
}

/// Calls `each` with every key of the object at the cursor, which then steps over the value.
pub(super) fn members<'a>(
    scan: &mut Scan<'a>,
    each: &mut dyn FnMut(&mut Scan<'a>, &[u8]) -> Read<()>,
) -> Read<()> {
    if scan.peek() != b'{' {
        return Ok(());
    }
    let mut more = scan.enter(b'}')?;
    while more {
        let key = scan.string()?.text().unwrap_or_default();
        scan.colon()?;
        each(scan, &key)?;
        more = scan.more(b'}')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        Told {
            field: "event_type".into(),
            any_of: vec!["item_deleted".into()],
            record: vec!["content".into(), "item".into()],
        }
    }

    #[test]
    fn an_event_is_told_from_a_record_by_its_type_wherever_that_stands() {
        let look = |body: &str| told().look(body.as_bytes());
        assert_eq!(look(r#"{"id":"a","content":{"item":{}}}"#), Look::Own);
        assert_eq!(look(r#"{"event_type":"item_created","content":{"item":{"id":"a"}}}"#), Look::Other);
        assert_eq!(look(r#"{"event_type":7,"content":{"item":{"id":"a"}}}"#), Look::Other);
        assert_eq!(look(r#"{"event_type":"item_deleted","content":{"plan":{}}}"#), Look::Deleted(None));
        assert_eq!(look(r#"{"event_type":"item_deleted","content":[]}"#), Look::Deleted(None));
        let body = r#"{"content": {"x":1, "item": {"id":"a"} }, "event_type":"item_\u0064eleted"}"#;
        let Look::Deleted(Some(range)) = look(body) else { panic!("not told") };
        assert_eq!(&body[range], r#"{"id":"a"}"#);
    }
}
