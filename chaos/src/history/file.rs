//! A history on disk: one JSON object a line, written as the run goes on.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use super::{History, Record};

/// A history file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file system refused.
    #[error("history file {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line that is no record.
    #[error("history file {path}, line {line}: {source}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
}

/// Writes records.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Writer {
    /// Creates the file.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn create(path: &Path) -> Result<Self, HistoryError> {
        let file = File::create(path).map_err(|source| HistoryError::Io { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), out: BufWriter::new(file) })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&mut self, record: &Record) -> Result<(), HistoryError> {
        let written = serde_json::to_writer(&mut self.out, record).map_err(std::io::Error::from).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|source| HistoryError::Io { path: self.path.clone(), source })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn finish(mut self) -> Result<(), HistoryError> {
        self.out.flush().map_err(|source| HistoryError::Io { path: self.path, source })
    }
}

/// Reads a whole file.
///
/// # Errors
/// A file that cannot be read, or a line that is no record.
pub fn read(path: &Path) -> Result<History, HistoryError> {
    let io = |source| HistoryError::Io { path: path.to_owned(), source };
    let lines = BufReader::new(File::open(path).map_err(io)?).lines();
    let mut history = History::default();
    for (index, line) in lines.enumerate() {
        let line = line.map_err(io)?;
        let broken = |source| HistoryError::Line { path: path.to_owned(), line: index + 1, source };
        history.add(serde_json::from_str(&line).map_err(broken)?);
    }
    history.sort();
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, PhaseMark, Request};

    #[test]
    fn a_history_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let mut history = History::default();
        history.about.scenario = "quiet".to_owned();
        history.requests.push(Request { id: 3, nonce: "n0nce-1".to_owned(), ..Request::default() });
        history.calls.push(Call { number: 1, ..Call::default() });
        history.phases.push(PhaseMark { name: "steady".to_owned(), ..PhaseMark::default() });
        let mut writer = Writer::create(&path).unwrap();
        writer.write(&Record::About(Box::new(history.about.clone()))).unwrap();
        writer.write(&Record::Request(Box::new(history.requests[0].clone()))).unwrap();
        writer.write(&Record::Call(Box::new(history.calls[0].clone()))).unwrap();
        writer.write(&Record::Phase(history.phases[0].clone())).unwrap();
        writer.finish().unwrap();
        assert_eq!(read(&path).unwrap(), history);
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        std::fs::write(
            &path,
            "{\"phase\":{\"name\":\"a\",\"from\":0,\"until\":1,\"judged\":true,\"rate\":\"\",\"settle\":false}}\n{\"no\":1}\n",
        )
        .unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
