//! Deterministic simulation: the whole gateway, from HTTP to the wire, against a simulated AWS in memory, on one thread
//! under a paused clock, with everything random drawn from one seed.
//!
//! A seed expands into printed [options](options) (regions, quotas, settings, load, faults, deaths of actors), runs in a
//! process of its own, and is judged from outside by [checks](check) of the books of the clients and of the simulator.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `OUTCROP_SIM_SEEDS=10000` | how many seeds, from 0 (or `OUTCROP_SIM_FROM`) on; 200 if not given |
//! | `OUTCROP_SIM_SEED=123` | this seed alone, with its options and its trace |
//! | `OUTCROP_SIM_TWICE=all` | every seed twice; the traces must be equal. Otherwise one in twenty is run twice |
//! | `OUTCROP_SIM_LOG=debug` | with one seed: the gateway's own log as well, in the order of the trace |
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a simulation fails by panicking")]
#![allow(missing_docs, unreachable_pub, reason = "nobody reads the docs of a test binary")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a seed tells its runner what came of it")]

mod books;
mod check;
mod client;
mod load;
mod options;
mod plant;
mod ports;
mod rest;
mod run;
mod runner;
mod shim;
mod trace;
mod world;

use plant::Plant;
use runner::Runner;

/// The child process of a seed. By itself it is the simulation of seed 0.
#[test]
#[ignore = "the process of one seed; the other tests start it"]
fn one_seed() {
    runner::child();
}

#[test]
fn every_seed_holds() {
    Runner::of_environment().run();
}

#[test]
fn a_lost_word_is_found() {
    plant::expect(Plant::LoseWord, "true answers");
}

#[test]
fn a_call_that_outlives_its_client_is_found() {
    plant::expect(Plant::KeepCall, "quiet upstream");
}

#[test]
fn a_usage_row_that_was_not_written_is_found() {
    plant::expect(Plant::LoseRow, "money");
}

#[test]
fn a_throttle_with_room_is_found() {
    plant::expect(Plant::Throttle, "no throttle with room");
}

#[test]
fn a_lease_that_is_kept_is_found() {
    plant::expect(Plant::KeepLease, "back to rest");
}

#[test]
fn real_chance_makes_another_trace() {
    let (first, second) = (plant::outcome(Plant::RealChance), plant::outcome(Plant::RealChance));
    assert_ne!(first.hash, second.hash, "two runs with real chance were the same");
    let (first, second) = (plant::outcome(Plant::None), plant::outcome(Plant::None));
    assert_eq!(first.hash, second.hash, "two runs of one seed were not the same");
}
