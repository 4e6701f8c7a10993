//! What a plan costs, with eight targets of one model and with those of 150. For reading, in release:
//!
//! ```text
//! cargo test --release -p outcrop-domain --test plan_cost -- --ignored --nocapture
//! ```
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "the numbers are for reading")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use outcrop_domain::{
    clock::Moment,
    routing::{
        adaptive::plan,
        affinity::{ConversationHints, affinity_key, target_id},
        cell::QuotaCell,
        quota::{Priors, TargetQuota},
        sticky::Sticky,
        strategy::{Strategy, plan as choose},
        view::{CacheLife, Decision, Demand, Home, RouteRequest, Spill, TargetSet, TargetView},
        waiting::{QUEUE_LIMIT, Sweep, Waiting},
    },
};

const TARGETS: usize = 8;
const MODELS: usize = 150;
const NOW: Moment = Moment(Duration::from_secs(100));

/// Nanoseconds per call: the best of several rounds, the rest is noise.
fn measure<T>(name: &str, rounds: u32, mut work: impl FnMut() -> T) -> f64 {
    let best = (0..7)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..rounds {
                black_box(work());
            }
            began.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
        })
        .fold(f64::INFINITY, f64::min);
    println!("{name:44} {best:10.0} ns");
    best
}

fn request(tokens: f64, prefix: f64) -> RouteRequest {
    RouteRequest {
        demand: Demand::of_tokens(tokens),
        prefix,
        affinity: 0x1234_5678_9abc_def0,
        cache: CacheLife::Short,
        arrived: NOW,
        deadline: NOW.after(Duration::from_secs(10)),
        spill: Spill::Allowed,
        allowed: TargetSet::ALL,
        tried: TargetSet::EMPTY,
        draw: 0.5,
        turn: 0,
    }
}

fn cells() -> Vec<QuotaCell> {
    let quotas = (1..=TARGETS).map(|number| {
        let per_minute = 100_000.0 * number as f64;
        let priors = Priors { requests_per_minute: Some(600.0), tokens_per_minute: Some(per_minute), tokens_per_day: None };
        TargetQuota::new(&priors, None, NOW, Duration::from_secs(3_600))
    });
    quotas.map(|quota| QuotaCell::new(&quota, NOW)).collect()
}

fn views(cells: &[QuotaCell]) -> [TargetView; TARGETS] {
    std::array::from_fn(|index| TargetView { resources: cells[index].view(NOW), ..TargetView::unknown(index as u64 + 1) })
}

#[test]
#[ignore = "a measurement, for release builds"]
fn a_plan_takes_less_than_a_microsecond() {
    let cells = cells();
    let free = views(&cells);
    let mut full = free;
    full.iter_mut().for_each(|view| view.debit(&Demand::of_tokens(view.tokens().depth)));
    let home = Some(Home { target: 5, used: NOW, cache: CacheLife::Short });
    let (chat, turn) = (request(3_000.0, 0.0), request(70_000.0, 60_000.0));
    let planned = |request: &RouteRequest, views: &[TargetView], home| plan(black_box(request), black_box(views), home, NOW);
    assert!(matches!(plan(&turn, &full, home, NOW), Decision::Full { .. }));
    let costs = [
        measure("chat, room everywhere", 200_000, || planned(&chat, &free, None)),
        measure("turn at its warm home", 200_000, || planned(&turn, &free, home)),
        measure("new conversation, rendezvous of 8", 200_000, || planned(&turn, &free, None)),
        measure("turn, everything full", 200_000, || planned(&turn, &full, home)),
        measure("eight views from their cells, and a chat plan", 200_000, || planned(&chat, &views(black_box(&cells)), None)),
    ];
    measure("one debit", 200_000, || cells[7].debit_probe(&Demand::of_tokens(1.0), NOW));
    measure("one settlement without the owner", 200_000, || cells[7].settle(&Demand::of_tokens(1.0), 0.5, NOW));
    others();
    assert!(costs.iter().all(|cost| *cost < 1_000.0), "{costs:?}");
}

/// A gateway's day: each request is for another model, whose cells no cache of the processor holds any more.
#[test]
#[ignore = "a measurement, for release builds"]
fn a_route_among_150_models_in_eight_regions_takes_less_than_two_microseconds() {
    let models: Vec<Vec<QuotaCell>> = (0..MODELS).map(|_| cells()).collect();
    let mut table = Sticky::default();
    let (chat, turn) = (request(3_000.0, 0.0), request(70_000.0, 60_000.0));
    table.settle(turn.affinity, 5, CacheLife::Short, NOW);
    let mut model = 0;
    let mut route = |strategy: Strategy, request: &RouteRequest| {
        model = (model + 67) % MODELS;
        let (cells, home) = (black_box(&models[model]), if request.prefix > 0.0 { table.home(request.affinity, NOW) } else { None });
        let decision = choose(strategy, black_box(request), &views(cells), home, NOW);
        let Decision::Send(index) = decision else { panic!("{strategy:?} sends nowhere: {decision:?}") };
        let taken = cells[index].debit(&request.demand, 0.0, NOW);
        cells[index].give_back(&request.demand, NOW);
        taken.unwrap()
    };
    let strategies = [Strategy::Adaptive, Strategy::Ordered, Strategy::RoundRobin, Strategy::LowestLatency];
    let costs = strategies.map(|strategy| {
        let of_chat = measure(&format!("150 models, chat, {strategy:?}"), 200_000, || route(strategy, &chat));
        of_chat.max(measure(&format!("150 models, turn, {strategy:?}"), 200_000, || route(strategy, &turn)))
    });
    assert!(costs.iter().all(|cost| *cost < 2_000.0), "{costs:?}");
}

fn others() {
    let mut table = Sticky::default();
    let mut key = 0u64;
    let mut next = || {
        key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        key
    };
    (0..100_000).for_each(|_| table.settle(next(), 1, CacheLife::Short, NOW));
    measure("affinity: look-up in a full table", 200_000, || table.home(next(), NOW));
    measure("affinity: new entry in a full table", 200_000, || table.settle(next(), 1, CacheLife::Short, NOW));
    let prompt = vec![b'x'; 256 * 1024];
    let hints = ConversationHints::default();
    measure("key of a prompt of 256 KiB", 500, || affinity_key(&["key"], &hints, [prompt.as_slice()]));
    measure("id of a target", 200_000, || target_id(&["model", "region"]));
    let mut full = views(&cells());
    full.iter_mut().for_each(|view| view.debit(&Demand::of_tokens(view.tokens().depth)));
    let mut waiting = Waiting::default();
    while waiting.push(request(70_000.0, 60_000.0)).is_ok() {}
    measure(&format!("sweep of {QUEUE_LIMIT} waiting turns, everything full"), 200, || {
        let mut targets = full;
        let mut sweep = Sweep::new(Strategy::Adaptive, &mut targets, NOW);
        assert_eq!(waiting.next_to_wake(&mut sweep, |key| table.home(key, NOW), Spill::Allowed, |_, _| true), None);
    });
    measure(&format!("timer of {QUEUE_LIMIT} waiting turns"), 2_000, || waiting.next_timer(&full, NOW));
}
