use super::*;
use crate::{ChildPhase, Readiness, RootExit, SupervisorStatus, readiness::NotReady, testkit};

#[tokio::test(start_paused = true)]
async fn children_run_and_are_described_when_the_start_returns() {
    let trio = Trio::start(Strategy::OneForOne).await;
    assert_eq!((trio.a.ping().await, trio.b.ping().await, trio.c.ping().await), (Ok(1), Ok(1), Ok(1)));
    let report = describe(trio.root.actor()).await;
    assert_eq!(report, trio.root.view().report());
    assert_eq!(
        serde_json::to_value(report.child("b")).unwrap(),
        serde_json::json!({"name": "b", "restart": "permanent", "phase": "running", "restarts": 0, "generation": 1})
    );
    assert_eq!(serde_json::to_value(&report).unwrap()["status"], serde_json::json!({"state": "running"}));
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_start_fails_the_first_round_and_stops_those_before_it() {
    let journal = Journal::default();
    let [a, b, c] = ["a", "b", "c"].map(|name| Child::new(name, &journal));
    b.fail_next_starts(1);
    let spec = spec(Strategy::OneForOne).child(a.spec()).child(b.spec()).child(c.spec());
    let view = spec.view();
    let error = crate::start(spec).await.unwrap_err().to_string();
    assert!(error.contains("child `b` of supervisor `sup` did not start"), "{error}");
    assert!(error.contains("refuses to start"), "{error}");
    assert_eq!(journal.take(), "+a -a");
    assert!(a.slot.get().is_err());
    assert!(matches!(view.report().status, SupervisorStatus::Failed { .. }));
}

#[tokio::test(start_paused = true)]
async fn two_children_of_one_name_do_not_start() {
    let journal = Journal::default();
    let spec = spec(Strategy::OneForOne).child(Child::new("a", &journal).spec()).child(Child::new("a", &journal).spec());
    let error = crate::start(spec).await.unwrap_err().to_string();
    assert!(error.contains("supervisor `sup` has two children `a`"), "{error}");
    assert_eq!(journal.take(), "");
}

#[tokio::test(start_paused = true)]
async fn a_start_beyond_its_deadline_has_failed() {
    let slow = ChildSpec::new("slow", |_| std::future::pending()).start_deadline(SECOND);
    let began = crate::time::now();
    let error = crate::start(spec(Strategy::OneForOne).child(slow)).await.unwrap_err().to_string();
    assert!(error.contains("did not start within 1s"), "{error}");
    assert!(began.elapsed() < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_a_child_is_made_is_a_failed_start() {
    let slot = Slot::<ProbeMsg>::new("made");
    let made = ChildSpec::actor::<Probe, _>(&slot, || std::panic::resume_unwind(Box::new("no arguments")));
    let error = crate::start(spec(Strategy::OneForOne).child(made)).await.unwrap_err().to_string();
    assert!(error.contains("panicked: no arguments"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_not_linked_is_refused_and_killed() {
    let (told, tells) = Reply::channel();
    let told = Mutex::new(Some(told));
    let loose = ChildSpec::new("loose", move |_| {
        let told = told.lock().unwrap().take();
        async move {
            let (actor, join) = Probe::spawn(None, Probe, ()).await?;
            told.unwrap().send(join);
            Ok(actor.get_cell())
        }
    });
    let error = crate::start(spec(Strategy::OneForOne).child(loose)).await.unwrap_err().to_string();
    assert!(error.contains("did not link"), "{error}");
    tells.await.unwrap().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_child_of_the_wrong_message_type_is_refused() {
    let slot = Slot::<u8>::new("bytes");
    let wrong =
        ChildSpec::new("wrong", |supervisor| async move { Ok(Probe::spawn_linked(None, Probe, (), supervisor).await?.0.get_cell()) });
    let error = crate::start(spec(Strategy::OneForOne).child(wrong.filling(&slot))).await.unwrap_err().to_string();
    assert!(error.contains("does not take the messages of slot `bytes`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn two_trees_of_the_same_names_live_in_one_process() {
    let first = Trio::start(Strategy::OneForOne).await;
    let second = Trio::start(Strategy::OneForOne).await;
    testkit::kill(&first.b.slot).await.unwrap();
    assert_eq!((first.generations(), second.generations()), ([1, 2, 1], [1, 1, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_nested_supervisor_shows_its_children_through_its_parent() {
    let journal = Journal::default();
    let inner = Child::new("inner", &journal);
    let nested = SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60)).child(inner.spec());
    let root = crate::start(spec(Strategy::OneForOne).child(ChildSpec::supervisor(nested))).await.unwrap();
    let report = describe(root.actor()).await;
    let subtree = report.child("nested").unwrap().subtree.as_ref().unwrap();
    assert_eq!(subtree.child("inner").unwrap().phase, ChildPhase::Running);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_on_the_board_is_ready_while_its_permanent_children_run() {
    let board = Readiness::new();
    let mut trio = Trio::start_with(spec(Strategy::OneForOne).readiness(&board), |child| child).await;
    assert!(board.is_ready());
    testkit::kill_and_see_it_gone(&trio.a.slot).await.unwrap();
    assert_eq!(board.wait_ready(Duration::ZERO).await, Err(NotReady { missing: vec!["sup".into()] }));
    assert_eq!(board.wait_ready(LONG).await, Ok(()));
    crate::drain(trio.root.actor(), SECOND).await;
    assert_eq!(trio.root.ended().await, RootExit::Stopped);
    assert!(!board.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_killed_root_is_told_apart_from_a_stopped_one() {
    let mut trio = Trio::start(Strategy::OneForOne).await;
    trio.root.actor().kill();
    assert_eq!(trio.root.ended().await, RootExit::Killed);
    assert!(trio.a.slot.get().is_err());
}
