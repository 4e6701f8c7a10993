//! From one target to the next: what is paid, what is given back, who waits for whom.

use outcrop_domain::{
    model::ProfileClass,
    routing::{Gate, reserve::Estimate, strategy::Strategy},
};

use super::{super::*, world::*};

/// How full the buckets of all regions are, added up.
fn levels(world: &World, regions: usize) -> f64 {
    (0..regions).map(|region| world.cell(region).describe(world.now()).tokens_per_minute.unwrap().level_ratio).sum()
}

#[tokio::test(start_paused = true)]
async fn the_first_move_is_free_and_the_second_waits_until_it_can_be_paid() {
    let world = World::with(3, routing(Strategy::Ordered)).await;
    let shared = world.context.board.shared();
    while shared.retry(world.now()) {}
    let began = world.now();
    let mut attempts = world.attempts();
    let answered = attempts
        .run(|target, _| after(1, if target.region.as_str() == REGIONS[2] { Ok(()) } else { Err(Cause::Unavailable) }))
        .await
        .unwrap();
    assert_eq!((answered.target.region.as_str(), attempts.made), (REGIONS[2], 3));
    let took = world.now().since(began);
    assert!((Duration::from_millis(700)..Duration::from_millis(1_300)).contains(&took), "a token a second: {took:?}");
    assert_eq!(shared.retries_left(world.now()), 0, "it was paid");
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_leaves_a_target_that_streams_have_found_silent() {
    let world = World::with(2, routing(Strategy::Ordered)).await;
    let second = Duration::from_secs(1);
    for region in 0..2 {
        world.knows_pace(region, second).await;
    }
    let (mut streamed, mut whole) = (world.attempts(), world.attempts());
    whole.patience = Patience { answering: Answering::Whole, at_most: Duration::from_secs(900), ..whole.patience };
    let began = world.now();
    let dead = |target: &Target| if target.region.as_str() == REGIONS[0] { never() } else { after(1, Ok(())) };
    let (of_stream, of_whole) = tokio::join!(streamed.run(|target, _| dead(target)), whole.run(|target, _| dead(target)));
    assert!(of_stream.is_ok() && of_whole.is_ok_and(|answered| answered.target.region.as_str() == REGIONS[1]));
    let took = world.now().since(began);
    assert!((3 * second..4 * second).contains(&took), "three usual seconds of the stream's: {took:?}");

    // By itself it waits: it may only be long.
    let alone = World::with(2, routing(Strategy::Ordered)).await;
    alone.knows_pace(0, second).await;
    let mut whole = alone.attempts();
    whole.patience = Patience { answering: Answering::Whole, at_most: Duration::from_secs(900), ..whole.patience };
    let answered = whole.run(|_, _| after(20_000, Ok(()))).await.unwrap();
    assert_eq!((answered.target.region.as_str(), whole.made), (REGIONS[0], 1));
}

#[tokio::test(start_paused = true)]
async fn of_targets_with_as_much_room_the_cheaper_one_is_asked() {
    let mut world = World::with(2, quotas(&[60_000.0; 2])).await;
    for cheap in [0, 1] {
        world.costs(|position| if position == cheap { ProfileClass::Global } else { ProfileClass::Geography("us".into()) }, "1.1");
        let step = world.attempts().next(world.now());
        assert!(matches!(step, Step::Call { position, .. } if position == cheap), "{cheap}");
        world.learned().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_call_that_goes_on_with_a_broken_answer_is_paid_and_counts_what_was_made_before() {
    let world = World::with(2, routing(Strategy::Ordered)).await;
    let shared = world.context.board.shared();
    let goes_on = |made: usize| {
        let mut attempts = world.attempts();
        (attempts.made, attempts.made_before) = (made, made);
        attempts
    };
    let before = shared.retries_left(world.now());
    assert!(matches!(goes_on(1).next(world.now()), Step::Call { .. }));
    assert_eq!(shared.retries_left(world.now()), before - 1);
    while shared.retry(world.now()) {}
    assert!(matches!(goes_on(1).next(world.now()), Step::WaitUntil(_)), "a first call would be free");
    assert!(matches!(goes_on(world.settings.routing.max_attempts as usize).next(world.now()), Step::GiveUp));
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_for_a_call_that_cannot_be_paid_is_given_back() {
    let world = World::with(3, quotas(&[60_000.0; 3])).await;
    let shared = world.context.board.shared();
    let mut attempts = world.attempts_reserving(6_000);
    let before = levels(&world, 3);
    attempts.made = 2;
    while shared.retry(world.now()) {}
    assert!(matches!(attempts.next(world.now()), Step::WaitUntil(_)));
    world.learned().await;
    assert_eq!(levels(&world, 3), before);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_throttled_a_request_may_answer_it_later_and_one_that_failed_may_not() {
    let world = World::with(2, quotas(&[60_000.0; 2])).await;
    let mut attempts = world.attempts();
    for (position, cause) in [(0, Cause::Throttled), (1, Cause::Unavailable)] {
        attempts.routes[position].tried = true;
        attempts.learn(position, failure(cause)).unwrap();
    }
    let in_line = attempts.in_places(attempts.request(world.now()));
    let tried: Vec<bool> = attempts.routes.iter().map(|route| in_line.tried.contains(route.place)).collect();
    assert_eq!(tried, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_request_larger_than_every_bucket_is_refused_unless_a_closed_one_could_hold_it() {
    // The one probe that a request may cost is spent: what is seen is the plan.
    let step = |world: &World| {
        let mut attempts = world.attempts_reserving(30_000);
        attempts.probed = Probed::AtTheEnd;
        attempts.next(world.now())
    };
    let world = World::with(2, quotas(&[6_000.0, 600_000.0])).await;
    assert!(matches!(step(&world), Step::Call { position: 1, .. }));
    world.fails(1, Cause::Unavailable).await;
    assert!(matches!(step(&world), Step::Queue), "it fits when the second region is back");
    let small = World::with(2, quotas(&[6_000.0, 6_000.0])).await;
    assert!(matches!(step(&small), Step::Refuse));
}

#[tokio::test(start_paused = true)]
async fn who_looks_at_health_alone_is_shown_no_quotas() {
    let world = World::with(1, quotas(&[6_000.0])).await;
    let demand = outcrop_domain::routing::view::Demand::of_tokens(6_000.0);
    let _full = Debit::take(&world.cell(0), &world.context.ports.clock, demand, Estimate::default()).unwrap();
    let view = |sight| world.cell(0).view(sight, false, Answering::Streamed, world.attempts().facts.size, world.now());
    assert!(view(Sight::Health).fits(&demand) && !view(Sight::Quotas).fits(&demand));
}

#[tokio::test(start_paused = true)]
async fn the_probe_of_a_silent_target_may_take_as_long_as_a_whole_answer_does() {
    let world = World::with(2, routing(Strategy::Ordered)).await;
    for region in 0..2 {
        world.knows_pace(region, Duration::from_secs(1)).await;
    }
    world.lease(0).unwrap().silent();
    world.learned().await;
    // Longer than any backoff.
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(world.gate(0), (Gate::HalfOpen, false));
    let mut whole = world.attempts();
    whole.patience = Patience { answering: Answering::Whole, at_most: Duration::from_secs(900), ..whole.patience };
    let answered = whole.run(|_, _| after(8_000, Ok(()))).await.unwrap();
    assert_eq!((answered.target.region.as_str(), whole.made), (REGIONS[0], 1));
    drop(answered);
    world.learned().await;
    assert_eq!(world.gate(0), (Gate::Closed, false), "it is well again");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_upstream_tells_of_one_call_takes_no_other_call_away() {
    let world = World::with(2, routing(Strategy::Ordered)).await;
    world.knows_pace(0, Duration::from_secs(1)).await;
    let mut whole = world.attempts();
    whole.patience = Patience { answering: Answering::Whole, at_most: Duration::from_secs(900), ..whole.patience };
    let others = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.fails(0, Cause::Timeout).await;
    };
    let (answered, ()) = tokio::join!(whole.run(|_, _| after(20_000, Ok(()))), others);
    assert_eq!((answered.unwrap().target.region.as_str(), whole.made), (REGIONS[0], 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_line_lets_go_is_paid_like_any_other() {
    let world = World::with(1, quotas(&[6_000.0])).await;
    let shared = world.context.board.shared();
    let demand = outcrop_domain::routing::view::Demand::of_tokens(5_900.0);
    let full = Debit::take(&world.cell(0), &world.context.ports.clock, demand, Estimate::default()).unwrap();
    let mut attempts = world.attempts_reserving(1_000);
    // Two calls were made before: the third is not the request's own.
    (attempts.made, attempts.probed) = (2, Probed::AtTheEnd);
    let before = shared.retries_left(world.now());
    let room = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(full);
    };
    let (answered, ()) = tokio::join!(attempts.run(|_, _| after(1, Ok(()))), room);
    assert!(answered.is_ok());
    assert!(shared.retries_left(world.now()) < before, "{before}");
}

#[tokio::test(start_paused = true)]
async fn after_its_wait_a_request_may_ask_again_where_it_was_throttled_before() {
    let world = World::with(1, quotas(&[6_000.0])).await;
    let demand = outcrop_domain::routing::view::Demand::of_tokens(5_900.0);
    let _full = Debit::take(&world.cell(0), &world.context.ports.clock, demand, Estimate::default()).unwrap();
    let mut attempts = world.attempts_reserving(5_000);
    attempts.routes[0].tried = true;
    attempts.learn(0, failure(Cause::Throttled)).unwrap();
    assert!(attempts.request(world.now()).tried.contains(0), "not at once");
    assert!(attempts.queue().await.unwrap().is_none(), "its time is over");
    assert!(!attempts.request(world.now()).tried.contains(0));
}
