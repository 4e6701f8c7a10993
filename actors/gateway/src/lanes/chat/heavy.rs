//! Work on large content, kept off the runtime's threads.

use outcrop_domain::{clock::Blocking, error::GatewayError};
use tokio::sync::oneshot;

/// Content above this is worked on elsewhere: translating or encoding a megabyte takes about a millisecond, and below
/// a quarter of that the way to another thread and back costs more than it saves.
const HEAVY_BYTES: usize = 256 * 1024;

/// Does `work` on `bytes` of content: here when they are few, else through the [`Blocking`] port.
///
/// # Errors
/// [`GatewayError::WorkerLost`] when the work panicked elsewhere.
pub async fn by_size<T, F>(blocking: &dyn Blocking, bytes: usize, work: F) -> Result<T, GatewayError>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    if bytes <= HEAVY_BYTES {
        return Ok(work());
    }
    let (sender, receiver) = oneshot::channel();
    blocking.run(Box::new(move || {
        // The job may have been dropped while the work waited for a thread; and the answer may find nobody.
        if !sender.is_closed() {
            drop(sender.send(work()));
        }
    }));
    receiver.await.map_err(|_| GatewayError::WorkerLost)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Work = Box<dyn FnOnce() + Send>;

    /// Keeps work until the test runs it.
    #[derive(Default)]
    struct Shelf(Mutex<Vec<Work>>);

    impl std::fmt::Debug for Shelf {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Shelf")
        }
    }

    impl Shelf {
        fn take(&self) -> Vec<Work> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    impl Blocking for Shelf {
        fn run(&self, work: Work) {
            self.0.lock().unwrap().push(work);
        }
    }

    #[tokio::test]
    async fn little_is_done_here_and_much_elsewhere() {
        let shelf = Shelf::default();
        assert_eq!(by_size(&shelf, HEAVY_BYTES, || 1).await, Ok(1));
        assert_eq!(shelf.take().len(), 0);
        let much = by_size(&shelf, HEAVY_BYTES + 1, || 2);
        let (done, ()) = tokio::join!(much, async { shelf.take().into_iter().for_each(|work| work()) });
        assert_eq!(done, Ok(2));
    }

    #[tokio::test]
    async fn work_that_is_lost_is_told_and_work_for_nobody_is_not_done() {
        let shelf = Shelf::default();
        let (lost, ()) = tokio::join!(by_size(&shelf, usize::MAX, || 1), async { drop(shelf.take()) });
        assert_eq!(lost, Err(GatewayError::WorkerLost));
        let mut waiting = Box::pin(by_size(&shelf, usize::MAX, || panic!("nobody wants this")));
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        drop(waiting);
        shelf.take().into_iter().for_each(|work| work());
    }
}
