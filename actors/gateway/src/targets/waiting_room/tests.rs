//! A waiting room over one target that holds 6,000 tokens and regains 100 a second.

use outcrop_domain::{
    clock::Moment,
    routing::{view::Demand, waiting::QUEUE_LIMIT},
};
use outcrop_supervision::{Answer, CallError};

use super::*;
use crate::testing::{REGION, ports, route_request, small_board};

const MODEL: &str = "amazon.nova-lite-v1:0";
/// What the target holds at most.
const DEPTH: f64 = 6_000.0;
const LONG: Duration = Duration::from_secs(3_600);

struct World {
    board: Arc<HealthBoard>,
    ports: Ports,
    room: ActorRef<WaitingRoomMsg>,
}

impl World {
    async fn new() -> Self {
        let ports = ports();
        let (board, _) = small_board(&ports);
        let room = room(&board, &ports).await;
        Self { board, ports, room }
    }

    fn pool(&self) -> Arc<ModelPool> {
        self.board.pool(&MODEL.into())
    }

    fn cell(&self) -> Arc<TargetCell> {
        self.board.cell(&MODEL.into(), &REGION.into())
    }

    fn now(&self) -> Moment {
        self.ports.clock.now()
    }

    /// Takes all the room that there is.
    fn fill(&self) -> Debit {
        Debit::take(&self.cell(), &self.ports.clock, Demand::of_tokens(DEPTH), Estimate::default()).unwrap()
    }

    /// A request for so many tokens that may wait for so long joins the line.
    fn wait(&self, tokens: f64, within: Duration, place: Option<Place>) -> Answer<Woken> {
        let (reply, answer) = Reply::channel();
        let request = route_request(tokens, self.now(), within);
        let wish = Wish { pool: self.pool(), request, estimate: Estimate { input: 7, conversation: None }, place, reply };
        self.room.cast(WaitingRoomMsg::Wait(Box::new(wish))).unwrap();
        answer
    }

    /// How many wait.
    async fn waiting(&self) -> usize {
        let (reply, answer) = Reply::channel();
        self.room.cast(WaitingRoomMsg::Describe { reply }).unwrap();
        answer.await.unwrap().waiting.first().map_or(0, |(_, waiting)| *waiting)
    }
}

async fn room(board: &Arc<HealthBoard>, ports: &Ports) -> ActorRef<WaitingRoomMsg> {
    let owners = HashMap::from([(REGION.into(), Slot::new("target-us-east-1"))]);
    let args = WaitingRoomArgs { board: Arc::clone(board), owners, ports: ports.clone() };
    WaitingRoom::spawn(None, WaitingRoom, args).await.unwrap().0
}

/// Its place and its reservation.
async fn sent(answer: Answer<Woken>) -> (Place, Debit) {
    match answer.await.unwrap() {
        Woken::Send { target: 0, debit, place, spilled: false } => (place, debit),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_sent_with_a_reservation_as_soon_as_there_is_room() {
    let world = World::new().await;
    let _full = world.fill();
    let began = world.now();
    let (_, debit) = sent(world.wait(1_000.0, LONG, None)).await;
    let took = world.now().since(began).as_secs_f64();
    assert!((10.0..11.0).contains(&took), "1,000 tokens at 100 a second: {took}");
    assert_eq!((debit.demand().tokens(), debit.estimate().input), (1_000.0, 7));
    assert_eq!(world.waiting().await, 0);
}

#[tokio::test(start_paused = true)]
async fn new_room_is_seen_when_it_is_told_of() {
    let world = World::new().await;
    let full = world.fill();
    let (began, answer) = (world.now(), world.wait(3_000.0, LONG, None));
    assert_eq!(world.waiting().await, 1);
    // It was not sent: all of it is given back.
    drop(full);
    world.room.cast(WaitingRoomMsg::Room { model: MODEL.into() }).unwrap();
    sent(answer).await;
    assert!(world.now().since(began) <= LOOK_EVERY, "half a minute sooner than by itself");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_goes_first_and_what_it_needs_is_kept_from_the_small_ones_behind_it() {
    let world = World::new().await;
    let _full = world.fill();
    let large = world.wait(3_000.0, LONG, None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let small = world.wait(2_900.0, LONG, None);
    let (_, first) = sent(large).await;
    assert_eq!(first.demand().tokens(), 3_000.0);
    let began = world.now();
    sent(small).await;
    assert!(world.now().since(began) >= Duration::from_secs(25), "what the first took must come again");
}

#[tokio::test(start_paused = true)]
async fn whoever_may_wait_no_longer_is_told_at_its_deadline() {
    let world = World::new().await;
    let _full = world.fill();
    let began = world.now();
    let woken = world.wait(6_000.0, Duration::from_secs(5), None).await.unwrap();
    assert!(matches!(woken, Woken::Overdue), "{woken:?}");
    let took = world.now().since(began);
    assert!((Duration::from_secs(5)..Duration::from_millis(5_200)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_has_the_place_that_it_had_unless_its_room_has_died() {
    for same_room in [true, false] {
        let mut world = World::new().await;
        let _full = world.fill();
        let (place, debit) = sent(world.wait(1_000.0, LONG, None)).await;
        if !same_room {
            world.room.stop_and_wait(None, None).await.unwrap();
            world.room = room(&world.board, &world.ports).await;
        }
        let newer = world.wait(1_000.0, LONG, None);
        let back = world.wait(1_000.0, LONG, Some(place));
        drop(debit);
        let (newer, back) = tokio::join!(
            async {
                sent(newer).await;
                world.now()
            },
            async {
                sent(back).await;
                world.now()
            },
        );
        assert_eq!(back < newer, same_room, "{back:?} {newer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_left_takes_no_room() {
    let world = World::new().await;
    let full = world.fill();
    let gone = world.wait(3_000.0, LONG, None);
    assert_eq!(world.waiting().await, 1);
    drop((gone, full));
    world.room.cast(WaitingRoomMsg::Room { model: MODEL.into() }).unwrap();
    tokio::time::sleep(LOOK_EVERY * 2).await;
    assert_eq!(world.waiting().await, 0);
    assert!(Debit::take(&world.cell(), &world.ports.clock, Demand::of_tokens(DEPTH), Estimate::default()).is_ok(), "all of it is there");
}

#[tokio::test(start_paused = true)]
async fn a_full_line_refuses_at_once() {
    let world = World::new().await;
    let _full = world.fill();
    let mut in_line: Vec<_> = (0..QUEUE_LIMIT).map(|_| world.wait(6_000.0, LONG, None)).collect();
    let refused = world.wait(6_000.0, LONG, None).await;
    assert!(matches!(refused, Err(CallError::Refused(Refusal::QueueFull))), "{refused:?}");
    assert_eq!(world.waiting().await, QUEUE_LIMIT);
    in_line.clear();
}

#[tokio::test(start_paused = true)]
async fn a_room_that_dies_tells_its_waiters_and_leaves_nothing_held() {
    let world = World::new().await;
    let _full = world.fill();
    let demand = Demand::of_tokens(5_000.0);
    let waiting = world.wait(5_000.0, LONG, None);
    // Beyond the moment after which room is kept for the oldest.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(world.pool().must_queue(&demand) && world.cell().held() > 0.0);
    world.room.stop_and_wait(None, None).await.unwrap();
    assert!(matches!(waiting.await, Err(CallError::WorkerLost)));
    let _next = room(&world.board, &world.ports).await;
    assert!(!world.pool().must_queue(&demand));
    assert_eq!(world.cell().held(), 0.0);
}
