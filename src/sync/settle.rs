//! What a run does after its last commit: told erasures first, so that nothing is published that has to go, then the
//! files that readers see, then its summary and the upkeep that is due.
use super::{Run, erase, record, summary::Summary, upkeep};
use crate::{error::Result, load::Destination, time::Clock, wire::Http};

impl<H: Http, C: Clock, D: Destination> Run<'_, H, C, D> {
    pub(super) async fn settle(&mut self) -> Result<()> {
        let destination = &mut *self.tools.destination;
        self.erased = erase::pending(self.job, destination, self.tools.clock.now()).await?;
        for stream in &self.job.streams {
            let bytes = destination.publish(&stream.name).await?;
            tracing::debug!(stream = %stream.name, bytes, "published");
        }
        Ok(())
    }

    /// Keeps the summary. What rows were made with stays that of the first run until a rebuild says otherwise.
    pub(super) async fn record(&mut self, summary: &Summary) -> Result<()> {
        if !self.opened {
            return Ok(());
        }
        record::keep(self.tools.destination, self.job, summary).await?;
        upkeep::after(self.tools.destination, self.job, summary).await;
        Ok(())
    }
}
