//! A verification as a person reads it: one line a table, then what differs, then numbers that are missing.
use super::{Look, table::Table};
use crate::{
    app::verify::report::{Difference, Report, Side, Table as Verified, What},
    audit::Gap,
};
use std::{collections::BTreeSet, fmt::Write as _};

/// Digits of a digest that are shown; all of them are in the JSON.
const DIGEST_SHOWN: usize = 16;
/// Gaps that are shown; all of them are in the JSON.
const GAPS_SHOWN: usize = 20;

/// Title, tables, differences, gaps and what to do next.
pub fn text(report: &Report, look: &Look) -> String {
    let mut text = format!("{}\n\n{}", title(report, look), tables(report, look).draw(look));
    for table in report.tables.iter().filter(|t| !t.equal) {
        text.push_str(&differing(table, look));
    }
    if !report.gaps.is_empty() {
        text.push_str(&gaps(&report.gaps, look));
    }
    if !report.next.is_empty() {
        text.push('\n');
    }
    for next in &report.next {
        let _ = writeln!(text, "{} {next}", look.green("next:"));
    }
    text
}

fn title(report: &Report, look: &Look) -> String {
    let name = look.bold(&report.pipeline);
    let Some(against) = &report.against else { return format!("{name} as it is stored") };
    let against = if against == "source" { "the source" } else { against.as_str() };
    let said = if report.equal { look.green("the same") } else { look.red("not the same") };
    let requests = match report.requests {
        0 => String::new(),
        1 => " (1 request)".to_owned(),
        n => format!(" ({} requests)", look.count(n)),
    };
    format!("{name} against {against}: {said}{requests}")
}

fn short(side: &Side) -> String {
    side.digest.chars().take(DIGEST_SHOWN).collect()
}

fn tables(report: &Report, look: &Look) -> Table {
    if report.against.is_none() {
        let mut table = Table::new().text("table").number("rows").number("deleted").text("digest").leaves(1);
        for one in &report.tables {
            let cells = [look.count(one.here.rows), look.count(one.here.deleted), short(&one.here)];
            table.row(std::iter::once(one.table.clone()).chain(cells).collect());
        }
        return table;
    }
    let later = report.tables.iter().any(|t| t.not_synced_yet > 0);
    let mut table = Table::new().text("table").text("").number("rows here").number("rows there");
    table = table.number("missing").number("extra").number("changed");
    if later {
        table = table.number("not synced yet");
    }
    for one in &report.tables {
        let said = if one.equal { look.green("equal") } else { look.red("differs") };
        let at_least = if one.all_looked_into { "" } else { ">= " };
        let there = one.there.as_ref().map_or(0, |s| s.rows);
        let mut cells = vec![one.table.clone(), said, look.count(one.here.rows), look.count(there)];
        cells.extend([one.missing, one.extra, one.changed].map(|n| format!("{at_least}{}", look.count(n))));
        if later {
            cells.push(look.count(one.not_synced_yet));
        }
        table.row(cells);
    }
    table
}

fn differing(table: &Verified, look: &Look) -> String {
    let mut text = format!("\n{}\n{}", look.bold(&table.table), months(table, look).draw(look));
    for one in &table.differences {
        text.push_str(&difference(one));
    }
    let all = table.missing + table.extra + table.changed;
    let shown = table.differences.len() as u64;
    if all > shown {
        let _ = writeln!(text, "  and {} more; --ids shows them", look.count(all - shown));
    }
    text
}

/// The months with rows that differ, and their sums that do.
fn months(table: &Verified, look: &Look) -> Table {
    let mut months = Table::new().text("month").text("currency").number("rows").text("sum").number("here");
    months = months.number("there");
    for group in table.groups.iter().filter(|g| g.differing > 0) {
        let start = || vec![group.month.clone(), group.currency.clone(), look.count(group.differing)];
        let theirs = group.there.as_ref().map_or(&[][..], |t| t.sums.as_slice());
        let ours = group.here.sums.as_slice();
        let names: BTreeSet<&String> = ours.iter().chain(theirs).map(|(column, _)| column).collect();
        let moved = names.into_iter().filter(|name| of(ours, name) != of(theirs, name));
        let mut rows: Vec<Vec<String>> = moved
            .map(|name| vec![name.clone(), of(ours, name).to_owned(), of(theirs, name).to_owned()])
            .collect();
        if rows.is_empty() {
            rows.push(vec![String::new(); 3]);
        }
        rows.into_iter().for_each(|sums| months.row(start().into_iter().chain(sums).collect()));
    }
    months
}

/// A sum by its column.
fn of<'a>(sums: &'a [(String, String)], column: &str) -> &'a str {
    sums.iter().find(|(name, _)| name == column).map_or("0.00", |(_, sum)| sum.as_str())
}

fn difference(one: &Difference) -> String {
    let what = match one.what {
        What::Missing => "is only there",
        What::Extra => "is only here",
        What::Changed => "differs",
    };
    let of = one.document.as_ref().map(|d| format!(" of {d}")).unwrap_or_default();
    let mut text = format!("  {}{of} {what}\n", one.id);
    for cell in &one.columns {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
        let _ =
            writeln!(text, "    {}: here {}, there {}", cell.column, shown(&cell.here), shown(&cell.there));
    }
    text
}

fn gaps(gaps: &[Gap], look: &Look) -> String {
    let mut table =
        Table::new().text("table").text("missing numbers").number("count").text("between").leaves(1);
    for gap in gaps.iter().take(GAPS_SHOWN) {
        let range = if gap.from == gap.to { gap.from.clone() } else { format!("{} to {}", gap.from, gap.to) };
        let between = format!("{} and {}", gap.after, gap.before);
        table.row(vec![gap.table.clone(), range, look.count(gap.missing), between]);
    }
    let mut text = format!("\n{}\n{}", look.bold("Numbers that series lack"), table.draw(look));
    if gaps.len() > GAPS_SHOWN {
        let _ = writeln!(text, "and {} more gaps; -o json lists all", gaps.len() - GAPS_SHOWN);
    }
    text
}
