//! How do stored rows come back in bulk? Postgres' binary COPY format, read row by row into Arrow columns.
//!
//! Half the CPU time of a SELECT's answer, on both sides. Absent on purpose: parameters, which COPY does not take.
use super::{copy::SIGNATURE, decode::Column, fault::Fault};
use crate::{
    error::{Error, Kind, Result},
    load::See,
};
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::{Buf, Bytes, BytesMut};
use futures::TryStreamExt;
use sqlx::PgConnection;

const BATCH_ROWS: usize = 8_192;
/// Stands for the number of fields after the last row.
const END: i16 = -1;
/// Stands for the length of NULL.
const NULL: i32 = -1;

/// Shows the rows of a SELECT without parameters, whose columns are those of `schema`, as they come.
pub(super) async fn shown(
    conn: &mut PgConnection,
    select: &str,
    schema: &SchemaRef,
    see: See<'_>,
) -> Result<(), Fault> {
    let mut reader = Reader::new(schema)?;
    let copy = format!("copy ({select}) to stdout (format binary)");
    let mut chunks = conn.copy_out_raw(&copy).await?;
    let mut done = Ok(());
    // Read to its end whatever happens: what is left of an answer would be taken for the next one.
    while let Some(chunk) = chunks.try_next().await? {
        if done.is_ok() {
            done = reader.push(chunk, &mut *see);
        }
    }
    done?;
    Ok(reader.finish(see)?)
}

struct Reader<'a> {
    schema: &'a SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    begun: bool,
    ended: bool,
    /// The beginning of a row whose rest has not come.
    rest: BytesMut,
}

impl<'a> Reader<'a> {
    fn new(schema: &'a SchemaRef) -> Result<Self> {
        let columns = schema.fields().iter().map(|f| Column::of(f.data_type())).collect::<Result<_>>()?;
        Ok(Self { schema, columns, rows: 0, begun: false, ended: false, rest: BytesMut::new() })
    }
    fn push(&mut self, chunk: Bytes, see: See<'_>) -> Result<()> {
        let mut data = if self.rest.is_empty() {
            chunk
        } else {
            self.rest.extend_from_slice(&chunk);
            self.rest.split().freeze()
        };
        if !self.begun {
            let Some(after) = data.get(SIGNATURE.len()..) else {
                self.rest.extend_from_slice(&data);
                return Ok(());
            };
            if !data.starts_with(SIGNATURE) {
                return Err(broken("does not begin as COPY does"));
            }
            data = data.slice_ref(after);
            self.begun = true;
        }
        while let Some(row) = row(&data)? {
            match row {
                Row::End => self.ended = true,
                Row::Bytes(size) => {
                    let values = data.split_to(size);
                    self.row(&values)?;
                    if self.rows >= BATCH_ROWS {
                        see(self.batch()?)?;
                    }
                    continue;
                }
            }
            break;
        }
        if !self.ended {
            self.rest.extend_from_slice(&data);
        }
        Ok(())
    }
    /// One whole row.
    fn row(&mut self, mut values: &[u8]) -> Result<()> {
        if usize::try_from(values.get_i16()).ok() != Some(self.columns.len()) {
            return Err(broken("has another number of columns than was asked for"));
        }
        for column in &mut self.columns {
            let size = values.get_i32();
            let value = match usize::try_from(size) {
                Ok(size) => {
                    let (value, rest) =
                        values.split_at_checked(size).ok_or_else(|| broken("has a row cut short"))?;
                    values = rest;
                    Some(value)
                }
                Err(_) => None,
            };
            column.push(value)?;
        }
        self.rows += 1;
        Ok(())
    }
    fn batch(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|e| Error::new(Kind::Destination, "stored rows do not fit their schema").because(e))
    }
    /// Fails `Destination` when the answer was cut short.
    fn finish(mut self, see: See<'_>) -> Result<()> {
        if !self.ended {
            return Err(broken("was cut short"));
        }
        if self.rows > 0 { see(self.batch()?) } else { Ok(()) }
    }
}

enum Row {
    /// Bytes of the row, its number of fields included.
    Bytes(usize),
    End,
}

/// What `data` begins with; None when more has to come.
fn row(data: &[u8]) -> Result<Option<Row>> {
    let mut left = data;
    if left.remaining() < 2 {
        return Ok(None);
    }
    let fields = left.get_i16();
    if fields == END {
        return Ok(Some(Row::End));
    }
    for _ in 0..fields {
        if left.remaining() < 4 {
            return Ok(None);
        }
        let size = left.get_i32();
        if size == NULL {
            continue;
        }
        let size = usize::try_from(size).map_err(|_| broken("has a value of negative length"))?;
        let Some((_, rest)) = left.split_at_checked(size) else { return Ok(None) };
        left = rest;
    }
    Ok(Some(Row::Bytes(data.len() - left.len())))
}

fn broken(how: &str) -> Error {
    Error::new(Kind::Destination, format!("the server's answer to COPY {how}"))
        .hint("run it again; if it stays, something between us and the server changes the answers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{Array, AsArray},
        datatypes::{DataType, Field, Int64Type, Schema},
    };
    use std::sync::Arc;

    fn answer(rows: &[(Option<&str>, i64)]) -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        for (text, number) in rows {
            out.extend(2_i16.to_be_bytes());
            match text {
                None => out.extend(NULL.to_be_bytes()),
                Some(text) => {
                    out.extend(i32::try_from(text.len()).unwrap().to_be_bytes());
                    out.extend(text.as_bytes());
                }
            }
            out.extend(8_i32.to_be_bytes());
            out.extend(number.to_be_bytes());
        }
        out.extend(END.to_be_bytes());
        out
    }

    fn read(answer: &[u8], pieces: usize) -> Result<Vec<(Option<String>, i64)>> {
        let fields = vec![Field::new("t", DataType::Utf8, true), Field::new("n", DataType::Int64, true)];
        let schema = Arc::new(Schema::new(fields));
        let mut found = Vec::new();
        let mut see = |batch: RecordBatch| {
            let (texts, numbers) =
                (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<Int64Type>());
            let text = |row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
            found.extend((0..batch.num_rows()).map(|row| (text(row), numbers.value(row))));
            Ok(())
        };
        let mut reader = Reader::new(&schema)?;
        for piece in answer.chunks(pieces) {
            reader.push(Bytes::copy_from_slice(piece), &mut see)?;
        }
        reader.finish(&mut see)?;
        Ok(found)
    }

    #[test]
    fn rows_are_the_same_wherever_the_server_cuts_its_answer() {
        let rows = [(Some("a"), 1), (None, i64::MIN), (Some(""), 0), (Some("ünï"), i64::MAX)];
        let expected: Vec<_> = rows.iter().map(|(t, n)| (t.map(str::to_owned), *n)).collect();
        let whole = answer(&rows);
        for pieces in 1..=whole.len() {
            assert_eq!(read(&whole, pieces).unwrap(), expected, "in pieces of {pieces}");
        }
        let many: Vec<_> = (0..20_000).map(|n| (Some("x"), n)).collect();
        assert_eq!(read(&answer(&many), 1 << 16).unwrap().len(), many.len());
    }

    #[test]
    fn an_answer_that_is_cut_short_or_of_another_shape_is_an_error() {
        let whole = answer(&[(Some("a"), 1), (Some("b"), 2)]);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end], 7).unwrap_err().kind(), Kind::Destination, "{end} bytes");
        }
        let mut other = whole.clone();
        other[0] = b'X';
        assert!(read(&other, 7).unwrap_err().to_string().contains("does not begin"));
        let mut wide = whole;
        wide[SIGNATURE.len() + 1] = 1;
        assert!(read(&wide, 1 << 10).unwrap_err().to_string().contains("number of columns"));
    }
}
