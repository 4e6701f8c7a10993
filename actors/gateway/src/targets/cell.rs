//! The live state of one target, as everybody sees it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use outcrop_domain::{
    clock::Moment,
    error::{Cause, UpstreamFailure},
    ids::{ModelId, Region},
    routing::{
        Breaker, Gate,
        affinity::target_id,
        cell::QuotaCell,
        probe::{ProbeView, ResourceProbe},
        quota::TargetQuota,
        silence::{PATIENCE_STREAM, PromptSize},
        view::{RESOURCES, Resource, ResourceView, TargetView, strictest},
    },
};
use serde::Serialize;
use tokio::sync::watch;

use super::{
    TargetMeters,
    ended::EndedCalls,
    pace::{Answering, Pace, UsualTimes},
    probe::ProbeFlag,
};

/// Whether whoever asks looks at quotas: then a throttle is the quota's affair, and no reason to close the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It sees quotas.
    Quotas,
    /// It sees health alone, and a throttle closes the target for a backoff.
    Health,
}

/// One target. Breakers, quotas and the last failure are written by the region's actor; the counters and the pace by
/// leases, which also claim the probe; the levels of the quotas by whoever debits them.
#[derive(Debug)]
pub struct TargetCell {
    pub(super) model: ModelId,
    pub(super) region: Region,
    /// The same in every replica and every run.
    pub(super) id: u64,
    pub(super) breaker: ArcSwap<Breaker>,
    /// Throttles, for those who do not see quotas.
    pub(super) throttles: ArcSwap<Breaker>,
    /// The levels, which everybody debits.
    pub(super) quota: QuotaCell,
    /// What is behind the levels. Only the region's actor changes it: it stands here so that it outlives the actor.
    pub(super) book: Mutex<TargetQuota>,
    /// Whether the quotas let calls through: a spent day, a rest after refusals that nothing explains.
    pub(super) quota_gate: ArcSwap<Gate>,
    /// When to ask although there seems to be no room.
    probing: ArcSwap<[ResourceProbe; RESOURCES]>,
    /// Of these, [`ResourceProbe::slack`], which every moment changes: bits of an `f64`, by resource.
    slack: [AtomicU64; RESOURCES],
    /// When a probe of the quotas was last sent, in microseconds; 0 = never.
    probed: AtomicU64,
    /// Tokens that are kept for the oldest waiter, bits of an `f64`; written by the waiting room.
    held: AtomicU64,
    /// When its owner was last told that the demand stands at its limit, by resource, in microseconds.
    pressed: [AtomicU64; RESOURCES],
    pub(super) probe: ProbeFlag,
    pub(super) pace: Pace,
    /// When a call was last made, in microseconds; 0 = never.
    last_call: AtomicU64,
    pub(super) in_flight: AtomicU32,
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) last_failure: ArcSwapOption<UpstreamFailure>,
    pub(super) meters: TargetMeters,
    /// Calls of its region that have ended, which its owner learns from.
    pub(super) ended: Arc<EndedCalls>,
    changed: Arc<watch::Sender<u64>>,
}

/// What a target begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) breaker: Breaker,
    pub(super) quota: TargetQuota,
    pub(super) usual: UsualTimes,
    pub(super) ended: Arc<EndedCalls>,
    pub(super) now: Moment,
}

/// An owner needs to be told of pressure this often: it believes it for two seconds.
const PRESSED_EVERY: Duration = Duration::from_secs(1);

impl TargetCell {
    pub(super) fn new(model: &ModelId, region: &Region, begin: Beginning, changed: Arc<watch::Sender<u64>>) -> Self {
        let Beginning { breaker, quota, usual, ended, now } = begin;
        // What those are told who find the day spent: the process that was refused is gone.
        let spent = quota.spent_day(now).map(|_| Arc::new(spent_earlier(region)));
        Self {
            changed,
            model: model.clone(),
            region: region.clone(),
            id: target_id(&[model.as_str(), region.as_str()]),
            breaker: ArcSwap::from_pointee(breaker),
            throttles: ArcSwap::default(),
            quota: QuotaCell::new(&quota, now),
            quota_gate: ArcSwap::from_pointee(quota.gate(now)),
            probing: ArcSwap::from_pointee(probing(&quota)),
            slack: Resource::ALL.map(|resource| AtomicU64::new(quota.shadow(resource).slack().to_bits())),
            book: Mutex::new(quota),
            probed: AtomicU64::new(0),
            held: AtomicU64::new(0f64.to_bits()),
            pressed: Default::default(),
            probe: ProbeFlag::default(),
            pace: Pace::beginning(&usual),
            last_call: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_failure: ArcSwapOption::new(spent),
            meters: TargetMeters::new(model, region),
            ended,
        }
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Its number, for tables of conversations.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether it may be called at `now`.
    #[must_use]
    pub fn gate(&self, sight: Sight, now: Moment) -> Gate {
        let health = self.breaker.load().gate(now);
        let other = match sight {
            Sight::Health => self.throttles.load().gate(now),
            Sight::Quotas => match **self.quota_gate.load() {
                // Its owner publishes the end of a rest within a second: until then one call may find out.
                Gate::Open { until } if now >= until => Gate::HalfOpen,
                gate => gate,
            },
        };
        strictest(health, other)
    }

    /// The target as a planner sees it, for a prompt of this size that is answered so. Who sees health alone is shown no quotas and no times.
    #[must_use]
    pub fn view(&self, sight: Sight, drained: bool, answering: Answering, size: PromptSize, now: Moment) -> TargetView {
        let (gate, probing) = (self.gate(sight, now), self.probe.is_taken());
        if sight == Sight::Health {
            return TargetView { gate, probing, drained, ..TargetView::unknown(self.id) };
        }
        TargetView {
            id: self.id,
            resources: self.quota.view(now),
            held: self.held(),
            gate,
            probing,
            drained,
            first_byte: self.pace.first_byte(answering, size),
            price: 0.0,
        }
    }

    /// What a planner must know to send a probe of the quotas.
    #[must_use]
    pub fn probe_view(&self) -> ProbeView {
        let probed = match self.probed.load(Ordering::Acquire) {
            0 => None,
            micros => Some(Moment(Duration::from_micros(micros))),
        };
        let mut resources = **self.probing.load();
        for (resource, slack) in resources.iter_mut().zip(&self.slack) {
            resource.slack = f64::from_bits(slack.load(Ordering::Relaxed));
        }
        ProbeView { probed, resources }
    }

    /// Publishes what a planner must know to send a probe.
    pub(super) fn publish_probing(&self, quota: &TargetQuota) {
        for (resource, published) in Resource::ALL.into_iter().zip(&self.slack) {
            published.store(quota.shadow(resource).slack().to_bits(), Ordering::Relaxed);
        }
        let asked = probing(quota);
        if **self.probing.load() != asked {
            self.probing.store(Arc::new(asked));
        }
    }

    /// Claims the probe of the quotas that was planned on `seen`. False when somebody else sent one meanwhile.
    #[must_use]
    pub fn claim_quota_probe(&self, seen: &ProbeView, now: Moment) -> bool {
        let seen = seen.probed.map_or(0, micros);
        self.probed.compare_exchange(seen, micros(now).max(1), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Gives a claim back that [`claim_quota_probe`](Self::claim_quota_probe) took at `now`: the probe was not sent.
    pub fn unclaim_quota_probe(&self, seen: &ProbeView, now: Moment) {
        let seen = seen.probed.map_or(0, micros);
        // Whoever has claimed it since has sent one.
        let _ = self.probed.compare_exchange(micros(now).max(1), seen, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Tokens that are kept for the oldest waiter.
    #[must_use]
    pub fn held(&self) -> f64 {
        f64::from_bits(self.held.load(Ordering::Acquire))
    }

    pub(super) fn hold(&self, tokens: f64) {
        self.held.store(tokens.to_bits(), Ordering::Release);
    }

    /// Its quotas, requests and tokens, as they are believed at `now`.
    #[must_use]
    pub fn quota_view(&self, now: Moment) -> [ResourceView; RESOURCES] {
        self.quota.view(now)
    }

    /// Tokens per second that it refills.
    pub(super) fn token_rate(&self, now: Moment) -> f64 {
        let [_, tokens] = self.quota_view(now);
        tokens.rate
    }

    /// Must its owner be told that the demand stands at the limit of `resource`? True at most once a second.
    #[must_use]
    pub fn claim_pressure(&self, resource: Resource, now: Moment) -> bool {
        let place = match resource {
            Resource::Requests => 0,
            Resource::Tokens => 1,
        };
        let Some(pressed) = self.pressed.get(place) else { return false };
        let last = pressed.load(Ordering::Relaxed);
        let due = last == 0 || now.since(Moment(Duration::from_micros(last))) >= PRESSED_EVERY;
        due && pressed.compare_exchange(last, micros(now).max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// How long a call may still be silent before the target is: see [`Pace::look_again`].
    pub(crate) fn pace_look_again(&self, patience: super::Patience, began: Moment) -> Moment {
        self.pace.look_again(patience, began)
    }

    /// A call is made now.
    pub(super) fn called(&self, now: Moment) {
        self.last_call.fetch_max(micros(now).max(1), Ordering::Relaxed);
    }

    /// When a call was last made; `None` when none was.
    pub(super) fn last_call(&self) -> Option<Moment> {
        match self.last_call.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Moment(Duration::from_micros(micros))),
        }
    }

    /// How fast it usually answers, for the next process.
    pub(super) fn usual_times(&self) -> UsualTimes {
        self.pace.usual_times()
    }

    /// Its usual time to the first byte of a stream, for a prompt of this size; `None` while it is not known.
    pub(crate) fn usual_first_byte(&self, size: PromptSize) -> Option<Duration> {
        Duration::try_from_secs_f64(self.pace.first_byte(Answering::Streamed, size)?.seconds).ok()
    }

    /// Has it been silent for longer than its pace explains?
    pub(crate) fn is_silent(&self, patience: super::Patience, began: Moment, now: Moment) -> bool {
        self.pace.silent(patience, began, now)
    }

    /// Is it left alone for its silence, or for timeouts, and has it said nothing to anybody since a call that began at `began`?
    pub(crate) fn is_given_up(&self, began: Moment, now: Moment) -> bool {
        // Also while a single probe finds out: nobody has heard of it yet. A timeout that upstream told of itself is no silence.
        let silent = || self.last_failure.load().as_ref().is_some_and(|failure| failure.cause == Cause::Timeout && failure.status == 0);
        self.breaker.load().cause() == Some(Cause::Timeout) && silent() && self.pace.silence(began, now) >= PATIENCE_STREAM
    }

    /// What its silence is to a caller: the timeout that patience would have come to.
    #[must_use]
    pub fn silent_failure(&self, began: Moment, now: Moment) -> UpstreamFailure {
        let silence = self.pace.silence(began, now);
        let message = format!("nothing was heard of this region for {} ms", silence.as_millis());
        UpstreamFailure { region: Some(self.region.clone()), ..UpstreamFailure::own(Cause::Timeout, "Silence", message) }
    }

    /// Frees the probe whoever has it, and wakes jobs that wait for it.
    pub(super) fn free_probe(&self) {
        self.probe.clear();
        self.announce();
    }

    /// Wakes jobs that wait for a target to open.
    pub(super) fn announce(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// Its metrics.
    #[must_use]
    pub fn meters(&self) -> &TargetMeters {
        &self.meters
    }

    /// What last tripped it, while it is not closed.
    #[must_use]
    pub fn last_failure(&self) -> Option<Arc<UpstreamFailure>> {
        self.last_failure.load_full()
    }

    /// Whether it may be called as far as anything of it goes, health or quotas.
    pub(super) fn strictest_gate(&self, now: Moment) -> Gate {
        strictest(self.gate(Sight::Health, now), self.gate(Sight::Quotas, now))
    }

    /// A serialisable view.
    #[must_use]
    pub fn describe(&self, now: Moment) -> TargetHealth {
        let (breaker, throttles) = (self.breaker.load(), self.throttles.load());
        let gate = self.strictest_gate(now);
        let [requests, tokens] = self.quota.view(now);
        TargetHealth {
            model: self.model.clone(),
            region: self.region.clone(),
            gate,
            cause: breaker.cause().or(throttles.cause()).map(Cause::as_str),
            opens_in_ms: match gate {
                Gate::Open { until } => u64::try_from(until.since(now).as_millis()).unwrap_or(u64::MAX),
                Gate::Closed | Gate::HalfOpen => 0,
            },
            failure_windows: breaker.windows().max(throttles.windows()),
            in_flight: self.in_flight.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            usual_first_event_ms: self.pace.usual_ms(Answering::Streamed),
            usual_answer_ms: self.pace.usual_ms(Answering::Whole),
            requests_per_minute: LearnedQuota::of(&requests),
            tokens_per_minute: LearnedQuota::of(&tokens),
        }
    }
}

/// What closed a target whose day was spent before this process began.
fn spent_earlier(region: &Region) -> UpstreamFailure {
    let message = "the daily quota of this region was spent before this process began";
    UpstreamFailure { region: Some(region.clone()), ..UpstreamFailure::own(Cause::QuotaExhausted, "DailyQuotaSpent", message) }
}

/// What of the shadows probing needs, but for the slack, which is published beside it.
fn probing(quota: &TargetQuota) -> [ResourceProbe; RESOURCES] {
    Resource::ALL.map(|resource| {
        let shadow = quota.shadow(resource);
        ResourceProbe { gap: shadow.gap(), refused: shadow.last_refused(), synced: shadow.synced(), slack: 0.0 }
    })
}

fn micros(moment: Moment) -> u64 {
    u64::try_from(moment.0.as_micros()).unwrap_or(u64::MAX)
}

/// A quota as it was learned or told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LearnedQuota {
    /// Units per minute, rounded.
    pub rate: f64,
    /// How full the bucket is: 1 nothing used, 0 all used, below 0 after corrections.
    pub level_ratio: f64,
}

impl LearnedQuota {
    fn of(view: &ResourceView) -> Option<Self> {
        view.known.then(|| Self { rate: (view.rate * 60.0).round(), level_ratio: view.level / view.depth })
    }
}

/// State of a target, for consoles and tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetHealth {
    /// The model.
    pub model: ModelId,
    /// The region.
    pub region: Region,
    /// Open to calls or not.
    #[serde(flatten)]
    pub gate: Gate,
    /// What tripped it.
    pub cause: Option<&'static str>,
    /// Milliseconds until it half-opens; 0 when it is not open.
    pub opens_in_ms: u64,
    /// Failure windows in a row.
    pub failure_windows: u32,
    /// Calls under way.
    pub in_flight: u32,
    /// Calls answered since start.
    pub answered: u64,
    /// Calls failed since start, those among them that were given up after too long a silence.
    pub failed: u64,
    /// Usual time to the first event of a stream, once known.
    pub usual_first_event_ms: Option<u64>,
    /// Usual time to a whole answer, once known.
    pub usual_answer_ms: Option<u64>,
    /// Requests per minute, once known.
    pub requests_per_minute: Option<LearnedQuota>,
    /// Tokens per minute, once known.
    pub tokens_per_minute: Option<LearnedQuota>,
}
