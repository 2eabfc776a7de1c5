//! Which stored bodies are old and superseded? The newest body of every record stays, whatever its age, and with it
//! every tombstone after it: from them the current rows can always be made again.
use super::{
    files::Files,
    rows::{self, Part},
    stack::Goes,
    state::KeptFile,
};
use crate::{
    error::Result,
    load::{
        fold::{self, KeySet},
        key_hash,
    },
    time::Timestamp,
};
use arrow::array::{BooleanArray, StringArray, TimestampMicrosecondArray};
use std::path::Path;

/// Per part, which of its rows go: read before `before`, and a later commit holds a body of the same record.
/// `parts`: of one stream, oldest first. Memory: 16 bytes a record of the stream, a byte a row.
pub(super) fn superseded(
    files: &Files,
    folder: &Path,
    parts: &[KeptFile],
    before: Timestamp,
) -> Result<Vec<Goes>> {
    let mut newer = KeySet::default();
    let mut all = Vec::new();
    for part in parts.iter().rev() {
        let mut goes = Goes::new();
        let mut bodies = Vec::new();
        let columns = ["key", "read_at", "deleted"];
        let read = Part { columns: &columns, rows: Some(vec![part.range()]), schema: None };
        for batch in rows::read(files, &folder.join(&part.name), read)? {
            let batch = batch?;
            let keys: &StringArray = fold::column(&batch, "key")?;
            let read_at: &TimestampMicrosecondArray = fold::column(&batch, "read_at")?;
            let deleted: &BooleanArray = fold::column(&batch, "deleted")?;
            for row in 0..batch.num_rows() {
                let key = key_hash(keys.value(row));
                goes.push(read_at.value(row) < before.0 && newer.contains(&key));
                if !deleted.value(row) {
                    bodies.push(key);
                }
            }
        }
        newer.extend(bodies);
        all.push(if goes.contains(&true) { goes } else { Goes::new() });
    }
    all.reverse();
    Ok(all)
}
