//! A run's summary as a table per stream.
use super::{Look, figures, table::Table};
use crate::sync::summary::{Status, StreamSummary, Summary};
use std::time::Duration;

/// Title, table, errors and what to do next.
pub fn text(summary: &Summary, look: &Look) -> String {
    let mut text = format!("{}\n\n", title(summary, look));
    text.push_str(&streams(summary, look).draw(look));
    let instead = summary.streams.iter().filter_map(|s| Some((s.stream.as_str(), s.not_offered.as_deref()?)));
    for (streams, why) in together(instead) {
        text.push_str(&format!("\nnot offered: {}. {why}", streams.join(", ")));
    }
    let failed = summary.streams.iter().filter_map(|s| Some((s.stream.as_str(), s.error.as_deref()?)));
    for (streams, error) in together(failed) {
        text.push_str(&format!("\n{} {}: {error}", look.red("failed:"), streams.join(", ")));
    }
    for stream in &summary.streams {
        if let Some(why) = &stream.unproven {
            text.push_str(&format!(
                "\n{} {}: no deletes are proven: {why}",
                look.yellow("note:"),
                stream.stream
            ));
        }
        if !stream.absent.is_empty() {
            let ids = stream.absent.join(", ");
            text.push_str(&format!(
                "\n{} {}: the provider has no {ids}",
                look.yellow("note:"),
                stream.stream
            ));
        }
    }
    if let Some(error) = &summary.error {
        text.push_str(&format!("\n{} {error}", look.red("error:")));
    }
    if !summary.next.is_empty() {
        text.push('\n');
    }
    for next in &summary.next {
        text.push_str(&format!("{} {next}\n", look.green("next:")));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Streams that failed for the same reason, told once.
pub fn together<'a>(failed: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(Vec<&'a str>, &'a str)> {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (stream, error) in failed {
        match groups.iter_mut().find(|(_, told)| *told == error) {
            Some((streams, _)) => streams.push(stream),
            None => groups.push((vec![stream], error)),
        }
    }
    groups
}

fn title(summary: &Summary, look: &Look) -> String {
    let name = summary.status.name();
    let status = match summary.status {
        Status::Completed => look.green(name),
        Status::Partial | Status::Interrupted => look.yellow(name),
        Status::Failed => look.red(name),
    };
    let took = figures::length(summary.finished.since(summary.started));
    let requests: u64 = summary.streams.iter().map(|s| s.requests).sum();
    let bytes: u64 = summary.streams.iter().map(|s| s.bytes).sum();
    let plural = if requests == 1 { "" } else { "s" };
    let errand = summary.errand.as_ref().map(|e| format!(" {e}")).unwrap_or_default();
    format!(
        "{}{errand} {status} in {took}: {} request{plural}, {}",
        look.bold(&summary.pipeline),
        look.count(requests),
        figures::bytes(bytes)
    )
}

fn streams(summary: &Summary, look: &Look) -> Table {
    let deletes = summary.streams.iter().any(|s| s.deleted > 0);
    let mut table = Table::new()
        .text("stream")
        .number("requests")
        .leaves(1)
        .number("read")
        .number("changed")
        .number("unchanged")
        .leaves(2)
        .number("rejected");
    if deletes {
        table = table.number("deleted");
    }
    table = table.number("bytes").leaves(1).number("time").text("data through");
    for stream in summary.streams.iter().filter(|s| s.not_offered.is_none()) {
        table.row(row(stream, deletes, look));
    }
    table
}

fn row(stream: &StreamSummary, deletes: bool, look: &Look) -> Vec<String> {
    let mut cells = vec![stream.stream.clone()];
    let counts = [stream.requests, stream.read, stream.changed, stream.unchanged, stream.rejected];
    cells.extend(counts.map(|n| look.count(n)));
    if deletes {
        cells.push(look.count(stream.deleted));
    }
    cells.push(figures::bytes(stream.bytes));
    cells.push(figures::length(Duration::from_millis(stream.millis)));
    cells.push(stream.data_through.map_or_else(|| "-".into(), figures::minute));
    cells
}
