//! Budgets that keep one failure from becoming many calls: token buckets on integers, without a clock of their own.
//!
//! Both are one `u64`, so that a process shares one through an `AtomicU64` (`fetch_update` with these functions).

use std::time::Duration;

use super::view::Spill;
use crate::clock::Moment;

/// One token, in the unit that is counted in: thousandths.
const TOKEN: u32 = 1_000;

/// Retries and tests of full targets of one process: +0.1 per new request, +1 per second, at most 20.
///
/// A tenth of the load may be retried, a quiet process may retry a little, and no pause earns more than one burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget(Tokens);

impl RetryBudget {
    /// Per request: the share of the load that retries may add.
    const PER_REQUEST: u32 = TOKEN / 10;
    /// Per second: lets a process with one request a minute retry it.
    const PER_SECOND: u32 = TOKEN;
    /// Most that is saved up.
    const MOST: u32 = 20 * TOKEN;

    /// Half full: a process that starts into an outage may retry, but not at full burst.
    #[must_use]
    pub fn new(now: Moment) -> Self {
        Self(Tokens::new(Self::MOST / 2, now))
    }

    /// A new request came in.
    #[must_use]
    pub fn request(self, now: Moment) -> Self {
        Self(self.0.refill(now, Self::PER_SECOND, Self::MOST).add(Self::PER_REQUEST, Self::MOST))
    }

    /// Takes one retry, or `None` when the budget is spent.
    #[must_use]
    pub fn take(self, now: Moment) -> Option<Self> {
        self.0.refill(now, Self::PER_SECOND, Self::MOST).take(TOKEN).map(Self)
    }

    /// Whole retries that are left.
    #[must_use]
    pub fn left(self, now: Moment) -> u32 {
        self.0.refill(now, Self::PER_SECOND, Self::MOST).amount() / TOKEN
    }

    /// For an `AtomicU64`.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0.0
    }

    /// From an `AtomicU64`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(Tokens(bits))
    }
}

/// Hedges: at most a share of all calls, and never more than ten at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeBudget(Tokens);

impl HedgeBudget {
    /// Most hedges that are saved up: a target that falls silent may be hedged for that many requests, then the silence
    /// rule must have seen it.
    const MOST: u32 = 10 * TOKEN;

    /// Empty: hedges are earned by calls.
    #[must_use]
    pub fn new() -> Self {
        Self(Tokens(0))
    }

    /// A call was made; `share` of calls may be hedged, in thousandths (20 = 2 %). 0 switches hedging off.
    #[must_use]
    pub fn call(self, share: u32) -> Self {
        Self(self.0.add(share.min(TOKEN), Self::MOST))
    }

    /// Takes one hedge, or `None` when the budget is spent.
    #[must_use]
    pub fn take(self) -> Option<Self> {
        self.0.take(TOKEN).map(Self)
    }

    /// For an `AtomicU64`.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0.0
    }

    /// From an `AtomicU64`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(Tokens(bits))
    }
}

impl Default for HedgeBudget {
    fn default() -> Self {
        Self::new()
    }
}

/// Prefixes that conversations may burn by leaving a warm home under overload: a share of one model's quotas.
///
/// A moved conversation is read anew, which costs as much quota as twenty of its turns; those push others out, which move
/// in their turn, and the collapse outlives the overload that began it. One number: when the debt of all moves is paid off.
///
/// Only moves that somebody chose are booked ([`spilled`](super::strategy::spilled)): a conversation whose home is closed,
/// drained, tried or too small has no choice, and a region that goes down must not use up what an overload needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpillBudget(u64);

impl SpillBudget {
    /// Share of the quotas that moves may burn. Simulated at 105 % load with large quotas: of 1,000 requests 23 to 30 are refused
    /// with 0.5 %, 29 to 37 with 2 %; moves that nobody chose come on top of it.
    const SHARE: f64 = 0.005;
    /// So much of it is saved up: a lull is worth a few moves.
    const SAVED: Duration = Duration::from_secs(60);
    /// No debt is longer: beside a small quota one long prefix is worth hours of its share, and conversations that move
    /// together would keep all others at home for as long.
    const DEBT_MAX: Duration = Duration::from_secs(120);

    /// May a conversation move now?
    #[must_use]
    pub fn allows(self, now: Moment) -> Spill {
        if self.0 <= nanoseconds(now.0) { Spill::Allowed } else { Spill::Spent }
    }

    /// A conversation with `prefix` tokens left its warm home, though it could have stayed, in a model whose targets refill at
    /// `rate` tokens per second together. A rate that is no positive number has no share to pay with: the longest debt.
    #[must_use]
    pub fn moved(self, prefix: f64, rate: f64, now: Moment) -> Self {
        let since = self.0.max(nanoseconds(now.0.saturating_sub(Self::SAVED)));
        let paid = if rate > 0.0 { super::view::seconds(prefix / (Self::SHARE * rate)) } else { Duration::MAX };
        let longest = nanoseconds(now.after(Self::DEBT_MAX).0);
        Self(since.saturating_add(nanoseconds(paid)).min(longest))
    }

    /// For an `AtomicU64`.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// From an `AtomicU64`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Upper 44 bits: milliseconds up to which the refill is counted (500 years). Lower 20: thousandths of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tokens(u64);

const AMOUNT_BITS: u32 = 20;
const AMOUNT_MASK: u64 = (1 << AMOUNT_BITS) - 1;

impl Tokens {
    fn new(amount: u32, now: Moment) -> Self {
        Self::pack(amount, milliseconds(now.0))
    }

    fn pack(amount: u32, at: u64) -> Self {
        Self((at << AMOUNT_BITS) | (u64::from(amount) & AMOUNT_MASK))
    }

    fn amount(self) -> u32 {
        u32::try_from(self.0 & AMOUNT_MASK).unwrap_or(0)
    }

    /// Milliseconds up to which the refill is counted.
    fn at(self) -> u64 {
        self.0 >> AMOUNT_BITS
    }

    fn refill(self, now: Moment, per_second: u32, most: u32) -> Self {
        let (at, now) = (self.at(), milliseconds(now.0));
        // Tokens are thousandths and time is milliseconds: whole numbers as long as the rate is whole tokens a second.
        let earned = now.saturating_sub(at).saturating_mul(u64::from(per_second / TOKEN));
        let amount = u64::from(self.amount()).saturating_add(earned).min(u64::from(most));
        Self::pack(u32::try_from(amount).unwrap_or(most), at.max(now))
    }

    fn add(self, amount: u32, most: u32) -> Self {
        Self::pack(self.amount().saturating_add(amount).min(most), self.at())
    }

    fn take(self, amount: u32) -> Option<Self> {
        Some(Self::pack(self.amount().checked_sub(amount)?, self.at()))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX) & (u64::MAX >> AMOUNT_BITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: u64) -> Moment {
        Moment(Duration::from_millis(milliseconds))
    }

    fn drain(mut budget: RetryBudget, now: Moment) -> (RetryBudget, u32) {
        let mut taken = 0;
        while let Some(less) = budget.take(now) {
            budget = less;
            taken += 1;
        }
        (budget, taken)
    }

    #[test]
    fn a_quiet_process_may_retry_once_a_second_and_saves_up_twenty() {
        let (spent, taken) = drain(RetryBudget::new(at(0)), at(0));
        assert_eq!(taken, 10);
        assert_eq!(drain(spent, at(999)).1, 0);
        assert_eq!(drain(spent, at(1_000)).1, 1);
        assert_eq!(drain(spent, at(3_600_000)).1, 20);
    }

    #[test]
    fn ten_requests_earn_one_retry() {
        let (mut budget, _) = drain(RetryBudget::new(at(5)), at(5));
        for _ in 0..9 {
            budget = budget.request(at(5));
        }
        assert_eq!(budget.left(at(5)), 0);
        assert_eq!(budget.request(at(5)).left(at(5)), 1);
    }

    #[test]
    fn time_that_goes_backwards_earns_nothing() {
        let (budget, _) = drain(RetryBudget::new(at(9_000)), at(9_000));
        assert_eq!(budget.request(at(0)).left(at(9_100)), 0);
    }

    #[test]
    fn moves_are_paid_from_a_share_of_the_quotas_and_from_what_was_saved() {
        // 5 tokens a second: a prefix of 100 is worth twenty seconds.
        let moved = |budget: SpillBudget, now| budget.moved(100.0, 1_000.0, at(now));
        let mut budget = SpillBudget::default();
        for _ in 0..3 {
            assert_eq!(budget.allows(at(600_000)), Spill::Allowed);
            budget = moved(budget, 600_000);
        }
        assert_eq!(budget.allows(at(600_000)), Spill::Allowed, "a minute was saved up, to the last second");
        budget = moved(budget, 600_000);
        assert_eq!((budget.allows(at(619_999)), budget.allows(at(620_000))), (Spill::Spent, Spill::Allowed));
        assert_eq!(SpillBudget::from_bits(budget.to_bits()), budget);
    }

    #[test]
    fn no_debt_of_moves_is_longer_than_two_minutes() {
        let together = (0..50).fold(SpillBudget::default(), |budget, _| budget.moved(60_000.0, 12_500.0, at(600_000)));
        assert_eq!((together.allows(at(719_999)), together.allows(at(720_000))), (Spill::Spent, Spill::Allowed));
        for rate in [0.0, -1.0, f64::NAN, 1e-9] {
            let odd = SpillBudget::default().moved(60_000.0, rate, at(600_000));
            assert_eq!((odd.allows(at(719_999)), odd.allows(at(720_000))), (Spill::Spent, Spill::Allowed), "{rate}");
        }
    }

    #[test]
    fn hedges_stay_within_their_share_of_calls() {
        let (mut budget, mut hedges) = (HedgeBudget::default(), 0);
        for _ in 0..10_000 {
            budget = budget.call(20);
            if let Some(less) = budget.take() {
                budget = less;
                hedges += 1;
            }
        }
        assert_eq!(hedges, 200);
        let idle = (0..10_000).fold(HedgeBudget::new(), |budget, _| budget.call(20));
        let burst = std::iter::successors(idle.take(), |budget| budget.take()).count();
        assert_eq!(burst, 10);
        assert_eq!((0..1_000).fold(HedgeBudget::new(), |budget, _| budget.call(0)).take(), None);
    }

    proptest! {
        #[test]
        fn retries_never_exceed_a_tenth_of_the_requests_a_second_and_the_cap(
            steps in prop::collection::vec((0u64..3_000, any::<bool>()), 0..500),
        ) {
            let mut budget = RetryBudget::new(at(0));
            let (mut now, mut requests, mut retries) = (0, 0u64, 0u64);
            for (pause, retry) in steps {
                now += pause;
                if retry {
                    if let Some(less) = budget.take(at(now)) {
                        budget = less;
                        retries += 1;
                    }
                } else {
                    budget = budget.request(at(now));
                    requests += 1;
                }
                prop_assert_eq!(RetryBudget::from_bits(budget.to_bits()), budget);
            }
            prop_assert!(retries * 1_000 <= requests * 100 + now + 20_000);
        }
    }
}
