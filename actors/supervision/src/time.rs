//! The only place of this crate that reads a clock: tokio's, which stands still and jumps under a paused runtime.

use tokio::time::Instant;

/// Now, on the runtime's monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::now()
}
