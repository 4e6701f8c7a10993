//! What every backend promises: each sentence below is a function over the ports, and is run for all of them.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

mod backends;
mod concurrency;
mod conversations;
mod crash;
mod database_file;
mod interruption;
mod memory_bound;
mod pages;
mod responses;
mod samples;
mod snapshots;
