//! Pure rules of the gateway: ids, models, the chat hub, errors, routing. No I/O, no async.
//!
//! Everything here is a value or a pure function of values. Time, randomness and blocking work come in
//! through the ports of [`clock`]; the real ones are wired by the edge.

pub mod adjust;
pub mod chat;
pub mod clock;
pub mod error;
pub mod estimate;
pub mod ids;
pub mod json;
pub mod model;
pub mod money;
pub mod routing;
pub mod secret;
pub mod usage;
