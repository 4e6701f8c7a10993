//! What every keeper of a snapshot promises.

use outcrop_store::{FileSnapshot, MemorySnapshot, Snapshots, StoreError};

fn keeps_one_snapshot(store: &dyn Snapshots) {
    assert_eq!(store.load().unwrap(), None);
    store.save(b"first, and longer").unwrap();
    store.save(b"second").unwrap();
    assert_eq!(store.load().unwrap().as_deref(), Some(&b"second"[..]));
    store.save(b"").unwrap();
    assert_eq!(store.load().unwrap().as_deref(), Some(&b""[..]));
}

#[test]
fn a_file_keeps_one_snapshot_and_leaves_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    keeps_one_snapshot(&FileSnapshot::new(directory.path().join("routing.json")));
    assert_eq!(directory.path().read_dir().unwrap().count(), 1);
}

#[test]
fn memory_keeps_one_snapshot() {
    keeps_one_snapshot(&MemorySnapshot::default());
}

#[test]
fn a_file_that_cannot_be_written_is_told_with_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileSnapshot::new(directory.path().join("missing/routing.json"));
    let StoreError::File { path, .. } = store.save(b"x").unwrap_err() else { panic!("not of a file") };
    assert!(path.starts_with(directory.path().join("missing")));
    assert!(matches!(FileSnapshot::new(directory.path()).load(), Err(StoreError::File { .. })), "a directory is no snapshot");
}
