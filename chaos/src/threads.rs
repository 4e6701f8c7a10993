//! Who may wait for whom: the load is sent on time, and nobody's load waits for another's judgement.
//!
//! One process holds clients, simulators and judges of several runs. On one runtime a history that is judged for a second
//! keeps a worker from the sends that were due; the clients therefore have a thread of their own, ahead of everything else
//! where the system lets us, and judges have theirs, behind everything else.

use std::{future::Future, io, thread};

use tokio::{runtime::Builder, sync::oneshot};

/// Niceness of threads that must be on time. Systems grant it to privileged users only; others share the cores evenly.
const AHEAD: i32 = -10;
/// Niceness of everything else.
const BESIDE: i32 = 0;
/// Niceness of threads that nobody waits for.
const BEHIND: i32 = 19;

/// Runs what must be on time on a thread and a runtime of its own.
///
/// # Errors
/// A thread or a runtime that cannot be had; work that panicked.
pub(crate) async fn ahead<T, F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    // Threads that it starts take over its priority, and none of them has to be on time.
    let runtime = || Builder::new_current_thread().enable_all().on_thread_start(|| prefer(BESIDE)).build();
    apart("load", AHEAD, move || Ok(runtime()?.block_on(work()))).await
}

/// Runs what may take its time on a thread of its own.
///
/// # Errors
/// A thread that cannot be had; work that panicked.
pub(crate) async fn behind<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    apart("judge", BEHIND, move || Ok(work())).await
}

async fn apart<T: Send + 'static>(name: &str, nice: i32, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let (done, ended) = oneshot::channel();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        prefer(nice);
        // Nobody is told when the run was given up.
        drop(done.send(work()));
    })?;
    ended.await.unwrap_or_else(|_| Err(io::Error::other("the work panicked")))
}

/// Gives the thread this niceness, if it may have it.
fn prefer(nice: i32) {
    // On Linux the priority is the thread's, whose number goes for a process's.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), nice) {
        tracing::debug!(%error, nice, "the thread shares the cores evenly");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn what_must_be_on_time_does_not_wait_for_a_busy_runtime() {
        // This test's runtime has one thread, which is busy until the work apart has had its turn.
        let (began, turn) = std::sync::mpsc::channel();
        let work = ahead(move || async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            began.send(Instant::now())
        });
        let (work, seen) = tokio::join!(work, async { turn.recv_timeout(Duration::from_secs(30)) });
        assert!(work.is_ok_and(|sent| sent.is_ok()) && seen.is_ok());
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        assert!(behind(|| panic!("on purpose")).await.is_err());
        assert_eq!(behind(|| 7).await.ok(), Some(7));
    }
}
