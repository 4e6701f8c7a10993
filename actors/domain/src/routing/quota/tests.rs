use super::*;

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

const DAY: Duration = Duration::from_secs(86_400);
const PRIORS: Priors = Priors { requests_per_minute: Some(60.0), tokens_per_minute: Some(60_000.0), tokens_per_day: Some(1_000_000.0) };

fn known() -> TargetQuota {
    TargetQuota::new(&PRIORS, None, at(0), DAY)
}

fn levels(quota: &TargetQuota) -> [f64; RESOURCES] {
    quota.view().map(|view| view.level)
}

fn refuse(quota: &mut TargetQuota, second: u64, demand: &Demand, by: Refused) {
    let sent = quota.send(at(second), demand);
    quota.refused(at(second), demand, &sent, by, 0.5);
}

#[test]
fn a_call_takes_one_request_and_its_tokens_and_gives_back_what_it_did_not_use() {
    let mut quota = known();
    let demand = Demand::of_tokens(10_000.0);
    let sent = quota.send(at(1), &demand);
    assert_eq!(sent, Sent { at: at(1), levels: [60.0, 60_000.0], short: [false; RESOURCES] });
    assert_eq!(levels(&quota), [59.0, 50_000.0]);
    assert_eq!(quota.settle(at(1), &demand, 2_000.0), Pace::Fine);
    assert_eq!(levels(&quota), [59.0, 58_000.0]);
}

#[test]
fn a_call_that_never_arrived_gives_everything_back() {
    let mut quota = known();
    let demand = Demand::of_tokens(10_000.0);
    quota.send(at(1), &demand);
    quota.give_back(at(1), &demand);
    assert_eq!(levels(&quota), [60.0, 60_000.0]);
}

#[test]
fn a_refusal_corrects_the_resource_it_names_and_no_other() {
    let demand = Demand::of_tokens(10_000.0);
    let mut quota = known();
    refuse(&mut quota, 1, &demand, Refused::Requests);
    let [requests, tokens] = levels(&quota);
    assert!(requests < 1.0 && tokens == 60_000.0, "{requests} {tokens}");
    let mut quota = known();
    refuse(&mut quota, 1, &demand, Refused::Tokens);
    let [requests, tokens] = levels(&quota);
    assert!(requests == 60.0 && tokens < 10_000.0, "{requests} {tokens}");
}

#[test]
fn a_refusal_without_a_name_is_laid_to_the_tightest_resource() {
    let mut quota = known();
    for _ in 0..55 {
        quota.send(at(1), &Demand::of_tokens(10.0));
    }
    refuse(&mut quota, 1, &Demand::of_tokens(100.0), Refused::Unnamed);
    assert!(levels(&quota)[0] < 1.0, "five requests were left, and nearly all tokens");
    let mut unknown = TargetQuota::new(&Priors::default(), None, at(0), DAY);
    refuse(&mut unknown, 1, &Demand::of_tokens(100.0), Refused::Unnamed);
    assert!(unknown.shadow(Resource::Tokens).view().known && !unknown.shadow(Resource::Requests).view().known);
}

#[test]
fn a_daily_refusal_closes_the_target_and_leaves_the_buckets_alone() {
    let mut quota = known();
    let demand = Demand::of_tokens(10_000.0);
    refuse(&mut quota, 3_600, &demand, Refused::Daily);
    assert_eq!(levels(&quota), [60.0, 60_000.0]);
    assert_eq!(quota.gate(at(3_601)), Gate::Open { until: at(4_500) });
    assert_eq!(quota.gate(at(4_500)), Gate::HalfOpen);
    let spent = quota.spent_day(at(4_500)).unwrap();
    let probe = quota.send(at(4_500), &demand);
    quota.granted(at(4_501), &demand, &probe);
    assert_eq!((quota.gate(at(4_501)), quota.spent_day(at(4_501))), (Gate::Closed, None));
    // The next run: its first call is the probe.
    let mut next = known();
    next.close_day(at(0), SpentDay { next_probe: at(0), ..spent });
    assert_eq!(next.gate(at(0)), Gate::HalfOpen);
    let probe = next.send(at(0), &demand);
    next.granted(at(0), &demand, &probe);
    assert_eq!(next.gate(at(0)), Gate::Closed);
}

#[test]
fn three_windows_of_refusals_that_nothing_explains_are_a_rest() {
    let mut quota = known();
    let demand = Demand::of_tokens(10.0);
    for second in [100, 101, 160, 161] {
        quota.advance(at(second));
        refuse(&mut quota, second, &demand, Refused::Tokens);
    }
    assert_eq!(quota.gate(at(162)), Gate::Closed, "the second of each pair met an empty shadow");
    for second in [220, 280] {
        refuse(&mut quota, second, &demand, Refused::Tokens);
    }
    assert_eq!(quota.gate(at(281)), Gate::Closed);
    refuse(&mut quota, 340, &demand, Refused::Tokens);
    assert_eq!(quota.gate(at(341)), Gate::Open { until: at(345) });
    refuse(&mut quota, 400, &demand, Refused::Tokens);
    assert_eq!(quota.gate(at(401)), Gate::Open { until: at(410) }, "it doubles");
    let sent = quota.send(at(420), &demand);
    quota.granted(at(420), &demand, &sent);
    refuse(&mut quota, 480, &demand, Refused::Tokens);
    assert_eq!(quota.gate(at(481)), Gate::Closed, "an answer in between ends the row");
}

/// Refused without a reason at each of these seconds.
fn refuse_at(quota: &mut TargetQuota, seconds: impl IntoIterator<Item = u64>) {
    seconds.into_iter().for_each(|second| refuse(quota, second, &Demand::of_tokens(10.0), Refused::Tokens));
}

#[test]
fn a_call_that_ends_well_ends_the_row() {
    let mut quota = known();
    let demand = Demand::of_tokens(10.0);
    refuse_at(&mut quota, [100, 160]);
    quota.send(at(200), &demand);
    quota.settle(at(210), &demand, 5.0);
    refuse_at(&mut quota, [220, 280]);
    assert_eq!(quota.gate(at(281)), Gate::Closed, "four, but not in a row");
    refuse_at(&mut quota, [340]);
    assert_eq!(quota.gate(at(341)), Gate::Open { until: at(345) });
    quota.settle(at(342), &demand, 5.0);
    assert_eq!(quota.gate(at(343)), Gate::Open { until: at(345) }, "a call from before the rest does not end it");
}

#[test]
fn what_was_sent_before_a_rest_neither_ends_nor_doubles_it() {
    let mut quota = known();
    let demand = Demand::of_tokens(10.0);
    refuse_at(&mut quota, [100, 160]);
    let probe = Sent { short: [false, true], ..quota.send(at(219), &demand) };
    let slow = quota.send(at(219), &demand);
    refuse_at(&mut quota, [220]);
    let resting = Gate::Open { until: at(225) };
    assert_eq!(quota.gate(at(221)), resting);
    quota.granted(at(221), &demand, &probe);
    assert_eq!(quota.gate(at(222)), resting);
    quota.refused(at(223), &demand, &slow, Refused::Tokens, 0.5);
    assert_eq!(quota.gate(at(224)), resting, "the row of refusals is over, the rest is not");
    let after = quota.send(at(226), &demand);
    quota.granted(at(227), &demand, &after);
    refuse_at(&mut quota, [280, 340]);
    assert_eq!(quota.gate(at(341)), Gate::Closed, "a call from after it ends the row");
}

#[test]
fn a_first_refusal_says_nothing_of_the_size_of_a_bucket() {
    let unknown = || TargetQuota::new(&Priors::default(), None, at(0), DAY);
    let turn = Demand::of_tokens(69_000.0);
    let mut quota = unknown();
    refuse(&mut quota, 100, &turn, Refused::Tokens);
    let tokens = quota.view()[1];
    assert!(tokens.known && tokens.holds(69_000.0) && tokens.level <= 34_500.0, "{tokens:?}");
    assert!(!tokens.fits(69_000.0) && tokens.eta(69_000.0) < 70.0, "it is waited for: {}", tokens.eta(69_000.0));
    let mut quota = unknown();
    refuse(&mut quota, 100, &turn, Refused::Requests);
    let calls = quota.view()[0];
    assert!(calls.known && calls.holds(1.0) && calls.eta(1.0) < 70.0, "{calls:?}");
    // However often it is refused.
    (1..20).for_each(|minute| refuse(&mut quota, 100 + 60 * minute, &turn, Refused::Requests));
    assert!(quota.view()[0].holds(1.0));
}

#[test]
fn a_call_that_was_answered_proves_the_depth_of_every_bucket() {
    let mut quota = TargetQuota::new(&Priors::default(), None, at(0), DAY);
    let turn = Demand::of_tokens(69_000.0);
    quota.send(at(10), &turn);
    quota.settle(at(20), &turn, 2_500.0);
    refuse(&mut quota, 400, &Demand::of_tokens(1_000.0), Refused::Tokens);
    let tokens = quota.view()[1];
    assert!(tokens.holds(69_000.0) && tokens.level <= 500.0, "{tokens:?}");
}

#[test]
fn a_bucket_that_refuses_what_should_have_filled_it_is_not_that_deep() {
    let turn = Demand::of_tokens(69_000.0);
    let mut quota = TargetQuota::new(&Priors::default(), None, at(0), DAY);
    refuse(&mut quota, 100, &turn, Refused::Tokens);
    refuse(&mut quota, 101, &turn, Refused::Tokens);
    assert!(quota.view()[1].holds(69_000.0), "it had no time to fill");
    quota.advance(at(300));
    assert!(quota.view()[1].fits(69_000.0));
    refuse(&mut quota, 300, &turn, Refused::Tokens);
    assert!(!quota.view()[1].holds(69_000.0), "it had: from now on it is probed");
}

#[test]
fn windows_far_apart_are_no_row() {
    let mut quota = known();
    for second in [200, 400, 600, 800] {
        refuse(&mut quota, second, &Demand::of_tokens(10.0), Refused::Tokens);
    }
    assert_eq!(quota.gate(at(801)), Gate::Closed);
}

#[test]
fn a_probe_that_is_answered_raises_what_was_short() {
    let mut quota = known();
    quota.send(at(30), &Demand::of_tokens(60_000.0));
    let demand = Demand::of_tokens(5_000.0);
    let sent = quota.send(at(30), &demand);
    assert!(sent.probed() && sent.short == [false, true]);
    let before = quota.view();
    quota.granted(at(31), &demand, &sent);
    let after = quota.view();
    assert!(after[1].rate > before[1].rate && after[0].rate == before[0].rate);
}

#[test]
fn the_last_run_goes_before_the_prior_and_the_prior_before_nothing() {
    let mut last = known();
    refuse(&mut last, 30, &Demand::of_tokens(30_000.0), Refused::Tokens);
    let snapshot = last.snapshot();
    let text = serde_json::to_string(&snapshot).unwrap();
    assert_eq!(serde_json::from_str::<QuotaSnapshot>(&text).unwrap(), snapshot);
    let next = TargetQuota::new(&PRIORS, Some((&snapshot, Duration::ZERO)), at(0), DAY);
    assert!((next.view()[1].rate - last.view()[1].rate).abs() < 1e-9);
    let unknown = TargetQuota::new(&Priors::default(), None, at(0), DAY).snapshot();
    let from_prior = TargetQuota::new(&PRIORS, Some((&unknown, Duration::ZERO)), at(0), DAY);
    assert_eq!(from_prior.view()[1].rate, 1_000.0, "a last run that knew nothing is none");
}

#[test]
fn a_quota_that_the_settings_correct_is_not_what_the_last_run_learned() {
    let before = Priors { tokens_per_minute: Some(6_000.0), ..Priors::default() };
    let snapshot = TargetQuota::new(&before, None, at(0), DAY).snapshot();
    let tokens =
        |priors: &Priors| TargetQuota::new(priors, Some((&snapshot, Duration::ZERO)), at(0), DAY).shadow(Resource::Tokens).view().rate;
    let corrected = Priors { tokens_per_minute: Some(60_000.0), ..Priors::default() };
    assert_eq!((tokens(&before).round(), tokens(&corrected).round()), (100.0, 1_000.0));
    assert_eq!(tokens(&Priors::default()).round(), 100.0, "what they say nothing of is as it was learned");
}
