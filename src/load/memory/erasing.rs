//! Erasure on plain maps: the same words for every destination, said once more simply.
use super::{Row, Stored};
use crate::{
    error::Result,
    load::{
        Erased,
        erase::{Claims, Order, Part, Tally, Times, blank, body_hash, until_handed_on},
    },
};

impl Stored {
    pub(super) fn erase(&mut self, order: &Order) -> Result<Erased> {
        let mut tally = Tally::new(order);
        for part in &order.parts {
            self.erase_part(part, &mut tally)?;
        }
        tally.note(order, &mut self.erasures, Some(order.done_at));
        Ok(tally.total())
    }
    fn erase_part(&mut self, part: &Part, tally: &mut Tally) -> Result<()> {
        let mut claims = Claims::new();
        let main = part.main().and_then(|main| self.tables.get(&main.name));
        for row in main.iter().flat_map(|table| &table.history) {
            part.claims(row, &mut claims)?;
        }
        let mut times = Times::new();
        for row in main.iter().flat_map(|table| &table.history) {
            part.times(row, &claims, &mut times)?;
        }
        until_handed_on(&mut claims, times);
        for entity in &part.entities {
            let Some(table) = self.tables.get_mut(&entity.name) else { continue };
            for row in &mut table.history {
                if let Some(erased) = blank(row, entity, &claims, tally)? {
                    *row = erased;
                }
            }
            // Current rows are the newest of history, which was counted.
            let mut uncounted = Tally(Vec::new());
            for row in table.current.values_mut() {
                if let Some(batch) = blank(&row.batch, entity, &claims, &mut uncounted)? {
                    let held = super::Keys::of(&batch, entity)?.held(0, ());
                    *row = Row { held, batch };
                }
            }
        }
        for (stream, record) in &mut self.raw {
            let erased = Some(part).filter(|p| p.stream == *stream).and_then(|p| p.body(record, &claims));
            if let Some((body, claim)) = erased {
                record.received = record.received.or(Some(body_hash(&record.body)));
                record.body = body;
                tally.of(claim.person).into_iter().for_each(|one| one.bodies += 1);
            }
        }
        for stored in &mut self.rejects {
            if let Some((reject, claim)) = part.reject(&stored.reject, &claims) {
                stored.reject = reject;
                tally.of(claim.person).into_iter().for_each(|one| one.rejects += 1);
            }
        }
        for stored in &mut self.issues {
            if let Some((issue, claim)) = part.issue(stored, &claims) {
                *stored = issue;
                tally.of(claim.person).into_iter().for_each(|one| one.issues += 1);
            }
        }
        Ok(())
    }
}
