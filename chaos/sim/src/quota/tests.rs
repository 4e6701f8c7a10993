use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::span::Nanos;

mod naive;

const NONE: Duration = Duration::ZERO;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn empty() -> Arc<Quotas> {
    // Reservations that are dropped read the clock; all other times are given.
    Arc::new(Quotas::new(SimClock::not_begun(), 1_000))
}

fn place(model: &str) -> BucketKey {
    BucketKey { region: "r".to_owned(), model: model.to_owned(), profile: None }
}

fn quotas(quota: Quota) -> Arc<Quotas> {
    let quotas = empty();
    quotas.set(place("m"), quota, 1, NONE);
    quotas
}

fn wanted(input: u64, most_output: u64) -> Wanted<'static> {
    Wanted { call: 1, region: "r", model: "m", profile: Some(ProfileClass::OnDemand), burndown: 1, input, most_output }
}

fn admit(quotas: &Arc<Quotas>, now: Duration, tokens: u64) -> Result<Reservation, Denied> {
    quotas.admit(&wanted(tokens, 0), now)
}

fn room(quotas: &Quotas, now: Duration) -> QuotaRoom {
    quotas.room(&place("m"), now).unwrap()
}

fn usage(input: u64, output: u64, write: u64) -> TurnUsage {
    TurnUsage { input, output, cache_write_5m: write, ..TurnUsage::default() }
}

fn rpm(requests: u64) -> Quota {
    Quota { requests_per_minute: Some(requests), ..Quota::default() }
}

fn tpm(tokens: u64) -> Quota {
    Quota { tokens_per_minute: Some(tokens), ..Quota::default() }
}

#[test]
fn refusals_name_the_limit_that_binds_in_awss_words() {
    let denied = |quota| admit(&quotas(quota), NONE, 500).unwrap_err();
    for (quota, limit, words) in [
        (rpm(0), QuotaLimit::Requests, "Too many requests, please wait before trying again."),
        (tpm(499), QuotaLimit::Tokens, "Too many tokens, please wait before trying again."),
        (
            Quota { tokens_per_day: Some(499), ..Quota::default() },
            QuotaLimit::Day,
            "Too many tokens per day, please wait before trying again.",
        ),
    ] {
        assert_eq!(denied(quota), Denied { bucket: place("m"), limit, wanted: 500 });
        assert_eq!(limit.message(), words);
    }
}

#[test]
fn settlement_burns_output_down_and_leaves_cache_reads_free() {
    let quotas = quotas(Quota::per_minute(10, 10_000, 5));
    let reservation = quotas.admit(&wanted(1_000, 3_000), NONE).unwrap();
    assert_eq!((reservation.reserved(), room(&quotas, NONE).tokens), (4_000, Some(6_000)));
    let used = TurnUsage { cache_read: 9_999, ..usage(100, 200, 300) };
    reservation.settle(NONE, &used);
    assert_eq!(room(&quotas, NONE).tokens, Some(10_000 - 100 - 300 - 1_000));
}

#[test]
fn the_models_own_burndown_counts_where_the_quota_says_nothing() {
    let quotas = empty();
    quotas.set(place("*"), tpm(10_000), 1, NONE);
    let claude = Wanted { burndown: 5, ..wanted(0, 1_000) };
    quotas.admit(&claude, NONE).unwrap().settle(NONE, &usage(0, 100, 0));
    assert_eq!(room(&quotas, NONE).tokens, Some(9_500));
    quotas.set(place("*"), tpm(20_000), 1, NONE);
    quotas.admit(&claude, NONE).unwrap().settle(NONE, &usage(0, 100, 0));
    assert_eq!(room(&quotas, NONE).tokens, Some(19_500));
}

#[test]
fn without_reserving_max_tokens_the_input_alone_is_held() {
    let quotas = quotas(Quota { reserve_max_tokens: false, ..tpm(1_000) });
    let reservation = quotas.admit(&wanted(100, 64_000), NONE).unwrap();
    assert_eq!((reservation.reserved(), room(&quotas, NONE).tokens), (100, Some(900)));
}

#[test]
fn an_answer_dearer_than_its_reservation_leaves_a_debt() {
    let quotas = quotas(Quota::per_minute(10, 1_000, 5));
    admit(&quotas, NONE, 100).unwrap().settle(NONE, &usage(0, 300, 0));
    assert_eq!(room(&quotas, NONE).tokens, Some(-500));
    assert!(admit(&quotas, seconds(30), 1).is_err());
    assert!(admit(&quotas, seconds(31), 1).is_ok());
}

#[test]
fn a_dropped_reservation_gives_its_tokens_back_but_not_its_request() {
    let quotas = quotas(Quota::per_minute(2, 1_000, 1));
    drop(admit(&quotas, NONE, 900).unwrap());
    let room = room(&quotas, NONE);
    assert_eq!((room.requests, room.tokens), (Some(1), Some(1_000)));
}

#[test]
fn windows_fill_all_at_once() {
    let quotas = quotas(Quota { refill: Refill::Window, ..rpm(1) });
    assert!(admit(&quotas, seconds(50), 0).is_ok());
    assert!(admit(&quotas, seconds(59), 0).is_err());
    assert!(admit(&quotas, seconds(60), 0).is_ok());
}

#[test]
fn a_shallow_bucket_holds_less_and_fills_as_fast() {
    let quotas = quotas(Quota { depth: seconds(20), ..tpm(6_000) });
    assert_eq!(room(&quotas, seconds(500)).tokens, Some(2_000));
    assert!(admit(&quotas, seconds(500), 2_001).is_err());
    std::mem::forget(admit(&quotas, seconds(500), 2_000).unwrap());
    assert_eq!(room(&quotas, seconds(505)).tokens, Some(500));
    let single = self::quotas(Quota { depth: seconds(1), ..rpm(6) });
    assert!(admit(&single, NONE, 0).is_ok(), "a bucket of a tenth of a request holds a whole one");
    assert!(admit(&single, seconds(9), 0).is_err());
    assert!(admit(&single, seconds(10), 0).is_ok());
}

#[test]
fn late_settlement_gives_the_difference_back_late() {
    let quotas = quotas(Quota { settle_after: seconds(5), burndown: 1, ..tpm(6_000) });
    let reservation = admit(&quotas, NONE, 6_000).unwrap();
    reservation.settle(seconds(1), &usage(1_000, 0, 0));
    assert_eq!(room(&quotas, seconds(1)).tokens, Some(100));
    assert_eq!(room(&quotas, Duration::from_millis(5_999)).tokens, Some(599));
    assert_eq!(room(&quotas, seconds(6)).tokens, Some(600 + 5_000 - 600), "what was refilled meanwhile meets the depth");
    let entries = quotas.entries(seconds(6));
    let settled = entries.iter().find(|entry| matches!(entry.change, BucketChange::Settled { .. })).unwrap();
    assert_eq!((settled.at, settled.change), (seconds(6).into(), BucketChange::Settled { reserved: 6_000, cost: 1_000 }));
}

#[test]
fn refused_calls_count_where_the_quota_says_so() {
    let hammered = |count_refused| {
        let quotas = quotas(Quota { count_refused, ..rpm(60) });
        for _ in 0..60 {
            admit(&quotas, NONE, 0).unwrap();
        }
        // Twice a second: each refusal takes what half a second has refilled.
        (1..=20_u64).filter(|step| admit(&quotas, Duration::from_millis(step * 500), 0).is_ok()).count()
    };
    assert_eq!((hammered(false), hammered(true)), (10, 0));
}

#[test]
fn a_quota_for_every_model_is_kept_per_model() {
    let quotas = empty();
    quotas.set(place("*"), Quota::per_minute(1, 1_000, 1), 1, NONE);
    let call = |region, model| quotas.admit(&Wanted { region, model, ..wanted(1, 0) }, NONE).is_ok();
    assert_eq!((call("r", "a"), call("r", "a"), call("r", "b"), call("elsewhere", "a")), (true, false, true, true));
    let elsewhere = BucketKey { region: "elsewhere".to_owned(), ..place("a") };
    assert_eq!(quotas.room(&elsewhere, NONE), None);
}

#[test]
fn classes_of_profiles_are_counted_apart_where_they_have_limits_of_their_own() {
    let quotas = empty();
    quotas.set(place("m"), rpm(1), 1, NONE);
    quotas.set(BucketKey { profile: Some(ProfileClass::Global), ..place("m") }, rpm(2), 1, NONE);
    let call = |profile| quotas.admit(&Wanted { profile: Some(profile), ..wanted(0, 0) }, NONE).map(drop);
    assert!(call(ProfileClass::OnDemand).is_ok());
    assert!(call(ProfileClass::Geographic).is_err(), "it shares the bucket of everything else");
    assert!(call(ProfileClass::Global).is_ok());
    assert!(call(ProfileClass::Global).is_ok());
    assert_eq!(call(ProfileClass::Global).unwrap_err().bucket.profile, Some(ProfileClass::Global));
}

#[test]
fn labels_tell_their_class() {
    let model = "amazon.nova-lite-v1:0";
    for (label, class) in [
        (model, ProfileClass::OnDemand),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", ProfileClass::OnDemand),
        ("us.amazon.nova-lite-v1:0", ProfileClass::Geographic),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0", ProfileClass::Geographic),
        ("global.amazon.nova-lite-v1:0", ProfileClass::Global),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/app2nova", ProfileClass::Application),
        ("app2nova", ProfileClass::Application),
    ] {
        assert_eq!(ProfileClass::of(label, model), class, "{label}");
    }
}

#[test]
fn a_scaled_quota_keeps_its_level_as_far_as_it_fits() {
    let quotas = quotas(tpm(6_000));
    assert!(quotas.scale(&place("m"), 0.5, NONE));
    assert_eq!(room(&quotas, NONE).tokens, Some(3_000));
    std::mem::forget(admit(&quotas, NONE, 3_000).unwrap());
    assert_eq!(room(&quotas, seconds(10)).tokens, Some(500));
    assert!(quotas.scale(&place("m"), 4.0, seconds(10)));
    assert_eq!(room(&quotas, seconds(10)).tokens, Some(500));
    assert_eq!(room(&quotas, seconds(20)).tokens, Some(2_500));
    assert!(!quotas.scale(&place("other"), 2.0, NONE));
}

fn fault(version: u64, kind: QuotaFaultKind, from: u64, until: Option<u64>) -> QuotaFault {
    let hits = Arc::new(AtomicU64::new(0));
    QuotaFault { version, region: None, model: None, profile: None, kind, from: seconds(from), until: until.map(seconds), hits }
}

#[test]
fn a_scaling_fault_changes_the_rate_at_its_own_times_whoever_looks_when() {
    let quotas = quotas(tpm(6_000));
    std::mem::forget(admit(&quotas, NONE, 6_000).unwrap());
    quotas.set_faults(vec![fault(u64::MAX, QuotaFaultKind::Scale(0.5), 10, Some(30))], NONE);
    // 10 s at 100/s, 20 s at 50/s, 10 s at 100/s, seen only once, at the end.
    assert_eq!(room(&quotas, seconds(40)).tokens, Some(1_000 + 1_000 + 1_000));
    let changes: Vec<(u64, Option<u64>)> = quotas
        .entries(seconds(40))
        .iter()
        .filter_map(|entry| match entry.change {
            BucketChange::Changed { quota } => Some((entry.at.duration().as_secs(), quota.tokens_per_minute)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(10, Some(3_000)), (30, Some(6_000))]);
}

#[test]
fn a_quota_fault_replaces_the_standing_limits_while_it_is_in_force() {
    let quotas = quotas(rpm(1));
    let tight = fault(u64::MAX, QuotaFaultKind::Limits(rpm(2)), 10, Some(20));
    let hits = Arc::clone(&tight.hits);
    quotas.set_faults(vec![tight], NONE);
    let granted = |at| (0..5).filter(|_| admit(&quotas, seconds(at), 0).is_ok()).count();
    assert_eq!((granted(0), granted(10), granted(19)), (1, 2, 0));
    assert_eq!(hits.load(Ordering::Relaxed), 3 + 5);
    assert_eq!(granted(20), 1, "the standing limits are back, with full buckets");
    quotas.set_faults(Vec::new(), seconds(20));
    quotas.clear(seconds(21));
    assert!(admit(&quotas, seconds(21), u64::MAX).is_ok());
    assert!(matches!(quotas.entries(seconds(21)).last().unwrap().change, BucketChange::Removed));
}

#[test]
fn a_replay_tells_what_could_have_been_admitted_when() {
    let quotas = quotas(Quota { burndown: 1, ..tpm(6_000) });
    let first = admit(&quotas, seconds(1), 6_000).unwrap();
    assert!(admit(&quotas, seconds(5), 1_000).is_err());
    first.settle(seconds(10), &usage(1_000, 0, 0));
    let replay = QuotaReplay::new(&quotas.take_entries(seconds(10)));
    let bucket = place("m");
    let at = |millis| Nanos::from(Duration::from_millis(millis));
    let could = |millis, wanted| replay.could_admit(&bucket, at(millis), wanted).unwrap();
    assert!(could(999, 6_000) && !could(1_000, 1) && could(5_000, 400) && !could(5_000, 401));
    assert_eq!(replay.could_admit_within(&bucket, at(4_000), at(5_000), 401), None);
    assert_eq!(replay.could_admit_within(&bucket, at(4_000), at(5_000), 400), Some(at(5_000)));
    assert_eq!(replay.could_admit_within(&bucket, at(9_000), at(11_000), 5_100), Some(at(11_000)));
    assert_eq!(replay.room(&bucket, at(10_000)).unwrap().tokens, Some(5_000));
    assert_eq!(replay.could_admit(&place("unknown"), at(1), 1), None);
    assert_eq!(replay.could_admit(&BucketKey { region: "x".to_owned(), ..bucket }, at(1), 1), None);
}
