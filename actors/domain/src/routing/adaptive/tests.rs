use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::routing::view::{CacheLife, FirstByte, Resource, ResourceView};

const NOW: Moment = Moment(Duration::from_secs(1_000));

fn later(milliseconds: u64) -> Moment {
    NOW.after(Duration::from_millis(milliseconds))
}

/// A target of so many thousand tokens a minute, full to `fill`.
fn target(id: u64, thousands: f64, fill: f64) -> TargetView {
    let depth = thousands * 1_000.0;
    let tokens = ResourceView {
        rate: depth / 60.0,
        depth,
        level: depth * (1.0 - fill),
        margin: 0.01,
        known: true,
        tentative: false,
        refills_after: None,
    };
    TargetView { resources: [ResourceView::unknown(Resource::Requests), tokens], ..TargetView::unknown(id) }
}

fn chat(tokens: f64) -> RouteRequest {
    RouteRequest {
        demand: Demand::of_tokens(tokens),
        prefix: 0.0,
        affinity: 7,
        cache: CacheLife::Short,
        arrived: NOW,
        deadline: later(10_000),
        spill: Spill::Allowed,
        allowed: TargetSet::ALL,
        tried: TargetSet::EMPTY,
        draw: 0.5,
        turn: 0,
    }
}

fn turn(tokens: f64) -> RouteRequest {
    RouteRequest { prefix: tokens * 0.8, ..chat(tokens) }
}

fn home(target: u64) -> Option<Home> {
    Some(Home { target, used: Moment(NOW.0 - Duration::from_secs(60)), cache: CacheLife::Short })
}

#[test]
fn a_conversation_goes_where_it_was_last_answered() {
    let targets = [target(1, 1_000.0, 0.0), target(2, 1_000.0, 0.9), target(3, 1_000.0, 0.0)];
    assert_eq!(plan(&turn(60_000.0), &targets, home(2), NOW), Decision::Send(1));
    let gone = Some(Home { used: Moment(NOW.0 - Duration::from_secs(301)), ..home(2).unwrap() });
    let without = plan(&turn(60_000.0), &targets, None, NOW);
    assert_eq!(plan(&turn(60_000.0), &targets, gone, NOW), without, "a cache that has ended is no home");
}

#[test]
fn a_new_conversation_has_one_place_that_all_agree_on_and_passes_over_crowded_targets() {
    let targets = [target(1, 1_000.0, 0.1), target(2, 1_000.0, 0.1), target(3, 1_000.0, 0.1)];
    let places: Vec<Decision> = (0..200).map(|affinity| plan(&RouteRequest { affinity, ..turn(60_000.0) }, &targets, None, NOW)).collect();
    for index in 0..3 {
        let count = places.iter().filter(|place| **place == Decision::Send(index)).count();
        assert!(count > 40, "{count} of 200 at {index}");
    }
    let crowded = [target(1, 1_000.0, 0.9), target(2, 1_000.0, 0.1), target(3, 1_000.0, 0.1)];
    let moved = (0..200).map(|affinity| plan(&RouteRequest { affinity, ..turn(60_000.0) }, &crowded, None, NOW));
    for (before, after) in places.iter().zip(moved) {
        assert!(after != Decision::Send(0) && (*before == Decision::Send(0) || *before == after));
    }
}

#[test]
fn a_new_conversation_avoids_buckets_that_hold_it_only_once() {
    let targets = [target(1, 100.0, 0.0), target(2, 300.0, 0.0)];
    for affinity in 0..50 {
        assert_eq!(plan(&RouteRequest { affinity, ..turn(60_000.0) }, &targets, None, NOW), Decision::Send(1));
    }
    assert_eq!(plan(&turn(80_000.0), &targets[..1], None, NOW), Decision::Send(0), "unless there is no other");
}

#[test]
fn a_conversation_waits_for_its_home_when_that_costs_less_than_moving() {
    // One second's refill is missing at home.
    let targets = [target(1, 600.0, 0.91), target(2, 600.0, 0.0)];
    let decision = plan(&turn(58_000.0), &targets, home(1), NOW);
    assert!(matches!(decision, Decision::Wait { index: 0, until } if until > NOW && until < later(2_000)), "{decision:?}");
    let impatient = RouteRequest { arrived: Moment(NOW.0 - Duration::from_secs(3)), ..turn(58_000.0) };
    assert_eq!(plan(&impatient, &targets, home(1), NOW), Decision::Send(1), "not for ever");
    let urgent = RouteRequest { deadline: later(100), ..turn(58_000.0) };
    assert_eq!(plan(&urgent, &targets, home(1), NOW), Decision::Send(1), "not beyond its deadline");
    let small = RouteRequest { prefix: 2_000.0, ..turn(58_000.0) };
    assert_eq!(plan(&small, &targets, home(1), NOW), Decision::Send(1), "not for a small prefix");
}

#[test]
fn a_conversation_moves_only_where_there_is_plenty_of_room() {
    let full_home = |fill: f64| [target(1, 600.0, 1.5), target(2, 600.0, fill)];
    assert_eq!(plan(&turn(60_000.0), &full_home(0.3), home(1), NOW), Decision::Send(1));
    let waits = plan(&turn(60_000.0), &full_home(0.6), home(1), NOW);
    assert!(matches!(waits, Decision::Wait { index: 0, .. }), "{waits:?}");
    let full = plan(&turn(60_000.0), &full_home(1.0), home(1), NOW);
    assert!(matches!(full, Decision::Full { eta: Some(_) }), "{full:?}");
}

#[test]
fn at_its_deadline_a_conversation_spills_while_the_budget_lasts() {
    let targets = [target(1, 600.0, 1.5), target(2, 600.0, 0.6)];
    let overdue = RouteRequest { deadline: NOW, ..turn(60_000.0) };
    assert_eq!(plan(&overdue, &targets, home(1), NOW), Decision::Send(1));
    let spent = RouteRequest { spill: Spill::Spent, ..overdue };
    assert_eq!(plan(&spent, &targets, home(1), NOW), Decision::Send(1), "no client is refused while a region is far from full");
    let crowded = [target(1, 600.0, 1.5), target(2, 600.0, 0.8)];
    assert_eq!(plan(&overdue, &crowded, home(1), NOW), Decision::Send(1));
    let refused = plan(&spent, &crowded, home(1), NOW);
    assert!(matches!(refused, Decision::Full { eta: Some(_) }), "{refused:?}");
}

#[test]
fn small_requests_fill_small_buckets_first_as_far_as_the_load_asks_for() {
    let idle = |fill: f64| [target(1, 400.0, 0.0), target(2, 100.0, fill), target(3, 250.0, 0.0)];
    assert_eq!(plan(&chat(2_000.0), &idle(0.3), None, NOW), Decision::Send(1));
    assert_eq!(plan(&chat(2_000.0), &idle(0.6), None, NOW), Decision::Send(2), "no crowding at low load");
    let busy = [target(1, 400.0, 0.6), target(2, 100.0, 0.9), target(3, 250.0, 0.5)];
    assert_eq!(plan(&chat(2_000.0), &busy, None, NOW), Decision::Send(1), "at high load to the brim");
}

#[test]
fn what_is_held_for_the_oldest_waiter_is_not_given_away() {
    let mut targets = [target(1, 600.0, 0.8)];
    assert_eq!(plan(&chat(2_000.0), &targets, None, NOW), Decision::Send(0));
    targets[0].held = 113_000.0;
    let decision = plan(&chat(2_000.0), &targets, None, NOW);
    assert!(matches!(decision, Decision::Full { eta: Some(_) }), "{decision:?}");
}

#[test]
fn a_half_open_target_gets_one_call_and_a_closed_or_drained_one_none() {
    let half_open = TargetView { gate: Gate::HalfOpen, ..target(1, 100.0, 0.0) };
    assert_eq!(plan(&chat(2_000.0), &[half_open], None, NOW), Decision::Send(0));
    let probing = TargetView { probing: true, ..half_open };
    assert_eq!(plan(&chat(2_000.0), &[probing], None, NOW), Decision::None { reopens: Some(NOW) });
    let open = TargetView { gate: Gate::Open { until: later(5_000) }, ..half_open };
    let sooner = TargetView { gate: Gate::Open { until: later(3_000) }, ..half_open };
    assert_eq!(plan(&chat(2_000.0), &[open, sooner], None, NOW), Decision::None { reopens: Some(later(3_000)) });
    let drained = TargetView { drained: true, ..target(1, 100.0, 0.0) };
    assert_eq!(plan(&chat(2_000.0), &[drained], None, NOW), Decision::None { reopens: None });
    let mut tried = chat(2_000.0);
    tried.tried.insert(0);
    assert_eq!(plan(&tried, &[target(1, 100.0, 0.0)], None, NOW), Decision::None { reopens: None });
}

#[test]
fn a_closed_home_is_left_at_once() {
    let closed = TargetView { gate: Gate::Open { until: later(5_000) }, ..target(1, 600.0, 0.0) };
    assert_eq!(plan(&turn(60_000.0), &[closed, target(2, 600.0, 0.8)], home(1), NOW), Decision::Send(1));
}

#[test]
fn a_request_larger_than_every_bucket_is_told_so() {
    let targets = [target(1, 50.0, 0.0), target(2, 60.0, 0.0)];
    assert_eq!(plan(&chat(61_000.0), &targets, None, NOW), Decision::Full { eta: None });
    assert_eq!(plan(&turn(61_000.0), &targets, home(1), NOW), Decision::Full { eta: None });
}

#[test]
fn between_equals_the_faster_and_the_cheaper_wins_and_neither_beats_a_home() {
    let equal = || target(1, 600.0, 0.4);
    let slow = TargetView { first_byte: Some(FirstByte { seconds: 2.0, measured: NOW }), ..equal() };
    let fast = TargetView { first_byte: Some(FirstByte { seconds: 1.0, measured: NOW }), ..target(2, 600.0, 0.5) };
    assert_eq!(plan(&chat(2_000.0), &[slow, fast], None, NOW), Decision::Send(1));
    let dear = TargetView { price: 3.3, ..target(1, 610.0, 0.4) };
    let cheap = TargetView { price: 3.0, ..target(2, 600.0, 0.4) };
    assert_eq!(plan(&chat(2_000.0), &[dear, cheap], None, NOW), Decision::Send(1));
    assert_eq!(plan(&turn(60_000.0), &[slow, fast], home(1), NOW), Decision::Send(0));
    let very_slow = TargetView { first_byte: Some(FirstByte { seconds: 90.0, measured: NOW }), ..target(3, 600.0, 0.1) };
    let brimful = TargetView { first_byte: Some(FirstByte { seconds: 1.0, measured: NOW }), ..target(4, 600.0, 0.98) };
    assert_eq!(plan(&chat(2_000.0), &[brimful, very_slow], None, NOW), Decision::Send(1), "free and slow before full");
}

fn views() -> impl Strategy<Value = Vec<TargetView>> {
    let gate = prop_oneof![
        4 => Just(Gate::Closed),
        1 => Just(Gate::HalfOpen),
        1 => (0u64..9_000).prop_map(|at| Gate::Open { until: later(at) }),
    ];
    let view =
        (10.0..1_000.0f64, -0.5..1.5f64, gate, any::<bool>(), prop::bool::weighted(0.1), 0.0..50_000.0f64, prop::bool::weighted(0.2));
    let view = view.prop_map(|(thousands, fill, gate, probing, drained, held, unknown)| {
        let mut view = TargetView { gate, probing, drained, held, ..target(0, thousands, fill) };
        if unknown {
            view.resources[1] = ResourceView::unknown(Resource::Tokens);
        }
        view
    });
    prop::collection::vec(view, 0..9).prop_map(|mut views| {
        (1u64..).zip(&mut views).for_each(|(id, view)| view.id = id);
        views
    })
}

fn requests() -> impl Strategy<Value = RouteRequest> {
    let numbers = (100.0..200_000.0f64, prop::option::of(0.1..0.9f64), any::<u64>(), 0u64..12_000, any::<bool>());
    (numbers, prop::array::uniform9(any::<bool>()), prop::array::uniform9(prop::bool::weighted(0.2))).prop_map(
        |((tokens, prefix, affinity, left, spill), allowed, tried)| {
            let set = |members: [bool; 9]| {
                let mut set = TargetSet::EMPTY;
                (0..).zip(members).filter(|(_, member)| *member).for_each(|(index, _)| set.insert(index));
                set
            };
            RouteRequest {
                prefix: prefix.map_or(0.0, |share| share * tokens),
                affinity,
                deadline: later(left.saturating_sub(2_000)),
                spill: if spill { Spill::Allowed } else { Spill::Spent },
                allowed: set(allowed),
                tried: set(tried),
                ..chat(tokens)
            }
        },
    )
}

proptest! {
    #[test]
    fn a_call_goes_only_where_it_is_allowed_open_and_fits(request in requests(), targets in views(), at_home in 0u64..10) {
        let decision = plan(&request, &targets, home(at_home), NOW);
        let usable = |index: usize| {
            request.allowed.contains(index) && !request.tried.contains(index) && targets[index].open()
        };
        match decision {
            Decision::Send(index) => {
                prop_assert!(usable(index) && targets[index].fits(&request.demand));
                let warm = (0..targets.len()).find(|index| targets[*index].id == at_home && usable(*index));
                if let Some(warm) = warm.filter(|_| request.prefix > 0.0) {
                    prop_assert!(index == warm || !targets[warm].fits(&request.demand), "it left a home with room");
                }
            }
            Decision::Wait { index, until } => {
                prop_assert!(usable(index) && targets[index].id == at_home && request.prefix > 0.0);
                prop_assert!(until >= NOW && NOW < request.deadline);
            }
            Decision::Full { .. } => {
                prop_assert!((0..targets.len()).any(usable));
                prop_assert!(request.prefix > 0.0 || !(0..targets.len()).any(|index| usable(index) && targets[index].fits(&request.demand)));
            }
            Decision::None { .. } => prop_assert!(!(0..targets.len()).any(usable)),
        }
        prop_assert_eq!(decision, plan(&request, &targets, home(at_home), NOW), "the same again");
    }
}
