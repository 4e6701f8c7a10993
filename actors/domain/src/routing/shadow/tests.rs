use proptest::prelude::*;

use super::*;

mod replay;

fn at(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

/// 6,000 tokens a minute: 100 a second, 6,000 deep.
fn known() -> Shadow {
    Shadow::prior(Resource::Tokens, 6_000.0, at(0.0), at(0.0))
}

/// Sends and has it refused a round trip later.
fn refuse(shadow: &mut Shadow, seconds: f64, amount: f64) {
    let before = shadow.send(at(seconds), amount);
    shadow.refused(at(seconds + 0.1), amount, at(seconds), before);
}

#[test]
fn what_is_given_back_refills_the_bucket_to_where_it_was() {
    let mut shadow = known();
    for _ in 0..10 {
        shadow.send(at(1.0), 100.0);
    }
    assert_eq!(shadow.view().level, 5_000.0);
    for _ in 0..10 {
        shadow.settle(at(1.0), 100.0, 0.0);
    }
    assert_eq!(shadow.view().level, 6_000.0);
    assert_eq!(shadow.floor(), 0.0);
}

#[test]
fn the_bucket_refills_at_its_rate_up_to_its_depth() {
    let mut shadow = known();
    shadow.send(at(1.0), 3_000.0);
    shadow.advance(at(11.0));
    assert!((shadow.view().level - 4_000.0).abs() < 1e-6);
    assert!((shadow.eta(4_940.0) - 10.0).abs() < 1e-6, "with the margin of 1 %");
    shadow.advance(at(1_000.0));
    assert_eq!(shadow.view().level, 6_000.0);
}

#[test]
fn fifty_refusals_together_are_one_correction() {
    let mut shadow = known();
    let sent: Vec<f64> = (0..50).map(|_| shadow.send(at(100.0), 100.0)).collect();
    let (rate, margin) = (shadow.view().rate, shadow.view().margin);
    for (number, before) in (0u32..).zip(&sent) {
        shadow.refused(at(100.0 + 0.1 + 0.003 * f64::from(number)), 100.0, at(100.0), *before);
    }
    let view = shadow.view();
    assert!(view.rate >= 0.85 * rate, "{} of {rate}", view.rate);
    assert!((view.margin - margin - 0.015).abs() < 1e-3, "{}", view.margin);
    assert!(view.level <= 100.0, "all that is left is less than what was refused: {}", view.level);
    assert_eq!(shadow.gap(), Duration::from_secs(4), "doubled once");
    assert!(shadow.eta(100.0) < 3.0, "and usable again within seconds");
}

#[test]
fn a_refusal_puts_the_level_below_what_was_refused() {
    let mut shadow = known();
    shadow.send(at(50.0), 2_000.0);
    refuse(&mut shadow, 50.0, 1_000.0);
    let level = shadow.view().level;
    assert!(level < 1_000.0 && level > 900.0, "{level}");
}

#[test]
fn what_a_refusal_left_open_may_be_there() {
    let mut shadow = known();
    assert_eq!(shadow.slack(), 0.0, "a full bucket holds no more");
    shadow.send(at(50.0), 5_000.0);
    refuse(&mut shadow, 50.0, 3_000.0);
    let open = |shadow: &Shadow| shadow.view().level + shadow.slack();
    assert!((open(&shadow) - 3_000.0).abs() < 1e-6, "3,000 were not there: {}", open(&shadow));
    refuse(&mut shadow, 50.2, 2_000.0);
    assert!((open(&shadow) - 2_000.0).abs() < 1e-6, "nor were 2,000: {}", open(&shadow));
    // It grows with the doubt about the rate, a twentieth of it, as far as the bucket is deep.
    let (level, slack) = (shadow.view().level, shadow.slack());
    shadow.advance(at(55.3));
    let doubt = (shadow.view().level - level) / 20.0;
    assert!((shadow.slack() - slack - doubt).abs() < 1e-6 && doubt > 0.0, "{} of {doubt}", shadow.slack() - slack);
    shadow.advance(at(1_000.0));
    assert_eq!(shadow.slack(), 0.0, "a full bucket holds no more");
}

#[test]
fn what_an_answer_proves_is_no_longer_open() {
    let mut shadow = known();
    shadow.send(at(50.0), 5_000.0);
    refuse(&mut shadow, 50.0, 3_000.0);
    let before = shadow.send(at(60.0), 2_500.0);
    let (level, slack) = (shadow.view().level, shadow.slack());
    shadow.granted(at(60.0), 2_500.0, before);
    let risen = shadow.view().level - level;
    assert!(risen > 0.0, "{before} were believed");
    assert!((slack - shadow.slack() - risen.min(slack)).abs() < 1e-6, "{slack} less {risen}: {}", shadow.slack());
}

#[test]
fn a_margin_is_forgotten_with_its_half_life() {
    let mut shadow = known();
    refuse(&mut shadow, 10.0, 1_000.0);
    assert!((shadow.view().margin - 0.025).abs() < 1e-4);
    shadow.advance(at(100.1));
    assert!((shadow.view().margin - 0.0175).abs() < 1e-4);
    for second in 0..20 {
        refuse(&mut shadow, 200.0 + 2.0 * f64::from(second), 1_000.0);
    }
    assert!(shadow.view().margin <= MARGIN_MAX);
}

#[test]
fn the_first_refusal_makes_an_unknown_resource_a_limit() {
    let mut shadow = Shadow::unknown(Resource::Tokens, at(0.0), at(0.0));
    assert!(shadow.fits(1e9), "what never refused is no limit");
    for second in 1..=60 {
        let before = shadow.send(at(f64::from(second)), 1_000.0);
        assert_eq!(before, f64::INFINITY);
        shadow.granted(at(f64::from(second) + 0.5), 1_000.0, before);
    }
    refuse(&mut shadow, 61.0, 1_000.0);
    let view = shadow.view();
    // 60,500 within 60 and up to 65 seconds, and a bucket of 60 seconds: at least 480 a second.
    assert!(view.known && view.rate > 470.0 && view.rate < 530.0, "{view:?}");
    assert!(view.level <= 500.0 && !shadow.fits(1_000.0));
}

/// A target that is hardly used, and refused a call of 100 tokens twice, a second apart.
fn tentative() -> Shadow {
    let mut shadow = Shadow::unknown(Resource::Tokens, at(0.0), at(0.0));
    refuse(&mut shadow, 1.0, 100.0);
    refuse(&mut shadow, 2.2, 100.0);
    assert!(shadow.view().tentative && shadow.view().depth < 200.0, "{:?}", shadow.view());
    shadow
}

/// A test that is answered half a second later.
fn answer(shadow: &mut Shadow, seconds: f64, amount: f64) {
    let before = shadow.send(at(seconds), amount);
    assert!(before < amount, "{before} are there: no test");
    shadow.granted(at(seconds + 0.5), amount, before);
}

#[test]
fn a_tentative_rate_leaps_with_every_answer_beyond_it_up_to_its_bound() {
    let mut shadow = tentative();
    let mut leaps = Vec::new();
    while shadow.view().tentative {
        let now = 10.0 + 2.0 * f64::from(u32::try_from(leaps.len()).unwrap());
        shadow.advance(at(now));
        let (rate, amount) = (shadow.view().rate, shadow.view().level.max(0.0) + 100.0);
        answer(&mut shadow, now, amount);
        leaps.push(shadow.view().rate / rate);
        assert!(leaps.len() <= 4, "{leaps:?}");
        let view = shadow.view();
        assert!(view.level > 0.4 * view.depth && view.level < 0.6 * view.depth, "rather full than empty: {view:?}");
        assert!(leaps.len() < 2 || shadow.gap() == GAP_MIN, "{leaps:?}: {:?}", shadow.gap());
    }
    assert!(leaps.iter().rev().skip(1).all(|leap| *leap >= LEAP - 1e-9), "{leaps:?}");
    assert!((shadow.view().rate * 60.0 - Resource::Tokens.tentative_below()).abs() < 1.0, "{:?}", shadow.view());
}

#[test]
fn a_quota_of_a_few_calls_a_minute_is_used_up_with_few_refusals() {
    for per_minute in [2.0, 3.0] {
        let (mut shadow, mut level) = (Shadow::unknown(Resource::Requests, at(0.0), at(0.0)), 1.0);
        let (mut tested, mut refused, mut granted) = (0.0, 0, 0);
        // Somebody waits all the time, and looks twice a second.
        for look in 1..=1_800 {
            let now = f64::from(look) / 2.0;
            level = (level + per_minute / 120.0_f64).min(per_minute);
            shadow.limited(at(now));
            shadow.advance(at(now));
            let fits = shadow.fits(1.0);
            let rested = shadow.last_refused().is_none_or(|last| at(now).since(last) >= shadow.gap());
            let test = rested && now - tested >= shadow.gap().as_secs_f64();
            if !fits && !test {
                continue;
            }
            tested = if fits { tested } else { now };
            let before = shadow.send(at(now), 1.0);
            if level >= 1.0 {
                level -= 1.0;
                granted += 1;
                if !fits {
                    shadow.granted(at(now + 0.1), 1.0, before);
                }
            } else {
                refused += 1;
                shadow.refused(at(now + 0.1), 1.0, at(now), before);
            }
        }
        assert!(refused <= 45 && f64::from(granted) >= 0.9 * 15.0 * per_minute, "{per_minute}: {refused} refused, {granted} granted");
    }
}

#[test]
fn a_test_that_is_still_out_counts_for_nothing_when_another_is_answered() {
    let mut shadow = tentative();
    let large = shadow.send(at(10.0), 60_000.0);
    shadow.advance(at(10.3));
    answer(&mut shadow, 10.3, 150.0);
    assert!(shadow.view().rate < 200.0, "{:?}", shadow.view());
    shadow.refused(at(10.9), 60_000.0, at(10.0), large);
    assert!(shadow.view().tentative && shadow.view().rate < 200.0, "{:?}", shadow.view());
}

#[test]
fn what_old_calls_give_back_hides_no_rate() {
    let mut shadow = Shadow::unknown(Resource::Tokens, at(0.0), at(0.0));
    shadow.send(at(1.0), 50_000.0);
    shadow.settle(at(200.0), 50_000.0, 1_000.0);
    refuse(&mut shadow, 201.0, 1_000.0);
    let full = shadow.view().eta(shadow.view().depth);
    assert!(full < 200.0, "half of it within two minutes: {full} s, {:?}", shadow.view());
}

#[test]
fn a_large_answer_proves_as_much_at_once() {
    let mut shadow = tentative();
    answer(&mut shadow, 10.0, 60_000.0);
    let view = shadow.view();
    // 60,000 within five seconds, and a bucket of sixty: some 900 a second.
    assert!(!view.tentative && view.rate > 890.0 && view.depth >= 60_000.0 && view.level < 31_000.0, "{view:?}");
}

#[test]
fn a_leap_that_a_refusal_contradicts_is_taken_back_and_the_second_in_vain_is_the_last() {
    let mut shadow = tentative();
    for (leap, second) in [(1, 100.0), (2, 200.0)] {
        shadow.advance(at(second));
        let amount = shadow.view().level + 50.0;
        answer(&mut shadow, second, amount);
        let (rate, there) = (shadow.view().rate, 0.9 * shadow.view().level);
        refuse(&mut shadow, second + 1.0, there);
        let view = shadow.view();
        assert!((view.rate * LEAP - rate).abs() < 0.1 * rate && view.level < there, "{view:?} {rate}");
        assert_eq!(view.tentative, leap < 2);
        assert!(shadow.gap() > 2 * GAP_MIN, "the next one comes later: {:?}", shadow.gap());
    }
}

#[test]
fn a_leap_stays_that_no_refusal_contradicts() {
    let leapt = || {
        let mut shadow = tentative();
        answer(&mut shadow, 10.0, 150.0);
        (shadow.view().rate, shadow)
    };
    let (rate, mut larger) = leapt();
    refuse(&mut larger, 11.0, 60_000.0);
    assert!(larger.view().tentative && larger.view().rate >= rate, "as much was never believed: {:?}", larger.view());
    let (rate, mut earlier) = leapt();
    earlier.send(at(10.5), 10.0);
    earlier.refused(at(10.7), 10.0, at(9.9), 100.0);
    assert!(earlier.view().rate >= 0.8 * rate, "it was sent before: {:?}", earlier.view());
    let (rate, mut later) = leapt();
    refuse(&mut later, 71.0, 100.0);
    assert!(later.view().rate >= 0.8 * rate, "for a minute nothing spoke against it: {:?}", later.view());
}

#[test]
fn a_refused_test_of_any_size_leaves_a_tentative_rate_as_it_is() {
    for pause in [3.0, 6.0, 30.0, 100.0] {
        let mut shadow = tentative();
        shadow.advance(at(2.4 + pause));
        let before = shadow.view();
        shadow.adopt(at(2.5 + pause), before.level - 60_000.0, 60_000.0);
        shadow.refused(at(2.6 + pause), 60_000.0, at(2.4 + pause), before.level);
        let view = shadow.view();
        assert!(view.tentative && view.rate <= before.rate * 1.001, "{pause}: {view:?} {before:?}");
        assert!(view.level <= before.level + 0.3 * view.rate && view.level > -view.depth, "{pause}: {view:?} {before:?}");
    }
}

#[test]
fn what_use_explains_is_not_tentative_nor_what_was_told() {
    let mut shadow = Shadow::unknown(Resource::Tokens, at(0.0), at(0.0));
    for second in 1..=60 {
        shadow.send(at(f64::from(second)), 1_000.0);
    }
    refuse(&mut shadow, 61.0, 1_000.0);
    assert!(shadow.view().known && !shadow.view().tentative);
    let mut told = known();
    refuse(&mut told, 1.0, 100.0);
    assert!(!told.view().tentative, "the settings say 6,000");
}

#[test]
fn an_answer_without_room_raises_level_and_rate() {
    let mut shadow = known();
    shadow.send(at(20.0), 6_000.0);
    let before = shadow.send(at(20.0), 500.0);
    let rate = shadow.view().rate;
    shadow.granted(at(21.0), 500.0, before);
    let view = shadow.view();
    // It had nothing and must have had 500: half of 500 over the 21 seconds since the start, per second.
    assert!(view.rate > rate + 10.0 && view.rate < rate + 15.0, "{} {rate}", view.rate);
    assert!((view.level - 100.0).abs() < 20.0, "what was missing is added, and a second's refill: {}", view.level);
}

#[test]
fn answers_in_a_row_without_room_weigh_more_and_more() {
    let mut shadow = known();
    shadow.send(at(20.0), 6_000.0);
    let rises: Vec<f64> = (0..6)
        .map(|probe| {
            let now = 21.0 + 2.0 * f64::from(probe);
            let rate = shadow.view().rate;
            let before = shadow.send(at(now), 20.0 + shadow.view().level.max(0.0));
            shadow.granted(at(now + 1.0), 20.0 + before.max(0.0), before);
            shadow.view().rate / rate
        })
        .collect();
    assert!(rises[2..5].windows(2).all(|pair| pair[1] > pair[0]), "the first two prove little: {rises:?}");
    assert!(rises.iter().all(|rise| *rise <= 1.15 + 1e-9), "{rises:?}");
    refuse(&mut shadow, 60.0, 5_000.0);
    assert_eq!(shadow.gain, 1.0, "a refusal ends the row");
}

#[test]
fn a_call_that_took_from_the_margin_alone_is_news_only_when_all_is_quiet() {
    let mut shadow = known();
    refuse(&mut shadow, 10.0, 1_000.0);
    let rate = shadow.view().rate;
    shadow.granted(at(20.0), 10.0, 20.0);
    assert_eq!(shadow.view().rate, rate, "ten seconds after a refusal");
    for second in [41.0, 44.0] {
        shadow.granted(at(second), 10.0, 20.0);
        assert_eq!(shadow.gain, 1.0, "two small ones say nothing of the quota");
    }
    shadow.granted(at(47.0), 10.0, 20.0);
    assert_eq!((shadow.gain, shadow.gap()), (2.0, GAP_MIN));
}

#[test]
fn a_probe_that_found_little_raises_the_level_and_nothing_else_and_one_that_found_much_counts_at_once() {
    let answered = |amount: f64| {
        let mut shadow = known();
        shadow.send(at(20.0), 6_000.0);
        let before = shadow.send(at(20.0), amount);
        let level = shadow.view().level;
        shadow.granted(at(20.0), amount, before);
        (shadow.gain, shadow.credit, shadow.view().level - level)
    };
    // 6 % of 6,000 are 360.
    let (gain, credit, risen) = answered(350.0);
    assert_eq!((gain, credit), (1.0, 0.0));
    assert!((risen - 350.0).abs() < 1.0, "{risen}");
    let (gain, ..) = answered(370.0);
    assert_eq!(gain, 2.0);
}

#[test]
fn the_rate_creeps_only_while_the_demand_stands_at_the_limit() {
    let mut shadow = known();
    for second in 1..600 {
        shadow.advance(at(f64::from(second)));
    }
    assert_eq!(shadow.view().rate, 100.0);
    for second in 600..660 {
        shadow.limited(at(f64::from(second)));
        shadow.advance(at(f64::from(second) + 0.5));
    }
    let rate = shadow.view().rate;
    assert!(rate > 101.5 && rate < 105.0, "{rate}");
    shadow.advance(at(700.0));
    assert!(shadow.view().rate < rate * 1.001, "and no longer than that");
}

#[test]
fn granted_use_proves_a_rate() {
    let mut shadow = known();
    for second in 0..120 {
        shadow.send(at(f64::from(second)), 600.0);
    }
    shadow.advance(at(120.0));
    // 69,000 in 115 seconds from a bucket of at most 60 seconds: nearly 400 a second.
    let rate = shadow.view().rate;
    assert!(rate > 360.0 && rate < 400.0, "{rate}");
}

#[test]
fn a_snapshot_brings_the_bucket_back_as_it_was() {
    let mut shadow = known();
    shadow.send(at(10.0), 4_000.0);
    refuse(&mut shadow, 10.0, 1_900.0);
    let text = serde_json::to_string(&shadow.snapshot()).unwrap();
    let kept: ShadowSnapshot = serde_json::from_str(&text).unwrap();
    let restored = Shadow::restore(Resource::Tokens, &kept, Duration::from_secs(10), at(5.0), at(0.0)).view();
    let before = shadow.view();
    assert!((restored.rate - before.rate).abs() < 1e-9 && (restored.depth - before.depth).abs() < 1e-6);
    assert_eq!(restored.margin, before.margin);
    assert!((restored.level - before.level - 10.0 * before.rate).abs() < 1e-6, "it refilled meanwhile");
    let stale = Shadow::restore(Resource::Tokens, &kept, Duration::from_secs(901), at(5.0), at(0.0)).view();
    assert_eq!(stale.level, stale.depth / 2.0);
    let kept = tentative().snapshot();
    assert!(Shadow::restore(Resource::Tokens, &kept, Duration::ZERO, at(5.0), at(0.0)).view().tentative);
}

#[test]
fn snapshots_that_make_no_sense_are_forgotten() {
    let sound = known().snapshot();
    let kept = [
        ShadowSnapshot { known: false, ..sound },
        ShadowSnapshot { rate: f64::NAN, ..sound },
        ShadowSnapshot { rate: 0.0, ..sound },
        ShadowSnapshot { depth: -1.0, ..sound },
    ];
    for snapshot in kept {
        let shadow = Shadow::restore(Resource::Tokens, &snapshot, Duration::ZERO, at(0.0), at(0.0));
        assert!(!shadow.view().known, "{snapshot:?}");
    }
    let unknown_model = ShadowSnapshot { model: 99, ..sound };
    let shadow = Shadow::restore(Resource::Tokens, &unknown_model, Duration::ZERO, at(0.0), at(0.0));
    assert!(shadow.view().known && shadow.snapshot().model == 0);
    assert!(!Shadow::prior(Resource::Tokens, f64::NAN, at(0.0), at(0.0)).view().known);
}

/// What can happen to a shadow, and how much later.
#[derive(Debug, Clone)]
enum Step {
    Send(f64),
    Settle(f64),
    Refused,
    Granted,
    Limited,
}

fn steps() -> impl Strategy<Value = Vec<(f64, Step)>> {
    let step = prop_oneof![
        4 => (0.0..3_000.0).prop_map(Step::Send),
        3 => (0.0..2.0).prop_map(Step::Settle),
        1 => Just(Step::Refused),
        1 => Just(Step::Granted),
        1 => Just(Step::Limited),
    ];
    prop::collection::vec((prop_oneof![3 => 0.0..2.0, 1 => 0.0..200.0], step), 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_the_numbers_stay_sound(steps in steps(), unknown in any::<bool>()) {
        let mut shadow = if unknown { Shadow::unknown(Resource::Tokens, at(0.0), at(0.0)) } else { known() };
        let (mut now, mut open) = (0.0, std::collections::VecDeque::new());
        for (pause, step) in steps {
            now += pause;
            match step {
                Step::Send(amount) => open.push_back((amount, now, shadow.send(at(now), amount))),
                Step::Settle(share) => if let Some((amount, _, _)) = open.pop_front() {
                    shadow.settle(at(now), amount, amount * share);
                },
                Step::Refused => if let Some((amount, sent, before)) = open.pop_back() {
                    shadow.refused(at(now), amount, at(sent), before);
                },
                Step::Granted => if let Some((amount, _, before)) = open.back() {
                    shadow.granted(at(now), *amount, *before);
                },
                Step::Limited => shadow.limited(at(now)),
            }
            let view = shadow.view();
            prop_assert!(view.rate > 0.0 && view.rate.is_finite(), "{view:?}");
            prop_assert!(view.depth > 0.0 && view.depth.is_finite(), "{view:?}");
            prop_assert!(view.level <= view.depth && view.level >= -view.depth, "{view:?}");
            prop_assert!((MARGIN_MIN - 1e-9..=MARGIN_MAX + 1e-9).contains(&view.margin), "{view:?}");
            prop_assert!(shadow.floor() >= 0.0 && shadow.floor().is_finite());
            prop_assert!((GAP_MIN..=GAP_MAX).contains(&shadow.gap()));
        }
    }

    #[test]
    fn a_rate_never_grows_by_calls_that_had_room(calls in prop::collection::vec((0.01..5.0f64, 1.0..4_000.0f64, 0.0..1.0f64), 1..300)) {
        let mut shadow = known();
        let mut now = 0.0;
        for (pause, amount, share) in calls {
            now += pause;
            shadow.advance(at(now));
            if shadow.fits(amount) {
                let before = shadow.send(at(now), amount);
                prop_assert!(before >= amount);
                shadow.settle(at(now + pause / 2.0), amount, amount * share);
            }
            prop_assert!(shadow.view().rate <= 100.0 + 1e-9);
        }
    }
}
