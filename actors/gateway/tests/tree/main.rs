//! The tree as a whole, over scripted regions and a paused clock: one test per message and per restart path.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod adaptive;
mod chat;
mod dialects;
mod explain;
mod keepers;
mod kit;
mod memory;
mod metering;
mod passing;
mod profiles;
mod responses;
mod resume;
mod silence;
mod streams;
mod targets;
