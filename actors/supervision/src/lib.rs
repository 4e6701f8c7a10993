//! The message-passing supervisor kit: strategies, restart intensity, backoff, slots, replies, bounded intake.
//!
//! Read in this order: [`Slot`] and [`Reply`] (how actors reach each other), [`SupervisorSpec`] and
//! [`ChildSpec`] (how a tree is written down), [`Supervisor`] (what it does with them), [`start`] (the root),
//! [`Lane`] (where request work comes in), [`Readiness`].
//!
//! Written here and not taken from `ractor-supervisor`: that crate needs a process-wide name for every child (two
//! trees in one process clash) and the `async-trait` feature, kills siblings without letting them finish, and has no slots,
//! no jitter and no ordered stop.
//!
//! Nothing in this crate knows what the actors do; it stands on ractor alone.

pub mod backoff;
mod careful;
pub mod intake;
pub mod lane;
pub mod readiness;
pub mod refusal;
pub mod reply;
pub mod root;
pub mod slot;
pub mod spec;
pub mod supervisor;
pub mod testkit;
mod time;
mod trouble;

pub use backoff::{Backoff, Intensity, Jitter};
pub use intake::{Admission, Intake, IntakeLimits};
pub use lane::{
    Lane, LaneMsg,
    handle::{LaneHandle, LaneSpec},
    job::{Job, JobFuture, JobOutcome, LaneObserver},
    report::{LaneDrained, LaneReport},
};
pub use readiness::{Readiness, ReadinessFlag, ReadinessSnapshot};
pub use refusal::Refusal;
pub use reply::{Answer, CallError, Delivery, Reply};
pub use root::{Drained, Root, RootExit, drain, start};
pub use slot::{Slot, Unavailable, Unsent};
pub use spec::{ChildSpec, Parting, Restart, Shutdown, Strategy, SupervisorSpec};
pub use supervisor::{
    StartChildError, Supervisor, SupervisorMsg, UnknownChild,
    report::{ChildPhase, ChildReport, SupervisorReport, SupervisorStatus, SupervisorView},
};
pub use trouble::{Trouble, ahead as trouble_ahead};
