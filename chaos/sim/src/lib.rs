//! A simulator of AWS Bedrock in several regions that refuses what AWS refuses.
//!
//! Each region listens on its own loopback port (or answers on any in-memory byte stream) and speaks the real
//! wire protocols: SigV4 or bearer authentication, JSON operations of the runtime and of the control plane, and
//! binary event streams with checksums and padding. Tests script it ([`Rule`]), limit it ([`Quota`]), break whole
//! regions ([`RegionMode`]) and read its [`Journal`]: an independent book of what was asked, answered, sent and
//! billed.
//!
//! It shares no code with the gateway: a bug in one cannot hide in the other.
//!
//! ```no_run
//! # async fn example() -> Result<(), outcrop_sim::SimError> {
//! use outcrop_sim::{Action, Rule, ScriptedError, Simulator};
//! let sim = Simulator::builder().region("us-east-1", 0).region("eu-west-1", 0).seed(7).start().await?;
//! sim.script(Rule::once(Action::Error(ScriptedError::throttling())).region("us-east-1"));
//! let endpoint = sim.endpoint("us-east-1"); // give this to a client of either Bedrock service
//! # let _ = endpoint;
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! | Room | Owns |
//! |---|---|
//! | `builder`, `simulator`, `world` | set-up, the handle tests hold, the state all calls share |
//! | `listener`, `wire`, `body`, `fast` | connections, cuts, paced bodies, the benchmark's short cut |
//! | `service`, `route`, `reply` | one call from request head to answer |
//! | `auth` | signatures and API keys |
//! | `inference`, `converse`, `playback`, `event_stream` | answers: JSON, events, frames, timing |
//! | `control_plane` | model and inference-profile listings |
//! | `script`, `quota`, `pace`, `journal` | what tests order, limit, slow down and read |
//! | `models`, `validate`, `brain` | which models exist, what is refused, what is answered |

pub mod brain;
pub mod models;
pub mod validate;

mod auth;
mod body;
mod builder;
mod clock;
mod control_plane;
mod converse;
mod draw;
mod error;
mod event_stream;
mod fast;
mod inference;
mod journal;
mod listener;
mod lock;
mod pace;
mod playback;
mod quota;
mod reply;
mod route;
mod script;
mod service;
mod simulator;
mod wire;
mod world;

pub use auth::{AuthKind, AuthMode, Credential};
pub use builder::{DEFAULT_ACCESS_KEY, DEFAULT_BEARER_TOKEN, DEFAULT_SECRET_KEY, SimulatorBuilder};
pub use clock::SimClock;
pub use error::SimError;
pub use event_stream::{HeaderText, encode_frame};
pub use fast::FastAnswers;
pub use journal::{Call, Ending, Journal, JournalLimits, JournalTimeout, Outcome};
pub use pace::{Latency, Pace};
pub use playback::Chunking;
pub use quota::{Quota, QuotaRoom, Refill};
pub use route::Operation;
pub use script::{Action, AnswerFn, Asked, CorruptField, CutManner, Rule, RuleId, ScriptedError};
pub use simulator::{Access, Simulator, Skew};
pub use world::RegionMode;
