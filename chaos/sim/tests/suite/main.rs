//! The simulator under test: AWS's own clients as the oracle of what it says, raw byte streams as the oracle of
//! what it breaks.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod auth;
mod control;
mod control_plane;
mod converse;
mod determinism;
mod fast;
mod faults;
mod in_memory;
mod native;
mod places;
mod program;
mod quotas;
mod records;
mod support;
mod trouble;
mod watermarks;
