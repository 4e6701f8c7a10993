//! What is known of a run afterwards: the clients' book, the simulator's, and the rows of the gateway, which are compared and never believed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use outcrop_chaos::history::{Envelope, Said};
use outcrop_domain::usage::Usage;
use outcrop_gateway::record::{JobReport, RecordSink, RequestLine};
use outcrop_sim::{BucketEntry, CallRecord, Operation};

use crate::{load::Arrival, options::Options, plant::Plant, rest::Rest};

/// Everything.
#[derive(Debug, Default)]
pub struct Books {
    pub options: Options,
    /// In the order of arrival.
    pub requests: Vec<Seen>,
    /// Calls of models, in the order of their numbers.
    pub calls: Vec<CallRecord>,
    pub buckets: Vec<BucketEntry>,
    pub rows: Vec<Row>,
    pub deeds: Vec<Done>,
    pub rest: Rest,
    /// When the storm was over and every fault was taken away.
    pub calm: Duration,
    /// When the gateway was told to stop.
    pub stopped: Duration,
    /// When the gateway had ended.
    pub ended: Duration,
    /// Calls that ran a second after that.
    pub left_running: usize,
}

/// One request as its client saw it.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub asked: Arrival,
    /// When the first content came.
    pub first_content: Option<Duration>,
    pub ended: Duration,
    pub end: Ended,
    pub status: Option<u16>,
    pub request_id: Option<String>,
    pub region: Option<String>,
    pub attempts: Option<String>,
    pub retry_after: Option<String>,
    pub error: Option<Envelope>,
    /// The words of each choice.
    pub said: BTreeMap<u32, Said>,
    /// What was strange about the bytes.
    pub strange: Vec<String>,
}

/// How a request ended for its client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ended {
    /// Not before its deadline.
    #[default]
    Late,
    /// The whole answer, with its end.
    Complete,
    /// An error status with a body.
    Refused,
    /// One error event in the stream.
    StreamError,
    /// Neither an end nor an error.
    Silent,
    /// Bytes that are not the dialect, or words after an end.
    Malformed,
    /// The connection broke.
    Cut,
    /// The client left.
    Left,
}

/// What the gateway wrote of a request.
#[derive(Debug, Clone)]
pub struct Row {
    pub request: String,
    pub outcome: &'static str,
    pub attempts: u32,
    pub usage: Option<Usage>,
    pub estimated: bool,
    pub error: Option<&'static str>,
    /// The gateway's own words of what went wrong, for readers of traces.
    pub detail: Option<String>,
}

/// Something that was done to an actor.
#[derive(Debug, Clone)]
pub struct Done {
    pub at: Duration,
    pub name: String,
    pub deed: String,
}

impl Books {
    /// The calls that carried this request's nonce as their newest.
    pub fn calls_of<'b>(&'b self, seen: &'b Seen) -> impl Iterator<Item = &'b CallRecord> {
        self.calls.iter().filter(move |call| call.nonce.as_deref() == Some(seen.asked.nonce.as_str()))
    }

    pub fn call(&self, id: u64) -> Option<&CallRecord> {
        self.calls.iter().find(|call| call.id == id)
    }

    /// An actor was in trouble at some time of this stretch.
    pub fn trouble(&self, from: Duration, until: Duration) -> bool {
        self.deeds.iter().any(|done| done.at >= from && done.at <= until)
    }
}

/// Calls of models; questions to the control plane are no attempts.
pub fn of_models(records: Vec<CallRecord>) -> Vec<CallRecord> {
    records.into_iter().filter(|call| matches!(call.operation, Operation::Converse | Operation::ConverseStream)).collect()
}

/// Collects the gateway's rows.
#[derive(Default)]
pub struct Rows {
    rows: Mutex<Vec<Row>>,
    plant: Plant,
}

impl Rows {
    pub fn new(plant: Plant) -> Arc<Self> {
        Arc::new(Self { rows: Mutex::default(), plant })
    }

    pub fn take(&self) -> Vec<Row> {
        std::mem::take(&mut self.rows.lock().unwrap())
    }
}

impl RecordSink for Rows {
    fn write(&self, line: &RequestLine<'_>) {
        let mut rows = self.rows.lock().unwrap();
        if self.plant == Plant::LoseRow && rows.len() == 7 {
            rows.push(Row { request: String::new(), ..row(line) });
            return;
        }
        rows.push(row(line));
    }
}

fn row(line: &RequestLine<'_>) -> Row {
    let job = |part: fn(&JobReport) -> u32| line.job.map_or(0, part);
    Row {
        request: line.id.to_string(),
        outcome: line.outcome().as_str(),
        attempts: job(|job| job.attempts),
        usage: line.job.and_then(|job| job.usage),
        estimated: line.job.is_some_and(|job| job.estimated),
        error: line.error_class(),
        detail: line.job.and_then(|job| job.error_detail.clone()),
    }
}
