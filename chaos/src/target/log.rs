//! The gateway's log: its request lines are the accused's usage rows; all of it is searched for what must not be there.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;

use crate::{
    history::{Leak, Row, Scan, Tokens},
    plan::NONCE_PREFIX,
};

/// Finds that are kept of each source.
const MOST_LEAKS: usize = 20;
/// Last lines that are kept, for errors at the start.
const LAST_LINES: usize = 40;

/// What the processes of a gateway wrote.
#[derive(Debug, Default)]
pub struct LogBook {
    secrets: Vec<String>,
    rows: Vec<Row>,
    scans: BTreeMap<String, Scan>,
    last: VecDeque<String>,
}

#[derive(Deserialize)]
struct Line {
    message: String,
    #[serde(rename = "request.id")]
    request_id: Option<String>,
    path: Option<String>,
    #[serde(default)]
    status: u16,
    #[serde(rename = "key.id")]
    key: Option<String>,
    #[serde(rename = "model.id")]
    model: Option<String>,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    attempts: u64,
    #[serde(rename = "tokens.input", default)]
    input: u64,
    #[serde(rename = "tokens.output", default)]
    output: u64,
    #[serde(rename = "tokens.cache_read", default)]
    cache_read: u64,
    #[serde(rename = "tokens.cache_write", default)]
    cache_write: u64,
    #[serde(default)]
    estimated: bool,
    #[serde(rename = "cost.micro_usd")]
    micro_usd: Option<i64>,
}

impl LogBook {
    /// An empty book; `secrets` must appear nowhere.
    #[must_use]
    pub fn new(secrets: Vec<String>) -> Self {
        Self { secrets, ..Self::default() }
    }

    /// Takes a line.
    pub fn line(&mut self, replica: u32, line: &str) {
        self.search("log", line.as_bytes());
        if let Ok(parsed) = serde_json::from_str::<Line>(line)
            && let Some(row) = row(parsed, replica)
        {
            self.rows.push(row);
            return;
        }
        if self.last.len() >= LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    /// Searches a text.
    pub fn search(&mut self, source: &str, text: &[u8]) {
        let scan = self.scans.entry(source.to_owned()).or_insert_with(|| Scan { source: source.to_owned(), ..Scan::default() });
        scan.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
        for line in String::from_utf8_lossy(text).lines() {
            let Some(what) = leak(line, &self.secrets) else { continue };
            scan.found += 1;
            if scan.leaks.len() < MOST_LEAKS {
                let mut line: String = line.chars().take(300).collect();
                for secret in &self.secrets {
                    line = line.replace(secret.as_str(), "[key]");
                }
                scan.leaks.push(Leak { what: what.to_owned(), line });
            }
        }
    }

    /// The rows so far.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The searches so far.
    pub fn scans(&self) -> impl Iterator<Item = &Scan> {
        self.scans.values()
    }

    /// The last lines that were no rows.
    #[must_use]
    pub fn last_words(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

fn row(line: Line, replica: u32) -> Option<Row> {
    if line.message != "request" || !line.path.as_deref().is_some_and(asks_a_model) {
        return None;
    }
    let Line { request_id, key, model, outcome, status, input, output, cache_read, cache_write, estimated, micro_usd, attempts, .. } = line;
    let tokens = Tokens { input, output, cache_read, cache_write };
    Some(Row { request_id: request_id?, key, model, outcome, status, tokens, estimated, micro_usd, attempts, replica })
}

/// Whether what is asked at a path is a model, in any dialect.
fn asks_a_model(path: &str) -> bool {
    let known = ["/chat/completions", "/messages", "/responses"].iter().any(|end| path.ends_with(end)) || path.starts_with("/model/");
    known && !path.contains("/explain/")
}

/// What a line holds that it must not.
fn leak(line: &str, secrets: &[String]) -> Option<&'static str> {
    if line.contains(NONCE_PREFIX) {
        return Some("nonce");
    }
    if secrets.iter().any(|secret| line.contains(secret.as_str())) {
        return Some("key");
    }
    consecutive_words(line).then_some("words")
}

/// Two words of one call after each other. A single one could be any number.
fn consecutive_words(line: &str) -> bool {
    let word = |text: &str| -> Option<(u64, u64)> {
        let text = text.trim_matches(|c: char| !c.is_ascii_digit());
        let (call, index) = text.split_once('.')?;
        Some((call.parse().ok()?, index.parse().ok()?))
    };
    let mut before = None;
    line.split(' ').any(|part| {
        let this = word(part);
        let follows = matches!((before, this), (Some((call, index)), Some((same, next))) if call == same && index + 1 == next);
        before = this;
        follows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"timestamp":"t","level":"INFO","message":"request","request.id":"req-1","method":"POST","path":"/v1/chat/completions","status":200,"key.id":"load","model.id":"m","outcome":"completed","attempts":1,"tokens.input":5,"tokens.output":7,"tokens.cache_read":1,"tokens.cache_write":2,"cost.micro_usd":42,"duration_ms":7.8}"#;

    #[test]
    fn request_lines_are_rows() {
        let mut log = LogBook::new(Vec::new());
        log.line(1, LINE);
        log.line(1, &LINE.replace("/v1/chat/completions", "/health/ready"));
        log.line(1, r#"{"message":"listening"}"#);
        let [row] = log.rows() else { panic!("{:?}", log.rows()) };
        assert_eq!((row.request_id.as_str(), row.micro_usd, row.replica), ("req-1", Some(42), 1));
        assert_eq!(row.tokens, Tokens { input: 5, output: 7, cache_read: 1, cache_write: 2 });
        assert!(log.last_words().contains("listening"));
        for path in ["/anthropic/v1/messages", "/v1/responses", "/model/{*call}"] {
            log.line(1, &LINE.replace("/v1/chat/completions", path));
        }
        for path in ["/v1/explain/chat/completions", "/v1/responses/{id}", "/foundation-models"] {
            log.line(1, &LINE.replace("/v1/chat/completions", path));
        }
        assert_eq!(log.rows().len(), 4);
    }

    #[test]
    fn nonces_keys_and_words_are_found_and_numbers_are_not() {
        let mut log = LogBook::new(vec!["sk-chaos-1".to_owned()]);
        for line in [LINE, "took 7.8 9.1 ms", "7.8 7.8"] {
            log.line(0, line);
        }
        assert_eq!(log.scans().map(|scan| scan.found).sum::<u64>(), 0);
        for line in ["prompt: a n0nce-00", "authorization: Bearer sk-chaos-1", "said \"7.8 7.9\""] {
            log.line(0, line);
        }
        let scan = log.scans().next().unwrap();
        assert_eq!((scan.found, scan.leaks[1].what.as_str()), (3, "key"));
        assert!(!scan.leaks[1].line.contains("sk-chaos-1"), "the find itself must not leak");
    }
}
