//! Cursors, against the plainest model of a list.

use outcrop_store::{Ending, Item, Kind, Listing, NewConversation, NewResponse, Order, Outcome, Page, PageLimit, StoreError};
use proptest::prelude::*;

use crate::{
    backends::{Backend, Store, contract},
    samples::{ANN, PLENTY, body, conversation, ending, ids, item, items, running},
};

contract! {
    pages_are_those_of_the_model,
    a_walk_forward_and_back_meets_every_item_once,
    a_cursor_that_is_not_in_the_list_is_not_found,
    the_first_page_is_the_newest_twenty,
    an_empty_list_has_an_empty_page,
}

/// The two kinds of lists, with the same items. `deleted` of them were there and are not any more.
fn lists(store: &dyn Store, name: &str, kept: &[String], deleted: &[String]) {
    let all: Vec<Item> = kept.iter().map(|id| item(id)).collect();
    store.put_response(ANN, &NewResponse { input: all.clone(), ..running(name) }, PLENTY).unwrap();
    store.create_conversation(ANN, &conversation(name)).unwrap();
    // Those that will be deleted lie between the others.
    let mut mixed = all;
    for (number, id) in deleted.iter().enumerate() {
        mixed.insert((number * 7) % (mixed.len() + 1), item(id));
    }
    for part in mixed.chunks(20) {
        store.append_items(ANN, name, part).unwrap();
    }
    for id in deleted {
        store.delete_item(ANN, name, id).unwrap();
    }
}

type Answer = Result<(Vec<String>, bool), String>;

fn answer(result: Result<Listing, StoreError>) -> Answer {
    match result {
        Ok(listing) => {
            let ids: Vec<String> = listing.items.iter().map(|item| item.id.clone()).collect();
            assert_eq!(listing.first_id(), ids.first().map(String::as_str));
            assert_eq!(listing.last_id(), ids.last().map(String::as_str));
            assert!(listing.items.iter().all(|found| *found == item(&found.id)), "each with its own text");
            Ok((ids, listing.has_more))
        }
        Err(StoreError::NotFound { kind: Kind::Item, id }) => Err(id),
        Err(error) => panic!("{error}"),
    }
}

/// Written for being plain: a list in the order asked for, cut with the cursors, and one end of what is left.
fn model(list: &[String], page: &Page) -> Answer {
    let mut list = list.to_vec();
    if page.order == Order::Descending {
        list.reverse();
    }
    let at = |id: &String| list.iter().position(|one| one == id).ok_or_else(|| id.clone());
    let begin = page.after.as_ref().map(&at).transpose()?.map_or(0, |place| place + 1);
    let end = page.before.as_ref().map(&at).transpose()?.unwrap_or(list.len());
    let inside: Vec<String> = if begin < end { list[begin..end].to_vec() } else { Vec::new() };
    let has_more = inside.len() > page.limit.get();
    let skipped = inside.len().saturating_sub(page.limit.get());
    let shown = match (&page.after, &page.before) {
        (None, Some(_)) => inside[skipped..].to_vec(),
        _ => inside[..inside.len() - skipped].to_vec(),
    };
    Ok((shown, has_more))
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Ascending), Just(Order::Descending)]
}

/// Places of `after` and `before`, limit, order.
type Asked = (Option<usize>, Option<usize>, u64, Order);

/// A list of 0 to 44 items, some that were deleted from it, and pages of it. A cursor is mostly an item of the list.
fn cases() -> impl Strategy<Value = (usize, usize, Vec<Asked>)> {
    let cursor = || prop::option::of(0_usize..50);
    let limit = prop_oneof![4 => 1_u64..8, 1 => 1_u64..=100];
    (0_usize..45, 0_usize..5, prop::collection::vec((cursor(), cursor(), limit, order()), 1..30))
}

fn pages_are_those_of_the_model(backend: &mut dyn Backend) {
    let store = backend.store();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() });
    let counter = std::cell::Cell::new(0);
    let result = runner.run(&cases(), |(kept, deleted, pages)| {
        counter.set(counter.get() + 1);
        let name = format!("list-{}", counter.get());
        // Not in the order of their names.
        let kept: Vec<String> = (0..kept).map(|number| format!("kept-{}", (number * 37) % 101)).collect();
        let deleted: Vec<String> = (0..deleted).map(|number| format!("deleted-{number}")).collect();
        lists(store, &name, &kept, &deleted);
        let id = |place: usize| kept.get(place).or_else(|| deleted.get(place - kept.len())).cloned().unwrap_or_else(|| "none".to_owned());
        for (after, before, limit, order) in pages {
            let page = Page { after: after.map(id), before: before.map(id), limit: PageLimit::new(limit).unwrap(), order };
            let expected = model(&kept, &page);
            prop_assert_eq!(&answer(store.list_input_items(ANN, &name, &page)), &expected, "input, {:?}", &page);
            prop_assert_eq!(&answer(store.list_items(ANN, &name, &page)), &expected, "conversation, {:?}", &page);
        }
        Ok(())
    });
    result.unwrap();
    assert!(counter.get() >= 60, "{}", counter.get());
}

fn a_walk_forward_and_back_meets_every_item_once(backend: &mut dyn Backend) {
    let store = backend.store();
    let kept: Vec<String> = (0..23).map(|number| format!("i{}", (number * 5) % 23)).collect();
    lists(store, "list", &kept, &[]);
    for order in [Order::Ascending, Order::Descending] {
        let expected: Vec<String> = if order == Order::Ascending { kept.clone() } else { kept.iter().rev().cloned().collect() };
        for limit in [1, 5, 22, 23, 24, 100] {
            let mut page = Page { limit: PageLimit::new(limit).unwrap(), order, ..Page::default() };
            let mut forward = Vec::new();
            loop {
                let listing = store.list_items(ANN, "list", &page).unwrap();
                forward.extend(listing.items.iter().map(|item| item.id.clone()));
                page.after = listing.last_id().map(str::to_owned);
                if !listing.has_more {
                    break;
                }
            }
            assert_eq!(forward, expected, "{order:?} by {limit}");
            // And back from the last item.
            page.before = page.after.take();
            let mut back = vec![vec![expected[22].clone()]];
            loop {
                let listing = store.list_items(ANN, "list", &page).unwrap();
                back.push(listing.items.iter().map(|item| item.id.clone()).collect());
                page.before = listing.first_id().map(str::to_owned);
                if !listing.has_more {
                    break;
                }
            }
            assert_eq!(back.into_iter().rev().flatten().collect::<Vec<_>>(), expected, "{order:?} by {limit}");
        }
    }
}

fn a_cursor_that_is_not_in_the_list_is_not_found(backend: &mut dyn Backend) {
    let store = backend.store();
    lists(store, "list", &["a".to_owned()], &[]);
    lists(store, "other", &["b".to_owned()], &[]);
    for page in [Page { after: Some("b".to_owned()), ..Page::default() }, Page { before: Some("b".to_owned()), ..Page::default() }] {
        assert_eq!(answer(store.list_input_items(ANN, "list", &page)), Err("b".to_owned()));
        assert_eq!(answer(store.list_items(ANN, "list", &page)), Err("b".to_owned()));
    }
    // What the response said is no part of its input.
    let ends = Ending { output: items(&["said"]), ..ending("list", Outcome::Completed) };
    store.finish(ANN, "list", &body("x"), &ends, PLENTY).unwrap();
    let page = Page { after: Some("said".to_owned()), ..Page::default() };
    assert_eq!(answer(store.list_input_items(ANN, "list", &page)), Err("said".to_owned()));
    assert_eq!(answer(store.list_input_items(ANN, "list", &Page::default())), Ok((vec!["a".to_owned()], false)));
}

fn the_first_page_is_the_newest_twenty(backend: &mut dyn Backend) {
    let store = backend.store();
    let kept: Vec<String> = (0..21).map(|number| format!("i{number}")).collect();
    lists(store, "list", &kept, &[]);
    let newest = kept[1..].iter().rev().cloned().collect::<Vec<_>>();
    assert_eq!(answer(store.list_items(ANN, "list", &Page::default())), Ok((newest, true)));
}

fn an_empty_list_has_an_empty_page(backend: &mut dyn Backend) {
    let store = backend.store();
    lists(store, "list", &[], &[]);
    assert_eq!(store.list_input_items(ANN, "list", &Page::default()).unwrap(), Listing::default());
    assert_eq!(store.list_items(ANN, "list", &Page::default()).unwrap(), Listing::default());
    assert_eq!(ids(&store.input_items(ANN, "list").unwrap()), [""; 0]);
    store.create_conversation(ANN, &NewConversation { items: items(&["x"]), ..conversation("one") }).unwrap();
    store.delete_item(ANN, "one", "x").unwrap();
    assert_eq!(store.list_items(ANN, "one", &Page::default()).unwrap(), Listing::default());
}
