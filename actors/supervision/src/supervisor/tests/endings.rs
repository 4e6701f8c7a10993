use super::*;
use crate::{Drained, RootExit, Shutdown, SupervisorStatus, time::now};

#[tokio::test(start_paused = true)]
async fn a_drain_ends_the_children_in_reverse_start_order() {
    let mut trio = Trio::start(Strategy::OneForOne).await;
    assert_eq!(crate::drain(trio.root.actor(), 10 * SECOND).await, Drained::InOrder);
    assert_eq!(trio.root.ended().await, RootExit::Stopped);
    assert_eq!(trio.journal.take(), "-c -b -a");
    assert_eq!(trio.root.view().report().status, SupervisorStatus::Stopped);
    assert!(trio.root.view().report().children.iter().all(|child| child.phase == crate::ChildPhase::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_plain_stop_ends_the_children_in_order_too() {
    let mut trio = Trio::start(Strategy::OneForOne).await;
    trio.root.actor().stop(None);
    assert_eq!(trio.root.ended().await, RootExit::Stopped);
    assert_eq!(trio.journal.take(), "-c -b -a");
}

#[tokio::test(start_paused = true)]
async fn draining_children_work_off_their_mailbox_and_take_nothing_new() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Drain(LONG))).await;
    let done = trio.c.work(5 * SECOND).await;
    let (reply, queued) = Reply::channel();
    trio.c.slot.cast(ProbeMsg::Ping { reply }).unwrap();
    let drained = tokio::join!(crate::drain(trio.root.actor(), LONG), async {
        trio.root.view().wait_until(LONG, |report| report.child("c").unwrap().phase == crate::ChildPhase::Stopping).await.unwrap();
        assert!(matches!(trio.c.ping().await, Err(CallError::Unavailable(_))));
        assert_eq!(trio.b.ping().await, Ok(1), "those it stands on still serve it");
    });
    assert_eq!(drained.0, Drained::InOrder);
    assert_eq!((done.await, queued.await), (Ok(()), Ok(1)));
}

#[tokio::test(start_paused = true)]
async fn no_child_is_cut_off_before_its_deadline_and_none_lives_beyond_it() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Drain(10 * SECOND))).await;
    let (just_in_time, too_long) = (trio.b.work(12 * SECOND).await, trio.c.work(LONG).await);
    let began = now();
    assert_eq!(crate::drain(trio.root.actor(), LONG).await, Drained::InOrder);
    assert_eq!((just_in_time.await, too_long.await), (Ok(()), Err(CallError::WorkerLost)));
    assert!((12 * SECOND..13 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(trio.journal.take(), "-c -b -a");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_child_finishes_the_message_at_hand_and_drops_the_rest() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Stop(LONG))).await;
    let done = trio.c.work(5 * SECOND).await;
    let (reply, queued) = Reply::channel();
    trio.c.slot.cast(ProbeMsg::Ping { reply }).unwrap();
    crate::drain(trio.root.actor(), LONG).await;
    assert_eq!((done.await, queued.await), (Ok(()), Err(CallError::WorkerLost)));
}

#[tokio::test(start_paused = true)]
async fn a_child_to_be_killed_is_killed_at_once() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Kill)).await;
    let done = trio.c.work(LONG).await;
    let began = now();
    crate::drain(trio.root.actor(), LONG).await;
    assert_eq!(done.await, Err(CallError::WorkerLost));
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_whole_caps_its_parts_but_leaves_each_a_last_second() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Stop(LONG))).await;
    let (ledger, stream) = (trio.a.work(5 * SECOND + Duration::from_millis(900)).await, trio.c.work(LONG).await);
    let began = now();
    assert_eq!(crate::drain(trio.root.actor(), 5 * SECOND).await, Drained::InOrder);
    assert_eq!((ledger.await, stream.await), (Ok(()), Err(CallError::WorkerLost)));
    assert!(began.elapsed() < 7 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_drains_its_children_before_its_older_siblings_end() {
    let journal = Journal::default();
    let [before, first, second] = ["before", "first", "second"].map(|name| Child::new(name, &journal));
    let nested = SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60))
        .child(first.spec().shutdown(Shutdown::Drain(LONG)))
        .child(second.spec().shutdown(Shutdown::Drain(LONG)));
    let tree = spec(Strategy::OneForOne).child(before.spec()).child(ChildSpec::supervisor(nested).shutdown(Shutdown::Drain(LONG)));
    let root = crate::start(tree).await.unwrap();
    journal.take();
    let done = first.work(20 * SECOND).await;
    assert_eq!(crate::drain(root.actor(), LONG).await, Drained::InOrder);
    assert_eq!(done.await, Ok(()));
    assert_eq!(journal.take(), "-second -first -before");
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_that_is_late_still_ends_its_own_children_in_order() {
    let journal = Journal::default();
    let [first, second, third] = ["first", "second", "third"].map(|name| Child::new(name, &journal));
    let nested = [&first, &second, &third]
        .into_iter()
        .fold(SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60)), |spec, child| {
            spec.child(child.spec().shutdown(Shutdown::Drain(LONG)))
        });
    let view = nested.view();
    let root = crate::start(spec(Strategy::OneForOne).child(ChildSpec::supervisor(nested))).await.unwrap();
    journal.take();
    let (saved, _late) = (first.work(5 * SECOND + SECOND / 2).await, third.work(LONG).await);
    assert_eq!(crate::drain(root.actor(), 5 * SECOND).await, Drained::InOrder);
    assert_eq!(saved.await, Ok(()));
    assert_eq!(journal.take(), "-third -second -first");
    assert_eq!(view.report().status, SupervisorStatus::Stopped, "it was not killed");
}

#[tokio::test(start_paused = true)]
async fn a_drain_calls_off_a_pending_restart() {
    let mut trio = Trio::start(Strategy::OneForOne).await;
    crate::testkit::kill_and_see_it_gone(&trio.b.slot).await.unwrap();
    crate::drain(trio.root.actor(), SECOND).await;
    assert_eq!(trio.root.ended().await, RootExit::Stopped);
    assert!(trio.b.slot.after(1, LONG).await.is_err());
    assert_eq!(trio.journal.take(), "-b -c -a");
}

#[tokio::test(start_paused = true)]
async fn draining_twice_is_harmless() {
    let trio = Trio::start(Strategy::OneForOne).await;
    assert_eq!(crate::drain(trio.root.actor(), SECOND).await, Drained::InOrder);
    assert_eq!(crate::drain(trio.root.actor(), SECOND).await, Drained::InOrder);
}

#[tokio::test(start_paused = true)]
async fn children_killed_from_outside_during_a_drain_do_not_come_back() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Drain(LONG))).await;
    let _done = trio.c.work(5 * SECOND).await;
    tokio::join!(crate::drain(trio.root.actor(), LONG), async {
        trio.root.view().wait_until(LONG, |report| report.child("c").unwrap().phase == crate::ChildPhase::Stopping).await.unwrap();
        trio.a.slot.get().unwrap().kill();
    });
    assert_eq!(trio.generations(), [1, 1, 1]);
}
