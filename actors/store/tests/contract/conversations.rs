//! What a store of conversations promises.

use outcrop_store::{
    Appended, Item, Json, Kind, MAX_ITEMS_AT_ONCE, NewConversation, Order, Outcome, PAGE_BYTES, Page, ResponseKey, StoreError,
    StoredConversation, UnixMillis,
};

use crate::{
    backends::{Backend, Store, contract},
    samples::{ANN, BOB, PLENTY, conversation, ending, ids, item, items, within},
};

contract! {
    a_conversation_is_kept_as_it_was_given,
    metadata_is_replaced_and_nothing_else,
    a_conversation_of_another_owner_does_not_exist,
    the_id_of_a_conversation_is_taken_once,
    at_most_twenty_items_come_in_one_call,
    items_are_added_all_or_none,
    items_stay_in_the_order_in_which_they_came,
    one_item_can_be_read_and_removed,
    a_history_beyond_the_bound_is_refused,
    a_deleted_conversation_is_gone_with_its_items,
    what_nobody_used_for_long_is_purged,
    an_answer_is_added_as_far_as_it_is_new,
    a_page_of_large_items_ends_early,
}

fn missing<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (Kind, String) {
    match result {
        Err(StoreError::NotFound { kind, id }) => (kind, id),
        other => panic!("should not be found: {other:?}"),
    }
}

fn taken<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (Kind, String) {
    match result {
        Err(StoreError::Exists { kind, id }) => (kind, id),
        other => panic!("should exist: {other:?}"),
    }
}

fn history(store: &dyn Store, id: &str) -> Vec<String> {
    store.all_items(ANN, id, PLENTY).unwrap().into_iter().map(|item| item.id).collect()
}

fn numbered(count: usize) -> Vec<Item> {
    (0..count).map(|number| item(&format!("item-{number}"))).collect()
}

fn a_conversation_is_kept_as_it_was_given(backend: &mut dyn Backend) {
    let metadata = Json::from("{ \"topic\" :\"caf\\u00e9 🦀\", \"topic\":2 }");
    let items = vec![item("a"), Item { id: "b\u{0}".to_owned(), json: Json::from(" [1 , 2.0]\n") }];
    let new = NewConversation { id: "conv".to_owned(), created_at: UnixMillis(77), metadata: metadata.clone(), items: items.clone() };
    backend.store().create_conversation(ANN, &new).unwrap();
    for _ in 0..2 {
        let kept = backend.store().get_conversation(ANN, "conv").unwrap();
        assert_eq!(kept, StoredConversation { id: "conv".to_owned(), created_at: UnixMillis(77), metadata: metadata.clone() });
        assert_eq!(backend.store().all_items(ANN, "conv", PLENTY).unwrap(), items);
        backend.restart();
    }
}

fn metadata_is_replaced_and_nothing_else(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("conv") }).unwrap();
    store.create_conversation(ANN, &conversation("other")).unwrap();
    let changed = store.update_metadata(ANN, "conv", &Json::from("{\"a\":1}")).unwrap();
    assert_eq!((changed.created_at, changed.metadata.as_str()), (UnixMillis(500), "{\"a\":1}"));
    assert_eq!(store.get_conversation(ANN, "conv").unwrap(), changed);
    assert_eq!(store.get_conversation(ANN, "other").unwrap().metadata, Json::from("{}"));
    assert_eq!(history(store, "conv"), ["a"]);
}

fn a_conversation_of_another_owner_does_not_exist(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("conv") }).unwrap();
    let none = (Kind::Conversation, "conv".to_owned());
    // Bob with nothing at all, and Bob with something.
    for mine in ["first", "second"] {
        assert_eq!(missing(store.get_conversation(BOB, "conv")), none);
        assert_eq!(missing(store.update_metadata(BOB, "conv", &Json::from("{}"))), none);
        assert_eq!(missing(store.delete_conversation(BOB, "conv")), none);
        assert_eq!(missing(store.append_items(BOB, "conv", &items(&["b"]))), none);
        assert_eq!(missing(store.list_items(BOB, "conv", &Page::default())), none);
        assert_eq!(missing(store.all_items(BOB, "conv", PLENTY)), none);
        assert_eq!(missing(store.get_item(BOB, "conv", "a")), none);
        assert_eq!(missing(store.delete_item(BOB, "conv", "a")), none);
        store.create_conversation(BOB, &NewConversation { items: items(&["a"]), ..conversation(mine) }).unwrap();
    }
    store.create_conversation(BOB, &conversation("conv")).unwrap();
    store.delete_conversation(BOB, "conv").unwrap();
    assert_eq!(history(store, "conv"), ["a"]);
}

fn the_id_of_a_conversation_is_taken_once(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    let again = NewConversation { metadata: Json::from("[]"), items: items(&["a"]), ..conversation("conv") };
    assert_eq!(taken(store.create_conversation(ANN, &again)), (Kind::Conversation, "conv".to_owned()));
    assert_eq!(store.get_conversation(ANN, "conv").unwrap().metadata, Json::from("{}"));
    assert_eq!(history(store, "conv"), [""; 0]);
}

fn at_most_twenty_items_come_in_one_call(backend: &mut dyn Backend) {
    let store = backend.store();
    let too_many = numbered(MAX_ITEMS_AT_ONCE + 1);
    let refused = store.create_conversation(ANN, &NewConversation { items: too_many.clone(), ..conversation("conv") });
    assert!(matches!(refused, Err(StoreError::TooMany { given: 21, max: 20 })), "{refused:?}");
    assert_eq!(missing(store.get_conversation(ANN, "conv")), (Kind::Conversation, "conv".to_owned()));
    store.create_conversation(ANN, &NewConversation { items: numbered(MAX_ITEMS_AT_ONCE), ..conversation("conv") }).unwrap();
    store.create_conversation(ANN, &conversation("other")).unwrap();
    assert!(matches!(store.append_items(ANN, "other", &too_many), Err(StoreError::TooMany { .. })));
    assert_eq!(history(store, "other"), [""; 0]);
    store.append_items(ANN, "other", &numbered(MAX_ITEMS_AT_ONCE)).unwrap();
    assert_eq!(history(store, "other").len(), 20);
    store.append_items(ANN, "other", &[]).unwrap();
}

fn items_are_added_all_or_none(backend: &mut dyn Backend) {
    let store = backend.store();
    let twice = NewConversation { items: items(&["a", "a"]), ..conversation("conv") };
    assert_eq!(taken(store.create_conversation(ANN, &twice)), (Kind::Item, "a".to_owned()));
    assert_eq!(missing(store.get_conversation(ANN, "conv")), (Kind::Conversation, "conv".to_owned()));
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("conv") }).unwrap();
    assert_eq!(taken(store.append_items(ANN, "conv", &items(&["b", "a", "c"]))), (Kind::Item, "a".to_owned()));
    assert_eq!(taken(store.append_items(ANN, "conv", &items(&["b", "c", "b"]))), (Kind::Item, "b".to_owned()));
    assert_eq!(history(store, "conv"), ["a"]);
    // The same id in another conversation is another item.
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("other") }).unwrap();
    assert_eq!(missing(store.append_items(ANN, "none", &items(&["a"]))), (Kind::Conversation, "none".to_owned()));
}

fn items_stay_in_the_order_in_which_they_came(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["m", "z"]), ..conversation("conv") }).unwrap();
    store.append_items(ANN, "conv", &items(&["a", "k"])).unwrap();
    // The last place becomes free and is taken by others.
    store.delete_item(ANN, "conv", "k").unwrap();
    store.append_items(ANN, "conv", &items(&["b"])).unwrap();
    store.delete_item(ANN, "conv", "m").unwrap();
    store.append_items(ANN, "conv", &items(&["k", "m"])).unwrap();
    assert_eq!(history(store, "conv"), ["z", "a", "b", "k", "m"]);
}

fn one_item_can_be_read_and_removed(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["a", "b"]), ..conversation("conv") }).unwrap();
    assert_eq!(store.get_item(ANN, "conv", "b").unwrap(), item("b"));
    assert_eq!(store.delete_item(ANN, "conv", "a").unwrap(), store.get_conversation(ANN, "conv").unwrap());
    assert_eq!(missing(store.get_item(ANN, "conv", "a")), (Kind::Item, "a".to_owned()));
    assert_eq!(missing(store.delete_item(ANN, "conv", "a")), (Kind::Item, "a".to_owned()));
    assert_eq!(missing(store.get_item(ANN, "none", "a")), (Kind::Conversation, "none".to_owned()));
    assert_eq!(ids(&store.all_items(ANN, "conv", PLENTY).unwrap()), ["b"]);
}

fn a_history_beyond_the_bound_is_refused(backend: &mut dyn Backend) {
    let store = backend.store();
    // Bytes, not characters.
    let crabs = Item { id: "a".to_owned(), json: Json::from("\"🦀🦀\"") };
    store.create_conversation(ANN, &NewConversation { items: vec![crabs, item("b")], ..conversation("conv") }).unwrap();
    let size = 10 + item("b").json.bytes();
    assert_eq!(store.all_items(ANN, "conv", size).unwrap().len(), 2);
    let refused = store.all_items(ANN, "conv", size - 1).unwrap_err();
    assert!(
        matches!(&refused, StoreError::TooLarge { kind: Kind::Conversation, id, bytes, max } if id == "conv" && *bytes == size && *max == size - 1),
        "{refused:?}"
    );
    store.create_conversation(ANN, &conversation("empty")).unwrap();
    assert_eq!(store.all_items(ANN, "empty", 0).unwrap(), []);
}

fn a_deleted_conversation_is_gone_with_its_items(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("conv") }).unwrap();
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("other") }).unwrap();
    store.delete_conversation(ANN, "conv").unwrap();
    let none = (Kind::Conversation, "conv".to_owned());
    assert_eq!(missing(store.get_conversation(ANN, "conv")), none);
    assert_eq!(missing(store.get_item(ANN, "conv", "a")), none);
    assert_eq!(missing(store.delete_conversation(ANN, "conv")), none);
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    assert_eq!(history(store, "conv"), [""; 0], "a new one of that name does not inherit");
    assert_eq!(history(store, "other"), ["a"]);
}

fn what_nobody_used_for_long_is_purged(backend: &mut dyn Backend) {
    let store = backend.store();
    for id in ["unused", "touched", "answered", "busy"] {
        store.create_conversation(ANN, &conversation(id)).unwrap();
    }
    store.touch_conversation(ANN, "unused", UnixMillis(600)).unwrap();
    store.touch_conversation(ANN, "touched", UnixMillis(4_000_000)).unwrap();
    assert_eq!(missing(store.touch_conversation(BOB, "touched", UnixMillis(0))), (Kind::Conversation, "touched".to_owned()));
    store.put_response(ANN, &within("resp", "answered"), PLENTY).unwrap();
    store.finish(ANN, "resp", &Json::from("{}"), &ending("resp", Outcome::Completed), PLENTY).unwrap();
    store.put_response(ANN, &within("runs", "busy"), PLENTY).unwrap();
    assert_eq!(store.purge_unused(UnixMillis(500), 10).unwrap(), 0);
    assert_eq!(store.purge_unused(UnixMillis(2_000), 10).unwrap(), 1, "a use within the hour is not noted, and one that runs stays");
    assert!(store.get_conversation(ANN, "unused").is_err());
    assert_eq!(store.purge_unused(UnixMillis(4_000_000), 10).unwrap(), 1);
    assert_eq!(store.get_conversation(ANN, "touched").unwrap().id, "touched");
    let running = store.running_since(UnixMillis(1_001)).unwrap();
    assert_eq!(running, [ResponseKey { owner: ANN.0.to_owned(), id: "runs".to_owned() }]);
    assert!(store.running_since(UnixMillis(1_000)).unwrap().is_empty());
}

fn an_answer_is_added_as_far_as_it_is_new(backend: &mut dyn Backend) {
    let store = backend.store();
    store.create_conversation(ANN, &NewConversation { items: items(&["a"]), ..conversation("conv") }).unwrap();
    let many = [numbered(MAX_ITEMS_AT_ONCE + 1), items(&["a"])].concat();
    let appended = store.append_answer(ANN, "conv", &many, UnixMillis(9_000)).unwrap();
    assert_eq!(appended, Appended::Items { added: MAX_ITEMS_AT_ONCE + 1, repeated: vec!["a".to_owned()] });
    assert_eq!(history(store, "conv").len(), MAX_ITEMS_AT_ONCE + 2);
    assert_eq!(store.append_answer(BOB, "conv", &many, UnixMillis(9_000)).unwrap(), Appended::ConversationGone);
    assert_eq!(store.purge_unused(UnixMillis(9_000), 10).unwrap(), 0, "it was used then");
    let bytes = store.all_items(ANN, "conv", PLENTY).unwrap().iter().map(|item| item.json.bytes()).sum::<u64>();
    assert_eq!(store.item_bytes(ANN, "conv").unwrap(), bytes);
    assert_eq!(missing(store.item_bytes(BOB, "conv")), (Kind::Conversation, "conv".to_owned()));
}

fn a_page_of_large_items_ends_early(backend: &mut dyn Backend) {
    let store = backend.store();
    let large = |id: &str, bytes: u64| Item { id: id.to_owned(), json: Json("x".repeat(usize::try_from(bytes).unwrap())) };
    let all = vec![large("a", PAGE_BYTES + 1), large("b", PAGE_BYTES - 1), large("c", 1), large("d", 1)];
    store.create_conversation(ANN, &NewConversation { items: all, ..conversation("conv") }).unwrap();
    let page = |after: Option<&str>| {
        let page = Page { after: after.map(str::to_owned), order: Order::Ascending, ..Page::default() };
        let listing = store.list_items(ANN, "conv", &page).unwrap();
        (ids(&listing.items).join(" "), listing.has_more)
    };
    assert_eq!(page(None), ("a".to_owned(), true));
    assert_eq!(page(Some("a")), ("b c".to_owned(), true));
    assert_eq!(page(Some("c")), ("d".to_owned(), false));
}
