//! Many callers at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use outcrop_store::{Appended, ChainBound, Ending, Json, NewResponse, Outcome, Stage, Status, StoreError};

use crate::{
    backends::{Backend, contract},
    samples::{ANN, PLENTY, body, completed, conversation, ending, item, running, within},
};

contract! {
    items_of_many_writers_are_all_there_each_in_its_order,
    of_many_that_end_a_response_one_does,
    an_id_that_many_want_is_given_to_one,
    readers_see_a_response_whole_or_not_at_all,
}

const WRITERS: usize = 8;

fn items_of_many_writers_are_all_there_each_in_its_order(backend: &mut dyn Backend) {
    const EACH: usize = 20;
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in 0..EACH {
                    let name = format!("{writer}/{number}");
                    if number % 2 == 0 {
                        store.append_items(ANN, "conv", &[item(&name)]).unwrap();
                    } else {
                        let new = NewResponse { input: vec![item(&name)], ..within(&name, "conv") };
                        store.put_response(ANN, &new, PLENTY).unwrap();
                        store.finish(ANN, &name, &body("x"), &ending(&name, Outcome::Completed), PLENTY).unwrap();
                    }
                }
            });
        }
    });
    let all = store.all_items(ANN, "conv", PLENTY).unwrap();
    assert_eq!(all.len(), WRITERS * EACH + WRITERS * EACH / 2);
    for writer in 0..WRITERS {
        let prefix = format!("{writer}/");
        let own: Vec<&str> = all.iter().filter_map(|item| item.id.strip_prefix(&prefix)).collect();
        let expected = (0..EACH)
            .flat_map(|number| if number % 2 == 0 { vec![number.to_string()] } else { vec![number.to_string(), format!("{number}-out")] });
        assert_eq!(own, expected.collect::<Vec<_>>());
    }
    // Input and output of one response came in one step.
    for (place, said) in all.iter().enumerate().filter(|(_, item)| item.id.ends_with("-out")) {
        assert_eq!(format!("{}-out", all[place - 1].id), said.id);
    }
}

fn of_many_that_end_a_response_one_does(backend: &mut dyn Backend) {
    const RESPONSES: usize = 25;
    const OUTCOMES: [Outcome; 4] = [Outcome::Completed, Outcome::Incomplete, Outcome::Failed, Outcome::Cancelled];
    let store = backend.store();
    store.create_conversation(ANN, &conversation("conv")).unwrap();
    for number in 0..RESPONSES {
        store.put_response(ANN, &NewResponse { background: true, ..within(&format!("r{number}"), "conv") }, PLENTY).unwrap();
    }
    // Who won which response, and what it was told.
    let won: Vec<Vec<(usize, Appended)>> = thread::scope(|scope| {
        let ends = OUTCOMES.map(|outcome| {
            scope.spawn(move || {
                let mut won = Vec::new();
                for number in 0..RESPONSES {
                    let (id, word) = (format!("r{number}"), Status::Ended(outcome).as_str());
                    let ends = Ending { output: vec![item(&format!("{id}-{word}"))], ..ending(&id, outcome) };
                    match store.finish(ANN, &id, &body(word), &ends, PLENTY) {
                        Ok(appended) => won.push((number, appended)),
                        Err(StoreError::Conflict { status: Status::Ended(_), .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                won
            })
        });
        ends.map(|end| end.join().unwrap()).into()
    });
    let mut in_conversation = 0;
    for number in 0..RESPONSES {
        let winners: Vec<Outcome> =
            OUTCOMES.iter().zip(&won).filter(|(_, won)| won.iter().any(|(one, _)| *one == number)).map(|(outcome, _)| *outcome).collect();
        let [winner] = winners[..] else { panic!("response {number} was ended by {winners:?}") };
        let id = format!("r{number}");
        let kept = store.get_response(ANN, &id).unwrap();
        let word = Status::Ended(winner).as_str();
        assert_eq!((kept.status, kept.body), (Status::Ended(winner), body(word)));
        let chain = store.chain(ANN, &id, ChainBound { responses: 1, bytes: PLENTY }).unwrap();
        assert_eq!(chain, [item(&format!("{id}-in")), item(&format!("{id}-{word}"))], "items of the winner alone");
        in_conversation += if winner.is_answer() { 2 } else { 0 };
    }
    assert_eq!(store.all_items(ANN, "conv", PLENTY).unwrap().len(), in_conversation);
    for (outcome, won) in OUTCOMES.iter().zip(&won) {
        let told = if outcome.is_answer() { Appended::Items { added: 2, repeated: Vec::new() } } else { Appended::Nothing };
        assert!(won.iter().all(|(_, appended)| *appended == told));
    }
}

fn an_id_that_many_want_is_given_to_one(backend: &mut dyn Backend) {
    let store = backend.store();
    for number in 0..10 {
        let id = format!("r{number}");
        let winners: Vec<usize> = thread::scope(|scope| {
            let id = &id;
            let puts: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    scope.spawn(move || {
                        let new = NewResponse { body: body(&writer.to_string()), ..completed(id) };
                        match store.put_response(ANN, &new, PLENTY) {
                            Ok(_) => Some(writer),
                            Err(StoreError::Exists { .. }) => None,
                            Err(error) => panic!("{error}"),
                        }
                    })
                })
                .collect();
            puts.into_iter().filter_map(|put| put.join().unwrap()).collect()
        });
        let [winner] = winners[..] else { panic!("{id} was given to {winners:?}") };
        assert_eq!(store.get_response(ANN, &id).unwrap().body, body(&winner.to_string()));
    }
}

fn readers_see_a_response_whole_or_not_at_all(backend: &mut dyn Backend) {
    let store = backend.store();
    let done = AtomicBool::new(false);
    // More readers than connections.
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                let mut seen = 0;
                while seen == 0 || !done.load(Ordering::Relaxed) {
                    match store.chain(ANN, "resp", ChainBound { responses: 1, bytes: PLENTY }) {
                        Ok(items) => {
                            assert_eq!(items.len(), 60);
                            seen += 1;
                        }
                        Err(StoreError::NotFound { .. }) => {}
                        Err(StoreError::Conflict { status: Status::Running(_), .. }) => match store.input_items(ANN, "resp") {
                            // By now it may be the last one.
                            Ok(input) => assert!([50, 59].contains(&input.len())),
                            Err(StoreError::NotFound { .. }) => {}
                            Err(error) => panic!("{error}"),
                        },
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        for _ in 0..60 {
            let input = (0..50).map(|number| item(&format!("in-{number}"))).collect();
            store.put_response(ANN, &NewResponse { input, ..running("resp") }, PLENTY).unwrap();
            let output = (0..10).map(|number| item(&format!("out-{number}"))).collect();
            let ends = Ending { output, ..ending("resp", Outcome::Completed) };
            store.finish(ANN, "resp", &Json::from("{}"), &ends, PLENTY).unwrap();
            store.delete_response(ANN, "resp").unwrap();
        }
        // One that stays: every reader sees it.
        let whole = NewResponse {
            input: (0..59).map(|number| item(&format!("in-{number}"))).collect(),
            stage: Stage::Ended(ending("resp", Outcome::Completed)),
            ..running("resp")
        };
        store.put_response(ANN, &whole, PLENTY).unwrap();
        done.store(true, Ordering::Relaxed);
    });
}
