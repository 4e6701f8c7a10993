//! The memory that requests may take, all together.
//!
//! A body is in memory from its first byte until its answer begins: read, decoded, waiting in a lane, translated, with what
//! was fetched for it. The limit of one body times the number of connections is more than any machine has, so large requests
//! share a budget. Room is taken for what has come, never for what was announced: a promise holds nothing. It is given back
//! when the job that the body became is dropped.
//!
//! What is read of stored responses and conversations counts among it, too, until it is sent.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::Gauge;
use outcrop_domain::error::GatewayError;
use outcrop_gateway::ports::HeldMemory;
use tokio::sync::Semaphore;

/// Requests up to this size are not counted, and cost nothing here. They cannot fill the memory: as many as there may be
/// connections take less than the default budget. And they get through while large ones are refused.
pub(super) const UNCOUNTED_BYTES: usize = 16 * 1024;

/// Room is taken in steps of this size: small enough that a client which sends little holds little, large enough that not
/// every piece of a body asks.
const STEP_BYTES: usize = 64 * 1024;

/// Bodies up to this size wait for room when there is none, and nobody waits for more than a step. Larger ones do not: one
/// that waits in line for megabytes would keep all that comes free from the small ones behind it, and one that waits with
/// megabytes in hand keeps others waiting.
const WAITING_BYTES: usize = 256 * 1024;

/// Longest wait for room. Clients do better to retry elsewhere than to wait behind bodies that wait for answers.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// When to come back: by then some of the answers that hold room have begun.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The budget.
#[derive(Debug)]
pub(super) struct BodyMemory(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    /// One permit is one byte.
    free: Semaphore,
    total: usize,
    held: Gauge,
}

impl BodyMemory {
    /// A budget of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let total = bytes.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Budget { free: Semaphore::new(total), total, held: metrics::gauge!("outcrop_body_bytes_held") }))
    }

    /// The room of a body that is about to come: none yet.
    ///
    /// # Errors
    /// [`GatewayError::Overloaded`] for a large body that would find no room now: better said before it is sent than after.
    pub(super) fn room(&self, announced: usize) -> Result<BodyRoom, GatewayError> {
        let wanted = announced.min(self.0.total);
        if wanted > WAITING_BYTES && wanted > self.0.free.available_permits() {
            return Err(overloaded());
        }
        Ok(BodyRoom { budget: Arc::clone(&self.0), size: AtomicUsize::new(0), held: AtomicUsize::new(0) })
    }
}

fn overloaded() -> GatewayError {
    GatewayError::Overloaded {
        message: "the gateway holds as many large request bodies and stored answers as it may".to_owned(),
        retry_after: RETRY_AFTER,
    }
}

/// The room of one request; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BodyRoom {
    budget: Arc<Budget>,
    /// Bytes that have come.
    size: AtomicUsize,
    /// Bytes of the budget that are held for them.
    held: AtomicUsize,
}

impl BodyRoom {
    /// Makes sure that a body of `size` bytes has its room, whatever it had before.
    ///
    /// # Errors
    /// [`GatewayError::Overloaded`] when there is none; for a small body, within [`LONGEST_WAIT`].
    pub(super) async fn cover(&self, size: usize) -> Result<(), GatewayError> {
        self.size.store(size, Ordering::Relaxed);
        if size > WAITING_BYTES {
            return self.take_now(self.missing(size));
        }
        let missing = self.missing(size);
        if missing == 0 {
            return Ok(());
        }
        let permits = u32::try_from(missing).map_err(|_| overloaded())?;
        match tokio::time::timeout(LONGEST_WAIT, self.budget.free.acquire_many(permits)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.took(missing);
                Ok(())
            }
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => Err(overloaded()),
        }
    }

    /// Gives back what a body of `size` bytes does not need.
    pub(super) fn shrink_to(&self, size: usize) {
        let spare = self.held.load(Ordering::Relaxed).saturating_sub(size);
        self.held.fetch_sub(spare, Ordering::Relaxed);
        self.give_back(spare);
    }

    /// What a request of `size` bytes lacks, up to the end of its step.
    fn missing(&self, size: usize) -> usize {
        if size <= UNCOUNTED_BYTES {
            return 0;
        }
        // A request beyond the whole budget takes all of it, so that it gets through when it is alone.
        let wanted = size.checked_next_multiple_of(STEP_BYTES).unwrap_or(size).min(self.budget.total);
        wanted.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    fn take_now(&self, missing: usize) -> Result<(), GatewayError> {
        if missing > 0 {
            let permits = u32::try_from(missing).map_err(|_| overloaded())?;
            self.budget.free.try_acquire_many(permits).map_err(|_| overloaded())?.forget();
            self.took(missing);
        }
        Ok(())
    }

    fn took(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.budget.held.increment(gauged(bytes));
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.budget.free.add_permits(bytes);
            self.budget.held.decrement(gauged(bytes));
        }
    }
}

impl HeldMemory for BodyRoom {
    fn grow(&self, bytes: usize) -> Result<(), GatewayError> {
        let size = self.size.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.take_now(self.missing(size))
    }
}

impl Drop for BodyRoom {
    fn drop(&mut self) {
        self.give_back(self.held.load(Ordering::Relaxed));
    }
}

/// A number of bytes as gauges take it; one request is never more than four gigabytes.
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

    fn held(handle: &PrometheusHandle) -> usize {
        let text = handle.render();
        let line = text.lines().find_map(|line| line.strip_prefix("outcrop_body_bytes_held "));
        line.map_or(0, |line| line.parse().unwrap())
    }

    async fn room(memory: &BodyMemory, size: usize) -> Result<BodyRoom, GatewayError> {
        let room = memory.room(size)?;
        room.cover(size).await.map(|()| room)
    }

    #[tokio::test]
    async fn room_is_taken_grown_shrunk_and_given_back_and_the_gauge_follows() {
        let (memory, handle) = memory(4 * MIB);
        let room = memory.room(3 * MIB).unwrap();
        assert_eq!(held(&handle), 0, "an announcement holds nothing");
        room.cover(UNCOUNTED_BYTES + 1).await.unwrap();
        assert_eq!(held(&handle), STEP_BYTES);
        room.cover(MIB).await.unwrap();
        assert_eq!(held(&handle), MIB);
        room.cover(MIB + 1).await.unwrap();
        assert_eq!(held(&handle), MIB + STEP_BYTES, "a step ahead of need");
        room.cover(MIB + STEP_BYTES).await.unwrap();
        assert_eq!(held(&handle), MIB + STEP_BYTES);
        room.shrink_to(MIB + 1);
        assert_eq!(held(&handle), MIB + 1);
        drop(room);
        assert_eq!(held(&handle), 0);
        assert_eq!(memory.0.free.available_permits(), 4 * MIB);
    }

    #[tokio::test]
    async fn what_a_request_makes_of_its_body_takes_room_beside_it() {
        let (memory, handle) = memory(MIB);
        let small = room(&memory, UNCOUNTED_BYTES / 2).await.unwrap();
        small.grow(UNCOUNTED_BYTES / 2).unwrap();
        assert_eq!(held(&handle), 0, "all of it together is small");
        small.grow(1).unwrap();
        assert_eq!(held(&handle), STEP_BYTES, "and now it is not");
        small.grow(MIB / 2).unwrap();
        let other = room(&memory, UNCOUNTED_BYTES + 1).await.unwrap();
        assert_eq!(other.grow(MIB / 2), Err(overloaded()));
        drop(small);
        assert_eq!(other.grow(MIB / 4), Ok(()));
        drop(other);
        assert_eq!(held(&handle), 0);
    }

    #[tokio::test]
    async fn small_bodies_are_not_counted() {
        let (memory, handle) = memory(MIB);
        let full = room(&memory, MIB).await.unwrap();
        let small = room(&memory, UNCOUNTED_BYTES).await.unwrap();
        assert_eq!(held(&handle), MIB);
        drop((full, small));
        assert_eq!(held(&handle), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_room_is_refused_with_a_time_to_come_back_a_small_one_after_a_short_wait() {
        let (memory, handle) = memory(MIB);
        let first = room(&memory, MIB).await.unwrap();
        let began = Instant::now();
        let refused = room(&memory, 2 * UNCOUNTED_BYTES).await.unwrap_err();
        assert_eq!(began.elapsed(), LONGEST_WAIT);
        assert!(matches!(refused, GatewayError::Overloaded { retry_after: RETRY_AFTER, .. }), "{refused:?}");
        let began = Instant::now();
        assert_eq!(room(&memory, WAITING_BYTES + 1).await.unwrap_err(), refused);
        let unannounced = memory.room(0).unwrap();
        assert_eq!(unannounced.cover(WAITING_BYTES + 1).await, Err(refused), "it came in chunks");
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(held(&handle), MIB, "who was refused holds nothing");
        drop(first);
        room(&memory, MIB).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_gets_the_room_that_comes_free_while_it_waits() {
        let (memory, _) = memory(MIB);
        let first = room(&memory, MIB).await.unwrap();
        let giving = async {
            tokio::time::sleep(LONGEST_WAIT / 2).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(room(&memory, WAITING_BYTES), giving);
        assert_eq!(second.unwrap().held.load(Ordering::Relaxed), WAITING_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_that_finds_no_room_holds_up_no_small_one() {
        let (memory, _) = memory(MIB);
        let _first = room(&memory, MIB - 2 * STEP_BYTES).await.unwrap();
        let began = Instant::now();
        let (large, small) = tokio::join!(room(&memory, MIB), room(&memory, 2 * UNCOUNTED_BYTES));
        assert!(large.is_err());
        small.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_beyond_the_whole_budget_takes_all_of_it() {
        let (memory, handle) = memory(MIB);
        let large = room(&memory, 3 * MIB).await.unwrap();
        large.cover(4 * MIB).await.unwrap();
        large.grow(MIB).unwrap();
        assert_eq!(held(&handle), MIB);
        assert!(room(&memory, MIB).await.is_err());
        drop(large);
        room(&memory, MIB).await.unwrap();
    }
}
