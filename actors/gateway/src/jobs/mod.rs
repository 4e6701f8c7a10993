//! Work that no request waits for: what is past its time is removed.

mod sweeper;

pub use sweeper::{Removed, Sweeper, SweeperArgs, SweeperMsg, SweeperReport};
