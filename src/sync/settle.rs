//! What a run does after its last commit: told erasures first, so that nothing is published that has to go, then the
//! files that readers see.
use super::{Run, erase};
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
}
