use super::*;

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
        let refusal = Refusal { amount: 150.0, before: models.level(), sent: now, credit: 0.0, news: false, tentative: false };
        models.at_most(&refusal, now);
        if second == 1 {
            assert_eq!(models.chosen(), 0);
        }
    }
    assert_eq!(ALL[models.chosen()].span, 10.0);
}

/// Counts by minutes, 600 in each; nothing is left of the first, and the second began half a second ago.
fn at_the_turn() -> Models {
    let mut models = Models::new(MODELS - 1, 10.0, at(0.0), at(0.0));
    models.shift(-600.0);
    models.advance(at(0.0), at(60.5));
    assert_eq!((models.level(), models.minute_began(at(61.2))), (600.0, Some(at(60.5))));
    models
}

fn refuse(models: &mut Models, sent: f64, before: f64) {
    let refusal = Refusal { amount: 100.0, before, sent: at(sent), credit: 0.0, news: true, tentative: false };
    models.at_most(&refusal, at(sent + 0.2));
}

#[test]
fn a_minute_that_holds_less_than_believed_is_learned_from_who_waited_for_its_turn() {
    let mut models = at_the_turn();
    models.shift(-350.0);
    refuse(&mut models, 60.5, 250.0);
    // Half of the 150 that were missing, in a minute.
    assert!((models.rate() - 8.75).abs() < 1e-6, "{}", models.rate());
    assert!(models.level() < 100.0, "{}", models.level());
}

#[test]
fn a_minute_that_aws_begins_later_says_nothing_of_the_quota() {
    let mut models = at_the_turn();
    for before in [600.0, 400.0, 150.0] {
        refuse(&mut models, 60.7, before);
    }
    assert_eq!((models.rate(), models.level()), (10.0, 600.0));
    refuse(&mut models, 61.0, 600.0);
    assert!(models.rate() < 10.0 && models.level() < 100.0, "by now it has begun for everybody");
}
