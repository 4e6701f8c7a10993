use super::*;
use crate::{ChildPhase, Shutdown, StartChildError, UnknownChild, testkit};

async fn add(root: &Root, spec: ChildSpec) -> Result<(), StartChildError> {
    let (reply, answer) = Reply::channel();
    root.actor().send_message(SupervisorMsg::StartChild { spec: Box::new(spec), reply }).unwrap();
    answer.within(LONG).await.unwrap()
}

fn remove(root: &Root, name: &str) -> crate::Answer<Result<(), UnknownChild>> {
    let (reply, answer) = Reply::channel();
    root.actor().send_message(SupervisorMsg::StopChild { name: name.into(), reply }).unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn an_added_child_is_supervised_like_the_others() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let d = Child::new("d", &trio.journal);
    assert_eq!(add(&trio.root, d.spec()).await, Ok(()));
    testkit::strike(&d.slot, ProbeMsg::Panic).await.unwrap();
    assert_eq!(d.ping().await, Ok(1));
    let names: Vec<String> = describe(trio.root.actor()).await.children.into_iter().map(|child| child.name).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_until_its_child_has_ended_for_good() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.restart(Restart::Transient)).await;
    let other = Child::new("b", &trio.journal);
    let taken = StartChildError::NameTaken { supervisor: "sup".into(), child: "b".into() };
    assert_eq!(add(&trio.root, other.spec()).await, Err(taken.clone()));
    testkit::kill_and_see_it_gone(&trio.b.slot).await.unwrap();
    assert_eq!(add(&trio.root, other.spec()).await, Err(taken), "it is backing off");
    trio.b.slot.after(1, LONG).await.unwrap();
    trio.b.slot.cast(ProbeMsg::Stop).unwrap();
    trio.root.view().wait_until(LONG, |report| report.child("b").unwrap().phase == ChildPhase::Stopped).await.unwrap();
    assert_eq!(add(&trio.root, other.spec()).await, Ok(()));
    assert_eq!(other.ping().await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_added_child_that_does_not_start_is_not_kept() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let d = Child::new("d", &trio.journal);
    d.fail_next_starts(1);
    let error = add(&trio.root, d.spec()).await.unwrap_err();
    assert!(matches!(&error, StartChildError::NotStarted { child, reason } if child == "d" && reason.contains("refuses to start")));
    assert_eq!(describe(trio.root.actor()).await.children.len(), 3);
    assert_eq!(add(&trio.root, d.spec()).await, Ok(()), "the name is free again");
}

#[tokio::test(start_paused = true)]
async fn a_removed_child_finishes_its_work_first_and_everybody_who_asked_is_told() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Drain(LONG))).await;
    let done = trio.b.work(5 * SECOND).await;
    let (first, second) = (remove(&trio.root, "b"), remove(&trio.root, "b"));
    trio.root.view().wait_until(LONG, |report| report.child("b").unwrap().phase == ChildPhase::Stopping).await.unwrap();
    assert_eq!(trio.a.ping().await, Ok(1));
    assert_eq!((first.await, second.await), (Ok(Ok(())), Ok(Ok(()))));
    assert_eq!(done.within(Duration::ZERO).await, Ok(()));
    assert_eq!(trio.journal.take(), "-b");
    assert_eq!(describe(trio.root.actor()).await.children.len(), 2);
    assert!(trio.b.slot.get().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_removed_child_that_does_not_finish_is_killed_at_its_deadline() {
    let trio = Trio::start_with(spec(Strategy::OneForOne), |child| child.shutdown(Shutdown::Stop(3 * SECOND))).await;
    let done = trio.b.work(LONG).await;
    let began = crate::time::now();
    assert_eq!(remove(&trio.root, "b").await, Ok(Ok(())));
    assert_eq!(done.await, Err(CallError::WorkerLost));
    assert!((3 * SECOND..4 * SECOND).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_child_cannot_be_removed() {
    let trio = Trio::start(Strategy::OneForOne).await;
    let unknown = UnknownChild { supervisor: "sup".into(), child: "x".into() };
    assert_eq!(remove(&trio.root, "x").await, Ok(Err(unknown)));
}

#[tokio::test(start_paused = true)]
async fn removing_a_child_that_backs_off_starts_those_that_waited_for_it() {
    let trio = Trio::start(Strategy::RestForOne).await;
    trio.b.slot.cast(ProbeMsg::Panic).unwrap();
    trio.root.view().wait_until(LONG, |report| report.child("b").unwrap().phase == ChildPhase::BackingOff).await.unwrap();
    assert_eq!(remove(&trio.root, "b").await, Ok(Ok(())));
    trio.c.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.journal.take(), "-b -c +c");
    assert_eq!(trio.generations(), [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_is_leaving_is_not_started_again_with_the_others() {
    let trio = Trio::start(Strategy::RestForOne).await;
    let _done = trio.c.work(LONG).await;
    let removed = remove(&trio.root, "c");
    testkit::strike(&trio.a.slot, ProbeMsg::Panic).await.unwrap();
    assert_eq!(removed.await, Ok(Ok(())));
    trio.b.slot.after(1, LONG).await.unwrap();
    assert_eq!(trio.generations(), [2, 2, 1]);
    assert_eq!(describe(trio.root.actor()).await.children.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn listed_children_come_back_with_their_supervisor_and_added_ones_do_not() {
    let journal = Journal::default();
    let [listed, added] = ["listed", "added"].map(|name| Child::new(name, &journal));
    let address = Slot::<SupervisorMsg>::new("nested");
    let nested = SupervisorSpec::new("nested", Strategy::OneForOne, Intensity::new(1, 60)).children_from({
        let listed = listed.clone();
        move || vec![listed.spec()]
    });
    let _root = crate::start(spec(Strategy::OneForOne).child(ChildSpec::supervisor(nested).filling(&address))).await.unwrap();
    let (reply, answer) = Reply::channel();
    address.cast(SupervisorMsg::StartChild { spec: Box::new(added.spec()), reply }).unwrap();
    answer.await.unwrap().unwrap();
    testkit::kill(&address).await.unwrap();
    assert_eq!(listed.ping().await, Ok(1));
    let report = address.call(|reply| SupervisorMsg::Describe { reply }, SECOND).await.unwrap();
    assert_eq!(report.children.len(), 1);
    assert!(added.slot.get().is_err());
}
