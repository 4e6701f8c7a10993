//! I/O to providers: AWS wire calls, the control plane, the fence around URL fetches.
//!
//! Callers hold the traits of [`ports`]; [`aws`] implements them and is the only place that names an AWS SDK
//! type. Below both the hot path and the SDK clients lies one [`transport`], whose connector can be replaced,
//! so that a whole gateway can run against an AWS in memory under a paused clock.
//! [`fetch`] is how URLs named by callers are read, and the only way.

pub mod aws;
pub mod classify;
mod error;
pub mod eventstream;
pub mod fetch;
pub mod frames;
pub mod ports;
pub mod sniff;
#[cfg(test)]
mod testkit;
pub mod transport;

pub use error::UpstreamError;
