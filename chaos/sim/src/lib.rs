//! A simulator of AWS Bedrock in several regions that refuses what AWS refuses.
//!
//! Each region listens on its own loopback port (or answers on any in-memory byte stream) and speaks the real
//! wire protocols: SigV4 or bearer authentication, JSON operations of the runtime (Converse, InvokeModel with the models'
//! own bodies, CountTokens) and of the control plane, and binary event streams with checksums and padding. Tests script
//! it ([`Rule`]), limit it ([`Quota`]), break whole regions ([`RegionMode`]) and read its [`Journal`]: an independent
//! book of what was asked, answered, sent and billed. Chaos scenarios install [`faults`], give models a [`Behaviour`]
//! (pace, watermarked answers, prompt cache) and judge by the journal's [`CallRecord`]s and by the [`QuotaReplay`] of
//! every bucket.
//!
//! Everything random is drawn from one seed, in named streams; all time is tokio's, from an epoch the caller may give
//! ([`SimClock`]). In memory ([`SimulatorBuilder::in_memory`], [`Simulator::connect`]) it needs neither socket nor
//! thread, so that a paused clock on one thread repeats a run to the last bit.
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
//! | `memory_stream`, `weather` | connections in memory; what a region does with connections now |
//! | `faults`, `behaviour` | what goes wrong; how models behave when nothing does |
//! | `control` | the control port: all of this as JSON over HTTP |
//! | `options` | the command line of the program |
//! | `clock`, `span`, `draw` | time, its units, and chance |
//! | `service`, `route`, `reply` | one call from request head to answer |
//! | `auth` | signatures and API keys |
//! | `inference`, `converse`, `native`, `events`, `playback`, `event_stream` | answers: JSON, events, frames, timing |
//! | `control_plane` | model and inference-profile listings |
//! | `script`, `quota`, `pace`, `journal` | what tests order, limit, slow down and read |
//! | `models`, `validate`, `brain` | which models exist, what is refused, what is answered |

pub mod brain;
pub mod control;
pub mod faults;
pub mod models;
pub mod validate;

mod auth;
mod behaviour;
mod body;
mod builder;
mod clock;
mod control_plane;
mod converse;
mod draw;
mod error;
mod event_stream;
mod events;
mod fast;
mod inference;
mod journal;
mod listener;
mod lock;
mod memory_stream;
mod native;
mod options;
mod pace;
mod playback;
mod quota;
mod reply;
mod route;
mod script;
mod service;
mod simulator;
mod span;
mod weather;
mod wire;
mod world;

pub use auth::{AuthKind, AuthMode, Credential};
pub use behaviour::{Amount, Behaviour, CachePolicy, Delay, Dist, Watermark};
pub use builder::{DEFAULT_ACCESS_KEY, DEFAULT_BEARER_TOKEN, DEFAULT_SECRET_KEY, SimulatorBuilder};
pub use clock::SimClock;
pub use error::SimError;
pub use event_stream::{HeaderText, encode_frame};
pub use fast::FastAnswers;
pub use journal::{
    Call, CallRecord, ConnectionRecord, Decision, End, Ending, FaultHit, Gauge, Journal, JournalLimits, JournalTimeout, Outcome, RefusedBy,
    Usage, WordRun,
};
pub use memory_stream::SimStream;
pub use options::Options;
pub use pace::{Latency, Pace};
pub use playback::Chunking;
pub use quota::{BucketChange, BucketEntry, BucketKey, ProfileClass, Quota, QuotaLimit, QuotaReplay, QuotaRoom, Refill};
pub use route::Operation;
pub use script::{Action, AnswerFn, Asked, CorruptField, CutManner, Rule, RuleId, ScriptedError};
pub use simulator::{Access, Simulator, Skew};
pub use span::{Nanos, SignedSpan, Span, SpanError};
pub use world::RegionMode;
