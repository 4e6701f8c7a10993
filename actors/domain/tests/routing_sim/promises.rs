//! What the router promises, with shorter runs than the table's: a few seconds without optimisation.

use outcrop_domain::routing::strategy::Strategy;

use super::{
    load::Mix,
    table::{Line, line},
    truth::Refill,
    world::{Case, Course, Prior, run},
};

/// Five and a half minutes, of which the last two count.
const QUICK: Case = Case { seconds: 330.0, warm_up: 210.0, ..Case::MAIN };

fn lines(case: Case, seeds: u64) -> Vec<Line> {
    (1..=seeds).map(|seed| Case { seed, ..case }).map(|case| line(&case, &run(case))).collect()
}

fn mean(lines: &[Line], field: fn(&Line) -> f64) -> f64 {
    lines.iter().map(field).sum::<f64>() / lines.len() as f64
}

#[test]
fn a_right_prior_refuses_nobody_at_95_percent_without_any_wait() {
    for line in lines(QUICK, 1) {
        assert_eq!(line.refused, 0.0);
        assert!(line.wasted <= 1.0 && line.attempts <= 1.03, "{} {}", line.wasted, line.attempts);
        assert!(line.moves <= 2.0 && line.hit >= 97.0, "{} {}", line.moves, line.hit);
    }
}

#[test]
fn a_cold_start_refuses_nobody_at_95_percent_who_waits_ten_seconds() {
    for line in lines(Case { prior: Prior::Nothing, wait: 10.0, ..QUICK }, 1) {
        assert_eq!(line.refused, 0.0);
        assert!(line.wasted <= 2.0 && line.moves <= 2.0, "{} {}", line.wasted, line.moves);
    }
}

#[test]
fn chat_alone_is_never_refused_with_small_quotas() {
    let chat = Case { mix: Mix { agents: 0.0, ..QUICK.mix }, scale: 1.0, ..QUICK };
    for prior in [Prior::Nothing, Prior::Times(1.0)] {
        for line in lines(Case { prior, ..chat }, 2) {
            assert_eq!(line.refused, 0.0, "{prior:?}");
            assert!(line.wasted <= 5.0, "{prior:?}: {}", line.wasted);
        }
    }
}

#[test]
fn with_small_quotas_and_agents_little_more_is_refused_than_by_one_who_sees_the_buckets() {
    // Single runs differ by more than what is asked for.
    const SEEDS: u64 = 24;
    let small = Case { scale: 1.0, wait: 10.0, ..Case::MAIN };
    let oracle = lines(Case { prior: Prior::Oracle, ..small }, SEEDS);
    for prior in [Prior::Nothing, Prior::Times(1.0)] {
        let ours = lines(Case { prior, ..small }, SEEDS);
        let (refused, least) = (mean(&ours, |line| line.refused), mean(&oracle, |line| line.refused));
        assert!(refused <= least + 8.0, "{prior:?}: {refused} against {least}");
        // Nobody sees the buckets: what was measured seconds ago may have changed since.
        let with_room = mean(&ours, |line| line.with_room);
        assert!(with_room <= 0.5, "{prior:?}: {with_room}");
        let wasted = mean(&ours, |line| line.wasted);
        assert!(wasted <= 20.0, "{prior:?}: {wasted}");
    }
}

#[test]
fn overload_does_not_collapse() {
    let line = &lines(Case { load: 1.05, wait: 2.0, ..QUICK }, 1)[0];
    // 105 % of the quotas: about 50 of 1,000 must be refused in the long run.
    assert!(line.refused <= 90.0, "{}", line.refused);
    assert!(line.wasted <= 10.0 && line.moves <= 3.0, "{} {}", line.wasted, line.moves);
}

#[test]
fn two_minutes_after_an_overload_nobody_is_refused_any_more() {
    let course = Course::Burst { from: 190.0, to: 310.0, times: 1.3 / 0.9 };
    let case = Case { load: 0.9, wait: 10.0, course, seconds: 480.0, ..QUICK };
    let counts = run(case);
    assert!(counts.used_by_ten[19..31].iter().sum::<f64>() > case.capacity() * 120.0, "there is an overload");
    let late: Vec<f64> = counts.client_refusals.iter().copied().filter(|at| *at >= 430.0).collect();
    assert!(late.is_empty(), "{late:?}");
}

#[test]
fn in_an_overload_few_are_refused_though_there_is_room() {
    const SEEDS: u64 = 6;
    let course = Course::Burst { from: 220.0, to: 340.0, times: 1.3 / 0.9 };
    let case = Case { load: 0.9, wait: 2.0, course, seconds: 400.0, ..QUICK };
    let runs: Vec<_> = (1..=SEEDS).map(|seed| run(Case { seed, ..case })).collect();
    assert!(runs.iter().map(|counts| counts.refused).sum::<u64>() > 50 * SEEDS, "there is an overload");
    let with_room = runs.iter().map(|counts| counts.with_room).sum::<u64>();
    assert!(with_room <= 15 * SEEDS, "{with_room}");
}

#[test]
fn a_halved_quota_costs_few_calls_and_no_client() {
    let case = Case { prior: Prior::Nothing, load: 0.7, wait: 2.0, change: Some((210.0, 0.5)), ..QUICK };
    let counts = run(case);
    let within = |times: &[f64]| times.iter().filter(|at| (210.0..330.0).contains(*at)).count();
    assert!(within(&counts.upstream_refusals) <= 40, "{}", within(&counts.upstream_refusals));
    assert!(within(&counts.client_refusals) <= 10, "{}", within(&counts.client_refusals));
}

#[test]
fn a_doubled_quota_is_in_use_within_two_minutes() {
    let case = Case { prior: Prior::Nothing, load: 1.15, wait: 2.0, change: Some((210.0, 2.0)), ..QUICK };
    let counts = run(case);
    let wanted = 0.97 * case.load * case.capacity() * 30.0;
    let full = (22..30).any(|ten| counts.used_by_ten[ten..ten + 3].iter().sum::<f64>() >= wanted);
    assert!(full, "{:?}", &counts.used_by_ten[21..]);
}

#[test]
fn buckets_that_work_otherwise_are_understood() {
    let case = Case { wait: 2.0, ..QUICK };
    let refused = |case: Case| lines(case, 1)[0].refused;
    assert!(refused(Case { settle_lag: 5.0, ..case }) <= 30.0, "settled late");
    assert!(refused(Case { refill: Refill::Continuous { depth: 20.0 }, ..case }) <= 40.0, "20 s deep");
    assert!(refused(Case { refill: Refill::Minute, ..case }) <= 110.0, "fixed minutes");
}

#[test]
fn a_minute_that_turns_teaches_how_much_it_holds() {
    // The rate creeps up while many wait for the turn, and they are all sent at it: that is when it must be put right.
    let case = Case { prior: Prior::Nothing, refill: Refill::Minute, wait: 10.0, seed: 12, ..Case::MAIN };
    let line = line(&case, &run(case));
    assert!(line.wasted <= 25.0, "{}", line.wasted);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let case = Case { prior: Prior::Nothing, wait: 2.0, scale: 1.0, ..QUICK };
    let (one, two) = (run(case), run(case));
    assert_eq!(one.added, two.added);
    assert_eq!(one.upstream_refusals, two.upstream_refusals);
}

#[test]
fn every_strategy_serves_a_light_load() {
    for strategy in [Strategy::Ordered, Strategy::RoundRobin, Strategy::LowestLatency, Strategy::Adaptive] {
        let line = &lines(Case { strategy, load: 0.1, wait: 2.0, ..QUICK }, 1)[0];
        assert_eq!(line.refused, 0.0, "{strategy:?}");
    }
}
