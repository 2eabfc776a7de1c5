//! Folds sorted inputs into one sorted output; per id the newest input decides. Memory is bounded by the number of
//! inputs, not by their size.
use super::rows::{BATCH, Batches};
use crate::{
    entity::Entity,
    error::Result,
    load::fold::{self, REMOVE},
};
use arrow::{
    array::{Array, RecordBatch, StringArray},
    compute::interleave_record_batch,
};
use std::collections::BTreeSet;

/// One side of a merge, sorted by id, each id once.
pub(super) enum Input {
    /// Current rows, or one month of a history file.
    Rows(Batches),
    /// Ids whose rows went to another month.
    Left(std::collections::btree_set::IntoIter<String>),
}

impl Input {
    pub(super) fn left(ids: &BTreeSet<String>) -> Self {
        Self::Left(ids.clone().into_iter())
    }
}

struct Cursor {
    input: Input,
    /// Position of the batch in the pool.
    batch: usize,
    row: usize,
    /// The id it stands at; None at the end.
    id: Option<String>,
}

/// Batches that output rows may still point to.
struct Pool {
    entity_columns: Vec<usize>,
    batches: Vec<RecordBatch>,
    picks: Vec<(usize, usize)>,
}

/// `inputs`: oldest first. Rows whose newest state is a removal are left out. Output has `Entity::schema`.
pub(super) fn merge(
    entity: &Entity,
    inputs: Vec<Input>,
    mut out: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let width = entity.schema().fields().len();
    let mut pool = Pool { entity_columns: (0..width).collect(), batches: Vec::new(), picks: Vec::new() };
    let mut cursors = Vec::new();
    for input in inputs {
        let mut cursor = Cursor { input, batch: 0, row: 0, id: None };
        cursor.refill(&mut pool)?;
        cursors.push(cursor);
    }
    while let Some(id) = cursors.iter().filter_map(|c| c.id.as_ref()).min().cloned() {
        let newest = cursors.iter().rfind(|c| c.id.as_ref() == Some(&id));
        if let Some(newest) = newest.filter(|c| matches!(c.input, Input::Rows(_))) {
            pool.pick(newest.batch, newest.row);
        }
        for cursor in cursors.iter_mut().filter(|c| c.id.as_ref() == Some(&id)) {
            cursor.advance(&mut pool)?;
        }
        if pool.picks.len() >= BATCH || pool.batches.len() > cursors.len().saturating_mul(2).saturating_add(8)
        {
            pool.flush(&mut cursors, &mut out)?;
        }
    }
    pool.flush(&mut cursors, &mut out)
}

impl Cursor {
    fn advance(&mut self, pool: &mut Pool) -> Result<()> {
        self.row += 1;
        let ids = pool.batches.get(self.batch).filter(|_| matches!(self.input, Input::Rows(_)));
        let ids = ids.map(|batch| fold::column::<StringArray>(batch, "id")).transpose()?;
        match ids.filter(|ids| self.row < ids.len()) {
            Some(ids) => self.id = Some(ids.value(self.row).to_owned()),
            None => self.refill(pool)?,
        }
        Ok(())
    }
    fn refill(&mut self, pool: &mut Pool) -> Result<()> {
        self.id = match &mut self.input {
            Input::Left(ids) => ids.next(),
            Input::Rows(batches) => loop {
                let Some(batch) = batches.next().transpose()? else { break None };
                let first =
                    fold::column::<StringArray>(&batch, "id")?.iter().next().flatten().map(str::to_owned);
                if first.is_some() {
                    self.batch = pool.batches.len();
                    self.row = 0;
                    pool.batches.push(batch);
                    break first;
                }
            },
        };
        Ok(())
    }
}

impl Pool {
    fn pick(&mut self, batch: usize, row: usize) {
        let op = self.batches.get(batch).and_then(|b| b.column_by_name("op"));
        let op = op.and_then(|c| c.as_any().downcast_ref::<StringArray>());
        if op.is_none_or(|op| op.value(row) != REMOVE) {
            self.picks.push((batch, row));
        }
    }
    /// Writes what was picked and lets go of batches that no cursor stands in.
    fn flush(
        &mut self,
        cursors: &mut [Cursor],
        out: &mut impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        if !self.picks.is_empty() {
            let own: Result<Vec<RecordBatch>> = self
                .batches
                .iter()
                .map(|batch| batch.project(&self.entity_columns).map_err(fold::arrow))
                .collect();
            let own = own?;
            let all: Vec<&RecordBatch> = own.iter().collect();
            out(&interleave_record_batch(&all, &self.picks).map_err(fold::arrow)?)?;
            self.picks.clear();
        }
        let mut kept = Vec::new();
        for cursor in cursors.iter_mut().filter(|c| c.id.is_some() && matches!(c.input, Input::Rows(_))) {
            if let Some(batch) = self.batches.get(cursor.batch) {
                kept.push(batch.clone());
                cursor.batch = kept.len() - 1;
            }
        }
        self.batches = kept;
        Ok(())
    }
}
