//! The bound of the memory backend.

use outcrop_store::{
    ConversationStore as _, Ending, Item, Json, Keep, MemoryStore, NewConversation, NewResponse, Outcome, ResponseStore as _, Running,
    Stage, Status, StoreError, UnixMillis,
};

use crate::samples::{ANN, BOB, conversation, ending, running, within};

const ROOM: u64 = 1_000;

fn text(bytes: usize) -> Json {
    Json("x".repeat(bytes))
}

fn sized(id: &str, bytes: usize) -> Item {
    Item { id: id.to_owned(), json: text(bytes) }
}

/// A response of 100 bytes of body and as many of input.
fn response(id: &str) -> NewResponse {
    NewResponse { body: text(100), input: vec![sized("in", 100)], ..running(id) }
}

/// How much room is left: found by trying, so that it does not depend on what the store believes.
fn room_left(store: &MemoryStore) -> usize {
    let fits = |bytes: &usize| {
        let probe = NewConversation { metadata: text(*bytes), ..conversation("probe") };
        let fits = store.create_conversation(BOB, &probe).is_ok();
        if fits {
            store.delete_conversation(BOB, "probe").unwrap();
        }
        fits
    };
    (0..=usize::try_from(ROOM).unwrap() + 100).rev().find(fits).unwrap()
}

fn is_full<T: std::fmt::Debug>(result: Result<T, StoreError>) {
    assert!(matches!(&result, Err(StoreError::Full { place, .. }) if place == "memory"), "{result:?}");
}

#[test]
fn room_is_taken_and_given_back_by_the_byte() {
    let store = MemoryStore::new(ROOM);
    assert_eq!(room_left(&store), 1_000);
    store.create_conversation(ANN, &NewConversation { metadata: text(10), items: vec![sized("a", 40)], ..conversation("conv") }).unwrap();
    assert_eq!(room_left(&store), 950);
    store.update_metadata(ANN, "conv", &text(20)).unwrap();
    store.append_items(ANN, "conv", &[sized("b", 30)]).unwrap();
    store.delete_item(ANN, "conv", "a").unwrap();
    assert_eq!(room_left(&store), 950);
    store.put_response(ANN, &NewResponse { conversation: Some("conv".to_owned()), ..response("resp") }, ROOM).unwrap();
    assert_eq!(room_left(&store), 750);
    store.update_status(ANN, "resp", Running::InProgress, Running::InProgress, &text(50)).unwrap();
    assert_eq!(room_left(&store), 800);
    // 150 of body instead of 50, 60 of output, and the conversation's copies of 160.
    let ends = Ending { output: vec![sized("out", 60)], ..ending("resp", Outcome::Completed) };
    store.finish(ANN, "resp", &text(150), &ends, ROOM).unwrap();
    assert_eq!(room_left(&store), 480);
    store.delete_response(ANN, "resp").unwrap();
    assert_eq!(room_left(&store), 790);
    store.delete_conversation(ANN, "conv").unwrap();
    assert_eq!(room_left(&store), 1_000);
    store.put_response(ANN, &response("short"), ROOM).unwrap();
    store.finish(ANN, "short", &text(10), &Ending { output: Vec::new(), ..ending("short", Outcome::Failed) }, ROOM).unwrap();
    assert_eq!(room_left(&store), 890, "an ending may be shorter");
}

#[test]
fn what_has_no_room_is_refused_and_changes_nothing() {
    let store = MemoryStore::new(ROOM);
    store.create_conversation(ANN, &NewConversation { items: vec![sized("a", 698)], ..conversation("conv") }).unwrap();
    store.put_response(ANN, &NewResponse { conversation: Some("conv".to_owned()), ..response("resp") }, ROOM).unwrap();
    assert_eq!(room_left(&store), 100);
    is_full(store.put_response(ANN, &response("more"), ROOM));
    is_full(store.append_items(ANN, "conv", &[sized("b", 101)]));
    is_full(store.update_metadata(ANN, "conv", &text(103)));
    is_full(store.update_status(ANN, "resp", Running::InProgress, Running::Queued, &text(201)));
    // Room for the output, and none for the copies.
    is_full(store.finish(ANN, "resp", &text(100), &Ending { output: vec![sized("out", 1)], ..ending("resp", Outcome::Completed) }, ROOM));
    assert!(matches!(store.get_response(ANN, "more"), Err(StoreError::NotFound { .. })));
    let kept = store.get_response(ANN, "resp").unwrap();
    assert_eq!((kept.status, kept.body), (Status::Running(Running::InProgress), text(100)));
    assert_eq!(store.all_items(ANN, "conv", ROOM).unwrap().len(), 1);
    assert_eq!(room_left(&store), 100);
    // What makes it smaller is not refused, nor what fits exactly.
    store.update_metadata(ANN, "conv", &text(102)).unwrap();
    assert_eq!(room_left(&store), 0);
    store.delete_item(ANN, "conv", "a").unwrap();
    store.finish(ANN, "resp", &text(100), &ending("resp", Outcome::Failed), ROOM).unwrap();
}

#[test]
fn a_purge_gives_room_back_and_a_recovery_needs_none() {
    let store = MemoryStore::new(ROOM);
    for number in 0..5 {
        let expires_at = Some(UnixMillis(10));
        store.put_response(ANN, &NewResponse { expires_at, ..response(&format!("r{number}")) }, ROOM).unwrap();
    }
    assert_eq!(room_left(&store), 0);
    store.create_conversation(BOB, &NewConversation { metadata: text(0), ..conversation("before") }).unwrap();
    let next = store.restarted();
    assert_eq!(next.mark_interrupted(UnixMillis(5), &|_| text(300)).unwrap().failed.len(), 5);
    // More is there now than may be: what takes nothing is still allowed.
    next.update_metadata(BOB, "before", &text(0)).unwrap();
    next.append_items(BOB, "before", &[]).unwrap();
    is_full(next.update_metadata(BOB, "before", &text(1)));
    is_full(next.create_conversation(ANN, &conversation("conv")));
    assert_eq!(next.purge_expired(UnixMillis(10), 2).unwrap(), 2);
    is_full(next.create_conversation(ANN, &conversation("conv")));
    assert_eq!(next.purge_expired(UnixMillis(10), 2).unwrap(), 2);
    assert_eq!(room_left(&next), 600);
    let queued = NewResponse { stage: Stage::Running(Running::Queued), background: true, ..within("resp", "none") };
    assert!(matches!(next.put_response(ANN, &queued, ROOM), Err(StoreError::NotFound { .. })));
    assert_eq!(room_left(&next), 600);
}

/// A response that has ended and that may go, of 200 bytes.
fn ended(id: &str, expires_at: i64) -> NewResponse {
    let stage = Stage::Ended(Ending { output: Vec::new(), ..ending(id, Outcome::Completed) });
    NewResponse { expires_at: Some(UnixMillis(expires_at)), stage, ..response(id) }
}

#[test]
fn room_is_made_of_what_its_owner_has_and_nothing_goes_when_it_would_not_do() {
    let store = MemoryStore::new(ROOM);
    for (owner, id, at) in [(BOB, "bobs", 1), (ANN, "a1", 2), (ANN, "a2", 3)] {
        store.put_response(owner, &ended(id, at), ROOM).unwrap();
    }
    assert_eq!(store.make_room(ANN, 401, Keep::default()).unwrap(), 0, "all of hers are 400");
    is_full(store.check_room(ANN, 801));
    store.check_room(ANN, 800).unwrap();
    assert!(store.get_response(ANN, "a1").is_ok());
    assert_eq!(store.make_room(ANN, 200, Keep::default()).unwrap(), 1);
    assert!(store.get_response(ANN, "a1").is_err(), "the first whose time is over");
    let keep = Keep { response: Some("a2"), conversation: None };
    assert_eq!(store.make_room(ANN, 1, keep).unwrap(), 0, "it is gone on from");
    assert!(store.get_response(BOB, "bobs").is_ok() && store.get_response(ANN, "a2").is_ok());
}

#[test]
fn conversations_go_after_responses_and_those_in_use_stay() {
    let store = MemoryStore::new(ROOM);
    for (id, used) in [("old", 1), ("newer", 2), ("busy", 0)] {
        let sized = NewConversation { created_at: UnixMillis(used), items: vec![sized("a", 98)], ..conversation(id) };
        store.create_conversation(ANN, &sized).unwrap();
    }
    store.put_response(ANN, &NewResponse { conversation: Some("busy".to_owned()), ..response("runs") }, ROOM).unwrap();
    store.put_response(ANN, &ended("over", 1), ROOM).unwrap();
    let keep = Keep { response: None, conversation: Some("newer") };
    assert_eq!(store.make_room(ANN, 301, keep).unwrap(), 0);
    assert_eq!(store.make_room(ANN, 201, keep).unwrap(), 2);
    assert!(store.get_response(ANN, "over").is_err() && store.get_conversation(ANN, "old").is_err());
    assert!(store.get_conversation(ANN, "newer").is_ok() && store.get_conversation(ANN, "busy").is_ok());
}

#[test]
fn no_owner_fills_a_shared_room() {
    let store = MemoryStore::shared(ROOM);
    let fill = |owner, id: &str, bytes| store.create_conversation(owner, &NewConversation { metadata: text(bytes), ..conversation(id) });
    let Err(StoreError::Full { missing, .. }) = fill(ANN, "c", 801) else { panic!("it is more than her share") };
    assert_eq!(missing, Some(1));
    fill(ANN, "c", 800).unwrap();
    is_full(fill(BOB, "c", 161));
    fill(BOB, "c", 160).unwrap();
    store.delete_conversation(ANN, "c").unwrap();
    fill(BOB, "d", 640).unwrap();
}
