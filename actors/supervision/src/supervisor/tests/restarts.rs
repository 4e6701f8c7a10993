use super::*;
use crate::{ChildPhase, RootExit, SupervisorStatus, Unavailable, testkit, time::now};

async fn is_backing_off(trio: &Trio, child: &str) {
    let reached = trio.root.view().wait_until(LONG, |report| report.child(child).unwrap().phase == ChildPhase::BackingOff).await;
    reached.unwrap();
}

fn about(expected: Duration) -> std::ops::Range<Duration> {
    expected..expected + Duration::from_millis(5)
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_handle_restarts_the_child_with_fresh_state() {
    let trio = Trio::start(Strategy::OneForOne).await;
    assert_eq!((trio.b.ping().await, trio.b.ping().await), (Ok(1), Ok(2)));
    testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    assert_eq!(trio.b.ping().await, Ok(1), "state is rebuilt");
    assert_eq!(trio.journal.take(), "-b +b");
    let report = describe(trio.root.actor()).await;
    let b = report.child("b").unwrap();
    assert_eq!((b.restarts, b.generation, b.last_failure.as_deref()), (1, 2, Some("panicked with a formatted message")));
}

#[tokio::test(start_paused = true)]
async fn an_error_from_handle_restarts_the_child() {
    let trio = Trio::start(Strategy::OneForOne).await;
    testkit::strike(&trio.b.slot, ProbeMsg::Fail).await.unwrap();
    assert_eq!(trio.b.ping().await, Ok(1));
    assert_eq!(describe(trio.root.actor()).await.child("b").unwrap().last_failure.as_deref(), Some("probe failed"));
    assert_eq!(trio.generations(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_kill_in_the_middle_of_work_restarts_the_child_and_loses_its_caller() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let done = trio.b.work(LONG).await;
    let began = now();
    testkit::kill(&trio.b.slot).await.unwrap();
    assert_eq!(done.await, Err(CallError::WorkerLost));
    assert!(about(FIRST_DELAY).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_empty_while_its_child_backs_off_and_callers_learn_at_once() {
    let trio = Trio::start(Strategy::OneForOne).await;
    trio.b.slot.cast(ProbeMsg::Panic).unwrap();
    is_backing_off(&trio, "b").await;
    let began = now();
    assert_eq!(trio.b.ping().await, Err(CallError::Unavailable(Unavailable { slot: "b".into() })));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(trio.a.ping().await, Ok(1), "nobody else is concerned");
    trio.b.slot.ready(LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permanent_child_restarts_even_after_a_normal_stop() {
    let trio = Trio::start(Strategy::OneForOne).await;
    testkit::strike(&trio.b.slot, ProbeMsg::Stop).await.unwrap();
    assert_eq!(trio.journal.take(), "-b +b");
    assert_eq!(describe(trio.root.actor()).await.child("b").unwrap().last_failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_transient_child_restarts_after_a_failure_and_not_after_a_normal_stop() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.restart(Restart::Transient)).await;
    testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    testkit::kill(&trio.b.slot).await.unwrap();
    trio.b.slot.cast(ProbeMsg::Stop).unwrap();
    let stopped = trio.root.view().wait_until(LONG, |report| report.child("b").unwrap().phase == ChildPhase::Stopped).await;
    stopped.unwrap();
    assert!(trio.b.slot.after(3, LONG).await.is_err());
    assert_eq!(describe(trio.root.actor()).await.child("b").unwrap().restarts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_child_is_forgotten_however_it_ends() {
    let trio = Trio::start_with(spec(Strategy::OneForAll), temporary).await;
    trio.a.slot.cast(ProbeMsg::Panic).unwrap();
    trio.b.slot.cast(ProbeMsg::Stop).unwrap();
    trio.root.view().wait_until(LONG, |report| report.children.len() == 1).await.unwrap();
    assert!(trio.a.slot.after(1, LONG).await.is_err());
    assert_eq!(trio.c.ping().await, Ok(1), "its end concerns nobody");
}

#[tokio::test(start_paused = true)]
async fn delays_double_with_every_failure_in_a_row_and_begin_anew_after_a_quiet_period() {
    let trio = Trio::start(Strategy::OneForOne).await;
    for expected in [100, 200, 400] {
        let began = now();
        testkit::kill(&trio.b.slot).await.unwrap();
        assert!(about(Duration::from_millis(expected)).contains(&began.elapsed()), "{expected} {:?}", began.elapsed());
    }
    tokio::time::advance(BACKOFF.quiet).await;
    let began = now();
    testkit::kill(&trio.b.slot).await.unwrap();
    assert!(about(FIRST_DELAY).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn jitter_shortens_the_delay() {
    let spec = spec(Strategy::OneForOne).backoff(Backoff { jitter: 0.5, ..BACKOFF }).jitter(Jitter::new(|| 0.8));
    let trio = Trio::start_with(spec, |child| child).await;
    let began = now();
    testkit::kill(&trio.a.slot).await.unwrap();
    assert!(about(FIRST_DELAY.mul_f64(0.6)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_counts_as_one_more_failure() {
    let trio = Trio::start(Strategy::OneForOne).await;
    trio.b.fail_next_starts(2);
    let began = now();
    testkit::kill(&trio.b.slot).await.unwrap();
    assert!(about(Duration::from_millis(100 + 200 + 400)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert_eq!(describe(trio.root.actor()).await.child("b").unwrap().restarts, 3);
    assert_eq!(trio.b.slot.generation(), 2, "only starts that succeed fill the slot");
}

#[tokio::test(start_paused = true)]
async fn a_restart_storm_spends_the_intensity_and_the_root_fails_in_reverse_order() {
    let mut trio = Trio::start(Strategy::OneForOne).await;
    for _ in 0..5 {
        testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    }
    trio.journal.take();
    trio.b.slot.cast(ProbeMsg::Panic).unwrap();
    let RootExit::Failed { reason } = trio.root.ended().await else { panic!("the root must fail") };
    assert_eq!(reason, "child `b` failed once more after 5 restarts within 60s: panicked with a formatted message");
    assert_eq!(trio.journal.take(), "-b -c -a");
    assert!(matches!(trio.root.view().report().status, SupervisorStatus::Failed { .. }));
    assert_eq!(trio.a.ping().await, Err(CallError::Unavailable(Unavailable { slot: "a".into() })));
}

#[tokio::test(start_paused = true)]
async fn before_a_supervisor_gives_up_its_other_children_finish_the_message_at_hand() {
    let mut trio = Trio::start_with(spec(Strategy::OneForOne).restart_grace(3 * SECOND), |child| child).await;
    for _ in 0..5 {
        testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    }
    let (quick, endless) = (trio.a.work(2 * SECOND).await, trio.c.work(LONG).await);
    trio.b.slot.cast(ProbeMsg::Panic).unwrap();
    assert!(matches!(trio.root.ended().await, RootExit::Failed { .. }));
    assert_eq!((quick.await, endless.await), (Ok(()), Err(CallError::WorkerLost)));
}

#[tokio::test(start_paused = true)]
async fn failures_apart_from_each_other_never_spend_the_intensity() {
    let trio = Trio::start(Strategy::OneForOne).await;
    for _ in 0..20 {
        testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
        tokio::time::advance(15 * SECOND).await;
    }
    assert_eq!(trio.generations(), [1, 21, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_that_gives_up_is_a_failed_child_of_its_parent() {
    let journal = Journal::default();
    let [inner, after] = ["inner", "after"].map(|name| Child::new(name, &journal));
    let nested = SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60)).backoff(BACKOFF).child(inner.spec());
    let tree = spec(Strategy::RestForOne).child(ChildSpec::supervisor(nested)).child(after.spec());
    let root = crate::start(tree).await.unwrap();
    testkit::strike(&inner.slot, ProbeMsg::Panic).await.unwrap();
    journal.take();
    testkit::strike(&inner.slot, ProbeMsg::Panic).await.unwrap();
    after.slot.after(1, LONG).await.unwrap();
    assert_eq!(journal.take(), "-inner -after +inner +after");
    let report = describe(root.actor()).await;
    let nested = report.child("nested").unwrap();
    assert_eq!((nested.restarts, nested.generation), (1, 2));
    assert!(nested.last_failure.as_deref().unwrap().contains("child `inner` failed once more after 1 restarts"));
    assert_eq!(nested.subtree.as_ref().unwrap().child("inner").unwrap().restarts, 0, "its window begins anew");
}

#[tokio::test(start_paused = true)]
async fn a_killed_supervisor_comes_back_with_new_children() {
    let journal = Journal::default();
    let inner = Child::new("inner", &journal);
    let address = Slot::<SupervisorMsg>::new("nested");
    let nested = SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60)).child(inner.spec());
    let _root = crate::start(spec(Strategy::OneForOne).child(ChildSpec::supervisor(nested).filling(&address))).await.unwrap();
    testkit::kill(&address).await.unwrap();
    assert_eq!(inner.slot.ready(LONG).await.unwrap().get_id(), inner.slot.get().unwrap().get_id());
    assert_eq!((inner.ping().await, inner.slot.generation()), (Ok(1), 2));
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_later_children_in_order_with_fresh_slots() {
    let trio = Trio::start(Strategy::RestForOne).await;
    let before = trio.c.slot.get().unwrap();
    testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.journal.take(), "-b -c +b +c");
    assert_eq!(trio.generations(), [1, 2, 2]);
    assert_ne!(trio.c.slot.get().unwrap().get_id(), before.get_id());
    assert_eq!(describe(trio.root.actor()).await.child("c").unwrap().restarts, 0, "only the one that failed counts");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_stops_the_later_children_in_reverse_order() {
    let trio = Trio::start(Strategy::RestForOne).await;
    testkit::strike(&trio.a.slot, ProbeMsg::Panic).await.unwrap();
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.journal.take(), "-a -c -b +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_leaves_the_later_children_stopped_until_the_failed_one_starts() {
    let trio = Trio::start(Strategy::RestForOne).await;
    trio.b.fail_next_starts(1);
    testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.journal.take(), "-b -c +b +c");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_failure_takes_over_the_restart_of_a_later_one() {
    let trio = Trio::start(Strategy::RestForOne).await;
    trio.b.slot.cast(ProbeMsg::Panic).unwrap();
    is_backing_off(&trio, "b").await;
    testkit::strike(&trio.a.slot, ProbeMsg::Panic).await.unwrap();
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.generations(), [2, 2, 2], "each was started once more, not twice");
    tokio::time::advance(LONG).await;
    assert_eq!(trio.journal.take(), "-b -c -a +a +b +c");
}

#[tokio::test(start_paused = true)]
async fn a_sibling_gets_the_restart_grace_to_finish_its_work_and_no_more() {
    let trio =
        Trio::start_with(spec(Strategy::RestForOne).restart_grace(3 * SECOND), |child| child.shutdown(crate::Shutdown::Stop(LONG))).await;
    let (quick, endless) = (trio.b.work(2 * SECOND).await, trio.c.work(LONG).await);
    let began = now();
    testkit::strike(&trio.a.slot, ProbeMsg::Panic).await.unwrap();
    assert_eq!((quick.await, endless.await), (Ok(()), Err(CallError::WorkerLost)));
    assert!(about(3 * SECOND + FIRST_DELAY).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_report_tells_who_failed_from_those_who_wait() {
    for strategy in [Strategy::RestForOne, Strategy::OneForAll] {
        let trio = Trio::start(strategy).await;
        testkit::kill_and_see_it_gone(&trio.b.slot).await.unwrap();
        let report = describe(trio.root.actor()).await;
        let phases: Vec<ChildPhase> = report.children.iter().map(|child| child.phase).collect();
        let first = if strategy == Strategy::OneForAll { ChildPhase::Waiting } else { ChildPhase::Running };
        assert_eq!(phases, [first, ChildPhase::BackingOff, ChildPhase::Waiting]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_for_all_restarts_everybody_in_order() {
    let trio = Trio::start(Strategy::OneForAll).await;
    testkit::strike(&trio.b.slot, ProbeMsg::Panic).await.unwrap();
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.journal.take(), "-b -c -a +a +b +c");
    assert_eq!(trio.generations(), [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_temporary_sibling_of_a_restart_does_not_come_back() {
    let journal = Journal::default();
    let [a, b] = ["a", "b"].map(|name| Child::new(name, &journal));
    let root = crate::start(spec(Strategy::RestForOne).child(a.spec()).child(temporary(b.spec()))).await.unwrap();
    testkit::strike(&a.slot, ProbeMsg::Panic).await.unwrap();
    assert_eq!(journal.take(), "+a +b -a -b +a");
    assert_eq!(describe(root.actor()).await.children.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_timer_does_nothing() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let due = crate::supervisor::Due { child: "b".into(), epoch: 0, what: crate::supervisor::DueFor::Restart };
    trio.root.actor().send_message(SupervisorMsg::Due(due)).unwrap();
    describe(trio.root.actor()).await;
    assert_eq!(trio.generations(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_formatted_panic_text_is_kept_nowhere() {
    let journal = Journal::default();
    let slot = Slot::new("a");
    let made = ChildSpec::actor::<Probe, _>(&slot, || std::panic::resume_unwind(Box::new("my secret prompt".to_owned())));
    let spec = spec(Strategy::OneForOne).child(Child::new("b", &journal).spec()).child(made);
    let view = spec.view();
    let told = crate::start(spec).await.unwrap_err().to_string();
    let report = format!("{told} {:?}", view.report());
    assert!(report.contains("panicked with a formatted message") && !report.contains("secret"), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_spawned_by_hand_fails_without_words() {
    let slot = Slot::<ProbeMsg>::new("a");
    let by_hand = ChildSpec::new("a", |supervisor| async move { Ok(Probe::spawn_linked(None, Probe, (), supervisor).await?.0.get_cell()) });
    let root = crate::start(spec(Strategy::OneForOne).child(by_hand.filling(&slot))).await.unwrap();
    testkit::strike(&slot, ProbeMsg::Panic).await.unwrap();
    let failure = describe(root.actor()).await.child("a").unwrap().last_failure.clone();
    assert_eq!(failure.as_deref(), Some("failed; its words are not kept"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_left_does_not_hurt_the_supervisor() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let (reply, answer) = Reply::channel();
    drop(answer);
    trio.root.actor().send_message(SupervisorMsg::Describe { reply }).unwrap();
    assert_eq!(describe(trio.root.actor()).await.children.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn trouble_that_was_put_ahead_of_an_actor_meets_its_next_message_and_no_other() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let b = trio.b.slot.get().unwrap().get_cell();
    crate::trouble_ahead(&b, crate::Trouble::Stall(Duration::from_millis(700)));
    let began = now();
    assert_eq!((trio.a.ping().await, began.elapsed()), (Ok(1), Duration::ZERO), "nobody else is concerned");
    assert_eq!((trio.b.ping().await, began.elapsed().as_millis()), (Ok(1), 700));
    assert_eq!((trio.b.ping().await, began.elapsed().as_millis()), (Ok(2), 700), "once");
    crate::trouble_ahead(&b, crate::Trouble::Panic);
    assert_eq!(trio.b.ping().await, Err(CallError::WorkerLost));
    trio.b.slot.ready(LONG).await.unwrap();
    assert_eq!(trio.b.ping().await, Ok(1));
    assert_eq!(describe(trio.root.actor()).await.child("b").unwrap().last_failure.as_deref(), Some("panicked: on purpose"));
}
