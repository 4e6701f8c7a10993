//! What a planner sees: plain copies of a target's numbers at one moment.
//!
//! The caller builds them from the atomics of a [`cell`](super::cell) (or of a store of its own) just before it plans,
//! so that a plan is a pure function of values that do not move under it.

use std::time::Duration;

use super::Gate;
use crate::clock::Moment;

/// The quotas that a call draws on. Source: Bedrock quotas pages, `bedrock-runtime` (requests and tokens per minute).
/// An endpoint with separate input and output quotas gets a third row here and in [`Demand`]; nothing else counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Calls per minute.
    Requests,
    /// Tokens per minute, input and output together.
    Tokens,
}

/// How many [`Resource`]s a target has.
pub const RESOURCES: usize = 2;

impl Resource {
    /// All of them, in the order of every array of resources.
    pub const ALL: [Self; RESOURCES] = [Self::Requests, Self::Tokens];

    /// What the smallest call takes, units: no bucket is shallower.
    #[must_use]
    pub const fn smallest(self) -> f64 {
        match self {
            Self::Requests | Self::Tokens => 1.0,
        }
    }

    /// The bucket that is assumed of a target nobody knows anything about, in units per minute: it never refuses, it only
    /// gives "how full" a scale on which unknown targets are compared. The order of the common account quotas.
    #[must_use]
    pub const fn guess(self) -> f64 {
        match self {
            Self::Requests => 1_000.0,
            Self::Tokens => 1_000_000.0,
        }
    }

    /// A quota below this that was learned from a refusal is tentative, units per minute: few accounts have so little, and a
    /// target that is hardly used may be refused for reasons of the service's own.
    #[must_use]
    pub const fn tentative_below(self) -> f64 {
        match self {
            Self::Requests => 10.0,
            Self::Tokens => 10_000.0,
        }
    }
}

/// What one call reserves of each resource, in the order of [`Resource::ALL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand(pub [f64; RESOURCES]);

impl Demand {
    /// One call that reserves `tokens`.
    #[must_use]
    pub fn of_tokens(tokens: f64) -> Self {
        Self([1.0, tokens])
    }

    /// The tokens.
    #[must_use]
    pub fn tokens(&self) -> f64 {
        let [_, tokens] = self.0;
        tokens
    }
}

/// Level at which a bucket counts as full for a request that leaves no room for the margin: all but 1.5 % of the depth,
/// because the last percent takes as long to see as the margin is wide.
const NEARLY_FULL: f64 = 0.985;

/// Fill that an unknown bucket approaches.
const UNKNOWN_FILL: f64 = 0.5;

/// One resource of a target as its shadow bucket has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourceView {
    /// Refill, units per second. Above 0.
    pub rate: f64,
    /// Most the bucket holds, units.
    pub depth: f64,
    /// What it holds now, units; below 0 after corrections.
    pub level: f64,
    /// Share of the depth that is left alone, because the shadow is never exact.
    pub margin: f64,
    /// It is a limit at all: a quota is known, or a call was refused. Unknown resources take everything.
    pub known: bool,
    /// It was learned from refusals of a hardly used target, and may be far larger: to be tested whatever seems to be missing.
    pub tentative: bool,
    /// Seconds until it refills at once, if it is counted by minutes; `None` when it refills all the time.
    pub refills_after: Option<f64>,
}

impl ResourceView {
    /// A resource of which nothing is known and that nobody uses.
    #[must_use]
    pub fn unknown(resource: Resource) -> Self {
        let depth = resource.guess();
        Self { rate: depth / 60.0, depth, level: depth, margin: 0.0, known: false, tentative: false, refills_after: None }
    }

    /// Is there room for `amount` now?
    #[must_use]
    pub fn fits(&self, amount: f64) -> bool {
        !self.known || self.level - self.margin * self.depth >= amount || (self.is_giant(amount) && self.level >= NEARLY_FULL * self.depth)
    }

    /// Could there ever be room for `amount`?
    #[must_use]
    pub fn holds(&self, amount: f64) -> bool {
        !self.known || amount <= self.depth
    }

    /// Seconds until `amount` fits; infinite when it never will.
    #[must_use]
    pub fn eta(&self, amount: f64) -> f64 {
        if !self.known {
            return 0.0;
        }
        if amount > self.depth || self.rate <= 0.0 {
            return f64::INFINITY;
        }
        let wanted = (amount + self.margin * self.depth).min(NEARLY_FULL * self.depth);
        match self.refills_after {
            Some(seconds) if wanted > self.level => seconds,
            _ => ((wanted - self.level) / self.rate).max(0.0),
        }
    }

    /// How full the bucket is once `amount` is placed: 0 untouched, 1 all taken.
    ///
    /// A bucket of which nothing is known counts as less than half full, however much was taken out: it is tried rather than
    /// avoided, and among several the least used one.
    #[must_use]
    pub fn fill(&self, amount: f64) -> f64 {
        let taken = 1.0 - (self.level - amount) / self.depth;
        if self.known { taken } else { UNKNOWN_FILL * taken.max(0.0) / (1.0 + taken.max(0.0)) }
    }

    /// The level, as far as it means anything: infinite while nothing is known.
    #[must_use]
    pub fn certain_level(&self) -> f64 {
        if self.known { self.level } else { f64::INFINITY }
    }

    /// What is left beside `amount`, as a share of the depth.
    fn room_beyond(&self, amount: f64) -> f64 {
        (self.level - amount) / self.depth
    }

    /// The highest level, but for a millionth of the depth, at which there is no room for `amount`.
    fn too_little(&self, amount: f64) -> f64 {
        let giant = if self.is_giant(amount) { NEARLY_FULL * self.depth } else { f64::INFINITY };
        (amount + self.margin * self.depth).min(giant) - 1e-6 * self.depth
    }

    /// So large that the margin would keep it out for ever: it gets a full bucket instead.
    fn is_giant(&self, amount: f64) -> bool {
        amount > self.depth * (1.0 - self.margin) && amount <= self.depth
    }
}

/// One target (model, profile class, region, endpoint, account) as a planner sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetView {
    /// Stable number of the target, the same in every replica: [`target_id`](super::affinity::target_id).
    pub id: u64,
    /// Its quotas, in the order of [`Resource::ALL`].
    pub resources: [ResourceView; RESOURCES],
    /// Tokens that are kept for the oldest waiting request ([`Waiting`](super::waiting::Waiting)).
    pub held: f64,
    /// Whether it may be called: breaker and quotas, the [`strictest`] of them.
    pub gate: Gate,
    /// Its half-open probe is out.
    pub probing: bool,
    /// An operator took it out.
    pub drained: bool,
    /// Usual time to the first byte.
    pub first_byte: Option<FirstByte>,
    /// Price of a call in any one unit, e.g. micro-dollars per million input tokens. 0 = not known.
    pub price: f64,
}

/// The stricter of two gates, for a target that several things close: open to nobody, then one call at a time, then everybody;
/// of two that are open to nobody the one that stays so longer.
#[must_use]
pub fn strictest(one: Gate, other: Gate) -> Gate {
    match (one, other) {
        (Gate::Open { until: one }, Gate::Open { until: other }) => Gate::Open { until: one.max(other) },
        (open @ Gate::Open { .. }, _) | (_, open @ Gate::Open { .. }) => open,
        (Gate::HalfOpen, _) | (_, Gate::HalfOpen) => Gate::HalfOpen,
        (Gate::Closed, Gate::Closed) => Gate::Closed,
    }
}

/// The usual time to the first byte of a target: a moving average, and when it last moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstByte {
    /// Seconds, above 0.
    pub seconds: f64,
    /// When the last answer began that it knows of.
    pub measured: Moment,
}

impl TargetView {
    /// A healthy target of which nothing is known.
    #[must_use]
    pub fn unknown(id: u64) -> Self {
        Self {
            id,
            resources: Resource::ALL.map(ResourceView::unknown),
            held: 0.0,
            gate: Gate::Closed,
            probing: false,
            drained: false,
            first_byte: None,
            price: 0.0,
        }
    }

    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> &ResourceView {
        let [_, tokens] = &self.resources;
        tokens
    }

    /// May a call be sent there at all (health, not room)?
    #[must_use]
    pub fn open(&self) -> bool {
        !self.drained
            && match self.gate {
                Gate::Closed => true,
                Gate::HalfOpen => !self.probing,
                Gate::Open { .. } => false,
            }
    }

    /// Room for `demand` beyond what is held for the oldest waiter?
    #[must_use]
    pub fn fits(&self, demand: &Demand) -> bool {
        self.pairs(demand).all(|(resource, amount)| resource.fits(amount))
    }

    /// Could it ever have room for `demand`?
    #[must_use]
    pub fn holds(&self, demand: &Demand) -> bool {
        self.resources.iter().zip(demand.0).all(|(resource, amount)| resource.holds(amount))
    }

    /// Seconds until `demand` fits; infinite when it never will.
    #[must_use]
    pub fn eta(&self, demand: &Demand) -> f64 {
        // What is held may exceed the depth together with the demand, but it is only held for a while.
        self.resources.iter().zip(demand.0).zip(self.pairs(demand)).fold(0.0, |latest, ((resource, alone), (_, amount))| {
            let amount = if resource.holds(alone) { amount.min(resource.depth.max(alone)) } else { amount };
            latest.max(resource.eta(amount))
        })
    }

    /// How full its tightest resource is once `demand` is placed.
    #[must_use]
    pub fn fill(&self, demand: &Demand) -> f64 {
        self.resources.iter().zip(demand.0).fold(f64::NEG_INFINITY, |fullest, (resource, amount)| fullest.max(resource.fill(amount)))
    }

    /// The resource that keeps `demand` out longest: the one whose limit the demand stands at.
    #[must_use]
    pub fn binding(&self, demand: &Demand) -> Resource {
        let [requests, tokens] = self.resources;
        let [calls, amount] = demand.0;
        if !requests.fits(calls) && requests.eta(calls) > tokens.eta(amount) { Resource::Requests } else { Resource::Tokens }
    }

    /// The real target had no room for `demand`, though this copy has: somebody was faster. Nothing of its size fits any more,
    /// and one that was half open is being probed. What was taken and of which resource is not known: of the tightest.
    pub fn overtaken(&mut self, demand: &Demand) {
        self.probing = self.probing || self.gate == Gate::HalfOpen;
        let wanted = Demand([0.0, self.held]).0.into_iter().zip(demand.0).map(|(held, amount)| held + amount);
        let limits = self.resources.iter_mut().zip(wanted).filter(|(resource, _)| resource.known);
        let tightest = limits.min_by(|(a, wanted), (b, other)| a.room_beyond(*wanted).total_cmp(&b.room_beyond(*other)));
        if let Some((resource, amount)) = tightest {
            resource.level = resource.level.min(resource.too_little(amount));
        }
    }

    /// Takes `demand` out of this copy, as the real debit will.
    pub fn debit(&mut self, demand: &Demand) {
        for (resource, amount) in self.resources.iter_mut().zip(demand.0) {
            resource.level -= amount;
        }
    }

    /// Each resource with what must be free in it: the demand, and in tokens also what is held.
    fn pairs(&self, demand: &Demand) -> impl Iterator<Item = (&ResourceView, f64)> {
        let held = Demand([0.0, self.held]);
        self.resources.iter().zip(demand.0.into_iter().zip(held.0).map(|(amount, held)| amount + held))
    }
}

/// Most targets that one model has: AWS has fewer commercial regions with Bedrock, and a set of them is one word.
pub const MAX_TARGETS: usize = 64;

/// A set of targets, by their index in the slice that is planned over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TargetSet(u64);

impl TargetSet {
    /// Every target.
    pub const ALL: Self = Self(u64::MAX);
    /// No target.
    pub const EMPTY: Self = Self(0);

    /// One target.
    #[must_use]
    pub fn only(index: usize) -> Self {
        Self(Self::bit(index))
    }

    /// Is `index` in it? Never for an index of [`MAX_TARGETS`] or more.
    #[must_use]
    pub fn contains(self, index: usize) -> bool {
        self.0 & Self::bit(index) != 0
    }

    /// Puts `index` in.
    pub fn insert(&mut self, index: usize) {
        self.0 |= Self::bit(index);
    }

    /// Puts all of `other` in.
    pub fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Its first target alone; empty when it is.
    #[must_use]
    pub fn first(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// Number of targets in it.
    #[must_use]
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Nothing in it?
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn bit(index: usize) -> u64 {
        u32::try_from(index).ok().and_then(|index| 1u64.checked_shl(index)).unwrap_or(0)
    }
}

/// What a planner must know of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouteRequest {
    /// What it reserves: [`Reservation`](super::reserve::Reservation).
    pub demand: Demand,
    /// Tokens of its cacheable prefix; 0 when it is below the model's minimum or not marked.
    pub prefix: f64,
    /// Its conversation: [`affinity_key`](super::affinity::affinity_key).
    pub affinity: u64,
    /// How long its prompt cache lives.
    pub cache: CacheLife,
    /// When it came in.
    pub arrived: Moment,
    /// Until when it may wait for room: the smaller of its own deadline and the wait of the settings.
    pub deadline: Moment,
    /// Whether it may leave its warm home at its deadline for a target without room to spare.
    pub spill: Spill,
    /// Targets that residency, the key and the catalogue allow.
    pub allowed: TargetSet,
    /// Targets that it tried already.
    pub tried: TargetSet,
    /// A number in `[0, 1)`, drawn once per request: where a strategy leaves something to chance.
    pub draw: f64,
    /// Number of the request in its process: where a strategy goes round.
    pub turn: u64,
}

/// May a request burn its cached prefix to be answered at all?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spill {
    /// Yes: [`SpillBudget`](super::budget::SpillBudget) has something left.
    #[default]
    Allowed,
    /// No: under overload every spilled prefix takes the room of twenty turns, and refuses more than it answers.
    Spent,
}

/// How long a prompt cache entry lives after its last use. Source: prompt caching pages of Bedrock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CacheLife {
    /// Five minutes, the default.
    #[default]
    Short,
    /// One hour, where a request asks for it.
    Long,
}

impl CacheLife {
    /// As a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(300),
            Self::Long => Duration::from_secs(3_600),
        }
    }
}

/// Where a conversation was last answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// [`TargetView::id`] of the target.
    pub target: u64,
    /// When the cache there was last used.
    pub used: Moment,
    /// How long it lives after that.
    pub cache: CacheLife,
}

impl Home {
    /// Does the cache still live at `now`?
    #[must_use]
    pub fn warm(&self, now: Moment) -> bool {
        now.since(self.used) <= self.cache.duration()
    }
}

/// What to do with a request now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Call the target of this index.
    Send(usize),
    /// Wait for this target, which keeps the request's prefix: worth more than room elsewhere.
    Wait {
        /// The target.
        index: usize,
        /// When it will have room, if nobody else takes it.
        until: Moment,
    },
    /// No target has room.
    Full {
        /// How long until one has; `None` when the request is larger than every bucket: waiting is in vain then, but for a
        /// test of a tentative one.
        eta: Option<Duration>,
    },
    /// No target may be called: closed, tried, drained or not allowed.
    None {
        /// When the first of the closed ones reopens; `None` when there is none to wait for.
        reopens: Option<Moment>,
    },
}

/// A number of seconds as a duration: never negative, the longest there is for infinity.
#[must_use]
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
