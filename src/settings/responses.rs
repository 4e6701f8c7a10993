//! `[responses]` and `[store]`: what is stored of responses and conversations, how long, and where.

use std::{path::PathBuf, time::Duration};

use super::read::{Integer, Parsed, Section, Size, Span};

/// As long as OpenAI keeps responses.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// OpenAI keeps conversations until they are deleted; a year after its last use nobody comes back to one.
const CONVERSATION_RETENTION: Duration = Duration::from_secs(365 * 24 * 3600);

/// A body of the largest size can be stored, and its answer with it.
const MAX_BYTES: u64 = 128 << 20;

/// More turns than any agent takes in a session.
const MAX_CHAIN: u32 = 1_000;

/// Some hundred thousand short responses; an idle gateway takes none of it.
const MEMORY: u64 = 256 << 20;

const FILE: Parsed<PathBuf> = Parsed {
    expected: "the path of a file",
    parse: |text| (!text.trim().is_empty() && !text.ends_with('/')).then(|| PathBuf::from(text)),
    show: |path| path.display().to_string(),
};

/// What is stored, and how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// How long a stored response can be asked for. 1 min to 10 years.
    pub retention: Duration,
    /// How long a conversation stays that nobody uses. 1 min to 10 years.
    pub conversation_retention: Duration,
    /// Most bytes of one response with its input, of a conversation, and of all that a request goes on from. 1 KiB to 1 GiB.
    pub max_bytes: u64,
    /// Most responses that follow each other by `previous_response_id`. 1 to 100,000.
    pub max_chain: u32,
}

/// Where it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Store {
    /// The database; `None` = memory.
    pub file: Option<PathBuf>,
    /// Most bytes in memory, when there is no file. 1 MiB to 1 TiB.
    pub memory: u64,
}

impl Responses {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let (minute, ten_years) = (Duration::from_secs(60), Duration::from_secs(3650 * 24 * 3600));
        Self {
            retention: section.get("retention", Span::between(minute, ten_years), RETENTION),
            conversation_retention: section.get("conversation_retention", Span::between(minute, ten_years), CONVERSATION_RETENTION),
            max_bytes: section.get("max_bytes", Size::between(1 << 10, 1 << 30), MAX_BYTES),
            max_chain: section.get("max_chain", Integer::between(1, 100_000), MAX_CHAIN),
        }
    }
}

impl Store {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self { file: section.find("file", FILE), memory: section.get("memory", Size::between(1 << 20, 1 << 40), MEMORY) }
    }
}
