//! Targets: one model in one region, its health, and who may call it.
//!
//! Each region has one [`Target`] actor, which alone decides about the breakers of that region's models. Jobs
//! read the [`HealthBoard`] without a message, take a [`Lease`], and report how the call ended.

mod board;
mod cell;
mod debit;
mod ended;
mod lease;
mod limits;
mod memory;
mod meters;
mod pace;
mod pool;
mod probe;
mod regions;
mod shared;
mod target;
mod tell;
mod waiting_room;

pub use board::HealthBoard;
pub use cell::{LearnedQuota, Sight, TargetCell, TargetHealth};
pub use debit::Debit;
pub use lease::{Lease, LeaseWish, Watched, not_sent};
pub use limits::{Limit, ModelLimits};
pub use memory::{RememberedDay, RememberedTarget, RoutingMemory, Unusable, write as write_memory};
pub use meters::TargetMeters;
pub use pace::{Answering, Patience, UsualTimes};
pub use pool::ModelPool;
pub(crate) use regions::region_health;
pub use regions::{ClosedModel, RegionHealth, RegionStatus};
pub use shared::SharedRouting;
pub use target::{QuotaTold, RegionHandle, RegionTargets, Target, TargetArgs, TargetMsg, TargetReport};
pub use waiting_room::{Place, WaitingReport, WaitingRoom, WaitingRoomArgs, WaitingRoomMsg, Wish, Woken};
