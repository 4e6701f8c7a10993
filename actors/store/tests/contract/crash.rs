//! A process that is killed while it writes.

use std::{
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use outcrop_store::{ChainBound, ConversationStore as _, Outcome, Owner, ResponseStore as _, SqliteStore, Status, StoreError, UnixMillis};
use rusqlite::Connection;

use crate::samples::{ANN, PLENTY, body, conversation, ending, item, within};

/// Names the database to the child.
const DATABASE: &str = "OUTCROP_STORE_CRASH_DATABASE";
/// What the names of the child's responses begin with.
const ROUND: &str = "OUTCROP_STORE_CRASH_ROUND";
const THREADS: usize = 3;
const ITEMS: usize = 12;

fn outputs(id: &str) -> Vec<outcrop_store::Item> {
    (0..ITEMS).map(|number| item(&format!("{id}-out-{number}"))).collect()
}

#[test]
#[ignore = "the other half of the test below, which starts it"]
fn a_child_writes_until_it_is_killed() {
    let Ok(path) = env::var(DATABASE) else { return };
    let round = env::var(ROUND).unwrap();
    let store = SqliteStore::open(path).unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                for number in 0.. {
                    let id = format!("{round}.{thread}.{number}");
                    store.put_response(ANN, &within(&id, "conv"), PLENTY).unwrap();
                    let ends = outcrop_store::Ending { output: outputs(&id), ..ending(&id, Outcome::Completed) };
                    store.finish(ANN, &id, &body("said"), &ends, PLENTY).unwrap();
                    // From here on a client may know of it.
                    io::stdout().lock().write_all(format!("\nkept {id}\n").as_bytes()).unwrap();
                }
            });
        }
    });
}

/// Runs a child and kills it without warning after it has told of `count` responses. Gives those that it told of.
fn killed_after(database: &Path, round: usize, count: usize) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "crash::a_child_writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DATABASE, database)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    while told.len() < count {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        told.extend(line.strip_prefix("kept ").map(str::to_owned));
    }
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    // What it told of before the signal reached it counts too. A line is written in one piece, so it is there whole or not at all.
    told.extend(lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ").map(str::to_owned)));
    told
}

/// Is the database whole, and is every response that ended in its conversation?
fn is_sound(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let orphans: i64 = connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
    assert_eq!(orphans, 0);
    let ended = "SELECT count(*) FROM responses WHERE status = 'completed'";
    let ended: i64 = connection.query_row(ended, [], |row| row.get(0)).unwrap();
    let said: i64 = connection.query_row("SELECT count(*) FROM conversation_items", [], |row| row.get(0)).unwrap();
    assert_eq!(said, ended * i64::try_from(1 + ITEMS).unwrap());
}

#[test]
fn a_killed_process_leaves_all_that_it_told_of_and_nothing_half() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("outcrop.db");
    SqliteStore::open(&database).unwrap().create_conversation(ANN, &conversation("conv")).unwrap();
    let mut told = Vec::new();
    for (round, count) in [1, 2, 3, 5, 8, 40].into_iter().enumerate() {
        told.extend(killed_after(&database, round, count));
        is_sound(&database);
        let store = SqliteStore::open(&database).expect("the lock of the dead is free");
        holds(&store, &told);
    }
}

fn holds(store: &SqliteStore, told: &[String]) {
    let history: Vec<String> = store.all_items(ANN, "conv", u64::MAX).unwrap().into_iter().map(|item| item.id).collect();
    for id in told {
        assert_eq!(store.get_response(ANN, id).unwrap().status, Status::Ended(Outcome::Completed), "{id}");
        let chain = store.chain(ANN, id, ChainBound { responses: 1, bytes: PLENTY }).unwrap();
        assert_eq!(chain.len(), 1 + ITEMS);
        assert_eq!(chain[1..], outputs(id));
        assert!(history.contains(&format!("{id}-in")), "{id}");
    }
    // The conversation is made of whole responses, told or not, each in one piece.
    assert_eq!(history.len() % (1 + ITEMS), 0);
    for piece in history.chunks(1 + ITEMS) {
        let id = piece[0].strip_suffix("-in").expect("a piece begins with its input");
        let expected: Vec<String> = outputs(id).into_iter().map(|item| item.id).collect();
        assert_eq!(piece[1..], expected);
        assert_eq!(store.get_response(ANN, id).unwrap().status, Status::Ended(Outcome::Completed));
    }
    // What was begun and not ended is found; at most one for each thread.
    let left = store.mark_interrupted(UnixMillis(9), &|_| body("failed")).unwrap();
    assert!(left.failed.len() <= THREADS && left.resumable.is_empty(), "{left:?}");
    for key in left.failed {
        assert!(!told.contains(&key.id));
        let late = store.finish(Owner(&key.owner), &key.id, &body("late"), &ending(&key.id, Outcome::Completed), PLENTY);
        assert!(matches!(late, Err(StoreError::Conflict { status: Status::Ended(Outcome::Failed), .. })));
        assert_eq!(store.input_items(ANN, &key.id).unwrap(), within(&key.id, "conv").input, "its input is whole");
    }
}
