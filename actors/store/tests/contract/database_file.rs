//! The file of the SQLite backend: whose it is, which version, what when it is damaged.

use std::{
    fs::{self, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use outcrop_store::{Item, Json, NewResponse, ResponseStore as _, SqliteStore, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::samples::{ANN, completed};

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("outcrop.db");
    (directory, database)
}

/// A database with a response of `bytes` bytes.
fn filled(database: &Path, bytes: usize) {
    let store = SqliteStore::open(database).unwrap();
    let large = Item { id: "large".to_owned(), json: Json("x".repeat(bytes)) };
    store.put_response(ANN, &NewResponse { input: vec![large], ..completed("resp") }, u64::MAX).unwrap();
}

/// All that could be changed of a file.
fn state(path: &Path) -> (Vec<u8>, u32) {
    (fs::read(path).unwrap(), mode(path))
}

fn let_others_read(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn all_files_are_for_their_owner_alone() {
    let (directory, database) = place();
    let store = SqliteStore::open(&database).unwrap();
    store.put_response(ANN, &completed("resp"), u64::MAX).unwrap();
    let modes = || -> Vec<(String, u32)> {
        let mut found: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), mode(&entry.path())))
            .collect();
        found.sort();
        found
    };
    let private = ["outcrop.db", "outcrop.db-shm", "outcrop.db-wal", "outcrop.db.lock"].map(|name| (name.to_owned(), 0o600));
    assert_eq!(modes(), private);
    drop(store);
    // Someone was careless with it.
    let_others_read(&database);
    let store = SqliteStore::open(&database).unwrap();
    store.delete_response(ANN, "resp").unwrap();
    assert_eq!(modes(), private);
}

#[test]
fn one_process_at_a_time_has_it_open() {
    let (_directory, database) = place();
    let first = SqliteStore::open(&database).unwrap();
    let StoreError::InUse { path } = SqliteStore::open(&database).unwrap_err() else { panic!("it is in use") };
    assert_eq!(path, database);
    drop(first);
    SqliteStore::open(&database).unwrap();
}

#[test]
fn a_closed_database_is_one_file_and_its_lock() {
    let (directory, database) = place();
    filled(&database, 10);
    let mut names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["outcrop.db", "outcrop.db.lock"]);
}

#[test]
fn an_empty_file_and_a_database_of_version_0_are_brought_to_the_newest() {
    let (_directory, database) = place();
    fs::write(&database, b"").unwrap();
    filled(&database, 10);

    let (_directory, database) = place();
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch("CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT").unwrap();
    connection.pragma_update(None, "application_id", 0x4f75_7463).unwrap();
    connection.close().unwrap();
    filled(&database, 10);
    let connection = Connection::open(&database).unwrap();
    let applied: Vec<(i64, String)> = connection
        .prepare("SELECT version, name FROM migrations ORDER BY version")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(applied, [(1, "responses_and_conversations".to_owned())]);
}

#[test]
fn a_newer_database_is_refused_and_left_as_it_is() {
    let (_directory, database) = place();
    filled(&database, 10);
    let connection = Connection::open(&database).unwrap();
    connection.execute("INSERT INTO migrations (version, name) VALUES (7, 'of_tomorrow')", []).unwrap();
    connection.close().unwrap();
    let_others_read(&database);
    let before = state(&database);
    let error = SqliteStore::open(&database).unwrap_err();
    assert!(matches!(&error, StoreError::Newer { path, found: 7, known: 1 } if *path == database), "{error:?}");
    assert!(error.to_string().contains("its schema is 7, this one knows up to 1"), "{error}");
    assert_eq!(state(&database), before);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_as_it_is() {
    for mark in [0, 99] {
        let (_directory, database) = place();
        let connection = Connection::open(&database).unwrap();
        connection.execute_batch("CREATE TABLE migrations (version INTEGER PRIMARY KEY); INSERT INTO migrations VALUES (1)").unwrap();
        connection.pragma_update(None, "application_id", mark).unwrap();
        connection.close().unwrap();
        let_others_read(&database);
        let before = state(&database);
        let error = SqliteStore::open(&database).unwrap_err();
        assert!(matches!(&error, StoreError::Foreign { path } if *path == database), "{error:?}");
        assert_eq!(state(&database), before);
    }
}

#[test]
fn a_file_that_is_no_database_is_told_as_damaged() {
    let (_directory, database) = place();
    fs::write(&database, "not a database, but long enough to have a header\n".repeat(100)).unwrap();
    let error = SqliteStore::open(&database).unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == database), "{error:?}");
}

#[test]
fn a_damaged_page_is_told_when_it_is_read() {
    let (_directory, database) = place();
    filled(&database, 400_000);
    // The middle of the file is the text of the large item; each of its pages begins with the number of the next.
    let mut file = OpenOptions::new().write(true).open(&database).unwrap();
    file.seek(SeekFrom::Start(200_000)).unwrap();
    file.write_all(&[0xff; 20_000]).unwrap();
    drop(file);
    let store = SqliteStore::open(&database).unwrap();
    let error = store.input_items(ANN, "resp").unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { path, .. } if *path == database), "{error:?}");
    // The rest can be read.
    store.get_response(ANN, "resp").unwrap();
}

#[test]
fn a_file_that_was_cut_is_told_as_damaged() {
    let (_directory, database) = place();
    filled(&database, 400_000);
    OpenOptions::new().write(true).open(&database).unwrap().set_len(8_192).unwrap();
    let error = SqliteStore::open(&database).and_then(|store| store.get_response(ANN, "resp")).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn a_place_where_no_file_can_be_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing/outcrop.db");
    let error = SqliteStore::open(&missing).unwrap_err();
    assert!(matches!(&error, StoreError::File { path, .. } if path.starts_with(directory.path().join("missing"))), "{error:?}");
    let error = SqliteStore::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Io { path, .. } if path == directory.path()), "{error:?}");
}

#[test]
fn a_name_that_looks_like_a_uri_is_a_name() {
    let (directory, _) = place();
    let odd = directory.path().join("file:memory?mode=memory");
    filled(&odd, 10);
    let store = SqliteStore::open(&odd).unwrap();
    store.get_response(ANN, "resp").unwrap();
    assert!(odd.metadata().unwrap().len() > 0);
}
