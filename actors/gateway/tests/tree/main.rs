//! The tree as a whole, over scripted regions and a paused clock: one test per message and per restart path.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod chat;
mod keepers;
mod kit;
mod targets;
