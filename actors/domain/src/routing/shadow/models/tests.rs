use super::{
    super::{Resource, Shadow, ShadowSnapshot},
    *,
};

fn at(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

#[test]
fn minutes_begin_whole_minutes_from_any_one_of_them() {
    for minute in [30.0, 90.0, 86_430.0] {
        assert_eq!(minute_began(at(minute), at(100.0)), at(90.0));
        assert_eq!(minute_began(at(minute), at(150.0)), at(150.0));
    }
    assert_eq!(minute_began(at(30.0), at(10.0)), at(0.0), "the first one began before the clock");
}

#[test]
fn what_a_call_did_not_use_comes_back_to_each_model_in_its_time() {
    let mut models = Models::new(0, 10.0, at(0.0), at(0.0));
    models.shift(-500.0);
    models.credit(400.0);
    let level = |models: &Models, number: usize| models.beliefs[number].level;
    assert_eq!((level(&models, 0), level(&models, 5)), (500.0, 100.0));
    for (from, to, late) in [(0.0, 2.4, 124.0), (2.4, 4.9, 149.0), (4.9, 5.1, 551.0)] {
        models.advance(at(from), at(to));
        assert!((level(&models, 5) - late).abs() < 1e-6, "{to}: {}", level(&models, 5));
    }
}

#[test]
fn one_large_error_changes_no_belief_and_several_do() {
    let mut models = Models::new(0, 10.0, at(0.0), at(0.0));
    for second in 1..=6u32 {
        let now = at(60.0 * f64::from(second));
        models.advance(at(60.0 * f64::from(second - 1)), now);
        // Never more than 150 of 600: fifteen seconds of the rate.
        let refusal =
            Refusal { amount: 150.0, before: models.level(), seen: models.level(), sent: now, credit: 0.0, news: false, tentative: false };
        models.at_most(&refusal, now);
        if second == 1 {
            assert_eq!(models.chosen(), 0);
        }
    }
    assert_eq!(ALL[models.chosen()].span, 10.0);
}

/// Counts by minutes, 600 in each: used up, and a new one began half a second after the clock's.
fn at_the_turn() -> Shadow {
    after_a_minute_that_left(0.0)
}

fn after_a_minute_that_left(level: f64) -> Shadow {
    let left = ShadowSnapshot { rate: 10.0, depth: 600.0, level, margin: 0.01, known: true, model: MODELS - 1, tentative: false };
    let mut shadow = Shadow::restore(Resource::Tokens, &left, Duration::ZERO, at(0.0), at(0.0));
    shadow.advance(at(60.5));
    assert_eq!((shadow.view().level, shadow.minute()), (600.0 + level, Some(at(60.5))));
    shadow
}

/// Sends six calls of 100 at the turn, and has those refused that are named, in that order.
fn burst(shadow: &mut Shadow, refused: &[usize]) {
    let before: Vec<f64> = (0..6).map(|_| shadow.send(at(60.5), 100.0)).collect();
    for (arrived, call) in (0u32..).zip(refused) {
        shadow.refused(at(60.6 + 0.001 * f64::from(arrived)), 100.0, at(60.5), before[*call]);
    }
}

#[test]
fn a_minute_that_holds_less_than_believed_is_learned_from_who_waited_for_its_turn() {
    let mut shadow = at_the_turn();
    burst(&mut shadow, &[4, 5]);
    // Half of the 100 that were missing, in a minute.
    assert!((shadow.view().rate - (10.0 - 50.0 / 60.0)).abs() < 1e-6, "{:?}", shadow.view());
    assert!(shadow.view().level < 100.0, "{:?}", shadow.view());
    for order in [[1, 2, 3, 4, 5], [2, 1, 3, 4, 5]] {
        let mut shadow = at_the_turn();
        burst(&mut shadow, &order);
        assert!(shadow.view().rate < 9.0 && shadow.view().level < 100.0, "a sixth of what was believed: {:?}", shadow.view());
    }
}

#[test]
fn a_minute_that_aws_begins_later_says_nothing_of_the_quota() {
    let orders = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [4, 5, 1, 0, 3, 2]];
    for (order, left) in orders.into_iter().flat_map(|order| [(order, 0.0), (order, -100.0)]) {
        let mut shadow = after_a_minute_that_left(left);
        burst(&mut shadow, &order);
        let view = shadow.view();
        assert!((view.rate - 10.0).abs() < 1e-9 && (view.level - 600.0 - left).abs() < 1e-6, "{order:?} {left}: {view:?}");
        let before = shadow.send(at(61.0), 100.0);
        shadow.refused(at(61.1), 100.0, at(61.0), before);
        assert!(shadow.view().level < 100.0, "by now it has begun for everybody: {:?}", shadow.view());
    }
}
