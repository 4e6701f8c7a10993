//! The last plan of a request: its line takes nobody any more, or its wait is over.

use outcrop_domain::{
    error::GatewayError,
    ids::ModelId,
    routing::{reserve::Estimate, view::Demand, waiting::QUEUE_LIMIT},
};
use outcrop_supervision::{Answer, Reply};

use super::{super::*, world::*};
use crate::{
    settings::RoutingPolicy,
    targets::{Debit, WaitingRoomMsg, Wish, Woken},
    testing::route_request,
};

/// Tokens that the target holds at most.
const DEPTH: f64 = 6_000.0;
/// More than nothing, and less than what is left alone for the error of the belief.
const WITHIN_THE_MARGIN: f64 = 30.0;

/// A target that has what the tests' requests reserve, and `more`. The debit keeps it so.
async fn world(more: f64, policy: RoutingPolicy) -> (World, Debit) {
    let world = World::with(1, policy).await;
    let demand = world.attempts().demand.tokens();
    let used = Demand::of_tokens(DEPTH - demand - more);
    let debit = Debit::force(&world.cell(0), &world.context.ports.clock, used, Estimate::default());
    (world, debit)
}

/// Somebody waits for so many tokens, for an hour.
fn wait(world: &World, tokens: f64) -> Answer<Woken> {
    let (reply, answer) = Reply::channel();
    let request = route_request(tokens, world.now(), Duration::from_secs(3_600));
    let pool = world.context.board.pool(&ModelId::from(MODEL));
    let wish = Wish { pool, request, estimate: Estimate::default(), place: None, reply };
    world.context.waiting.cast(WaitingRoomMsg::Wait(Box::new(wish))).unwrap();
    answer
}

/// As many wait as may, each for the whole bucket.
fn fill_line(world: &World) -> Vec<Answer<Woken>> {
    (0..QUEUE_LIMIT).map(|_| wait(world, DEPTH)).collect()
}

fn spend_retries(world: &World) {
    while world.context.board.shared().retry(world.now()) {}
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_takes_from_the_margin() {
    let (world, _used) = world(WITHIN_THE_MARGIN, quotas(&[DEPTH])).await;
    let _line = fill_line(&world);
    let began = world.now();
    let mut attempts = world.attempts();
    assert!(attempts.run(|_, _| after(0, Ok(()))).await.is_ok());
    assert_eq!((attempts.made, world.now().since(began)), (1, Duration::ZERO), "at once");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_and_fits_nowhere_is_told_of_the_line() {
    let (world, _used) = world(-0.6 * DEPTH, quotas(&[DEPTH])).await;
    let _line = fill_line(&world);
    let mut attempts = world.attempts();
    let refused = attempts.run(|_, _| after(0, Ok(()))).await.err();
    let Some(GatewayError::RateLimited { message, .. }) = refused else { panic!("{refused:?}") };
    assert!(message.ends_with(&format!("and {QUEUE_LIMIT} requests wait for them already")), "{message}");
    assert_eq!(attempts.made, 0);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_and_was_throttled_is_told_what_upstream_said() {
    let (world, _used) = world(WITHIN_THE_MARGIN, quotas(&[DEPTH])).await;
    let _line = fill_line(&world);
    let mut attempts = world.attempts();
    let refused = attempts.run(|_, _| after(0, Err(Cause::Throttled))).await.err();
    let Some(GatewayError::Upstream(failure)) = refused else { panic!("{refused:?}") };
    assert_eq!((failure.cause, attempts.made), (Cause::Throttled, 1));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_comes_after_those_of_its_size_who_do() {
    let (world, _used) = world(WITHIN_THE_MARGIN, quotas(&[DEPTH])).await;
    let mut attempts = world.attempts();
    let _older = wait(&world, attempts.demand.tokens());
    let _line: Vec<_> = (1..QUEUE_LIMIT).map(|_| wait(&world, DEPTH)).collect();
    assert!(attempts.run(|_, _| after(0, Ok(()))).await.is_err());
    assert_eq!(attempts.made, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_from_the_margin_needs_no_budget_and_a_test_does() {
    for (more, answered) in [(WITHIN_THE_MARGIN, true), (-WITHIN_THE_MARGIN, false)] {
        let policy = RoutingPolicy { max_wait: Duration::ZERO, ..quotas(&[DEPTH]) };
        let (world, _used) = world(more, policy.clone()).await;
        spend_retries(&world);
        assert_eq!(world.attempts().run(|_, _| after(0, Ok(()))).await.is_ok(), answered, "{more}");
        // With a budget the test is made, too.
        let (world, _used) = self::world(more, policy).await;
        assert!(world.attempts().run(|_, _| after(0, Ok(()))).await.is_ok(), "{more}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_taken_from_the_margin_is_paid_by_an_answer_that_goes_on() {
    let policy = RoutingPolicy { max_wait: Duration::ZERO, ..quotas(&[DEPTH]) };
    let (world, _used) = world(WITHIN_THE_MARGIN, policy).await;
    let shared = world.context.board.shared();
    for (made_before, paid) in [(0, 0), (1, 1)] {
        let before = shared.retries_left(world.now());
        let mut attempts = world.attempts();
        attempts.made_before = made_before;
        let Step::Call { position, debit } = attempts.next(world.now()) else { panic!("it may dip") };
        assert_eq!(before - shared.retries_left(world.now()), paid, "{made_before}");
        attempts.unused(position, debit);
        world.learned().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_overdue_while_a_test_is_out_hears_what_becomes_of_it() {
    let policy = RoutingPolicy { max_wait: Duration::from_millis(200), ..quotas(&[DEPTH]) };
    let (world, _used) = world(-WITHIN_THE_MARGIN, policy).await;
    let (mut first, mut second) = (world.attempts(), world.attempts());
    let began = world.now();
    let (first, answered) = tokio::join!(first.run(|_, _| after(1_000, Ok(()))), async {
        let answered = second.run(|_, _| after(0, Ok(()))).await.is_ok();
        (answered, world.now().since(began))
    });
    assert!(first.is_ok() && answered.0);
    assert!((Duration::from_millis(250)..Duration::from_millis(400)).contains(&answered.1), "{answered:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_overdue_is_late_by_a_second_at_most() {
    let policy = RoutingPolicy { max_wait: Duration::from_secs(2), ..quotas(&[DEPTH]) };
    // Three seconds bring a twentieth of the depth: it is nearly there, and never wholly.
    let (world, _used) = world(-0.07 * DEPTH, policy).await;
    let mut attempts = world.attempts();
    let began = world.now();
    // Others test all the time, so that its turn never comes.
    let others = async {
        loop {
            let seen = world.cell(0).probe_view();
            let _ = world.cell(0).claim_quota_probe(&seen, world.now());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let refused = tokio::select! {
        biased;
        () = others => None,
        answered = attempts.run(|_, _| after(0, Ok(()))) => answered.err(),
    };
    let Some(GatewayError::RateLimited { .. }) = refused else { panic!("{refused:?}") };
    let (waited, made) = (world.now().since(began), attempts.made);
    assert_eq!(made, 0);
    assert!((Duration::from_millis(2_700)..=Duration::from_secs(3)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_stood_in_line_does_not_wait_for_the_budget_as_long_again() {
    let policy = RoutingPolicy { max_wait: Duration::from_secs(2), ..quotas(&[DEPTH]) };
    let (world, _used) = world(-0.6 * DEPTH, policy).await;
    let mut attempts = world.attempts();
    // Two calls were made, and one was answered 503: a third is to be paid, and nothing is left.
    attempts.made = 2;
    attempts.learn(0, failure(Cause::Unavailable)).unwrap();
    let began = world.now();
    assert!(attempts.queue().await.unwrap().is_none(), "its time is over");
    // Whatever the budget earns others take.
    let others = async {
        loop {
            spend_retries(&world);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let refused = tokio::select! {
        biased;
        () = others => None,
        answered = attempts.run(|_, _| after(0, Ok(()))) => answered.err(),
    };
    let Some(GatewayError::Upstream(told)) = refused else { panic!("{refused:?}") };
    assert_eq!(told.cause, Cause::Unavailable, "quotas are not what is missing");
    let waited = world.now().since(began);
    assert!(waited <= Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_claimed_once_and_the_claim_can_be_given_back() {
    let policy = RoutingPolicy { max_wait: Duration::from_millis(200), ..quotas(&[DEPTH]) };
    let (world, _used) = world(-WITHIN_THE_MARGIN, policy).await;
    let cell = world.cell(0);
    let seen = cell.probe_view();
    assert!(cell.claim_quota_probe(&seen, world.now()));
    assert!(!cell.claim_quota_probe(&seen, world.now()), "it was seen before that");
    cell.unclaim_quota_probe(&seen, world.now());
    assert_eq!(cell.probe_view().probed, seen.probed, "as if nobody had");
    assert!(cell.claim_quota_probe(&seen, world.now()));
}

#[tokio::test(start_paused = true)]
async fn who_tested_in_vain_may_try_again_at_the_end_of_its_wait() {
    // At the end of its wait what it needs has flowed back, and not the margin that the refusal made wider.
    let policy = RoutingPolicy { max_wait: Duration::from_millis(1_200), ..quotas(&[DEPTH]) };
    let (world, _used) = world(-WITHIN_THE_MARGIN, policy).await;
    let mut attempts = world.attempts();
    let mut calls = 0;
    let answered = attempts.run(|_, _| {
        calls += 1;
        after(1, if calls == 1 { Err(Cause::Throttled) } else { Ok(()) })
    });
    assert!(answered.await.is_ok());
    assert_eq!(calls, 2);
}
