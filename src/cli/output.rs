//! Writing to people.

use std::io::Write as _;

/// Prints text and a line end. A closed pipe is no error: whoever read has seen enough.
pub(super) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
