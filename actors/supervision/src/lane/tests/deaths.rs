//! What becomes of jobs when their lane, or the supervisor above it, dies.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_killed_lane_costs_nobody_a_request() {
    let test = lane().await;
    let began = now();
    let mut sent = vec![begin(&test.lane, take(10)).await, begin(&test.lane, take(10)).await];
    sent.extend([send(&test.lane, take(10)), send(&test.lane, take(10))]);
    assert_eq!(report(&test.lane).await.queued, 2);
    sent.push(send(&test.lane, take(10))); // dies in the mailbox
    testkit::kill_and_see_it_gone(test.lane.slot()).await.unwrap();
    sent.push(send(&test.lane, take(10))); // finds no lane
    test.lane.slot().after(1, LONG).await.unwrap();
    let after = report(&test.lane).await;
    assert_eq!((after.running, after.queued), (2, 4), "also beyond its queue: they were taken on");
    let mut ended = Vec::new();
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
        ended.push(began.elapsed().as_secs());
    }
    assert_eq!(ended, [10, 10, 20, 20, 30, 30], "first come, first served, across the restart");
    assert_eq!(report(&test.lane).await.counts.finished, 6);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_ends_while_there_is_no_lane_frees_its_place() {
    let test = fixture(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS })).await;
    let running = begin(&test.lane, Work::Take(Duration::from_millis(5))).await;
    testkit::kill_and_see_it_gone(test.lane.slot()).await.unwrap();
    assert_eq!(running.answer.await, Ok("done"));
    assert!(test.lane.slot().get().is_err(), "the lane is still backing off");
    test.lane.slot().after(1, LONG).await.unwrap();
    assert_eq!(send(&test.lane, take(1)).answer.await, Ok("done"));
    let counts = report(&test.lane).await.counts;
    assert_eq!((counts.unobserved, counts.finished), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_no_longer_because_its_lane_died() {
    let test = lane().await;
    let _busy = (begin(&test.lane, take(600)).await, begin(&test.lane, take(600)).await);
    let (began, waiting) = (now(), send(&test.lane, take(1)));
    tokio::time::advance(10 * SECOND).await;
    testkit::kill(test.lane.slot()).await.unwrap();
    assert!(matches!(waiting.answer.await, Err(CallError::Refused(Refusal::QueueTimeout { .. }))));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_of_the_lanes_costs_nobody_a_request() {
    let test = lane().await;
    let sent = [begin(&test.lane, take(10)).await, begin(&test.lane, take(10)).await, send(&test.lane, take(10))];
    testkit::kill(&test.supervisor).await.unwrap();
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
    }
    assert_eq!(test.lane.slot().generation(), 2);
}

/// Panics in the lane's own code, once.
struct Saboteur(Mutex<bool>);

impl LaneObserver for Saboteur {
    fn started(&self, _waited: Duration) {
        if std::mem::take(&mut *self.0.lock().unwrap()) {
            std::panic::resume_unwind(Box::new("lane panicked"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_lane_itself_costs_nobody_a_request() {
    let test = fixture(LaneSpec::new("chat", LIMITS).observer(Saboteur(Mutex::new(true)))).await;
    let sent: Vec<Sent> = (0..5).map(|_| send(&test.lane, take(1))).collect();
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
    }
    assert_eq!(test.lane.slot().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_dies_between_two_starts_loses_neither() {
    let limits = IntakeLimits { running: 0, ..LIMITS };
    let test = fixture(LaneSpec::new("chat", limits).observer(Saboteur(Mutex::new(true)))).await;
    let sent: Vec<Sent> = (0..3).map(|_| send(&test.lane, take(1))).collect();
    report(&test.lane).await;
    test.lane.set_limits(IntakeLimits { running: 3, ..limits });
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
    }
    assert_eq!(test.lane.slot().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_waited_for_the_next_lane_leave_room_behind_them() {
    let test = lane().await;
    for round in 1..=3 {
        testkit::kill_and_see_it_gone(test.lane.slot()).await.unwrap();
        let sent: Vec<Sent> = (0..5).map(|_| send(&test.lane, take(1))).collect();
        assert_eq!(send(&test.lane, take(1)).answer.await, Err(CallError::Refused(Refusal::QueueFull)), "the wait is bounded too");
        for job in sent {
            assert_eq!(job.answer.await, Ok("done"), "round {round}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lane_leaves_after_its_successor_started_goes_to_the_successor() {
    let lane = LaneHandle::new(LaneSpec::new("chat", IntakeLimits { running: 1, ..LIMITS }));
    let (first, _) = Lane::spawn(None, Lane::new(), Arc::clone(&lane.estate)).await.unwrap();
    lane.slot().fill(first.clone());
    let sent = [begin(&lane, take(1)).await, send(&lane, take(1))];
    report(&lane).await;
    let (second, _) = Lane::spawn(None, Lane::new(), Arc::clone(&lane.estate)).await.unwrap();
    lane.slot().fill(second);
    first.kill_and_wait(None).await.unwrap();
    for job in sent {
        assert_eq!(job.answer.await, Ok("done"));
    }
    assert_eq!(report(&lane).await.counts.finished, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_plainly_stopped_leaves_nothing_behind() {
    let test = lane().await;
    let running = [begin(&test.lane, take(600)).await, begin(&test.lane, take(600)).await];
    let waiting = send(&test.lane, take(1));
    report(&test.lane).await;
    test.lane.slot().get().unwrap().stop(None);
    assert_eq!(waiting.answer.await, Err(CallError::Refused(Refusal::ShuttingDown)));
    for job in running {
        assert_eq!(job.answer.await, Err(CallError::WorkerLost));
    }
}

#[tokio::test(start_paused = true)]
async fn removing_a_lane_that_backs_off_refuses_what_waits_for_it() {
    let test = lane().await;
    testkit::kill_and_see_it_gone(test.lane.slot()).await.unwrap();
    let waiting = send(&test.lane, take(1));
    let removed = test.supervisor.call(|reply| SupervisorMsg::StopChild { name: "chat".into(), reply }, SECOND).await;
    assert_eq!(removed, Ok(Ok(())));
    assert_eq!(waiting.answer.within(Duration::ZERO).await, Err(CallError::Refused(Refusal::ShuttingDown)));
}
