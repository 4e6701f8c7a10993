//! What a store of responses promises.

use outcrop_store::{
    Appended, ChainBound, Ending, Item, Json, Kind, NewResponse, Outcome, Page, Running, Stage, Status, StoreError, StoredResponse,
    UnixMillis,
};

use crate::{
    backends::{Backend, Store, contract},
    samples::{ANN, BOB, PLENTY, body, completed, conversation, ending, following, ids, item, items, running, within},
};

contract! {
    a_response_is_kept_as_it_was_given,
    what_belongs_to_another_owner_does_not_exist,
    an_id_is_taken_once,
    an_item_id_that_is_twice_in_a_list_is_refused,
    a_response_beyond_the_cap_is_refused_whole,
    an_ending_beyond_the_cap_leaves_the_response_running,
    a_running_response_moves_only_from_the_state_that_is_named,
    a_response_ends_once,
    an_answer_adds_input_and_then_output_to_its_conversation,
    only_an_answer_adds_to_its_conversation,
    items_that_a_conversation_has_are_told_and_left_as_they_are,
    an_answer_is_kept_when_its_conversation_is_gone,
    a_response_is_not_begun_in_a_conversation_that_is_not_there,
    a_deleted_response_takes_nothing_else_with_it,
    a_deleted_conversation_leaves_its_responses,
    an_id_is_free_again_when_its_response_was_deleted,
    a_chain_is_input_and_output_of_each_response_oldest_first,
    a_chain_with_a_gap_names_the_response_that_is_missing,
    a_chain_does_not_pass_a_running_response,
    a_chain_is_bounded_in_responses_and_bytes,
    a_chain_that_turns_back_on_itself_ends_at_the_bound,
    an_item_is_found_on_either_side_of_its_own_response,
    what_was_kept_outlives_the_process,
}

const WIDE: ChainBound = ChainBound { responses: 100, bytes: PLENTY };

fn is_missing<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: Kind, id: &str) {
    match result {
        Err(StoreError::NotFound { kind: found, id: named }) => assert_eq!((found, named.as_str()), (kind, id)),
        other => panic!("{kind} {id} should not be found: {other:?}"),
    }
}

fn is_taken<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: Kind, id: &str) {
    match result {
        Err(StoreError::Exists { kind: found, id: named }) => assert_eq!((found, named.as_str()), (kind, id)),
        other => panic!("{kind} {id} should exist: {other:?}"),
    }
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T, StoreError>, id: &str, status: Status) {
    match result {
        Err(StoreError::Conflict { id: named, status: found }) => assert_eq!((named.as_str(), found), (id, status)),
        other => panic!("{id} should be {status}: {other:?}"),
    }
}

fn chain(store: &dyn Store, id: &str) -> Vec<String> {
    store.chain(ANN, id, WIDE).unwrap().into_iter().map(|item| item.id).collect()
}

fn history(store: &dyn Store, id: &str) -> Vec<String> {
    store.all_items(ANN, id, PLENTY).unwrap().into_iter().map(|item| item.id).collect()
}

fn a_response_is_kept_as_it_was_given(backend: &mut dyn Backend) {
    let store = backend.store();
    let odd = "{ \"n\" : 1e400,\"twice\":1, \"twice\":2 ,\"t\":\"\\u0000 é 🦀\" }\n";
    let input = vec![
        Item { id: "i\u{0}d 🦀 '\"".to_owned(), json: Json::from(odd) },
        Item { id: String::new(), json: Json::from("not json at all") },
    ];
    let output = vec![Item { id: "out".to_owned(), json: Json::from("") }];
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    let new = NewResponse {
        id: "resp_1".to_owned(),
        created_at: UnixMillis(-5),
        expires_at: Some(UnixMillis(i64::MAX)),
        model: "anthropic.claude, so named".to_owned(),
        body: Json::from(odd),
        input: input.clone(),
        conversation: Some("conv".to_owned()),
        previous: Some("resp_0".to_owned()),
        background: true,
        stage: Stage::Ended(Ending { outcome: Outcome::Incomplete, at: UnixMillis(7), output: output.clone() }),
    };
    assert_eq!(store.put_response(ANN, &new, PLENTY).unwrap(), Appended::Items { added: 3, repeated: Vec::new() });
    let kept = StoredResponse {
        id: "resp_1".to_owned(),
        status: Status::Ended(Outcome::Incomplete),
        created_at: UnixMillis(-5),
        expires_at: Some(UnixMillis(i64::MAX)),
        ended_at: Some(UnixMillis(7)),
        model: new.model.clone(),
        body: Json::from(odd),
        conversation: Some("conv".to_owned()),
        previous: Some("resp_0".to_owned()),
        background: true,
    };
    assert_eq!(store.get_response(ANN, "resp_1").unwrap(), kept);
    assert_eq!(store.input_items(ANN, "resp_1").unwrap(), input);
    assert_eq!(store.all_items(ANN, "conv", PLENTY).unwrap(), [input, output].concat());

    store.put_response(ANN, &running("resp_2"), PLENTY).unwrap();
    let kept = store.get_response(ANN, "resp_2").unwrap();
    assert_eq!((kept.status, kept.ended_at, kept.expires_at), (Status::Running(Running::InProgress), None, None));
    assert_eq!((kept.conversation, kept.previous, kept.background), (None, None, false));
}

fn what_belongs_to_another_owner_does_not_exist(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    store.put_response(ANN, &running("resp"), PLENTY).unwrap();
    // Bob with nothing at all, and Bob with something.
    for round in ["first", "second"] {
        is_missing(store.get_response(BOB, "resp"), Kind::Response, "resp");
        is_missing(store.input_items(BOB, "resp"), Kind::Response, "resp");
        is_missing(store.list_input_items(BOB, "resp", &Page::default()), Kind::Response, "resp");
        is_missing(store.chain(BOB, "resp", WIDE), Kind::Response, "resp");
        is_missing(store.update_status(BOB, "resp", Running::InProgress, Running::Queued, &body("bob")), Kind::Response, "resp");
        is_missing(store.finish(BOB, "resp", &body("bob"), &ending("resp", Outcome::Failed), PLENTY), Kind::Response, "resp");
        is_missing(store.delete_response(BOB, "resp"), Kind::Response, "resp");
        is_missing(store.put_response(BOB, &within("bobs", "conv"), PLENTY), Kind::Conversation, "conv");
        let ended = NewResponse { conversation: Some("conv".to_owned()), ..completed(round) };
        assert_eq!(store.put_response(BOB, &ended, PLENTY).unwrap(), Appended::ConversationGone);
        let mut ours = following(&format!("{round}-chain"), "resp");
        ours.input.clear();
        store.put_response(BOB, &ours, PLENTY).unwrap();
        is_missing(store.chain(BOB, &ours.id, WIDE), Kind::Response, "resp");
    }
    assert_eq!(store.get_response(ANN, "resp").unwrap().body, body("begun"));
    assert_eq!(history(store, "conv"), [""; 0]);
    // The same id, for each its own.
    store.put_response(BOB, &completed("resp"), PLENTY).unwrap();
    assert_eq!(store.get_response(BOB, "resp").unwrap().body, body("resp"));
    assert_eq!(store.get_response(ANN, "resp").unwrap().body, body("begun"));
}

fn an_id_is_taken_once(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    store.put_response(ANN, &completed("resp"), PLENTY).unwrap();
    let again = NewResponse { body: body("again"), conversation: Some("conv".to_owned()), input: items(&["x", "y"]), ..completed("resp") };
    is_taken(store.put_response(ANN, &again, PLENTY), Kind::Response, "resp");
    assert_eq!(store.get_response(ANN, "resp").unwrap().body, body("resp"));
    assert_eq!(ids(&store.input_items(ANN, "resp").unwrap()), ["resp-in"]);
    assert_eq!(history(store, "conv"), [""; 0], "nothing of what was refused is anywhere");
}

fn an_item_id_that_is_twice_in_a_list_is_refused(backend: &mut dyn Backend) {
    let store = backend.store();
    let mut twice = running("resp");
    twice.input = items(&["a", "b", "a"]);
    is_taken(store.put_response(ANN, &twice, PLENTY), Kind::Item, "a");
    is_missing(store.get_response(ANN, "resp"), Kind::Response, "resp");
    twice.input = items(&["a"]);
    twice.stage = Stage::Ended(Ending { output: items(&["b", "b"]), ..ending("resp", Outcome::Completed) });
    is_taken(store.put_response(ANN, &twice, PLENTY), Kind::Item, "b");

    store.put_response(ANN, &running("resp"), PLENTY).unwrap();
    let ends = Ending { output: items(&["c", "c"]), ..ending("resp", Outcome::Completed) };
    is_taken(store.finish(ANN, "resp", &body("x"), &ends, PLENTY), Kind::Item, "c");
    assert_eq!(store.get_response(ANN, "resp").unwrap().status, Status::Running(Running::InProgress));
    // Once in each list is no fault.
    let ends = Ending { output: items(&["resp-in"]), ..ending("resp", Outcome::Completed) };
    store.finish(ANN, "resp", &body("x"), &ends, PLENTY).unwrap();
    assert_eq!(chain(store, "resp"), ["resp-in", "resp-in"]);
}

fn size_of(response: &NewResponse, output: &[Item]) -> u64 {
    response.body.bytes() + response.input.iter().chain(output).map(|item| item.json.bytes()).sum::<u64>()
}

fn a_response_beyond_the_cap_is_refused_whole(backend: &mut dyn Backend) {
    let store = backend.store();
    let new = completed("resp");
    let Stage::Ended(ends) = &new.stage else { panic!("it has ended") };
    let size = size_of(&new, &ends.output);
    let refused = store.put_response(ANN, &new, size - 1).unwrap_err();
    assert!(
        matches!(&refused, StoreError::TooLarge { kind: Kind::Response, id, bytes, max } if id == "resp" && *bytes == size && *max == size - 1),
        "{refused:?}"
    );
    is_missing(store.get_response(ANN, "resp"), Kind::Response, "resp");
    store.put_response(ANN, &new, size).unwrap();
}

fn an_ending_beyond_the_cap_leaves_the_response_running(backend: &mut dyn Backend) {
    let store = backend.store();
    let new = running("resp");
    store.put_response(ANN, &new, PLENTY).unwrap();
    let (ends, said) = (ending("resp", Outcome::Completed), body("begun"));
    let size = size_of(&new, &ends.output);
    let refused = store.finish(ANN, "resp", &said, &ends, size - 1).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { kind: Kind::Response, bytes, .. } if bytes == size), "{refused:?}");
    assert_eq!(store.get_response(ANN, "resp").unwrap().status, Status::Running(Running::InProgress));
    store.finish(ANN, "resp", &said, &ends, size).unwrap();
    assert_eq!(chain(store, "resp"), ["resp-in", "resp-out"]);
}

fn a_running_response_moves_only_from_the_state_that_is_named(backend: &mut dyn Backend) {
    let store = backend.store();
    let queued = NewResponse { stage: Stage::Running(Running::Queued), background: true, ..running("resp") };
    store.put_response(ANN, &queued, PLENTY).unwrap();
    let moves = |from, to, text: &str| store.update_status(ANN, "resp", from, to, &body(text));
    is_conflict(moves(Running::InProgress, Running::Queued, "no"), "resp", Status::Running(Running::Queued));
    assert_eq!(store.get_response(ANN, "resp").unwrap().body, body("begun"));
    moves(Running::Queued, Running::InProgress, "yes").unwrap();
    is_conflict(moves(Running::Queued, Running::InProgress, "no"), "resp", Status::Running(Running::InProgress));
    let now = store.get_response(ANN, "resp").unwrap();
    assert_eq!((now.status, now.body), (Status::Running(Running::InProgress), body("yes")));
    store.finish(ANN, "resp", &body("over"), &ending("resp", Outcome::Cancelled), PLENTY).unwrap();
    is_conflict(moves(Running::InProgress, Running::InProgress, "no"), "resp", Status::Ended(Outcome::Cancelled));
    assert_eq!(store.get_response(ANN, "resp").unwrap().body, body("over"));
    is_missing(store.update_status(ANN, "none", Running::Queued, Running::Queued, &body("no")), Kind::Response, "none");
}

fn a_response_ends_once(backend: &mut dyn Backend) {
    let store = backend.store();
    for (id, stage) in [("queued", Running::Queued), ("begun", Running::InProgress)] {
        store.put_response(ANN, &NewResponse { stage: Stage::Running(stage), ..running(id) }, PLENTY).unwrap();
        store.finish(ANN, id, &body("first"), &ending(id, Outcome::Completed), PLENTY).unwrap();
        let late = Ending { outcome: Outcome::Cancelled, at: UnixMillis(9_999), output: items(&["late"]) };
        is_conflict(store.finish(ANN, id, &body("late"), &late, PLENTY), id, Status::Ended(Outcome::Completed));
        let kept = store.get_response(ANN, id).unwrap();
        assert_eq!((kept.body, kept.ended_at), (body("first"), Some(UnixMillis(2_000))));
        assert_eq!(chain(store, id), [format!("{id}-in"), format!("{id}-out")]);
    }
    is_missing(store.finish(ANN, "none", &body("x"), &ending("none", Outcome::Failed), PLENTY), Kind::Response, "none");
}

fn an_answer_adds_input_and_then_output_to_its_conversation(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    store.append_items(ANN, "conv", &items(&["a"])).unwrap();
    assert_eq!(store.put_response(ANN, &within("one", "conv"), PLENTY).unwrap(), Appended::Nothing);
    assert_eq!(history(store, "conv"), ["a"], "what is running is no part of it");
    store.append_items(ANN, "conv", &items(&["b"])).unwrap();
    let added = Appended::Items { added: 2, repeated: Vec::new() };
    assert_eq!(store.finish(ANN, "one", &body("x"), &ending("one", Outcome::Completed), PLENTY).unwrap(), added);
    let whole = NewResponse { conversation: Some("conv".to_owned()), ..completed("two") };
    assert_eq!(store.put_response(ANN, &whole, PLENTY).unwrap(), added);
    assert_eq!(history(store, "conv"), ["a", "b", "one-in", "one-out", "two-in", "two-out"]);
}

fn only_an_answer_adds_to_its_conversation(backend: &mut dyn Backend) {
    let store = backend.store();
    for (outcome, is_answer) in
        [(Outcome::Completed, true), (Outcome::Incomplete, true), (Outcome::Failed, false), (Outcome::Cancelled, false)]
    {
        let name = Status::Ended(outcome).as_str();
        store.create_conversation(ANN, &conversation(name)).unwrap();
        store.put_response(ANN, &within(name, name), PLENTY).unwrap();
        store.finish(ANN, name, &body("x"), &ending(name, outcome), PLENTY).unwrap();
        assert_eq!(history(store, name).is_empty(), !is_answer, "{name}");
        let at_once = format!("{name}-at-once");
        let new = NewResponse { stage: Stage::Ended(ending(&at_once, outcome)), ..within(&at_once, name) };
        store.put_response(ANN, &new, PLENTY).unwrap();
        assert_eq!(history(store, name).len(), if is_answer { 4 } else { 0 }, "{name}");
        assert_eq!(chain(store, name).len(), 2, "what was said before it ended is kept");
    }
}

fn items_that_a_conversation_has_are_told_and_left_as_they_are(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    let known = Item { id: "b".to_owned(), json: Json::from("\"as it was\"") };
    store.append_items(ANN, "conv", std::slice::from_ref(&known)).unwrap();
    let new = NewResponse { input: items(&["a", "b", "c"]), ..within("resp", "conv") };
    store.put_response(ANN, &new, PLENTY).unwrap();
    // "c" comes back in the output: it is in the conversation by then.
    let ends = Ending { output: items(&["c", "d"]), ..ending("resp", Outcome::Completed) };
    let appended = store.finish(ANN, "resp", &body("x"), &ends, PLENTY).unwrap();
    assert_eq!(appended, Appended::Items { added: 3, repeated: vec!["b".to_owned(), "c".to_owned()] });
    assert_eq!(history(store, "conv"), ["b", "a", "c", "d"]);
    assert_eq!(store.get_item(ANN, "conv", "b").unwrap(), known);
    assert_eq!(chain(store, "resp"), ["a", "b", "c", "c", "d"], "the response has them all");
}

fn an_answer_is_kept_when_its_conversation_is_gone(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    store.put_response(ANN, &within("one", "conv"), PLENTY).unwrap();
    store.delete_conversation(ANN, "conv").unwrap();
    let appended = store.finish(ANN, "one", &body("x"), &ending("one", Outcome::Completed), PLENTY).unwrap();
    assert_eq!(appended, Appended::ConversationGone);
    let whole = NewResponse { conversation: Some("conv".to_owned()), ..completed("two") };
    assert_eq!(store.put_response(ANN, &whole, PLENTY).unwrap(), Appended::ConversationGone);
    for id in ["one", "two"] {
        assert_eq!(store.get_response(ANN, id).unwrap().status, Status::Ended(Outcome::Completed));
        assert_eq!(chain(store, id), [format!("{id}-in"), format!("{id}-out")]);
    }
}

fn a_response_is_not_begun_in_a_conversation_that_is_not_there(backend: &mut dyn Backend) {
    let store = backend.store();
    is_missing(store.put_response(ANN, &within("resp", "none"), PLENTY), Kind::Conversation, "none");
    is_missing(store.get_response(ANN, "resp"), Kind::Response, "resp");
}

fn a_deleted_response_takes_nothing_else_with_it(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    let first = NewResponse { conversation: Some("conv".to_owned()), ..completed("first") };
    store.put_response(ANN, &first, PLENTY).unwrap();
    store.put_response(ANN, &following("second", "first"), PLENTY).unwrap();
    store.put_response(BOB, &completed("first"), PLENTY).unwrap();
    store.delete_response(ANN, "first").unwrap();
    is_missing(store.get_response(ANN, "first"), Kind::Response, "first");
    is_missing(store.input_items(ANN, "first"), Kind::Response, "first");
    is_missing(store.delete_response(ANN, "first"), Kind::Response, "first");
    assert_eq!(history(store, "conv"), ["first-in", "first-out"]);
    assert_eq!(store.get_response(ANN, "second").unwrap().previous.as_deref(), Some("first"));
    assert_eq!(ids(&store.input_items(ANN, "second").unwrap()), ["second-in"]);
    assert_eq!(ids(&store.input_items(BOB, "first").unwrap()), ["first-in"]);
}

fn a_deleted_conversation_leaves_its_responses(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    let new = NewResponse { conversation: Some("conv".to_owned()), ..completed("resp") };
    store.put_response(ANN, &new, PLENTY).unwrap();
    store.delete_conversation(ANN, "conv").unwrap();
    is_missing(store.all_items(ANN, "conv", PLENTY), Kind::Conversation, "conv");
    assert_eq!(store.get_response(ANN, "resp").unwrap().conversation.as_deref(), Some("conv"));
    assert_eq!(chain(store, "resp"), ["resp-in", "resp-out"]);
}

fn an_id_is_free_again_when_its_response_was_deleted(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &NewResponse { input: items(&["x", "y"]), ..completed("resp") }, PLENTY).unwrap();
    store.delete_response(ANN, "resp").unwrap();
    store.put_response(ANN, &running("resp"), PLENTY).unwrap();
    assert_eq!(ids(&store.input_items(ANN, "resp").unwrap()), ["resp-in"]);
}

fn a_chain_is_input_and_output_of_each_response_oldest_first(backend: &mut dyn Backend) {
    let store = backend.store();
    let first = NewResponse {
        input: items(&["z", "a", "m"]),
        stage: Stage::Ended(Ending { output: items(&["y", "b"]), ..ending("first", Outcome::Completed) }),
        ..completed("first")
    };
    store.put_response(ANN, &first, PLENTY).unwrap();
    // Put out of order: the chain goes by what follows what.
    store.put_response(ANN, &following("third", "second"), PLENTY).unwrap();
    let failed = NewResponse { stage: Stage::Ended(ending("second", Outcome::Failed)), ..following("second", "first") };
    store.put_response(ANN, &failed, PLENTY).unwrap();
    store.put_response(ANN, &following("aside", "first"), PLENTY).unwrap();
    let expected = ["z", "a", "m", "y", "b", "second-in", "second-out", "third-in", "third-out"];
    assert_eq!(chain(store, "third"), expected);
    assert_eq!(chain(store, "aside"), ["z", "a", "m", "y", "b", "aside-in", "aside-out"]);
    assert_eq!(store.chain(ANN, "first", WIDE).unwrap()[0], item("z"));
}

fn a_chain_with_a_gap_names_the_response_that_is_missing(backend: &mut dyn Backend) {
    let store = backend.store();
    for (id, previous) in [("two", "one"), ("three", "two")] {
        store.put_response(ANN, &following(id, previous), PLENTY).unwrap();
    }
    is_missing(store.chain(ANN, "three", WIDE), Kind::Response, "one");
    is_missing(store.chain(ANN, "none", WIDE), Kind::Response, "none");
}

fn a_chain_does_not_pass_a_running_response(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &running("one"), PLENTY).unwrap();
    store.put_response(ANN, &following("two", "one"), PLENTY).unwrap();
    for from in ["one", "two"] {
        is_conflict(store.chain(ANN, from, WIDE), "one", Status::Running(Running::InProgress));
    }
    store.finish(ANN, "one", &body("x"), &ending("one", Outcome::Completed), PLENTY).unwrap();
    assert_eq!(chain(store, "two"), ["one-in", "one-out", "two-in", "two-out"]);
}

fn a_chain_is_bounded_in_responses_and_bytes(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &completed("r0"), PLENTY).unwrap();
    for number in 1..5 {
        store.put_response(ANN, &following(&format!("r{number}"), &format!("r{}", number - 1)), PLENTY).unwrap();
    }
    let all = store.chain(ANN, "r4", WIDE).unwrap();
    let size: u64 = all.iter().map(|item| item.json.bytes()).sum();
    let within = |responses, bytes| store.chain(ANN, "r4", ChainBound { responses, bytes });
    assert_eq!(within(5, size).unwrap(), all);
    let deep = within(4, size).unwrap_err();
    assert!(matches!(&deep, StoreError::TooDeep { id, max: 4 } if id == "r4"), "{deep:?}");
    let large = within(5, size - 1).unwrap_err();
    assert!(
        matches!(&large, StoreError::TooLarge { kind: Kind::Chain, id, bytes, max } if id == "r4" && *bytes == size && *max == size - 1),
        "{large:?}"
    );
    assert!(matches!(within(0, size), Err(StoreError::TooDeep { .. })));
}

fn a_chain_that_turns_back_on_itself_ends_at_the_bound(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &following("self", "self"), PLENTY).unwrap();
    store.put_response(ANN, &following("egg", "hen"), PLENTY).unwrap();
    store.put_response(ANN, &following("hen", "egg"), PLENTY).unwrap();
    for id in ["self", "egg"] {
        assert!(matches!(store.chain(ANN, id, WIDE), Err(StoreError::TooDeep { max: 100, .. })));
    }
}

fn an_item_is_found_on_either_side_of_its_own_response(backend: &mut dyn Backend) {
    let store = backend.store();
    store.put_response(ANN, &completed("one"), PLENTY).unwrap();
    assert_eq!(store.response_item(ANN, "one", "one-in").unwrap(), item("one-in"));
    assert_eq!(store.response_item(ANN, "one", "one-out").unwrap(), item("one-out"));
    is_missing(store.response_item(ANN, "one", "two-out"), Kind::Item, "two-out");
    is_missing(store.response_item(ANN, "two", "one-out"), Kind::Response, "two");
    is_missing(store.response_item(BOB, "one", "one-out"), Kind::Response, "one");
}

fn what_was_kept_outlives_the_process(backend: &mut dyn Backend) {
    backend.store().create_conversation(ANN, &conversation("conv")).unwrap();
    let new = NewResponse { conversation: Some("conv".to_owned()), ..completed("resp") };
    backend.store().put_response(ANN, &new, PLENTY).unwrap();
    let before = backend.store().get_response(ANN, "resp").unwrap();
    backend.restart();
    assert_eq!(backend.store().get_response(ANN, "resp").unwrap(), before);
    assert_eq!(chain(backend.store(), "resp"), ["resp-in", "resp-out"]);
    assert_eq!(history(backend.store(), "conv"), ["resp-in", "resp-out"]);
}
