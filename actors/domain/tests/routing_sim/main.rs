//! The adaptive router against true quotas, in virtual time.
//!
//! True buckets, prompt caches and a Poisson load of agents and chat; the router is the domain's own code, wired as a gateway
//! wires it. The quick tests assert what the router promises; `the_table` (ignored) prints the numbers behind its constants:
//!
//! ```text
//! cargo test -p outcrop-domain --test routing_sim -- --ignored --nocapture the_table
//! ```
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the table is for reading")]

mod chance;
mod load;
mod promises;
mod router;
mod table;
mod truth;
mod world;
