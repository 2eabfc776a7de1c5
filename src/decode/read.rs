//! One JSON value into one column, by the column's declared type: exact, or refused with its place.
//!
//! JSON null is NULL for every type, `json` included.
use super::{
    column::{Cells, Column, Items, Texts, Wire},
    datetime,
    fault::{Read, Rule, Step},
    json, number,
    scan::{Raw, Scan},
};
use arrow::datatypes::ArrowNativeType;

impl Column {
    /// Appends the value at the cursor as one row.
    pub(super) fn read(&mut self, scan: &mut Scan<'_>) -> Read<()> {
        let first = scan.peek();
        if first == b'n' {
            scan.literal()?;
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Text(texts) => text(texts, scan),
            Self::Json(texts) => {
                json::canonical(scan, &mut texts.bytes)?;
                texts.end(true);
                Ok(())
            }
            Self::Int { from_text, cells } => {
                let (expected, allow) = if *from_text {
                    ("an integer, or a text that holds one", Allow::Both)
                } else {
                    ("an integer of 64 bits", Allow::Number)
                };
                cell(cells, scan, allow, &|| expected.into(), number::int)
            }
            Self::Decimal { precision, scale, from_text, cells } => {
                let allow = if *from_text { Allow::Text } else { Allow::Number };
                let (precision, scale) = (*precision, *scale);
                let expected = || {
                    let wire = if allow == Allow::Text { "a text that holds a " } else { "a " };
                    format!("{wire}decimal({precision},{scale})")
                };
                cell(cells, scan, allow, &expected, |text| number::decimal(text, precision, scale))
            }
            Self::Rate(cells) => {
                cell(cells, scan, Allow::Both, &|| "a rate below 10^12".into(), number::rate)
            }
            Self::Time { wire, cells } => time(*wire, cells, scan),
            Self::Date(cells) => {
                let expected = "a date like 2024-02-29";
                let from = scan.at();
                let found = string(scan, expected)?;
                let day = found.text().and_then(|text| datetime::date(&text));
                cells.push(day.map_err(|rule| scan.refuse(from, rule, expected))?);
                Ok(())
            }
            Self::Bool(flags) => match first {
                b't' | b'f' => {
                    scan.literal()?;
                    flags.push(Some(first == b't'));
                    Ok(())
                }
                _ => Err(scan.refuse(scan.at(), Rule::WrongType, "true or false")),
            },
            Self::List(items) => list(items, scan),
            Self::Struct(group) => {
                if first != b'{' {
                    return Err(scan.refuse(scan.at(), Rule::WrongType, "an object"));
                }
                group.object.read(scan)?;
                group.end(true);
                Ok(())
            }
        }
    }
}

/// Which JSON types may carry a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Allow {
    Number,
    Text,
    Both,
}

/// A number in the forms allowed, through `parse`.
fn cell<T: ArrowNativeType>(
    cells: &mut Cells<T>,
    scan: &mut Scan<'_>,
    allow: Allow,
    expected: &dyn Fn() -> String,
    parse: impl Fn(&[u8]) -> Result<T, Rule>,
) -> Read<()> {
    let from = scan.at();
    let value = match scan.peek() {
        b'-' | b'0'..=b'9' if allow != Allow::Text => parse(scan.number()?),
        b'"' if allow != Allow::Number => scan
            .string()?
            .text()
            .and_then(|text| if number::is_number(&text) { parse(&text) } else { Err(Rule::BadNumberText) }),
        _ => Err(Rule::WrongType),
    };
    cells.push(value.map_err(|rule| scan.refuse(from, rule, expected()))?);
    Ok(())
}

fn time(wire: Wire, cells: &mut Cells<i64>, scan: &mut Scan<'_>) -> Read<()> {
    let from = scan.at();
    match wire {
        Wire::Seconds => {
            let expected = || "seconds since 1970, until 9999".into();
            cell(cells, scan, Allow::Number, &expected, |text| datetime::epoch(text, 1))
        }
        Wire::Millis => {
            let expected = || "milliseconds since 1970, until 9999".into();
            cell(cells, scan, Allow::Number, &expected, |text| datetime::epoch(text, 1000))
        }
        Wire::Text { naive_utc } => {
            let expected = if naive_utc {
                "a time like 2024-02-29T12:30:00Z, exact in microseconds"
            } else {
                "a time with its zone like 2024-02-29T12:30:00Z, exact in microseconds"
            };
            let found = string(scan, expected)?;
            let value = found.text().and_then(|text| datetime::datetime(&text, naive_utc));
            cells.push(value.map_err(|rule| scan.refuse(from, rule, expected))?);
            Ok(())
        }
    }
}

fn list(items: &mut Items, scan: &mut Scan<'_>) -> Read<()> {
    if scan.peek() != b'[' {
        return Err(scan.refuse(scan.at(), Rule::WrongType, "an array"));
    }
    let mut more = scan.enter(b']')?;
    let mut index = 0;
    while more {
        items.item.read(scan).map_err(|f| f.under(Step::Index(index)))?;
        index += 1;
        more = scan.more(b']')?;
    }
    items.end(true);
    Ok(())
}

fn text(texts: &mut Texts, scan: &mut Scan<'_>) -> Read<()> {
    let from = scan.at();
    let found = string(scan, "a text")?;
    found
        .append_to(&mut texts.bytes)
        .map_err(|rule| scan.refuse(from, rule, "characters that every database holds"))?;
    texts.end(true);
    Ok(())
}

fn string<'a>(scan: &mut Scan<'a>, expected: &str) -> Read<Raw<'a>> {
    if scan.peek() != b'"' {
        return Err(scan.refuse(scan.at(), Rule::WrongType, expected));
    }
    scan.string()
}
