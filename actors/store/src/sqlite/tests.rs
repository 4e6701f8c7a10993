//! What cannot be seen from outside: settings of the connections, steps of the schema, a disk without room.

use std::time::Duration;

use tempfile::TempDir;

use super::{
    migrations::{MIGRATIONS, Migration},
    open::open_with,
    *,
};
use crate::{
    Appended, ConversationStore as _, Ending, Item, Json, NewConversation, NewResponse, Outcome, Owner, ResponseStore as _, Running, Stage,
    Status, UnixMillis,
};

const ANN: Owner<'static> = Owner("key_ann");

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outcrop.db");
    (directory, path)
}

fn running(id: &str, bytes: usize) -> NewResponse {
    NewResponse {
        id: id.to_owned(),
        created_at: UnixMillis(0),
        expires_at: None,
        model: "a-model".to_owned(),
        body: Json::from("{}"),
        input: vec![Item { id: "in".to_owned(), json: Json("x".repeat(bytes)) }],
        conversation: None,
        previous: None,
        background: false,
        stage: Stage::Running(Running::InProgress),
    }
}

fn setting<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> T {
    connection.pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[test]
fn a_commit_is_on_the_disk_and_readers_cannot_write() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let writer = store.writer.lock().unwrap();
    assert_eq!(setting::<String>(&writer, "journal_mode"), "wal");
    assert_eq!(setting::<i64>(&writer, "synchronous"), 2, "FULL");
    assert_eq!(setting::<i64>(&writer, "foreign_keys"), 1);
    assert_eq!(setting::<i64>(&writer, "busy_timeout"), 5_000);
    let reader = store.readers.lend();
    assert_eq!(setting::<String>(&reader, "journal_mode"), "wal");
    let refused = reader.execute("DELETE FROM responses", []).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ReadOnly));
}

#[test]
fn a_read_waits_for_no_write() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.put_response(ANN, &running("resp", 1), u64::MAX).unwrap();
    store
        .write(|transaction| {
            transaction.execute("DELETE FROM responses", [])?;
            // On the same thread: it would wait for ever.
            assert!(store.get_response(ANN, "resp").is_ok(), "not committed yet");
            Ok(())
        })
        .unwrap();
    assert!(matches!(store.get_response(ANN, "resp"), Err(StoreError::NotFound { .. })));
}

/// Allows the database `more` pages than it has.
fn leave_room(store: &SqliteStore, more: i64) {
    let writer = store.writer.lock().unwrap();
    let pages: i64 = setting(&writer, "page_count");
    writer.pragma_update_and_check(None, "max_page_count", pages + more, |_| Ok(())).unwrap();
}

/// Tries a change on a disk with room for no page, for one, for two and so on, until it works. Gives how often it did not.
fn with_ever_more_room(path: &Path, store: &SqliteStore, change: impl Fn() -> Result<Appended, StoreError>, unchanged: impl Fn()) -> i64 {
    for more in 0.. {
        leave_room(store, more);
        match change() {
            Err(StoreError::Full { place, .. }) => assert_eq!(place, path.display().to_string()),
            Err(error) => panic!("{error:?}"),
            Ok(appended) => {
                assert_eq!(appended, Appended::Items { added: 2, repeated: Vec::new() });
                return more;
            }
        }
        unchanged();
    }
    unreachable!("a disk has an end, and a change too")
}

#[test]
fn a_full_disk_is_told_and_changes_nothing_wherever_it_becomes_full() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    let metadata = Json::from("{}");
    let conversation = NewConversation { id: "conv".to_owned(), created_at: UnixMillis(0), metadata, items: Vec::new() };
    store.create_conversation(ANN, &conversation).unwrap();
    let in_conversation = || store.all_items(ANN, "conv", u64::MAX).unwrap().len();
    // Two texts, and the conversation's copies of both.
    let said = |id: &str| vec![Item { id: id.to_owned(), json: Json("x".repeat(30_000)) }];
    let ending = |id: &str| Ending { outcome: Outcome::Completed, at: UnixMillis(1), output: said(id) };

    let within = Some("conv".to_owned());
    store.put_response(ANN, &NewResponse { conversation: within.clone(), ..running("begun", 30_000) }, u64::MAX).unwrap();
    let finish = || store.finish(ANN, "begun", &Json::from("{\"ended\":true}"), &ending("first"), u64::MAX);
    let failures = with_ever_more_room(&path, &store, finish, || {
        let kept = store.get_response(ANN, "begun").unwrap();
        assert_eq!((kept.status, kept.body), (Status::Running(Running::InProgress), Json::from("{}")));
        assert_eq!(in_conversation(), 0);
    });
    assert!(failures > 15, "{failures}");

    let mut whole = NewResponse { conversation: within, stage: Stage::Ended(ending("second")), ..running("whole", 30_000) };
    "another".clone_into(&mut whole.input[0].id);
    let put = || store.put_response(ANN, &whole, u64::MAX);
    let failures = with_ever_more_room(&path, &store, put, || {
        assert!(matches!(store.get_response(ANN, "whole"), Err(StoreError::NotFound { .. })));
        assert_eq!(in_conversation(), 2);
    });
    assert!(failures > 20, "{failures}");
    assert_eq!(in_conversation(), 4);
}

#[test]
fn a_program_outside_that_locks_the_file_is_told() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.writer.lock().unwrap().busy_timeout(Duration::ZERO).unwrap();
    let mut outside = Connection::open(&path).unwrap();
    let held = outside.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let error = store.put_response(ANN, &running("resp", 1), u64::MAX).unwrap_err();
    assert!(matches!(&error, StoreError::Busy { path: named } if *named == path), "{error:?}");
    drop(held);
    store.put_response(ANN, &running("resp", 1), u64::MAX).unwrap();
}

#[test]
fn a_state_that_is_none_of_ours_is_damage() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path).unwrap();
    store.put_response(ANN, &running("resp", 1), u64::MAX).unwrap();
    let writer = store.writer.lock().unwrap();
    writer.pragma_update(None, "ignore_check_constraints", true).unwrap();
    writer.execute("UPDATE responses SET status = 'asleep'", []).unwrap();
    drop(writer);
    let error = store.get_response(ANN, "resp").unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn each_opening_is_a_generation() {
    let (_directory, path) = place();
    let generations: Vec<i64> = (0..3).map(|_| SqliteStore::open(&path).unwrap().generation).collect();
    assert_eq!(generations, [1, 2, 3]);
}

const SECOND: Migration =
    Migration { version: 2, name: "second", sql: "CREATE TABLE second (x INTEGER) STRICT; INSERT INTO second VALUES (1);" };
const BROKEN: Migration =
    Migration { version: 3, name: "broken", sql: "CREATE TABLE third (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);" };

fn applied(store: &SqliteStore) -> Vec<(i64, String)> {
    let writer = store.writer.lock().unwrap();
    let mut statement = writer.prepare("SELECT version, name FROM migrations ORDER BY version").unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

#[test]
fn steps_are_counted_without_gaps() {
    assert!(MIGRATIONS.iter().zip(1..).all(|(step, version)| step.version == version));
}

#[test]
fn a_step_is_applied_once_and_data_stay() {
    let (_directory, path) = place();
    SqliteStore::open(&path).unwrap().put_response(ANN, &running("resp", 1), u64::MAX).unwrap();
    let steps = [MIGRATIONS, &[SECOND]].concat();
    for _ in 0..2 {
        let store = open_with(&path, &steps).unwrap();
        assert_eq!(applied(&store).last(), Some(&(2, "second".to_owned())));
        assert_eq!(applied(&store).len(), 2);
        let rows: i64 = store.writer.lock().unwrap().query_row("SELECT count(*) FROM second", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1);
        store.get_response(ANN, "resp").unwrap();
    }
    // This program, as it is, does not know the second step.
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Newer { found: 2, known: 1, .. })));
}

#[test]
fn a_step_that_fails_leaves_the_version_before_it() {
    let (_directory, path) = place();
    let steps = [MIGRATIONS, &[SECOND, BROKEN]].concat();
    let error = open_with(&path, &steps).unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error:?}");
    let store = open_with(&path, &[MIGRATIONS, &[SECOND]].concat()).unwrap();
    assert_eq!(applied(&store).len(), 2);
    let writer = store.writer.lock().unwrap();
    let tables: i64 = writer.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'third'", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}
