//! Copies of calls whose first byte is late.

use outcrop_domain::routing::{Gate, strategy::Strategy};

use super::{super::*, world::*};
use crate::settings::RoutingPolicy;

const SECOND: Duration = Duration::from_secs(1);

/// Three regions that usually answer after a second, with so many thousandths of calls to be hedged.
async fn world(strategy: Strategy, hedge_thousandths: u32) -> World {
    let world = World::with(3, RoutingPolicy { hedge_thousandths, ..routing(strategy) }).await;
    for region in 0..3 {
        world.knows_pace(region, SECOND).await;
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_late_first_byte_is_hedged_and_nothing_is_held_against_the_slower_target() {
    let world = world(Strategy::Ordered, 1_000).await;
    let mut attempts = world.attempts();
    let began = world.now();
    let answered = attempts.run(|target, _| if target.region.as_str() == REGIONS[0] { never() } else { after(500, Ok(())) }).await.unwrap();
    assert_eq!(answered.target.region.as_str(), REGIONS[1]);
    let took = world.now().since(began);
    assert!((2 * SECOND..3 * SECOND).contains(&took), "twice the usual second, and the copy's half: {took:?}");
    drop(answered);
    world.learned().await;
    assert_eq!(world.gate(0), (Gate::Closed, false));
    assert_eq!(attempts.made, 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_call_may_still_win() {
    let world = world(Strategy::Ordered, 1_000).await;
    let mut attempts = world.attempts();
    let answered = attempts
        .run(|target, _| if target.region.as_str() == REGIONS[0] { after(2_200, Ok(())) } else { after(900, Ok(())) })
        .await
        .unwrap();
    assert_eq!(answered.target.region.as_str(), REGIONS[0]);
    assert_eq!(attempts.made, 2, "the copy was a call, too");
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_left_to_answer_when_the_first_call_fails_but_not_for_ever() {
    let world = world(Strategy::Ordered, 1_000).await;
    let began = world.now();
    let mut attempts = world.attempts();
    let answered = attempts
        .run(|target, _| match REGIONS.iter().position(|region| target.region.as_str() == *region) {
            Some(0) => after(2_100, Err(Cause::Unavailable)),
            Some(1) => never(),
            _ => after(100, Ok(())),
        })
        .await
        .unwrap();
    assert_eq!(answered.target.region.as_str(), REGIONS[2]);
    let took = world.now().since(began);
    assert!((5 * SECOND..6 * SECOND).contains(&took), "three usual seconds of silence after the copy began: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hedged_without_a_budget_or_where_one_target_is_all_there_is() {
    for (strategy, thousandths) in [(Strategy::Ordered, 0), (Strategy::Ordered, 20), (Strategy::Disabled, 1_000)] {
        let world = world(strategy, thousandths).await;
        let mut attempts = world.attempts();
        let answered = attempts
            .run(|target, _| if target.region.as_str() == REGIONS[0] { after(2_900, Ok(())) } else { after(1, Ok(())) })
            .await
            .unwrap();
        assert_eq!(answered.target.region.as_str(), REGIONS[0], "{strategy:?} {thousandths}");
        assert_eq!(attempts.made, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_goes_where_there_is_room_also_for_those_who_look_at_health_alone() {
    let quotas = quotas(&[60_000.0, 150.0, 60_000.0]);
    let routing = RoutingPolicy { strategy: Strategy::Ordered, hedge_thousandths: 1_000, quotas_elsewhere: true, ..quotas };
    let world = World::with(3, routing).await;
    world.knows_pace(0, SECOND).await;
    let mut attempts = world.attempts();
    let answered = attempts.run(|target, _| if target.region.as_str() == REGIONS[0] { never() } else { after(100, Ok(())) }).await.unwrap();
    assert_eq!(answered.target.region.as_str(), REGIONS[2], "a hundred tokens fill the second region to more than the limit");
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_a_call_and_no_request_makes_more_calls_than_it_may() {
    let routing = RoutingPolicy { hedge_thousandths: 1_000, max_attempts: 1, ..routing(Strategy::Ordered) };
    let world = World::with(2, routing).await;
    for region in 0..2 {
        world.knows_pace(region, SECOND).await;
    }
    let mut attempts = world.attempts();
    let answered = attempts.run(|_, _| after(2_900, Ok(()))).await.unwrap();
    assert_eq!((answered.target.region.as_str(), attempts.made), (REGIONS[0], 1));
}

#[tokio::test(start_paused = true)]
async fn when_neither_call_is_heard_of_a_third_target_is_asked_long_before_the_timeout() {
    let world = world(Strategy::Ordered, 1_000).await;
    let began = world.now();
    let mut attempts = world.attempts();
    let answered = attempts.run(|target, _| if target.region.as_str() == REGIONS[2] { after(100, Ok(())) } else { never() }).await.unwrap();
    assert_eq!((answered.target.region.as_str(), attempts.made), (REGIONS[2], 3));
    let took = world.now().since(began);
    assert!((5 * SECOND..6 * SECOND).contains(&took), "three usual seconds after the copy began: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn with_two_targets_neither_call_is_dropped_for_the_other() {
    let world = World::with(2, RoutingPolicy { hedge_thousandths: 1_000, ..routing(Strategy::Ordered) }).await;
    for region in 0..2 {
        world.knows_pace(region, SECOND).await;
    }
    let mut attempts = world.attempts();
    let answered = attempts
        .run(|target, _| if target.region.as_str() == REGIONS[0] { after(9_000, Ok(())) } else { after(4_000, Err(Cause::Unavailable)) })
        .await
        .unwrap();
    assert_eq!((answered.target.region.as_str(), attempts.made), (REGIONS[0], 2));
}

#[tokio::test(start_paused = true)]
async fn what_became_of_the_first_call_is_told_also_when_its_copy_answers() {
    let world = world(Strategy::Ordered, 1_000).await;
    let mut attempts = world.attempts();
    let answered = attempts
        .run(|target, _| if target.region.as_str() == REGIONS[0] { after(2_100, Err(Cause::Unavailable)) } else { after(900, Ok(())) })
        .await
        .unwrap();
    assert_eq!(answered.target.region.as_str(), REGIONS[1]);
    world.learned().await;
    assert!(matches!(world.gate(0), (Gate::Open { .. }, _)), "{:?}", world.gate(0));
}
