//! Why something could not be kept or found.

use std::{fmt, path::PathBuf};

use crate::Status;

/// Why something could not be kept or found.
///
/// [`NotFound`](Self::NotFound), [`Exists`](Self::Exists), [`Conflict`](Self::Conflict) and the three that begin with `Too` tell
/// of what was asked for; all others tell of the place where things are kept, and are the operator's business.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The owner has nothing of that name. Another owner may: it is not told.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// The id is taken, or given twice.
    #[error("there is a {kind} `{id}` already")]
    Exists {
        /// What was to be made.
        kind: Kind,
        /// Its id.
        id: String,
    },
    /// The response is in another state than the call asks for: another one was first.
    #[error("response `{id}` is {status}")]
    Conflict {
        /// Which response.
        id: String,
        /// What it is instead.
        status: Status,
    },
    /// More text than may be kept, or than the caller wants to read.
    #[error("{kind} `{id}` has {bytes} bytes, more than {max}")]
    TooLarge {
        /// What is too large: a response by itself, a response with all before it, or a conversation.
        kind: Kind,
        /// Its id.
        id: String,
        /// How large it is. Of a chain, as far as it was followed.
        bytes: u64,
        /// How large it may be.
        max: u64,
    },
    /// A response follows too many others.
    #[error("the chain up to response `{id}` has more than {max} responses")]
    TooDeep {
        /// The response that the chain was asked for.
        id: String,
        /// How many responses it may have.
        max: u32,
    },
    /// Too many items in one call.
    #[error("{given} items at once, more than {max}")]
    TooMany {
        /// So many.
        given: usize,
        /// So many are allowed.
        max: usize,
    },
    /// The file system says so.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// There is no room for more: the disk, the quota of the user or the bound of the memory is reached. Nothing was changed.
    #[error("{place}: no room left")]
    Full {
        /// The file, or `memory`.
        place: String,
        /// So many bytes too few for the call, of the whole room or of the owner's share; `None` where that is not known.
        missing: Option<u64>,
    },
    /// The file holds what no version of this program writes.
    #[error("{path}: damaged: {detail}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A later version of this program has written the file. It stays as it is.
    #[error("{path}: written by a newer version of this program: its schema is {found}, this one knows up to {known}")]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Version of its schema.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// The file is a database, and not ours. It stays as it is.
    #[error("{path}: a database of another program")]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has the file open: one at a time may.
    #[error("{path}: in use by another process")]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// Someone outside (a backup, a shell) has locked the file for longer than a call waits.
    #[error("{path}: locked by another program")]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// The database could not read or write its files.
    #[error("{path}: {detail}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
    /// The database refuses for a reason that should not occur.
    #[error("{path}: {detail}")]
    Database {
        /// Which file.
        path: PathBuf,
        /// What the database says.
        detail: String,
    },
}

impl StoreError {
    pub(crate) fn no(kind: Kind, id: &str) -> Self {
        Self::NotFound { kind, id: id.to_owned() }
    }

    pub(crate) fn exists(kind: Kind, id: &str) -> Self {
        Self::Exists { kind, id: id.to_owned() }
    }
}

/// What an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stored response.
    Response,
    /// A response with all that it follows.
    Chain,
    /// A conversation.
    Conversation,
    /// An item of a response's input or output, or of a conversation.
    Item,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response => "response",
            Self::Chain => "the chain up to response",
            Self::Conversation => "conversation",
            Self::Item => "item",
        })
    }
}
