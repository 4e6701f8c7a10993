//! Targets: one model in one region, its health, and who may call it.
//!
//! Each region has one [`Target`] actor, which alone decides about the breakers of that region's models. Jobs
//! read the [`HealthBoard`] without a message, take a [`Lease`], and report how the call ended.

mod board;
mod lease;
mod meters;
mod pace;
mod probe;
mod target;

pub use board::{HealthBoard, TargetCell, TargetHealth};
pub use lease::Lease;
pub use meters::TargetMeters;
pub use pace::{Answering, Patience};
pub use target::{RegionHandle, RegionTargets, Target, TargetArgs, TargetMsg, TargetReport};
