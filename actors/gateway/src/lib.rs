//! The actors behind the edge: foundation, admission, catalogue, targets, lanes and jobs.
//!
//! [`ports`] is the crate's whole public face; [`tree`] says what runs and what restarts what. A request's way:
//! [`ports::GatewayPorts`] -> the lane's bounded intake -> one job actor -> leases of targets -> the answer.

pub mod admission;
pub mod archive;
pub mod catalogue;
pub mod foundation;
pub mod jobs;
pub mod lanes;
pub mod ports;
pub mod record;
pub mod settings;
pub mod targets;
#[cfg(test)]
mod testing;
pub mod tree;
