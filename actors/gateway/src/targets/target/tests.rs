//! The owner of one region, and the calls that end there. Its target holds 6,000 tokens and regains 100 a second.

use std::sync::atomic::{AtomicUsize, Ordering};

use outcrop_domain::{
    ids::ModelId,
    routing::{
        reserve::{Estimate, Reservation},
        silence::PromptSize,
        waiting::SizeClasses,
    },
    usage::{Metering, Usage},
};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    targets::{Answering, Lease, LeaseWish, Patience, ended::MOST_WAITING},
    testing::{REGION, ports, small_board},
};

/// How long an owner needs that was told of something: the clock stands still while anybody works.
const AT_ONCE: Duration = Duration::from_micros(100);

const MODEL: &str = "amazon.nova-lite-v1:0";
const OTHER: &str = "amazon.nova-pro-v1:0";

struct World {
    args: TargetArgs,
    slot: Slot<TargetMsg>,
}

impl World {
    fn new() -> Self {
        let ports = ports();
        let (board, settings) = small_board(&ports);
        let args = TargetArgs { region: REGION.into(), board, settings, waiting: Slot::new("waiting-room"), ports };
        Self { args, slot: Slot::new("target-us-east-1") }
    }

    /// With an owner.
    async fn owned() -> (Self, ActorRef<TargetMsg>, JoinHandle<()>) {
        let world = Self::new();
        let (owner, ended) = Target::spawn(None, Target, world.args.clone()).await.unwrap();
        world.slot.fill(owner.clone());
        // Until it has found that nothing was left behind.
        tokio::time::sleep(2 * GATHER).await;
        (world, owner, ended)
    }

    fn cell(&self, model: &str) -> Arc<TargetCell> {
        self.args.board.cell(&ModelId::from(model), &REGION.into())
    }

    /// A call that reserves a thousand tokens begins, whether or not they are there.
    fn call(&self, model: &str) -> Lease {
        let clock = Arc::clone(&self.args.ports.clock);
        let (cell, owner) = (self.cell(model), self.slot.clone());
        let debit = Debit::force(&cell, &clock, Demand::of_tokens(1_000.0), Estimate { input: 100, conversation: None });
        let size = PromptSize::Small;
        let patience = Patience { answering: Answering::Whole, size, at_most: Duration::from_secs(60), writes: Duration::ZERO };
        Lease::take(LeaseWish { cell, owner, clock, patience, sight: Sight::Quotas, debit: Some(debit) }).unwrap()
    }

    /// A call that reserved a thousand tokens was answered, and used a hundred.
    fn ended(&self) {
        self.ended_of(MODEL, 90);
    }

    /// A call that reserved a thousand tokens was answered, and used ten more than so many.
    fn ended_of(&self, model: &str, input: u64) {
        let mut lease = self.call(model);
        lease.answered();
        lease.used(&Usage { input, output: 10, ..Usage::default() }, Metering::Told, 1);
    }

    /// Hundreds of tokens that are not there, but for what has come again by itself.
    fn missing(&self) -> f64 {
        self.missing_of(MODEL)
    }

    fn missing_of(&self, model: &str) -> f64 {
        let [_, tokens] = self.cell(model).quota_view(self.args.ports.clock.now());
        ((tokens.depth - tokens.level) / 100.0).round()
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_call_that_ends_is_settled_at_once_and_the_others_together() {
    let (world, ..) = World::owned().await;
    world.ended();
    assert_eq!(world.missing(), 10.0);
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(world.missing(), 1.0);
    world.ended();
    world.ended();
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(world.missing(), 21.0, "they are gathered");
    tokio::time::sleep(GATHER).await;
    assert_eq!(world.missing(), 3.0);
    // A round without any, and the next one is the first again.
    tokio::time::sleep(GATHER).await;
    world.ended();
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(world.missing(), 4.0);
}

#[tokio::test(start_paused = true)]
async fn whatever_the_owner_is_told_of_what_has_ended_comes_first() {
    let (world, ..) = World::owned().await;
    world.ended();
    tokio::time::sleep(AT_ONCE).await;
    world.ended();
    world.slot.cast(TargetMsg::QuotaTold(QuotaTold::limited(&world.cell(MODEL), Resource::Requests))).unwrap();
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(world.missing(), 2.0);
}

#[tokio::test(start_paused = true)]
async fn what_has_ended_teaches_how_far_estimates_are_off() {
    let (world, ..) = World::owned().await;
    let pool = world.args.board.pool(&MODEL.into());
    let reserved = || pool.demand(&Reservation { input_estimate: 1_000, max_tokens: 0 }, None).tokens();
    let before = reserved();
    for _ in 0..5 {
        world.ended();
    }
    tokio::time::sleep(2 * GATHER).await;
    assert!(reserved() < before, "90 tokens were estimated as 100");
}

#[tokio::test(start_paused = true)]
async fn calls_of_several_models_are_settled_each_at_its_own_target() {
    let (world, ..) = World::owned().await;
    for _ in 0..2 {
        world.ended_of(MODEL, 90);
        world.ended_of(OTHER, 490);
    }
    tokio::time::sleep(2 * GATHER).await;
    assert_eq!((world.missing_of(MODEL), world.missing_of(OTHER)), (2.0, 10.0));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_is_told_once_of_calls_that_ended_together() {
    let (world, ..) = World::owned().await;
    let told = Arc::new(AtomicUsize::new(0));
    let count = Told { told: Arc::clone(&told), expected: |message| matches!(message, WaitingRoomMsg::Room { .. }) };
    world.args.waiting.fill(Told::spawn(None, count, ()).await.unwrap().0);
    world.args.board.pool(&MODEL.into()).publish_waiting(SizeClasses::default(), true);
    (0..3).for_each(|_| world.ended());
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_found_no_room_and_was_answered_is_learned_from_before_its_own_end() {
    let mut books = Vec::new();
    for turns_between in [0, 10] {
        let (world, ..) = World::owned().await;
        let _full: Vec<Lease> = (0..6).map(|_| world.call(MODEL)).collect();
        let mut probe = world.call(MODEL);
        probe.answered();
        for _ in 0..turns_between {
            tokio::task::yield_now().await;
        }
        probe.used(&Usage { input: 90, output: 10, ..Usage::default() }, Metering::Told, 1);
        tokio::time::sleep(AT_ONCE).await;
        assert!(world.missing() < 70.0, "it has learned");
        books.push(format!("{:?}", world.cell(MODEL).book.lock().unwrap()));
    }
    assert_eq!(books[0], books[1]);
}

#[tokio::test(start_paused = true)]
async fn the_next_owner_learns_from_what_ended_before_it() {
    let (world, owner, died) = World::owned().await;
    world.ended();
    tokio::time::sleep(AT_ONCE).await;
    // The owner knows that more may come, and dies before it looks.
    world.ended_of(MODEL, 490);
    owner.kill();
    died.await.unwrap();
    world.slot.clear();
    assert_eq!(world.missing(), 11.0);
    world.ended();
    assert_eq!(world.missing(), 12.0, "with no owner it settles itself, as its prompt was estimated");
    let (next, _) = Target::spawn(None, Target, world.args.clone()).await.unwrap();
    assert_eq!(world.missing(), 7.0);
    world.slot.fill(next);
    // A round for what may have come since.
    tokio::time::sleep(3 * GATHER).await;
    world.ended();
    tokio::time::sleep(AT_ONCE).await;
    assert_eq!(world.missing(), 8.0, "it is told again");
}

/// Counts what an actor is told.
struct Told<M> {
    told: Arc<AtomicUsize>,
    expected: fn(&M) -> bool,
}

impl<M: ractor::Message> Actor for Told<M> {
    type Msg = M;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<M>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle(&self, _myself: ActorRef<M>, message: M, (): &mut ()) -> Result<(), ActorProcessingErr> {
        assert!((self.expected)(&message));
        self.told.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_end_wake_the_owner_once_until_it_has_found_none() {
    let (world, told) = (World::new(), Arc::new(AtomicUsize::new(0)));
    let ended = world.args.board.ended(&REGION.into());
    let count = Told { told: Arc::clone(&told), expected: |message| matches!(message, TargetMsg::CallsEnded) };
    let (owner, _) = Told::spawn(None, count, ()).await.unwrap();
    world.slot.fill(owner);
    let mut expected = Vec::new();
    for rest in [false, true, true] {
        (0..3).for_each(|_| world.ended());
        tokio::time::sleep(AT_ONCE).await;
        expected.push(told.load(Ordering::Relaxed));
        assert!(!ended.rest(), "there are calls");
        ended.take(&mut Vec::new());
        if rest {
            assert!(ended.rest());
        }
        // What was reserved comes again.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(expected, [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn so_many_calls_wait_for_an_owner_that_does_not_look_and_the_next_one_settles_itself() {
    let world = World::new();
    let count = Told { told: Arc::default(), expected: |message| matches!(message, TargetMsg::CallsEnded) };
    world.slot.fill(Told::spawn(None, count, ()).await.unwrap().0);
    (0..MOST_WAITING).for_each(|_| world.ended());
    let before = world.missing();
    world.ended();
    assert_eq!(world.missing(), before + 1.0, "as its prompt was estimated");
    let mut calls = Vec::new();
    world.args.board.ended(&REGION.into()).take(&mut calls);
    assert_eq!(calls.len(), MOST_WAITING);
}
