//! A snapshot in a file.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::Snapshots;
use crate::StoreError;

/// A snapshot in a file, which is replaced by renaming: a crash at any moment leaves the old one or the new one.
#[derive(Debug, Clone)]
pub struct FileSnapshot {
    path: PathBuf,
}

impl FileSnapshot {
    /// A snapshot at `path`. Its directory must be there when it is saved.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| StoreError::File { path, error }
    }
}

impl Snapshots for FileSnapshot {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Self::failed(&self.path)(error)),
        }
    }

    fn save(&self, snapshot: &[u8]) -> Result<(), StoreError> {
        // Two saves at once, of one process or of two that share a path by mistake, do not write into the same file.
        static SAVES: AtomicU64 = AtomicU64::new(0);
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{}-{}.new", std::process::id(), SAVES.fetch_add(1, Ordering::Relaxed)));
        let new = PathBuf::from(name);
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(snapshot)?;
            file.sync_all()
        };
        write().and_then(|()| fs::rename(&new, &self.path)).map_err(|error| {
            // On a full disk half of it would lie there for good. What cannot be removed either was never made.
            let _unmade = fs::remove_file(&new);
            Self::failed(&self.path)(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        // A directory cannot be replaced by a file.
        let path = directory.path().join("snapshot");
        fs::create_dir(&path).unwrap();
        assert!(FileSnapshot::new(&path).save(b"bytes").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
