use std::sync::{Mutex, Weak};

use super::*;
use crate::{
    Answer, Backoff, CallError, ChildSpec, Drained, IntakeLimits, Intensity, JobFuture, JobOutcome, LaneHandle, LaneObserver, LaneSpec,
    Root, Slot, Strategy, SupervisorMsg, SupervisorSpec, Unavailable,
    testkit::{self, Probe, ProbeMsg},
};

mod deaths;

const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(600);
const LIMITS: IntakeLimits = IntakeLimits { running: 2, queued: 3, max_wait: Duration::from_secs(30) };

enum Work {
    Take(Duration),
    Panic,
    /// Asks an actor that was started before the lane.
    Ask(Slot<ProbeMsg>),
    /// Answers with the span it runs in.
    NameSpan,
}

struct TestJob {
    work: Work,
    started: Option<Reply<()>>,
    reply: Reply<&'static str>,
    /// Stands for a lease: given back when the job's future is dropped.
    lease: Arc<()>,
}

impl Job for TestJob {
    fn refused(self, refusal: Refusal) {
        self.reply.refuse(refusal);
    }

    fn run(self) -> JobFuture {
        Box::pin(async move {
            let _lease = self.lease;
            if let Some(started) = self.started {
                started.send(());
            }
            let answer = match self.work {
                Work::Take(time) => {
                    tokio::time::sleep(time).await;
                    "done"
                }
                Work::Panic => std::panic::resume_unwind(Box::new("job panicked")),
                Work::Ask(slot) => {
                    tokio::time::sleep(SECOND).await;
                    slot.call(|reply| ProbeMsg::Ping { reply }, SECOND).await.map_or("nobody", |_| "asked")
                }
                Work::NameSpan => tracing::Span::current().metadata().map_or("none", |span| span.name()),
            };
            self.reply.send(answer);
        })
    }

    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }
}

/// What the sender of a job keeps.
struct Sent {
    started: Answer<()>,
    answer: Answer<&'static str>,
    lease: Weak<()>,
}

fn send(lane: &LaneHandle<TestJob>, work: Work) -> Sent {
    let (reply, answer) = Reply::channel();
    let (has_started, started) = Reply::channel();
    let lease = Arc::new(());
    let sent = Sent { started, answer, lease: Arc::downgrade(&lease) };
    lane.submit(TestJob { work, started: Some(has_started), reply, lease });
    sent
}

async fn begin(lane: &LaneHandle<TestJob>, work: Work) -> Sent {
    let mut sent = send(lane, work);
    (&mut sent.started).await.unwrap();
    sent
}

/// One lane below a supervisor of its own, below the root.
struct Fixture {
    lane: LaneHandle<TestJob>,
    supervisor: Slot<SupervisorMsg>,
    root: Root,
}

async fn fixture(spec: LaneSpec) -> Fixture {
    let lane = LaneHandle::new(spec);
    let supervisor = Slot::new("lanes");
    let root = crate::start(tree(&lane, &supervisor)).await.unwrap();
    Fixture { lane, supervisor, root }
}

fn tree(lane: &LaneHandle<TestJob>, supervisor: &Slot<SupervisorMsg>) -> SupervisorSpec {
    let intensity = Intensity::new(1_000, 60);
    let quick = Backoff { first: Duration::from_millis(20), max: Duration::from_millis(20), ..Backoff::NONE };
    let lanes = SupervisorSpec::new("lanes", Strategy::OneForOne, intensity).backoff(quick).child(lane.child_spec());
    SupervisorSpec::new("root", Strategy::RestForOne, intensity).backoff(quick).child(ChildSpec::supervisor(lanes).filling(supervisor))
}

async fn lane() -> Fixture {
    fixture(LaneSpec::new("chat", LIMITS)).await
}

async fn report(lane: &LaneHandle<TestJob>) -> LaneReport {
    lane.describe(SECOND).await.unwrap()
}

fn take(seconds: u64) -> Work {
    Work::Take(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_and_is_counted() {
    let test = lane().await;
    assert_eq!(send(&test.lane, take(1)).answer.await, Ok("done"));
    let report = report(&test.lane).await;
    assert_eq!((report.running, report.queued, report.counts.admitted, report.counts.finished), (0, 0, 1, 1));
    assert_eq!(
        serde_json::to_value(&report).unwrap()["counts"]["refused"],
        serde_json::json!({"queue_full": 0, "queue_timeout": 0, "shutting_down": 0, "unavailable": 0})
    );
}

#[tokio::test(start_paused = true)]
async fn as_many_run_as_may_and_the_rest_waits_its_turn() {
    let test = lane().await;
    let began = now();
    let sent: Vec<Sent> = (0..5).map(|_| send(&test.lane, take(10))).collect();
    let before = report(&test.lane).await;
    assert_eq!((before.running, before.queued), (2, 3));
    let mut ended = Vec::new();
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
        ended.push(began.elapsed().as_secs());
    }
    assert_eq!(ended, [10, 10, 20, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_job_beyond_the_queue_is_refused_at_once() {
    let test = lane().await;
    let _sent: Vec<Sent> = (0..5).map(|_| send(&test.lane, take(10))).collect();
    report(&test.lane).await;
    let began = now();
    assert_eq!(send(&test.lane, take(10)).answer.await, Err(CallError::Refused(Refusal::QueueFull)));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(report(&test.lane).await.counts.refused.queue_full, 1);
}

#[tokio::test(start_paused = true)]
async fn the_mailbox_never_holds_more_jobs_than_the_lane_could_take() {
    let test = lane().await;
    // The lane does not run between these: they meet the bound of the mailbox, not of the queue.
    let sent: Vec<Sent> = (0..8).map(|_| send(&test.lane, take(1))).collect();
    assert_eq!(test.lane.counts().refused.queue_full, 3);
    let mut answers = Vec::new();
    for job in sent {
        answers.push(job.answer.await.is_ok());
    }
    assert_eq!(answers, [true, true, true, true, true, false, false, false]);
    assert_eq!(send(&test.lane, take(1)).answer.await, Ok("done"), "the way is free again");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waited_too_long_is_refused_on_time() {
    let test = lane().await;
    let _busy = (begin(&test.lane, take(600)).await, begin(&test.lane, take(600)).await);
    tokio::time::advance(SECOND).await;
    let (began, first) = (now(), send(&test.lane, take(1)));
    tokio::time::advance(5 * SECOND).await;
    let second = send(&test.lane, take(1));
    let Err(CallError::Refused(Refusal::QueueTimeout { waited })) = first.answer.await else { panic!("must time out") };
    assert!((LIMITS.max_wait..LIMITS.max_wait + Duration::from_millis(5)).contains(&waited), "{waited:?}");
    assert!(matches!(second.answer.await, Err(CallError::Refused(Refusal::QueueTimeout { .. }))));
    assert_eq!(began.elapsed().as_secs(), 35, "each had its own time");
    assert_eq!(report(&test.lane).await.counts.refused.queue_timeout, 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_own_job_only() {
    let test = lane().await;
    let other = begin(&test.lane, take(10)).await;
    let doomed = send(&test.lane, Work::Panic);
    assert_eq!(doomed.answer.await, Err(CallError::WorkerLost));
    assert!(doomed.lease.upgrade().is_none());
    assert_eq!(other.answer.await, Ok("done"));
    let report = report(&test.lane).await;
    assert_eq!((report.running, report.counts.failed, report.counts.finished), (0, 1, 1));
    assert_eq!(test.lane.slot().generation(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_killed_job_gives_back_what_it_holds_and_its_place() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let doomed = begin(&test.lane, take(600)).await;
    let next = send(&test.lane, take(1));
    assert!(doomed.lease.upgrade().is_some());
    assert_eq!(test.lane.kill_oldest(SECOND).await, Ok(true));
    assert_eq!(doomed.answer.await, Err(CallError::WorkerLost));
    assert_eq!(next.answer.await, Ok("done"));
    assert!(doomed.lease.upgrade().is_none());
    assert_eq!((report(&test.lane).await.counts.killed, test.lane.kill_oldest(SECOND).await), (1, Ok(false)));
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_caller_left_is_dropped_instead_of_started() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let running = begin(&test.lane, take(10)).await;
    let gone = send(&test.lane, take(10));
    let patient = send(&test.lane, take(10));
    drop(gone.answer);
    assert_eq!(running.answer.await, Ok("done"));
    let began = now();
    assert_eq!(patient.answer.await, Ok("done"));
    assert_eq!((began.elapsed().as_secs(), gone.lease.strong_count()), (10, 0));
    assert!(gone.started.await.is_err());
    assert_eq!(report(&test.lane).await.counts.abandoned, 1);
}

#[tokio::test(start_paused = true)]
async fn those_whose_callers_left_make_room_in_a_full_queue() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, queued: 1, ..LIMITS })).await;
    let _running = begin(&test.lane, take(10)).await;
    drop(send(&test.lane, take(10)));
    report(&test.lane).await;
    assert_eq!(send(&test.lane, take(10)).answer.await, Ok("done"));
    assert_eq!(report(&test.lane).await.counts.refused.queue_full, 0);
}

#[tokio::test(start_paused = true)]
async fn new_limits_start_waiting_jobs_and_outlive_a_restart() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let (began, first, second) = (now(), send(&test.lane, take(10)), send(&test.lane, take(10)));
    report(&test.lane).await;
    test.lane.set_limits(LIMITS);
    assert_eq!((first.answer.await, second.answer.await), (Ok("done"), Ok("done")));
    assert_eq!(began.elapsed().as_secs(), 10);
    testkit::kill(test.lane.slot()).await.unwrap();
    assert_eq!((report(&test.lane).await.limits, test.lane.limits()), (LIMITS, LIMITS));
}

#[tokio::test(start_paused = true)]
async fn a_shorter_wait_holds_for_those_who_wait_already() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let _busy = begin(&test.lane, take(600)).await;
    let (began, waiting) = (now(), send(&test.lane, take(1)));
    test.lane.set_limits(IntakeLimits { max_wait: 3 * SECOND, running: 1, ..LIMITS });
    assert!(waiting.answer.await.is_err());
    assert_eq!(began.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_draining_lane_refuses_the_new_and_finishes_the_old() {
    let test = lane().await;
    let sent: Vec<Sent> = (0..4).map(|_| send(&test.lane, take(10))).collect();
    report(&test.lane).await;
    let lane = test.lane.clone();
    let (drained, ()) = tokio::join!(test.lane.drain(LONG), async {
        assert!(report(&lane).await.draining);
        assert_eq!(send(&lane, take(1)).answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
    });
    assert_eq!(drained, Ok(LaneDrained { killed: 0, refused: 0 }));
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
    }
    test.lane.slot().emptied(LONG).await.unwrap();
    assert!(test.lane.slot().after(1, LONG).await.is_err(), "a drained lane stays down");
    assert_eq!(send(&test.lane, take(1)).answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_deadline() {
    let test = lane().await;
    let running = [begin(&test.lane, take(600)).await, begin(&test.lane, take(600)).await];
    test.lane.set_limits(IntakeLimits { max_wait: LONG, ..LIMITS });
    let waiting = send(&test.lane, take(1));
    let began = now();
    assert_eq!(test.lane.drain(5 * SECOND).await, Ok(LaneDrained { killed: 2, refused: 1 }));
    assert_eq!(began.elapsed().as_secs(), 5);
    for job in running {
        assert_eq!((job.answer.await, job.lease.strong_count()), (Err(CallError::WorkerLost), 0));
    }
    assert_eq!(waiting.answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_lane_drains_at_once() {
    let test = lane().await;
    let began = now();
    assert_eq!(test.lane.drain(LONG).await, Ok(LaneDrained::default()));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(test.lane.drain(LONG).await, Err(CallError::Unavailable(Unavailable { slot: "chat".into() })));
}

#[tokio::test(start_paused = true)]
async fn the_drain_of_a_tree_lets_jobs_finish_with_all_they_stand_on() {
    let (lane, keeper) = (LaneHandle::new(LaneSpec::new("chat", LIMITS)), Slot::new("keeper"));
    let tree = SupervisorSpec::new("root", Strategy::RestForOne, Intensity::new(3, 60))
        .child(ChildSpec::actor(&keeper, || (Probe, ())))
        .child(lane.child_spec());
    let root = crate::start(tree).await.unwrap();
    let sent: Vec<Sent> = (0..5).map(|_| send(&lane, Work::Ask(keeper.clone()))).collect();
    report(&lane).await;
    assert_eq!(crate::drain(root.actor(), LONG).await, Drained::InOrder);
    for job in sent {
        assert_eq!(job.answer.await, Ok("asked"));
    }
    assert!(keeper.get().is_err());
    assert_eq!(send(&lane, take(1)).answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn the_drain_of_a_tree_cuts_off_what_runs_beyond_its_deadline() {
    let test = lane().await;
    let sent = [begin(&test.lane, take(600)).await, begin(&test.lane, take(600)).await];
    let began = now();
    assert_eq!(crate::drain(test.root.actor(), 7 * SECOND).await, Drained::InOrder);
    assert_eq!(began.elapsed().as_secs(), 7);
    for job in sent {
        assert_eq!(job.answer.await, Err(CallError::WorkerLost));
    }
    assert_eq!(test.lane.counts().killed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_drain_refuses_what_waits_for_a_lane_that_backs_off() {
    let test = lane().await;
    testkit::kill_and_see_it_gone(test.lane.slot()).await.unwrap();
    let waiting = send(&test.lane, take(1));
    crate::drain(test.root.actor(), SECOND).await;
    assert_eq!(waiting.answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn before_its_first_start_a_lane_is_unavailable() {
    let lane = LaneHandle::new(LaneSpec::new("chat", LIMITS));
    for _ in 0..10 {
        assert_eq!(send(&lane, take(1)).answer.await, Err(CallError::Refused(Refusal::Unavailable)));
    }
    assert_eq!(lane.counts().refused.unavailable, 10);
    let root = crate::start(tree(&lane, &Slot::new("lanes"))).await.unwrap();
    assert_eq!(send(&lane, take(1)).answer.await, Ok("done"));
    drop(root);
}

#[tokio::test(start_paused = true)]
async fn when_nobody_can_start_the_lane_again_its_jobs_are_told() {
    let test = lane().await;
    let sent: Vec<Sent> = (0..3).map(|_| send(&test.lane, take(600))).collect();
    report(&test.lane).await;
    let Fixture { lane, mut root, .. } = test;
    root.actor().kill();
    root.ended().await;
    drop((root, lane));
    let mut answers = Vec::new();
    for job in sent {
        answers.push(job.answer.await.unwrap_err());
    }
    assert_eq!(answers, [CallError::WorkerLost, CallError::WorkerLost, CallError::Refused(Refusal::ShuttingDown)]);
}

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl LaneObserver for Notes {
    fn queued(&self, depth: usize) {
        self.0.lock().unwrap().push(format!("queued {depth}"));
    }

    fn started(&self, waited: Duration) {
        self.0.lock().unwrap().push(format!("started after {}", waited.as_secs()));
    }

    fn refused(&self, refusal: Refusal) {
        self.0.lock().unwrap().push(format!("refused {}", refusal.as_str()));
    }

    fn abandoned(&self) {
        self.0.lock().unwrap().push("abandoned".to_owned());
    }

    fn finished(&self, ran: Duration, outcome: JobOutcome) {
        self.0.lock().unwrap().push(format!("{} after {}", outcome.as_str(), ran.as_secs()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_sees_everything() {
    let notes = Notes::default();
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, queued: 2, ..LIMITS }).observer(notes.clone())).await;
    let running = begin(&test.lane, take(10)).await;
    drop(send(&test.lane, take(1)));
    let doomed = send(&test.lane, Work::Panic);
    report(&test.lane).await;
    running.answer.await.unwrap();
    doomed.answer.await.unwrap_err();
    test.lane.drain(SECOND).await.unwrap();
    send(&test.lane, take(1)).answer.await.unwrap_err();
    assert_eq!(
        notes.0.lock().unwrap().join(", "),
        "started after 0, queued 1, queued 2, finished after 10, abandoned, queued 1, started after 10, queued 0, failed after 0, \
         refused shutting_down"
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_in_the_span_it_was_submitted_in() {
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry());
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let busy = begin(&test.lane, take(1)).await;
    let sent = tracing::info_span!("request").in_scope(|| send(&test.lane, Work::NameSpan));
    busy.answer.await.unwrap();
    assert_eq!(sent.answer.await, Ok("request"));
}

#[test]
fn debug_of_a_message_shows_no_job() {
    let (reply, _answer) = Reply::channel();
    assert_eq!(format!("{:?}", LaneMsg::<TestJob>::Describe { reply }), "Describe { .. }");
}

/// On real threads: whatever the interleaving, a kill of the lane loses at most the job it was just starting.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_kills_on_many_threads_no_job_is_lost_or_stuck() {
    const KILLS: usize = 40;
    let limits = IntakeLimits { running: 8, queued: 100_000, max_wait: LONG };
    let lane = LaneHandle::new(LaneSpec::new("chat", limits));
    let lanes = SupervisorSpec::new("lanes", Strategy::OneForOne, Intensity::new(1_000, 60)).backoff(Backoff::NONE);
    let root = crate::start(lanes.child(lane.child_spec())).await.unwrap();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let lane = lane.clone();
            tokio::spawn(async move {
                let mut lost = 0;
                for _ in 0..100 {
                    let batch: Vec<Sent> = (0..20).map(|_| send(&lane, Work::Take(Duration::ZERO))).collect();
                    for job in batch {
                        match job.answer.await {
                            Ok(_) => {}
                            Err(CallError::WorkerLost) => lost += 1,
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
                lost
            })
        })
        .collect();
    for _ in 0..KILLS {
        testkit::kill(lane.slot()).await.unwrap();
    }
    let mut lost = 0;
    for sender in senders {
        lost += tokio::time::timeout(LONG, sender).await.expect("no job is stuck").unwrap();
    }
    assert!(lost <= KILLS, "{lost} jobs lost by {KILLS} kills");
    assert_eq!(crate::drain(root.actor(), LONG).await, Drained::InOrder);
    let counts = lane.counts();
    assert_eq!(counts.finished + counts.unobserved + lost as u64, 8_000, "{counts:?}");
}
