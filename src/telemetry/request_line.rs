//! The line of one request as JSON, written without detours: it is written for every request.

use std::{io::Write as _, time::Duration};

use outcrop_domain::ids::Region;
use outcrop_gateway::record::{EdgeFacts, Interest, JobReport, RequestLine};
use serde::{Serialize, Serializer};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime as _, SystemTime},
};

use super::log_writer::LogWriter;

/// What stands in the line: the same names as in the text form, empty ones left out.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    #[serde(rename = "request.id")]
    id: &'a str,
    method: &'a str,
    path: &'a str,
    status: u16,
    #[serde(rename = "key.id", skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    outcome: &'static str,
    #[serde(rename = "error.class", skip_serializing_if = "Option::is_none")]
    error_class: Option<&'a str>,
    #[serde(flatten)]
    job: Option<Job<'a>>,
    duration_ms: Milliseconds,
    sent_bytes: u64,
    client_gone: bool,
}

#[derive(Serialize)]
struct Job<'a> {
    #[serde(rename = "model.asked")]
    model_asked: &'a str,
    #[serde(rename = "model.id", skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(serialize_with = "joined")]
    regions: &'a [Region],
    attempts: u32,
    #[serde(rename = "error.detail", skip_serializing_if = "Option::is_none")]
    error_detail: Option<&'a str>,
    queue_wait_ms: Milliseconds,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_event_ms: Option<Milliseconds>,
    #[serde(rename = "tokens.input")]
    input: u64,
    #[serde(rename = "tokens.output")]
    output: u64,
    #[serde(rename = "tokens.cache_read")]
    cache_read: u64,
    #[serde(rename = "tokens.cache_write")]
    cache_write: u64,
    /// Upstream did not get to tell the tokens.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    estimated: bool,
    #[serde(rename = "cost.micro_usd", skip_serializing_if = "Option::is_none")]
    cost: Option<i64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    adjusted: &'a str,
    #[serde(rename = "upstream.request_id", skip_serializing_if = "Option::is_none")]
    upstream_request_id: Option<&'a str>,
}

/// Milliseconds with three decimals.
struct Milliseconds(Duration);

impl Serialize for Milliseconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0.as_secs_f64() * 1e6).round() / 1e3)
    }
}

fn joined<S: Serializer>(regions: &[Region], serializer: S) -> Result<S::Ok, S::Error> {
    match regions {
        [] => serializer.serialize_str(""),
        [only] => serializer.serialize_str(only.as_str()),
        several => serializer.serialize_str(&several.iter().map(Region::as_str).collect::<Vec<_>>().join(",")),
    }
}

/// Writes the line.
pub(super) fn write(writer: &LogWriter, line: &RequestLine<'_>, edge: &EdgeFacts) {
    let mut bytes = Vec::with_capacity(640);
    let line = Line {
        timestamp: timestamp(),
        level: match edge.interest {
            Interest::Usual => "INFO",
            Interest::Low => "DEBUG",
        },
        message: "request",
        id: line.id.as_str(),
        method: edge.method,
        path: &edge.path,
        status: edge.status,
        key: edge.key.as_ref().map(outcrop_domain::ids::KeyId::as_str),
        outcome: line.outcome().as_str(),
        error_class: line.error_class(),
        job: line.job.map(job),
        duration_ms: Milliseconds(line.duration),
        sent_bytes: edge.sent_bytes,
        client_gone: edge.client_gone,
    };
    if let Err(error) = serde_json::to_writer(&mut bytes, &line) {
        tracing::error!(%error, "the line of a request could not be written");
        return;
    }
    bytes.push(b'\n');
    // The writer takes every line; what it must drop it counts.
    let _taken = writer.clone().write(&bytes);
}

fn job(report: &JobReport) -> Job<'_> {
    let usage = report.usage.unwrap_or_default();
    Job {
        model_asked: &report.model_asked,
        model: report.model.as_ref().map(outcrop_domain::ids::ModelId::as_str),
        regions: &report.regions_tried,
        attempts: report.attempts,
        error_detail: report.error_detail.as_deref(),
        queue_wait_ms: Milliseconds(report.queue_wait),
        first_event_ms: report.first_event.map(Milliseconds),
        input: usage.input,
        output: usage.output,
        cache_read: usage.cache_read,
        cache_write: usage.cache_write(),
        estimated: report.estimated,
        cost: report.cost.map(|cost| cost.0),
        adjusted: &report.adjusted,
        upstream_request_id: report.upstream_request_id.as_deref(),
    }
}

/// As in every other line of the log.
fn timestamp() -> String {
    let mut text = String::with_capacity(32);
    if SystemTime.format_time(&mut Writer::new(&mut text)).is_err() {
        text.push_str("unknown");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimated_tokens_say_so_and_told_ones_say_nothing() {
        let of = |estimated| serde_json::to_value(job(&JobReport { estimated, ..JobReport::default() })).expect("JSON");
        assert_eq!(of(true)["estimated"], true);
        assert_eq!(of(false).get("estimated"), None);
    }
}
