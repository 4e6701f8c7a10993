//! The buckets against the same rules written the slow way: a clock that ticks every millisecond.

use super::*;

/// A bucket in units of 1/60,000 token, so that a millisecond of any whole rate per minute is a whole number of units.
struct Naive {
    limit: i64,
    capacity: i64,
    level: i64,
    refill: Refill,
}

const UNIT: i64 = 60_000;

impl Naive {
    fn new(limit: u64, depth_ms: u64, refill: Refill) -> Self {
        let limit = i64::try_from(limit).unwrap();
        let capacity = match refill {
            Refill::Continuous => (limit * i64::try_from(depth_ms).unwrap()).max(UNIT),
            Refill::Window => limit * UNIT,
        };
        Self { limit, capacity, level: capacity, refill }
    }

    fn tick(&mut self, now: u64) {
        match self.refill {
            Refill::Continuous => self.level = (self.level + self.limit).min(self.capacity),
            Refill::Window if now.is_multiple_of(60_000) => self.level = self.capacity,
            Refill::Window => {}
        }
    }

    fn change(&mut self, limit: u64, depth_ms: u64) {
        let fresh = Self::new(limit, depth_ms, self.refill);
        (self.limit, self.capacity, self.level) = (fresh.limit, fresh.capacity, self.level.min(fresh.capacity));
    }
}

/// Both buckets, and everything that is still to be settled, by its time.
struct World {
    now: u64,
    requests: Naive,
    tokens: Naive,
    due: Vec<(u64, u64, u64)>,
}

impl World {
    fn run_to(&mut self, until: u64) {
        while self.now < until {
            self.now += 1;
            self.requests.tick(self.now);
            self.tokens.tick(self.now);
            self.settle_due();
        }
    }

    fn settle_due(&mut self) {
        for (_, reserved, cost) in self.due.extract_if(.., |(at, ..)| *at <= self.now) {
            let level = (self.tokens.level + units(reserved)).min(self.tokens.capacity);
            self.tokens.level = level - units(cost);
        }
    }
}

fn units(amount: u64) -> i64 {
    i64::try_from(amount).unwrap() * UNIT
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit(u64),
    Settle(u64),
    Drop,
    Scale(f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u64..2_500).prop_map(Step::Wait),
        6 => (0_u64..600).prop_map(Step::Admit),
        4 => (0_u64..900).prop_map(Step::Settle),
        1 => Just(Step::Drop),
        1 => prop_oneof![Just(0.5), Just(2.0)].prop_map(Step::Scale),
    ];
    prop::collection::vec(step, 1..60)
}

fn any_quota() -> impl Strategy<Value = Quota> {
    (1_u64..40, 1_u64..2_000, 1_u64..90, prop_oneof![Just(0_u64), Just(5_000)], any::<bool>(), any::<bool>()).prop_map(
        |(rpm, tpm, depth, settle, count_refused, windows)| Quota {
            depth: seconds(depth),
            settle_after: Duration::from_millis(settle),
            count_refused,
            refill: if windows { Refill::Window } else { Refill::Continuous },
            ..Quota::per_minute(rpm, tpm, 1)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn buckets_agree_with_a_clock_that_ticks_every_millisecond(quota in any_quota(), script in steps()) {
        let mut quota = quota;
        let quotas = quotas(quota);
        let depth = |quota: &Quota| u64::try_from(quota.depth.as_millis()).unwrap();
        let bucket = |limit: Option<u64>| Naive::new(limit.unwrap(), depth(&quota), quota.refill);
        let mut world = World { now: 0, requests: bucket(quota.requests_per_minute), tokens: bucket(quota.tokens_per_minute), due: Vec::new() };
        let mut open = Vec::new();
        for step in script {
            let now = Duration::from_millis(world.now);
            match step {
                Step::Wait(ms) => world.run_to(world.now + ms),
                Step::Admit(reserve) => {
                    let expected = world.requests.level >= UNIT && world.tokens.level >= units(reserve);
                    let got = admit(&quotas, now, reserve);
                    prop_assert_eq!(got.is_ok(), expected, "at {} ms", world.now);
                    if let Ok(reservation) = got {
                        world.requests.level -= UNIT;
                        world.tokens.level -= units(reserve);
                        open.push((reservation, reserve));
                    } else if quota.count_refused {
                        world.requests.level -= UNIT.min(world.requests.level.max(0));
                    }
                }
                Step::Settle(cost) => if let Some((reservation, reserved)) = open.pop() {
                    reservation.settle(now, &usage(cost, 0, 0));
                    world.due.push((world.now + u64::try_from(quota.settle_after.as_millis()).unwrap(), reserved, cost));
                    world.settle_due();
                },
                Step::Drop => if let Some((reservation, reserved)) = open.pop() {
                    // Time never goes back: the drop happens at the last moment the quotas have heard of.
                    quotas.room(&place("m"), now);
                    drop(reservation);
                    world.tokens.level = (world.tokens.level + units(reserved)).min(world.tokens.capacity);
                },
                Step::Scale(factor) => {
                    quota = quota.scaled(factor);
                    quotas.scale(&place("m"), factor, now);
                    world.requests.change(quota.requests_per_minute.unwrap(), depth(&quota));
                    world.tokens.change(quota.tokens_per_minute.unwrap(), depth(&quota));
                }
            }
            let room = room(&quotas, Duration::from_millis(world.now));
            prop_assert_eq!(room.tokens, Some(world.tokens.level.div_euclid(UNIT)), "at {} ms", world.now);
            prop_assert_eq!(room.requests, Some(world.requests.level.div_euclid(UNIT)));
        }
    }

    #[test]
    fn a_bucket_never_grants_more_than_its_period_allows(limit in 1_u64..60, gaps in prop::collection::vec(0_u64..5_000, 1..300)) {
        let quotas = quotas(rpm(limit));
        let mut now = 0_u64;
        let mut granted = 0_u64;
        for gap in gaps {
            now += gap;
            granted += u64::from(admit(&quotas, Duration::from_millis(now), 1).is_ok());
        }
        prop_assert!(u128::from(granted) <= u128::from(limit) + u128::from(limit) * u128::from(now) / 60_000);
    }

    #[test]
    fn a_replay_of_the_book_is_the_level_at_every_moment(quota in any_quota(), script in steps()) {
        let quotas = quotas(quota);
        let (mut now, mut open, mut seen) = (0_u64, Vec::new(), Vec::new());
        for step in script {
            let at = Duration::from_millis(now);
            match step {
                Step::Wait(ms) => now += ms + 1,
                Step::Admit(reserve) => open.extend(admit(&quotas, at, reserve)),
                Step::Settle(cost) => if let Some(reservation) = open.pop() { reservation.settle(at, &usage(cost, 0, 0)) },
                Step::Drop => {}
                Step::Scale(factor) => { quotas.scale(&place("m"), factor, at); }
            }
            seen.push((now, room(&quotas, Duration::from_millis(now))));
        }
        let replay = QuotaReplay::new(&quotas.entries(Duration::from_millis(now)));
        // Of several things at one moment, the book shows the last.
        for (at, room) in seen.iter().enumerate().filter(|(index, (at, _))| seen.get(index + 1).is_none_or(|next| next.0 != *at)).map(|(_, s)| s) {
            prop_assert_eq!(replay.room(&place("m"), Nanos::from(Duration::from_millis(*at))), Some(*room));
        }
    }
}
