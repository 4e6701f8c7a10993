//! One line per request, written when both the edge and the job have let go of it.
//!
//! The edge knows the HTTP side, the job knows the AWS side, and either may end first (a client that leaves, a job
//! that is killed). Each fills in its part once; the last of them to drop the record writes the line.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use outcrop_domain::{
    clock::{Clock, Moment},
    ids::{KeyId, ModelId, Region, RequestId},
    money::MicroUsd,
    usage::Usage,
};

/// What the edge knows of a request.
#[derive(Debug, Clone)]
pub struct EdgeFacts {
    /// HTTP method.
    pub method: &'static str,
    /// The route's pattern (`/v1/models/{*id}`), or the path, shortened, where no route fits.
    pub path: Arc<str>,
    /// Whether somebody wants to read of it.
    pub interest: Interest,
    /// Status sent; 499 when the client left before any.
    pub status: u16,
    /// Body bytes sent.
    pub sent_bytes: u64,
    /// The client left before the end.
    pub client_gone: bool,
    /// Who asked.
    pub key: Option<KeyId>,
    /// Class of the error that was answered.
    pub error_class: Option<&'static str>,
}

impl EdgeFacts {
    /// Stands in place of a method in the line of work that no request waits for.
    pub const NO_REQUEST: &'static str = "JOB";

    /// Stands there in place of a status: the request was answered before.
    const ACCEPTED: u16 = 202;
}

/// Whether somebody wants to read of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interest {
    /// A client's or an operator's: always.
    #[default]
    Usual,
    /// A health check or a metrics collector, some times a minute: only when looking for something.
    Low,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum JobOutcome {
    /// Answered in full.
    Completed,
    /// Refused or failed; `error_class` says how.
    Failed,
    /// The client left.
    Cancelled,
    /// The worker died.
    #[default]
    Lost,
}

impl JobOutcome {
    /// Label for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
        }
    }
}

/// What the job knows of a request.
#[derive(Debug, Clone, Default)]
pub struct JobReport {
    /// How it ended.
    pub outcome: JobOutcome,
    /// Class of the error, when it failed.
    pub error_class: Option<&'static str>,
    /// Upstream's or our own words, when it failed. Never the caller's content.
    pub error_detail: Option<String>,
    /// The name the caller used.
    pub model_asked: String,
    /// The model that answered.
    pub model: Option<ModelId>,
    /// Regions called, in order.
    pub regions_tried: Vec<Region>,
    /// Upstream calls begun.
    pub attempts: u32,
    /// Time in the lane's queue.
    pub queue_wait: Duration,
    /// From the job's start to the first upstream event.
    pub first_event: Option<Duration>,
    /// Tokens, as upstream reported them, or estimated.
    pub usage: Option<Usage>,
    /// Some of the tokens are estimated: upstream did not get to report them.
    pub estimated: bool,
    /// Cost by the price data; `None` when the model has no price.
    pub cost: Option<MicroUsd>,
    /// The changes made to the request, as in `x-outcrop-adjusted`.
    pub adjusted: String,
    /// Upstream's request id of the last call.
    pub upstream_request_id: Option<String>,
}

/// Writes finished records.
pub trait RecordSink: Send + Sync {
    /// Called once per request, from a `Drop`: must not block.
    fn write(&self, line: &RequestLine<'_>);
}

/// A finished record, as the sink sees it.
#[derive(Debug)]
pub struct RequestLine<'a> {
    /// The request's id.
    pub id: &'a RequestId,
    /// From acceptance to the end.
    pub duration: Duration,
    /// The edge's part; missing only when the process is being torn down.
    pub edge: Option<&'a EdgeFacts>,
    /// The job's part; missing for routes without a job.
    pub job: Option<&'a JobReport>,
}

impl RequestLine<'_> {
    /// How the request ended: by the job, or where there was none, by what the client got.
    #[must_use]
    pub fn outcome(&self) -> JobOutcome {
        match (self.job, self.edge) {
            (Some(job), _) => job.outcome,
            (None, Some(edge)) if edge.client_gone => JobOutcome::Cancelled,
            (None, Some(edge)) if edge.status < 400 => JobOutcome::Completed,
            (None, Some(_)) => JobOutcome::Failed,
            (None, None) => JobOutcome::Lost,
        }
    }

    /// Class of the error, when it failed.
    #[must_use]
    pub fn error_class(&self) -> Option<&'static str> {
        self.job.and_then(|job| job.error_class).or_else(|| self.edge.and_then(|edge| edge.error_class))
    }
}

/// The record of one request, shared by the edge and the job.
pub struct RequestRecord {
    id: RequestId,
    began: Moment,
    clock: Arc<dyn Clock>,
    route: OnceLock<(Arc<str>, Interest)>,
    key: OnceLock<KeyId>,
    edge: OnceLock<EdgeFacts>,
    /// In a box: it is large, and known only at the end.
    job: OnceLock<Box<JobReport>>,
    sink: Arc<dyn RecordSink>,
}

impl RequestRecord {
    /// Opens a record.
    #[must_use]
    pub fn open(id: RequestId, clock: Arc<dyn Clock>, sink: Arc<dyn RecordSink>) -> Arc<Self> {
        let began = clock.now();
        Arc::new(Self { id, began, clock, route: OnceLock::new(), key: OnceLock::new(), edge: OnceLock::new(), job: OnceLock::new(), sink })
    }

    /// The request's id.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// The record of work that goes on when the request has been answered: it begins now, under the same id, and is a line of its own.
    #[must_use]
    pub fn successor(&self) -> Arc<Self> {
        let successor = Self::open(self.id.clone(), Arc::clone(&self.clock), Arc::clone(&self.sink));
        let (path, interest) = self.route().cloned().unwrap_or_else(|| (Arc::from("background"), Interest::Usual));
        let key = self.key().cloned();
        successor.set_edge(EdgeFacts {
            method: EdgeFacts::NO_REQUEST,
            path,
            interest,
            status: EdgeFacts::ACCEPTED,
            sent_bytes: 0,
            client_gone: false,
            key,
            error_class: None,
        });
        successor
    }

    /// When the request was accepted.
    #[must_use]
    pub fn began(&self) -> Moment {
        self.began
    }

    /// The pattern of the route that fits; the first word stands.
    pub fn routed(&self, pattern: &str, interest: Interest) {
        self.route.get_or_init(|| (Arc::from(pattern), interest));
    }

    /// The route, once it is known.
    #[must_use]
    pub fn route(&self) -> Option<&(Arc<str>, Interest)> {
        self.route.get()
    }

    /// Whose request it is; the first word stands.
    pub fn asked_by(&self, key: &KeyId) {
        self.key.get_or_init(|| key.clone());
    }

    /// Whose request it is, once that is known.
    #[must_use]
    pub fn key(&self) -> Option<&KeyId> {
        self.key.get()
    }

    /// The edge's part, once.
    pub fn set_edge(&self, facts: EdgeFacts) {
        if self.edge.set(facts).is_err() {
            tracing::error!(request.id = %self.id, "edge facts of a request were set twice");
        }
    }

    /// The job's part, once.
    pub fn set_job(&self, report: JobReport) {
        if self.job.set(Box::new(report)).is_err() {
            tracing::error!(request.id = %self.id, "job report of a request was set twice");
        }
    }

    /// The job's part, when it has ended.
    #[must_use]
    pub fn job(&self) -> Option<&JobReport> {
        self.job.get().map(Box::as_ref)
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let duration = self.clock.now().since(self.began);
        self.sink.write(&RequestLine { id: &self.id, duration, edge: self.edge.get(), job: self.job() });
    }
}

impl fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(status: u16, client_gone: bool) -> EdgeFacts {
        let (path, error_class) = (Arc::from("/v1/models"), (status >= 400).then_some("not_found"));
        EdgeFacts { method: "GET", path, interest: Interest::Usual, status, sent_bytes: 0, client_gone, key: None, error_class }
    }

    fn told(edge: Option<&EdgeFacts>, job: Option<&JobReport>) -> (JobOutcome, Option<&'static str>) {
        let id = RequestId::from("req_1");
        let line = RequestLine { id: &id, duration: Duration::ZERO, edge, job };
        (line.outcome(), line.error_class())
    }

    #[derive(Default)]
    struct Lines(std::sync::Mutex<Vec<(RequestId, Option<EdgeFacts>)>>);

    impl RecordSink for Lines {
        fn write(&self, line: &RequestLine<'_>) {
            self.0.lock().unwrap().push((line.id.clone(), line.edge.cloned()));
        }
    }

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Moment {
            Moment::default()
        }

        fn wall(&self) -> std::time::SystemTime {
            std::time::SystemTime::UNIX_EPOCH
        }
    }

    #[test]
    fn what_goes_on_after_the_answer_has_a_line_of_its_own_under_the_same_id() {
        let lines = Arc::<Lines>::default();
        let record = RequestRecord::open(RequestId::from("req_1"), Arc::new(Stopped), Arc::clone(&lines) as Arc<dyn RecordSink>);
        record.routed("/v1/responses", Interest::Usual);
        let successor = record.successor();
        record.set_edge(edge(200, false));
        drop(record);
        drop(successor);
        let written = lines.0.lock().unwrap();
        let seen: Vec<_> = written.iter().map(|(id, edge)| (id.as_str(), edge.as_ref().unwrap().method)).collect();
        assert_eq!(seen, [("req_1", "GET"), ("req_1", EdgeFacts::NO_REQUEST)]);
        assert_eq!(written[1].1.as_ref().unwrap().path.as_ref(), "/v1/responses");
    }

    #[test]
    fn the_job_tells_the_outcome_and_without_one_the_answer_does() {
        let broken = JobReport { outcome: JobOutcome::Failed, error_class: Some("broken_stream"), ..JobReport::default() };
        assert_eq!(told(Some(&edge(200, false)), Some(&broken)), (JobOutcome::Failed, Some("broken_stream")));
        assert_eq!(told(None, Some(&broken)), (JobOutcome::Failed, Some("broken_stream")));
        assert_eq!(told(Some(&edge(200, false)), None), (JobOutcome::Completed, None));
        assert_eq!(told(Some(&edge(404, false)), None), (JobOutcome::Failed, Some("not_found")));
        assert_eq!(told(Some(&edge(200, true)), None), (JobOutcome::Cancelled, None));
        assert_eq!(told(None, None), (JobOutcome::Lost, None));
    }
}
