//! The memory that request bodies may take, all together.
//!
//! A body is in memory from its first byte until its answer begins: read, decoded, waiting in a lane, translated. The limit
//! of one body times the number of connections is more than any machine has, so large bodies share a budget: each takes
//! room for its bytes and gives it back when the job that it became is dropped.

use std::{sync::Arc, time::Duration};

use metrics::Gauge;
use outcrop_domain::error::GatewayError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are not counted, and cost nothing here. They cannot fill the memory: as many as there may be
/// connections take less than the default budget. And they get through while large ones wait.
pub(super) const UNCOUNTED_BYTES: usize = 16 * 1024;

/// A body whose length is not known takes room in steps of this size, so that small pieces do not ask each.
const STEP_BYTES: usize = 256 * 1024;

/// Longest wait for room. Clients do better to retry elsewhere than to wait behind bodies that wait for answers.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// When to come back: by then some of the answers that hold room have begun.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The budget.
#[derive(Debug)]
pub(super) struct BodyMemory {
    /// One permit is one byte.
    free: Arc<Semaphore>,
    total: usize,
    held: Gauge,
}

impl BodyMemory {
    /// A budget of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let total = bytes.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(total)), total, held: metrics::gauge!("outcrop_body_bytes_held") }
    }

    /// Makes sure that a body of `size` bytes has its room, whatever it had before.
    ///
    /// # Errors
    /// [`GatewayError::Overloaded`] when there is none within [`LONGEST_WAIT`].
    pub(super) async fn cover(&self, room: &mut Option<BodyRoom>, size: usize) -> Result<(), GatewayError> {
        // A body beyond the whole budget, by a limit that was raised since the start, takes all of it.
        let wanted = size.min(self.total);
        let missing = wanted.saturating_sub(room.as_ref().map_or(0, BodyRoom::bytes));
        if size <= UNCOUNTED_BYTES || missing == 0 {
            return Ok(());
        }
        let permit = self.take(missing).await?;
        self.held.increment(gauged(missing));
        match room {
            Some(room) => room.permit.merge(permit),
            None => *room = Some(BodyRoom { permit, held: self.held.clone() }),
        }
        Ok(())
    }

    /// As [`BodyMemory::cover`], with some room to grow up to `limit`.
    ///
    /// # Errors
    /// As [`BodyMemory::cover`].
    pub(super) async fn cover_growing(&self, room: &mut Option<BodyRoom>, size: usize, limit: usize) -> Result<(), GatewayError> {
        if size <= UNCOUNTED_BYTES || room.as_ref().is_some_and(|room| room.bytes() >= size) {
            return Ok(());
        }
        self.cover(room, size.next_multiple_of(STEP_BYTES).min(limit)).await
    }

    async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, GatewayError> {
        let overloaded = || GatewayError::Overloaded {
            message: "the gateway holds as many large request bodies as it may".to_owned(),
            retry_after: RETRY_AFTER,
        };
        let bytes = u32::try_from(bytes).map_err(|_| overloaded())?;
        let taking = Arc::clone(&self.free).acquire_many_owned(bytes);
        match tokio::time::timeout(LONGEST_WAIT, taking).await {
            Ok(Ok(permit)) => Ok(permit),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }
}

/// The room of one body; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BodyRoom {
    permit: OwnedSemaphorePermit,
    held: Gauge,
}

impl BodyRoom {
    /// How many bytes it has room for.
    fn bytes(&self) -> usize {
        self.permit.num_permits()
    }

    /// Gives back what a body of `size` bytes does not need.
    pub(super) fn shrink_to(&mut self, size: usize) {
        let spare = self.bytes().saturating_sub(size);
        if let Some(spare) = self.permit.split(spare) {
            self.held.decrement(gauged(spare.num_permits()));
        }
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.held.decrement(gauged(self.bytes()));
    }
}

/// A number of bytes as gauges take it; one body is never more than four gigabytes.
fn gauged(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
    use tokio::time::Instant;

    use super::*;

    const MIB: usize = 1 << 20;

    /// A budget with its gauge.
    fn memory(bytes: usize) -> (BodyMemory, PrometheusHandle) {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        (metrics::with_local_recorder(&recorder, || BodyMemory::new(bytes)), handle)
    }

    fn held(handle: &PrometheusHandle) -> String {
        let text = handle.render();
        let line = text.lines().find_map(|line| line.strip_prefix("outcrop_body_bytes_held "));
        line.unwrap_or_else(|| panic!("no gauge: {text}")).to_owned()
    }

    async fn room(memory: &BodyMemory, size: usize) -> Result<BodyRoom, GatewayError> {
        let mut room = None;
        memory.cover(&mut room, size).await.map(|()| room.expect("a large body has room"))
    }

    #[tokio::test]
    async fn room_is_taken_grown_shrunk_and_given_back_and_the_gauge_follows() {
        let (memory, handle) = memory(4 * MIB);
        let mut room = None;
        memory.cover(&mut room, MIB).await.unwrap();
        assert_eq!(held(&handle), MIB.to_string());
        memory.cover_growing(&mut room, MIB + 1, 3 * MIB).await.unwrap();
        assert_eq!(held(&handle), (MIB + STEP_BYTES).to_string(), "a step ahead of need");
        memory.cover_growing(&mut room, MIB + STEP_BYTES, 3 * MIB).await.unwrap();
        assert_eq!(held(&handle), (MIB + STEP_BYTES).to_string());
        memory.cover_growing(&mut room, 3 * MIB - 1, 3 * MIB - 1).await.unwrap();
        assert_eq!(held(&handle), (3 * MIB - 1).to_string(), "no step beyond the limit");
        room.as_mut().unwrap().shrink_to(2 * MIB);
        assert_eq!(held(&handle), (2 * MIB).to_string());
        drop(room);
        assert_eq!(held(&handle), "0");
        assert_eq!(memory.free.available_permits(), 4 * MIB);
    }

    #[tokio::test]
    async fn small_bodies_are_not_counted() {
        let (memory, handle) = memory(MIB);
        let full = room(&memory, MIB).await.unwrap();
        let mut small = None;
        memory.cover(&mut small, UNCOUNTED_BYTES).await.unwrap();
        memory.cover_growing(&mut small, UNCOUNTED_BYTES, MIB).await.unwrap();
        assert!(small.is_none());
        drop(full);
        assert_eq!(held(&handle), "0");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_room_is_refused_after_a_short_wait_with_a_time_to_come_back() {
        let (memory, handle) = memory(MIB);
        let first = room(&memory, MIB - 10).await.unwrap();
        let began = Instant::now();
        let refused = room(&memory, 2 * UNCOUNTED_BYTES).await.unwrap_err();
        assert_eq!(began.elapsed(), LONGEST_WAIT);
        assert_eq!((refused.class(), refused.retry_after()), ("overloaded", Some(RETRY_AFTER)));
        assert_eq!(held(&handle), (MIB - 10).to_string(), "the refused body holds nothing");
        drop(first);
        assert_eq!(memory.free.available_permits(), MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_gets_the_room_that_becomes_free() {
        let (memory, _) = memory(MIB);
        let first = room(&memory, MIB).await.unwrap();
        let giving = async {
            tokio::time::sleep(LONGEST_WAIT / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(room(&memory, MIB), giving);
        assert_eq!(second.unwrap().bytes(), MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_beyond_the_whole_budget_takes_all_of_it() {
        let (memory, handle) = memory(MIB);
        let mut large = None;
        memory.cover(&mut large, 3 * MIB).await.unwrap();
        memory.cover_growing(&mut large, 4 * MIB, 8 * MIB).await.unwrap();
        assert_eq!(held(&handle), MIB.to_string());
        assert!(room(&memory, MIB).await.is_err());
        drop(large);
        room(&memory, MIB).await.unwrap();
    }
}
