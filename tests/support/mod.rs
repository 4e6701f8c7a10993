//! What the suite stands on: a gateway with its simulated AWS in one process, and clients that see every byte.

mod client;
mod gateway;
mod raw;
mod records;
mod sse;
mod wait;
mod web;

pub use client::{Answer, Client};
pub use gateway::{KEY, TestGateway};
pub use raw::Raw;
pub use records::Numbers;
pub use sse::{Event, EventStream, Folded};
pub use wait::{eventually, soon};
pub use web::{NOTES, PDF, PNG, WebServer, png_data_url};

/// The regions of most tests, in order.
pub const EAST: &str = "us-east-1";
/// See [`EAST`].
pub const WEST: &str = "us-west-2";
/// See [`EAST`].
pub const EUROPE: &str = "eu-west-1";
/// The model of most tests: it has tools, pictures, documents, reasoning with signatures and a prompt cache.
pub const CLAUDE: &str = "claude-sonnet-4-6";
