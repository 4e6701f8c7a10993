use std::time::Duration;

use proptest::prelude::{Just, any, prop, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

use super::*;
use crate::routing::{
    Gate,
    view::{CacheLife, Demand, FirstByte, ResourceView, Spill},
};

const NOW: Moment = Moment(Duration::from_secs(1_000));

fn request() -> RouteRequest {
    RouteRequest {
        demand: Demand::of_tokens(1_000.0),
        prefix: 0.0,
        affinity: 7,
        cache: CacheLife::Short,
        arrived: NOW,
        deadline: NOW,
        spill: Spill::Allowed,
        allowed: TargetSet::ALL,
        tried: TargetSet::EMPTY,
        draw: 0.5,
        turn: 0,
    }
}

fn full(id: u64) -> TargetView {
    let tokens = ResourceView { rate: 100.0, depth: 6_000.0, level: 0.0, margin: 0.0, known: true, tentative: false, refills_after: None };
    TargetView { resources: [ResourceView::unknown(Resource::Requests), tokens], ..TargetView::unknown(id) }
}

fn timed(id: u64, seconds: f64, ago: u64) -> TargetView {
    let measured = Moment(NOW.0 - Duration::from_secs(ago));
    TargetView { first_byte: Some(FirstByte { seconds, measured }), ..TargetView::unknown(id) }
}

#[test]
fn round_robin_begins_at_the_next_target_and_passes_over_full_ones() {
    let targets = [TargetView::unknown(1), full(2), TargetView::unknown(3)];
    let turns: Vec<Decision> =
        (0..6).map(|turn| plan(Strategy::RoundRobin, &RouteRequest { turn, ..request() }, &targets, None, NOW)).collect();
    assert_eq!(turns, [0, 2, 2, 0, 2, 2].map(Decision::Send));
    let ten_seconds = Decision::Full { eta: Some(Duration::from_secs(10)) };
    assert_eq!(plan(Strategy::RoundRobin, &request(), &[full(1)], None, NOW), ten_seconds);
    assert_eq!(plan(Strategy::RoundRobin, &request(), &[], None, NOW), Decision::None { reopens: None });
}

#[test]
fn the_fastest_target_is_chosen_and_an_unmeasured_one_measured_first() {
    let targets = [timed(1, 2.0, 1), timed(2, 1.0, 1), full(3)];
    assert_eq!(plan(Strategy::LowestLatency, &request(), &targets, None, NOW), Decision::Send(1));
    let unmeasured = [timed(1, 2.0, 1), timed(2, 1.0, 1), TargetView::unknown(3)];
    assert_eq!(plan(Strategy::LowestLatency, &request(), &unmeasured, None, NOW), Decision::Send(2));
}

#[test]
fn one_in_twenty_measures_a_stale_target_again() {
    let targets = [timed(1, 2.0, 31), timed(2, 1.0, 1)];
    let with = |draw: f64| plan(Strategy::LowestLatency, &RouteRequest { draw, ..request() }, &targets, None, NOW);
    assert_eq!(with(0.049), Decision::Send(0));
    assert_eq!(with(0.051), Decision::Send(1));
    let fresh = [timed(1, 2.0, 29), timed(2, 1.0, 1)];
    assert_eq!(plan(Strategy::LowestLatency, &RouteRequest { draw: 0.0, ..request() }, &fresh, None, NOW), Decision::Send(1));
}

#[test]
fn the_limits_that_the_demand_stands_at_are_named() {
    let targets = [full(1), full(2)];
    let everywhere = limited(&Decision::Full { eta: None }, &request(), &targets);
    assert_eq!(everywhere.map(TargetSet::len), [0, 2]);
    let home = limited(&Decision::Wait { index: 1, until: NOW }, &request(), &targets);
    assert!(home[1].contains(1) && !home[1].contains(0));
    assert!(limited(&Decision::Send(0), &request(), &targets).iter().all(|set| set.is_empty()));
    let mut calls = full(3);
    calls.resources.reverse();
    calls.resources[1] = ResourceView::unknown(Resource::Tokens);
    assert_eq!(limited(&Decision::Full { eta: None }, &request(), &[calls]).map(TargetSet::len), [1, 0]);
}

#[test]
fn a_bucket_that_can_never_hold_a_request_is_no_limit_that_it_stands_at() {
    let giant = RouteRequest { demand: Demand::of_tokens(7_000.0), ..request() };
    let mut deep = full(2);
    deep.resources[1].depth = 7_000.0;
    let targets = [full(1), deep];
    let [calls, tokens] = limited(&Decision::Full { eta: None }, &giant, &targets);
    assert!(calls.is_empty() && tokens == TargetSet::only(1), "{tokens:?}");
}

#[test]
fn without_failover_the_first_allowed_target_is_the_only_one() {
    let healthy = TargetView::unknown(1);
    let mut second = request();
    second.allowed = TargetSet::EMPTY;
    second.allowed.insert(1);
    second.allowed.insert(2);
    let disabled = |request: &RouteRequest, targets: &[TargetView]| plan(Strategy::Disabled, request, targets, None, NOW);
    assert_eq!(disabled(&second, &[healthy; 3]), Decision::Send(1));
    let until = NOW.after(Duration::from_secs(5));
    let closed = TargetView { gate: Gate::Open { until }, ..healthy };
    assert_eq!(disabled(&second, &[healthy, closed, healthy]), Decision::None { reopens: Some(until) });
    second.tried.insert(1);
    assert_eq!(disabled(&second, &[healthy; 3]), Decision::None { reopens: None });
    assert_eq!(disabled(&RouteRequest { allowed: TargetSet::EMPTY, ..request() }, &[healthy]), Decision::None { reopens: None });
    assert_eq!(plan(Strategy::Ordered, &second, &[healthy; 3], None, NOW), Decision::Send(2));
}

#[test]
fn a_move_is_a_choice_only_where_the_home_could_have_been_waited_for() {
    let turn = RouteRequest { prefix: 900.0, ..request() };
    let home = Some(Home { target: 1, used: NOW, cache: CacheLife::Short });
    let targets = [full(1), full(2)];
    assert!(spilled(&turn, &targets, home, 1, NOW));
    assert!(!spilled(&turn, &targets, home, 0, NOW), "it stays");
    assert!(!spilled(&request(), &targets, home, 1, NOW), "nothing of it is cached");
    assert!(!spilled(&turn, &targets, None, 1, NOW));
    let cold = home.map(|home| Home { used: Moment(NOW.0 - Duration::from_secs(301)), ..home });
    assert!(!spilled(&turn, &targets, cold, 1, NOW));
    assert!(!spilled(&RouteRequest { tried: TargetSet::only(0), ..turn }, &targets, home, 1, NOW), "it was refused there");
    assert!(!spilled(&RouteRequest { allowed: TargetSet::only(1), ..turn }, &targets, home, 1, NOW));
    assert!(!spilled(&RouteRequest { demand: Demand::of_tokens(6_001.0), ..turn }, &targets, home, 1, NOW), "it outgrew it");
    let closed = TargetView { gate: Gate::Open { until: NOW.after(Duration::from_secs(1)) }, ..full(1) };
    let drained = TargetView { drained: true, ..full(1) };
    let probing = TargetView { gate: Gate::HalfOpen, probing: true, ..full(1) };
    assert!([closed, drained, probing].iter().all(|gone| !spilled(&turn, &[*gone, full(2)], home, 1, NOW)));
}

#[test]
fn names_in_settings_are_words_with_underscores() {
    let names = ["ordered", "disabled", "round_robin", "lowest_latency", "adaptive"];
    let strategies = [Strategy::Ordered, Strategy::Disabled, Strategy::RoundRobin, Strategy::LowestLatency, Strategy::Adaptive];
    for (name, strategy) in names.iter().zip(strategies) {
        assert_eq!(serde_json::to_string(&strategy).unwrap(), format!("\"{name}\""));
    }
}

fn gates() -> impl proptest::strategy::Strategy<Value = Gate> {
    prop_oneof![
        Just(Gate::Closed),
        Just(Gate::HalfOpen),
        (0u64..100).prop_map(|seconds| Gate::Open { until: NOW.after(Duration::from_secs(seconds)) }),
    ]
}

#[test]
fn in_order_a_half_open_target_gets_one_probe_and_a_drained_one_nothing() {
    let healthy = TargetView::unknown(1);
    let half_open = TargetView { gate: Gate::HalfOpen, ..healthy };
    let probing = TargetView { probing: true, ..half_open };
    let drained = TargetView { drained: true, ..healthy };
    let ordered = |targets: &[TargetView]| plan(Strategy::Ordered, &request(), targets, None, NOW);
    assert_eq!(ordered(&[half_open, healthy]), Decision::Send(0));
    assert_eq!(ordered(&[probing, healthy]), Decision::Send(1));
    assert_eq!(ordered(&[probing]), Decision::None { reopens: Some(NOW) }, "its answer may come any moment");
    assert_eq!(ordered(&[drained, healthy]), Decision::Send(1));
    assert_eq!(ordered(&[drained]), Decision::None { reopens: None });
    assert_eq!(ordered(&[]), Decision::None { reopens: None });
}

proptest! {
    #[test]
    fn in_order_the_first_that_may_be_called_is_called_however_full(
        candidates in prop::collection::vec((gates(), any::<bool>(), any::<bool>()), 0..9),
    ) {
        let mut asks = request();
        let targets: Vec<TargetView> = candidates.iter().map(|(gate, probing, _)| TargetView { gate: *gate, probing: *probing, ..full(1) }).collect();
        for (index, _) in candidates.iter().enumerate().filter(|(_, (_, _, tried))| *tried) {
            asks.tried.insert(index);
        }
        let untried = || candidates.iter().enumerate().filter(|(_, (_, _, tried))| !tried);
        let first = untried().find(|(_, (gate, probing, _))| *gate == Gate::Closed || (*gate == Gate::HalfOpen && !probing));
        let reopens = untried().map(|(_, (gate, _, _))| if let Gate::Open { until } = gate { *until } else { NOW }).min();
        let expected = first.map_or(Decision::None { reopens }, |(index, _)| Decision::Send(index));
        prop_assert_eq!(plan(Strategy::Ordered, &asks, &targets, None, NOW), expected);
    }
}
