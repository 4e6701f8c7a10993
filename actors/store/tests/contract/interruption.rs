//! What becomes of responses that nobody ends, and of those whose time is over.

use std::panic::{AssertUnwindSafe, catch_unwind};

use outcrop_store::{
    ChainBound, Interrupted, Json, NewResponse, Outcome, Owner, ResponseKey, Running, Stage, Status, StoreError, UnixMillis,
};

use crate::{
    backends::{Backend, Store, contract},
    samples::{ANN, BOB, PLENTY, body, completed, conversation, ending, following, running, within},
};

contract! {
    a_restart_fails_what_was_begun_and_gives_back_what_was_queued,
    what_this_process_began_is_no_interruption,
    what_was_given_back_and_not_begun_is_given_back_again,
    what_was_interrupted_adds_nothing_to_its_conversation,
    a_recovery_that_panics_changes_nothing,
    only_what_has_expired_is_purged,
    a_purge_takes_so_many_at_most,
    what_is_running_is_not_purged,
    what_is_followed_is_purged_with_the_last_that_follows_it,
    a_purge_leaves_conversations_alone,
}

fn key(owner: Owner<'_>, id: &str) -> ResponseKey {
    ResponseKey { owner: owner.0.to_owned(), id: id.to_owned() }
}

fn failing(response: &outcrop_store::StoredResponse) -> Json {
    Json(format!("{{\"failed\":\"{}\",\"was\":{}}}", response.id, response.body.as_str()))
}

fn queued(id: &str, created_at: i64) -> NewResponse {
    NewResponse { created_at: UnixMillis(created_at), background: true, stage: Stage::Running(Running::Queued), ..running(id) }
}

fn status(store: &dyn Store, owner: Owner<'_>, id: &str) -> Status {
    store.get_response(owner, id).unwrap().status
}

fn is_there(store: &dyn Store, id: &str) -> bool {
    match store.get_response(ANN, id) {
        Ok(_) => true,
        Err(StoreError::NotFound { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn a_restart_fails_what_was_begun_and_gives_back_what_was_queued(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &queued("waits", 30), PLENTY).unwrap();
    store.put_response(BOB, &queued("waits-longer", 10), PLENTY).unwrap();
    store.put_response(ANN, &NewResponse { background: true, created_at: UnixMillis(40), ..running("began") }, PLENTY).unwrap();
    store.put_response(ANN, &NewResponse { created_at: UnixMillis(20), ..running("streamed") }, PLENTY).unwrap();
    // Nobody waits any more for what was not in the background.
    store.put_response(BOB, &NewResponse { background: false, ..queued("in-the-foreground", 25) }, PLENTY).unwrap();
    store.put_response(ANN, &completed("done"), PLENTY).unwrap();
    backend.restart();
    let store = backend.store();
    let found = store.mark_interrupted(UnixMillis(99), &failing).unwrap();
    let expected = Interrupted {
        failed: vec![key(ANN, "streamed"), key(BOB, "in-the-foreground"), key(ANN, "began")],
        resumable: vec![key(BOB, "waits-longer"), key(ANN, "waits")],
    };
    assert_eq!(found, expected);
    let failed = store.get_response(ANN, "began").unwrap();
    assert_eq!((failed.status, failed.ended_at), (Status::Ended(Outcome::Failed), Some(UnixMillis(99))));
    assert_eq!(failed.body.as_str(), "{\"failed\":\"began\",\"was\":{\"body\":\"begun\"}}");
    assert_eq!(status(store, ANN, "waits"), Status::Running(Running::Queued));
    assert_eq!(store.get_response(ANN, "done").unwrap().body, body("done"));
    // What is given back can be taken up, and goes on as ever.
    assert_eq!(store.input_items(ANN, "waits").unwrap().len(), 1);
    store.update_status(ANN, "waits", Running::Queued, Running::InProgress, &body("again")).unwrap();
    assert_eq!(store.mark_interrupted(UnixMillis(100), &failing).unwrap(), Interrupted::default());
    store.finish(ANN, "waits", &body("x"), &ending("waits", Outcome::Completed), PLENTY).unwrap();
}

fn what_this_process_began_is_no_interruption(backend: &mut dyn Backend) {
    backend.restart();
    let store = backend.store();
    store.put_response(ANN, &running("began"), PLENTY).unwrap();
    store.put_response(ANN, &queued("waits", 1), PLENTY).unwrap();
    assert_eq!(store.mark_interrupted(UnixMillis(99), &failing).unwrap(), Interrupted::default());
    assert_eq!(status(store, ANN, "began"), Status::Running(Running::InProgress));
}

fn what_was_given_back_and_not_begun_is_given_back_again(backend: &mut dyn Backend) {
    backend.store().put_response(ANN, &queued("waits", 1), PLENTY).unwrap();
    backend.store().put_response(ANN, &queued("begins", 2), PLENTY).unwrap();
    backend.restart();
    assert_eq!(backend.store().mark_interrupted(UnixMillis(98), &failing).unwrap().resumable.len(), 2);
    backend.store().update_status(ANN, "begins", Running::Queued, Running::InProgress, &body("x")).unwrap();
    backend.restart();
    let found = backend.store().mark_interrupted(UnixMillis(99), &failing).unwrap();
    assert_eq!(found, Interrupted { failed: vec![key(ANN, "begins")], resumable: vec![key(ANN, "waits")] });
}

fn what_was_interrupted_adds_nothing_to_its_conversation(backend: &mut dyn Backend) {
    backend.store().create_conversation(ANN, &conversation("conv")).unwrap();
    backend.store().put_response(ANN, &within("resp", "conv"), PLENTY).unwrap();
    backend.restart();
    let found = backend.store().mark_interrupted(UnixMillis(99), &failing).unwrap();
    assert_eq!(found.failed, [key(ANN, "resp")]);
    assert_eq!(backend.store().all_items(ANN, "conv", PLENTY).unwrap(), []);
    // Whoever held on to it comes too late.
    let late = backend.store().finish(ANN, "resp", &body("late"), &ending("resp", Outcome::Completed), PLENTY);
    assert!(matches!(late, Err(StoreError::Conflict { status: Status::Ended(Outcome::Failed), .. })), "{late:?}");
}

fn a_recovery_that_panics_changes_nothing(backend: &mut dyn Backend) {
    for id in ["a", "b", "c"] {
        backend.store().put_response(ANN, &running(id), PLENTY).unwrap();
    }
    backend.restart();
    let store = backend.store();
    let panics = |response: &outcrop_store::StoredResponse| match response.id.as_str() {
        "b" => panic!("cannot be told"),
        _ => body("failed"),
    };
    assert!(catch_unwind(AssertUnwindSafe(|| store.mark_interrupted(UnixMillis(99), &panics))).is_err());
    for id in ["a", "b", "c"] {
        assert_eq!(status(store, ANN, id), Status::Running(Running::InProgress));
    }
    assert_eq!(store.mark_interrupted(UnixMillis(99), &failing).unwrap().failed.len(), 3);
}

fn expiring(id: &str, at: i64) -> NewResponse {
    NewResponse { expires_at: Some(UnixMillis(at)), ..completed(id) }
}

fn only_what_has_expired_is_purged(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &expiring("old", 10), PLENTY).unwrap();
    store.put_response(ANN, &expiring("now", 20), PLENTY).unwrap();
    store.put_response(ANN, &expiring("new", 21), PLENTY).unwrap();
    store.put_response(ANN, &completed("for-good"), PLENTY).unwrap();
    store.put_response(BOB, &expiring("old", 10), PLENTY).unwrap();
    assert!(is_there(store, "old"), "until it is purged");
    assert_eq!(store.purge_expired(UnixMillis(9), 100).unwrap(), 0);
    assert_eq!(store.purge_expired(UnixMillis(20), 100).unwrap(), 3);
    assert_eq!(["old", "now", "new", "for-good"].map(|id| is_there(store, id)), [false, false, true, true]);
    assert!(matches!(store.get_response(BOB, "old"), Err(StoreError::NotFound { .. })));
    assert_eq!(store.purge_expired(UnixMillis(i64::MAX), 100).unwrap(), 1);
    assert!(is_there(store, "for-good"));
}

fn a_purge_takes_so_many_at_most(backend: &mut dyn Backend) {
    let store = backend.store();
    for number in 0..7 {
        store.put_response(ANN, &expiring(&format!("single-{number}"), 10), PLENTY).unwrap();
        store.put_response(BOB, &expiring(&format!("single-{number}"), 10), PLENTY).unwrap();
    }
    let taken: Vec<u32> = (0..4).map(|_| store.purge_expired(UnixMillis(10), 6).unwrap()).collect();
    assert_eq!(taken, [6, 6, 2, 0]);
    // Also within one chain.
    store.put_response(ANN, &expiring("link-0", 10), PLENTY).unwrap();
    for number in 1..5 {
        let previous = Some(format!("link-{}", number - 1));
        store.put_response(ANN, &NewResponse { previous, ..expiring(&format!("link-{number}"), 10) }, PLENTY).unwrap();
    }
    assert_eq!(store.purge_expired(UnixMillis(10), 0).unwrap(), 0);
    assert_eq!(store.purge_expired(UnixMillis(10), 2).unwrap(), 2);
    assert_eq!([2, 3].map(|number| is_there(store, &format!("link-{number}"))), [true, false], "from its end");
    assert_eq!(store.purge_expired(UnixMillis(10), 100).unwrap(), 3);
}

fn what_is_running_is_not_purged(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &expiring("before", 10), PLENTY).unwrap();
    let runs = NewResponse { expires_at: Some(UnixMillis(10)), previous: Some("before".to_owned()), ..running("runs") };
    store.put_response(ANN, &runs, PLENTY).unwrap();
    assert_eq!(store.purge_expired(UnixMillis(99), 100).unwrap(), 0);
    store.finish(ANN, "runs", &body("x"), &ending("runs", Outcome::Completed), PLENTY).unwrap();
    assert_eq!(store.purge_expired(UnixMillis(99), 100).unwrap(), 2);
}

fn what_is_followed_is_purged_with_the_last_that_follows_it(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &expiring("root", 10), PLENTY).unwrap();
    for (id, expires_at, previous) in [("left", 20, "root"), ("right", 30, "root"), ("leaf", 40, "right")] {
        store.put_response(ANN, &NewResponse { previous: Some(previous.to_owned()), ..expiring(id, expires_at) }, PLENTY).unwrap();
    }
    // Bob's follows a name, not Ann's response.
    store.put_response(BOB, &following("leaf", "root"), PLENTY).unwrap();
    // One that follows itself keeps nobody alive.
    store.put_response(ANN, &NewResponse { previous: Some("ring".to_owned()), ..expiring("ring", 10) }, PLENTY).unwrap();
    let there = || ["root", "left", "right", "leaf", "ring"].map(|id| is_there(store, id));
    assert_eq!(store.purge_expired(UnixMillis(30), 100).unwrap(), 2);
    assert_eq!(there(), [true, false, true, true, false]);
    let whole = store.chain(ANN, "leaf", ChainBound { responses: 3, bytes: PLENTY }).unwrap();
    assert_eq!(whole.len(), 6, "the chain of what has not expired is whole");
    assert_eq!(store.purge_expired(UnixMillis(40), 100).unwrap(), 3);
    assert_eq!(there(), [false; 5]);
    // What was deleted by hand keeps nobody alive either.
    store.put_response(ANN, &expiring("root", 10), PLENTY).unwrap();
    store.put_response(ANN, &following("leaf", "root"), PLENTY).unwrap();
    assert_eq!(store.purge_expired(UnixMillis(99), 100).unwrap(), 0);
    store.delete_response(ANN, "leaf").unwrap();
    assert_eq!(store.purge_expired(UnixMillis(99), 100).unwrap(), 1);
}

fn a_purge_leaves_conversations_alone(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    store.put_response(ANN, &NewResponse { conversation: Some("conv".to_owned()), ..expiring("resp", 10) }, PLENTY).unwrap();
    assert_eq!(store.purge_expired(UnixMillis(10), 100).unwrap(), 1);
    assert_eq!(store.all_items(ANN, "conv", PLENTY).unwrap().len(), 2);
}
