//! What SQLite says, in our words.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use crate::StoreError;

/// Why a piece of work on the database ended: what SQLite says, or what we found.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite says so.
    Sqlite(Error),
    /// We say so.
    Found(StoreError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Found(error)
    }
}

impl Fault {
    /// The error, of the database at `path`.
    pub(super) fn at(self, path: &Path) -> StoreError {
        let error = match self {
            Self::Found(error) => return error,
            Self::Sqlite(error) => error,
        };
        let (path, detail) = (path.to_owned(), error.to_string());
        match &error {
            Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DiskFull => StoreError::Full { place: path.display().to_string(), missing: None },
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt { path, detail },
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy { path },
                ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::NoLargeFileSupport => StoreError::Io { path, detail },
                _ => StoreError::Database { path, detail },
            },
            // A value that our schema does not allow.
            Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
                StoreError::Corrupt { path, detail }
            }
            _ => StoreError::Database { path, detail },
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn told(code: i32) -> StoreError {
        Fault::Sqlite(Error::SqliteFailure(ffi::Error::new(code), None)).at(Path::new("/data/outcrop.db"))
    }

    #[test]
    fn every_trouble_of_the_place_has_its_kind() {
        assert!(matches!(told(ffi::SQLITE_FULL), StoreError::Full { .. }));
        assert!(matches!(told(ffi::SQLITE_CORRUPT), StoreError::Corrupt { .. }));
        assert!(matches!(told(ffi::SQLITE_NOTADB), StoreError::Corrupt { .. }));
        assert!(matches!(told(ffi::SQLITE_BUSY), StoreError::Busy { .. }));
        assert!(matches!(told(ffi::SQLITE_IOERR_FSYNC), StoreError::Io { .. }));
        assert!(matches!(told(ffi::SQLITE_READONLY), StoreError::Io { .. }));
        assert!(matches!(told(ffi::SQLITE_CONSTRAINT), StoreError::Database { .. }));
    }

    #[test]
    fn an_error_names_the_file() {
        assert_eq!(told(ffi::SQLITE_FULL).to_string(), "/data/outcrop.db: no room left");
        assert!(told(ffi::SQLITE_IOERR).to_string().starts_with("/data/outcrop.db: "));
    }
}
