//! What is logged, where to, and in which form.
use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};
use tidegate::{
    error::Kind,
    telemetry::{Format, directives, init},
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One test, because logging is started once per process.
#[test]
fn logging_starts_once_and_writes_json_lines_at_the_level_asked_for() {
    let error = init(Format::Text, "tidegate=loud=very", false, io::stderr).unwrap_err();
    assert_eq!((error.kind(), error.what()), (Kind::Invalid, "cannot read the log filter"));
    assert!(error.next().is_some());

    let captured = Captured::default();
    let writer = captured.clone();
    init(Format::Json, directives(1), false, move || writer.clone()).unwrap();
    tracing::info!(target: "tidegate::tests", rows = 3, "slice loaded");
    tracing::debug!(target: "tidegate::tests", "unseen");
    tracing::info!(target: "hyper", "unseen");
    tracing::warn!(target: "hyper", "odd header");
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let ours: Vec<_> =
        lines.iter().filter(|l| l["target"] == "tidegate::tests" || l["target"] == "hyper").collect();
    assert_eq!(ours.len(), 2, "{text}");
    assert_eq!((ours[0]["message"].as_str(), ours[0]["rows"].as_i64()), (Some("slice loaded"), Some(3)));
    assert_eq!(ours[1]["message"], "odd header");

    assert_eq!(init(Format::Text, "warn", false, io::stderr).unwrap_err().kind(), Kind::Bug);
}
