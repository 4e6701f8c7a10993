//! Which target answers: pure functions of snapshots.
//!
//! A *target* is one model in one region (with its profile class, endpoint and account). [`Breaker`] says, from the outcomes
//! of calls, whether a target may be called now; [`strategy::plan`] chooses the target of a request. Both are told
//! the time and draw nothing. The modules below are the adaptive router: they know quotas, conversations and queues as well,
//! and [`strategy::plan`] is the one entry for all strategies, the ordered one included.
//!
//! # The pieces, and who holds them
//!
//! | Piece | Held by | What it does |
//! |---|---|---|
//! | [`quota::TargetQuota`] | the target's owner, alone | a [`shadow::Shadow`] per resource, the [`daily::Daily`] quota, rests |
//! | [`cell::QuotaCell`] | shared, lock-free | the levels as everybody sees and debits them |
//! | [`silence::FirstBytes`], [`silence::RegionTrips`] | the target's owner; the region's | usual first bytes, silence, failing regions |
//! | [`sticky::Sticky`] | shared, behind a lock or sharded | where conversations live |
//! | [`waiting::Waiting`] | one owner per model | requests for which no target has room |
//! | [`budget`] | shared, one `AtomicU64` each | retries and tests, hedges, burnt prefixes |
//! | [`reserve::Bias`] | one owner per model | how far our token estimates are off |
//!
//! # One request
//!
//! 1. [`affinity::affinity_key`] names its conversation; [`reserve::Reservation`] says what it reserves. The job makes a
//!    [`view::RouteRequest`] of both, tells the [`budget::RetryBudget`] of it, and asks [`sticky::Sticky::home`].
//! 2. If somebody of its size waits already ([`waiting::SizeClasses`]), it joins the queue. Else the job copies a
//!    [`view::TargetView`] per target of the model (atomics, no message, no allocation) and calls [`strategy::plan`].
//! 3. [`view::Decision::Send`]: [`cell::QuotaCell::debit`], by compare-exchange; when the room has gone meanwhile, plan again,
//!    at most once per target and once more. A conversation that leaves a warm home is booked on the [`budget::SpillBudget`],
//!    but only when the home was still a candidate ([`strategy::spilled`]): one that has to move has no choice.
//! 4. [`view::Decision::Full`]: [`probe::probe`] may find a target to ask all the same (a test is paid from the retry budget;
//!    debited by [`cell::QuotaCell::debit_probe`]). Otherwise, and on [`view::Decision::Wait`] and [`view::Decision::None`],
//!    it waits in the queue until its deadline. A request that may not wait gets its last look at once: a plan at `now >= deadline`, a
//!    probe with [`probe::Urgency::Deadline`] (for which it may be a little late, [`probe::Probe::Later`]), a refusal with
//!    [`waiting::retry_after`]. So does one that finds the queue full and none of its size in it, with
//!    [`probe::Urgency::Crowded`].
//! 5. Its outcome goes to the target's owner, which changes its quotas inside [`cell::QuotaCell::update`]:
//!    * first byte: [`silence::FirstBytes::learn`]; the conversation settles at this target ([`sticky::Sticky::settle`]); only
//!      if [`quota::Sent::probed`], or if the gate was not closed, [`quota::TargetQuota::granted`]
//!    * end: [`quota::TargetQuota::settle`] with [`reserve::settled`]; [`reserve::Bias::learn`]; the queue is swept
//!    * throttled: [`quota::TargetQuota::refused`], and the request tries another target at once, within the retry budget
//!      ([`budget::RetryBudget::take`]). If it has to wait again, it does so at its old place
//!      ([`waiting::Waiting::put_back`]). No breaker: the shadow is the backoff
//!    * never arrived, or failed before admission: [`quota::TargetQuota::give_back`], and the breaker
//!    * when the owner cannot be told, e.g. by a guard that is dropped, [`cell::QuotaCell::settle`] or
//!      [`cell::QuotaCell::give_back`] instead: no reservation outlives its call
//! 6. The owner also calls [`quota::TargetQuota::advance`] about once a second, [`quota::TargetQuota::limited`] for what
//!    [`strategy::limited`] or [`waiting::Sweep::limited`] name, and keeps [`quota::TargetQuota::snapshot`]
//!    and [`quota::TargetQuota::spent_day`] for the next start.
//!
//! # The queue
//!
//! Its owner sweeps it at every settlement (not more often than every 50 ms) and at [`waiting::Waiting::next_timer`]: fresh
//! views into a [`waiting::Sweep`], [`waiting::Waiting::next_to_wake`] until it is `None`, then the views' `held` and
//! [`waiting::Waiting::classes`] are published for newcomers. The real targets are debited while the sweep goes on, so that a
//! request whose room has gone keeps its place. Every woken request is told its target, or that it is overdue.
//!
//! # Promises
//!
//! `tests/routing_sim` drives all of this against true quotas in virtual time, and asserts: nobody refused at 95 % of large
//! quotas, with and without knowing them ahead; nobody refused in chat alone with small ones; no collapse under overload; late
//! settlements, shallow buckets and quotas counted by the minute understood. Its table prints the numbers behind constants.

pub mod adaptive;
pub mod affinity;
mod breaker;
pub mod budget;
pub mod cell;
pub mod daily;
pub mod lowest_latency;
pub mod ordered;
pub mod probe;
pub mod quota;
pub mod rendezvous;
pub mod reserve;
pub mod round_robin;
pub mod shadow;
pub mod silence;
pub mod sticky;
pub mod strategy;
pub mod view;
pub mod waiting;

pub use breaker::{BackoffPolicy, Breaker, BreakerPolicy, Gate, Outcome};
