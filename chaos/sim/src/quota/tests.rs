use proptest::prelude::*;

use super::*;

/// The same rules written the slow way: an exact fraction is refilled nanosecond-wise by multiplication of
/// elapsed time with the rate, in floating point wide enough for the sizes used here.
struct Naive {
    limit: f64,
    period: f64,
    level: f64,
    at: f64,
}

impl Naive {
    fn new(limit: u64, period: Duration) -> Self {
        Self { limit: limit as f64, period: period.as_secs_f64(), level: limit as f64, at: 0.0 }
    }

    fn advance(&mut self, now: f64) {
        self.level = (self.level + self.limit * (now - self.at) / self.period).min(self.limit);
        self.at = now;
    }
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Admit(u64),
    Settle(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![(0_u64..30_000).prop_map(Step::Wait), (0_u64..600).prop_map(Step::Admit), (0_u64..900).prop_map(Step::Settle),],
        1..80,
    )
}

proptest! {
    #[test]
    fn continuous_buckets_agree_with_a_naive_reference(rpm in 1_u64..40, tpm in 1_u64..2_000, script in steps()) {
        let mut meter = Meter::new(Quota::per_minute(rpm, tpm, 1), Duration::ZERO);
        let (mut requests, mut tokens) = (Naive::new(rpm, MINUTE), Naive::new(tpm, MINUTE));
        let (mut now, mut open) = (0_u64, Vec::new());
        for step in script {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Admit(reserve) => {
                    requests.advance(now as f64 / 1e3);
                    tokens.advance(now as f64 / 1e3);
                    let margin = (requests.level - 1.0).abs().min((tokens.level - reserve as f64).abs());
                    let expected = requests.level >= 1.0 && tokens.level >= reserve as f64;
                    let got = meter.admit(Duration::from_millis(now), reserve).is_ok();
                    // Where floating point cannot tell equal from almost equal, the exact bucket decides.
                    prop_assert!(got == expected || margin < 1e-6, "at {now} ms: {got} instead of {expected}");
                    if got {
                        requests.level -= 1.0;
                        tokens.level -= reserve as f64;
                        open.push(reserve);
                    }
                }
                Step::Settle(cost) => if let Some(reserved) = open.pop() {
                    tokens.advance(now as f64 / 1e3);
                    tokens.level = (tokens.level + reserved as f64).min(tokens.limit) - cost as f64;
                    meter.settle(Duration::from_millis(now), reserved, cost);
                },
            }
        }
    }

    #[test]
    fn a_bucket_never_grants_more_than_its_period_allows(rpm in 1_u64..60, gaps in prop::collection::vec(0_u64..5_000, 1..300)) {
        let mut meter = Meter::new(Quota { requests_per_minute: Some(rpm), ..Quota::default() }, Duration::ZERO);
        let mut now = 0_u64;
        let mut granted = 0_u64;
        for gap in gaps {
            now += gap;
            granted += u64::from(meter.admit(Duration::from_millis(now), 1).is_ok());
        }
        prop_assert!(u128::from(granted) <= u128::from(rpm) + u128::from(rpm) * u128::from(now) / 60_000);
    }
}

fn usage(input: u64, output: u64, write: u64) -> TurnUsage {
    TurnUsage { input, output, cache_write_5m: write, ..TurnUsage::default() }
}

fn quotas(quota: Quota) -> Arc<Quotas> {
    let quotas = Arc::new(Quotas::default());
    quotas.set("r", "m", quota);
    quotas
}

#[test]
fn refusals_carry_the_words_of_the_limit_that_binds() {
    let message = |quota| quotas(quota).admit("r", "m", Duration::ZERO, 500).unwrap_err().message;
    assert_eq!(message(Quota { requests_per_minute: Some(0), ..Quota::default() }), "Too many requests, please wait before trying again.");
    assert_eq!(message(Quota { tokens_per_minute: Some(499), ..Quota::default() }), "Too many tokens, please wait before trying again.");
    assert_eq!(
        message(Quota { tokens_per_day: Some(499), ..Quota::default() }),
        "Too many tokens per day, please wait before trying again."
    );
}

#[test]
fn settlement_burns_output_down_and_leaves_cache_reads_free() {
    let quotas = quotas(Quota::per_minute(10, 10_000, 5));
    let reservation = quotas.admit("r", "m", Duration::ZERO, 4_000).unwrap();
    assert_eq!(quotas.room("r", "m", Duration::ZERO).unwrap().tokens, Some(6_000));
    let used = TurnUsage { cache_read: 9_999, ..usage(100, 200, 300) };
    reservation.settle(Duration::ZERO, &used);
    assert_eq!(quotas.room("r", "m", Duration::ZERO).unwrap().tokens, Some(10_000 - 100 - 300 - 1_000));
}

#[test]
fn an_answer_dearer_than_its_reservation_leaves_a_debt() {
    let quotas = quotas(Quota::per_minute(10, 1_000, 5));
    quotas.admit("r", "m", Duration::ZERO, 100).unwrap().settle(Duration::ZERO, &usage(0, 300, 0));
    assert_eq!(quotas.room("r", "m", Duration::ZERO).unwrap().tokens, Some(-500));
    assert!(quotas.admit("r", "m", Duration::from_secs(30), 1).is_err());
    assert!(quotas.admit("r", "m", Duration::from_secs(31), 1).is_ok());
}

#[test]
fn a_dropped_reservation_gives_its_tokens_back_but_not_its_request() {
    let quotas = quotas(Quota::per_minute(2, 1_000, 1));
    drop(quotas.admit("r", "m", Duration::ZERO, 900).unwrap());
    let room = quotas.room("r", "m", Duration::ZERO).unwrap();
    assert_eq!((room.requests, room.tokens), (Some(1), Some(1_000)));
}

#[test]
fn windows_fill_all_at_once() {
    let quotas = quotas(Quota { requests_per_minute: Some(1), refill: Refill::Window, ..Quota::default() });
    assert!(quotas.admit("r", "m", Duration::from_secs(50), 0).is_ok());
    assert!(quotas.admit("r", "m", Duration::from_secs(59), 0).is_err());
    assert!(quotas.admit("r", "m", Duration::from_secs(60), 0).is_ok());
}

#[test]
fn a_quota_for_every_model_is_kept_per_model() {
    let quotas = Arc::new(Quotas::default());
    quotas.set("r", "*", Quota::per_minute(1, 1_000, 1));
    assert!(quotas.admit("r", "a", Duration::ZERO, 1).is_ok());
    assert!(quotas.admit("r", "a", Duration::ZERO, 1).is_err());
    assert!(quotas.admit("r", "b", Duration::ZERO, 1).is_ok());
    assert!(quotas.admit("elsewhere", "a", Duration::ZERO, 1).is_ok());
    assert_eq!(quotas.room("elsewhere", "a", Duration::ZERO), None);
}
