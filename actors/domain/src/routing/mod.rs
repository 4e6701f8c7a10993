//! Which target answers: pure functions of snapshots.
//!
//! A *target* is one model in one region. [`Breaker`] says, from the outcomes of calls, whether a target may be
//! called now; [`plan`] puts the targets of a request in order. Both are told the time and draw nothing.

mod breaker;
mod plan;

pub use breaker::{BackoffPolicy, Breaker, BreakerPolicy, Gate, Outcome};
pub use plan::{Candidate, Plan, Strategy, plan};
