//! Logs and metrics: the subscriber, the metrics recorder, and the one line per request.

mod described;
mod log_writer;
mod panics;
mod request_line;

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use outcrop_gateway::record::{EdgeFacts, Interest, RecordSink, RequestLine};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt as _, reload, util::SubscriberInitExt as _};

pub use panics::log_panics;

use self::described::describe_metrics;
use crate::settings::LogFormat;

/// Keeps the log writer alive and lets the level change while running.
pub struct LogHandle {
    level: reload::Handle<EnvFilter, Registry>,
    _writer: log_writer::LogWriterGuard,
    requests: RequestLog,
}

impl LogHandle {
    /// Where the lines of requests go.
    #[must_use]
    pub fn request_log(&self) -> RequestLog {
        self.requests.clone()
    }

    /// Changes the level.
    ///
    /// # Errors
    /// When `level` is not a filter.
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        let filter = filter(level)?;
        self.level.reload(filter).map_err(|error| TelemetryError::Level(error.to_string()))
    }
}

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level is not a filter.
    #[error("log level: {0}")]
    Level(String),
    /// A subscriber is installed already.
    #[error("log subscriber: {0}")]
    Subscriber(String),
    /// The log writer's thread could not be started.
    #[error("log writer: {0}")]
    Thread(#[source] io::Error),
    /// The metrics recorder could not be installed.
    #[error("metrics recorder: {0}")]
    Metrics(#[from] BuildError),
}

/// Installs the log subscriber. Lines go to standard output through a thread of their own, so that a slow terminal
/// or pipe never holds a request; when its queue is full, lines are dropped and counted.
///
/// # Errors
/// A bad level, or a subscriber that is installed already.
pub fn start_logs(format: LogFormat, level: &str) -> Result<LogHandle, TelemetryError> {
    let filter = filter(level)?;
    let (filter, handle) = reload::Layer::new(filter);
    let (writer, guard) = log_writer::start(io::stdout()).map_err(TelemetryError::Thread)?;
    let registry = tracing_subscriber::registry().with(filter);
    let requests = RequestLog { json: (format == LogFormat::Json).then(|| writer.clone()), answered: Arc::default() };
    let installed = match format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_writer(writer);
            registry.with(layer).try_init()
        }
        LogFormat::Text => registry.with(tracing_subscriber::fmt::layer().compact().with_target(false).with_writer(writer)).try_init(),
    };
    installed.map_err(|error| TelemetryError::Subscriber(error.to_string()))?;
    Ok(LogHandle { level: handle, _writer: guard, requests })
}

/// The actor library opens a span around every message: work on the hot path that tells nobody anything.
const QUIET: &str = "ractor=off";

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(format!("{level},{QUIET}")).map_err(|error| TelemetryError::Level(error.to_string()))
}

/// Seconds, fine where answers begin and coarse where they end.
const LATENCY_BUCKETS: [f64; 16] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 600.0];

/// Seconds in a queue.
const WAIT_BUCKETS: [f64; 9] = [0.000_1, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Time after which the recorder folds its samples away; also bounds their memory.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the metrics recorder.
///
/// # Errors
/// When a recorder is installed already.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = metrics_builder()?.install_recorder()?;
    describe_metrics();
    Ok(handle)
}

/// A recorder like that of [`start_metrics`] that nothing writes to yet: for whoever counts apart from the process.
///
/// # Errors
/// None that depends on its caller.
pub fn metrics_recorder() -> Result<PrometheusRecorder, TelemetryError> {
    let recorder = metrics_builder()?.build_recorder();
    metrics::with_local_recorder(&recorder, describe_metrics);
    Ok(recorder)
}

fn metrics_builder() -> Result<PrometheusBuilder, TelemetryError> {
    Ok(PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".to_owned()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_first_event_seconds".to_owned()), &LATENCY_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_wait_seconds".to_owned()), &WAIT_BUCKETS)?)
}

/// Writes one line per request, and counts responses: as JSON straight to the log's writer, else through `tracing`.
#[derive(Clone, Default)]
pub struct RequestLog {
    json: Option<log_writer::LogWriter>,
    /// Responses of status 200, looked up once: naming a counter costs more than counting in it.
    answered: Arc<OnceLock<metrics::Counter>>,
}

impl RequestLog {
    fn count(&self, status: u16) {
        let counter = || metrics::counter!("outcrop_http_responses_total", "status" => status_label(status));
        if status == 200 { self.answered.get_or_init(counter).increment(1) } else { counter().increment(1) }
    }
}

impl RecordSink for RequestLog {
    fn write(&self, line: &RequestLine<'_>) {
        let duration_ms = line.duration.as_secs_f64() * 1000.0;
        let Some(edge) = line.edge else {
            tracing::warn!(request.id = %line.id, duration_ms, "request ended without a response");
            return;
        };
        if edge.method != EdgeFacts::NO_REQUEST {
            self.count(edge.status);
        }
        if let Some(writer) = &self.json {
            let wanted = match edge.interest {
                Interest::Usual => tracing::enabled!(tracing::Level::INFO),
                Interest::Low => tracing::enabled!(tracing::Level::DEBUG),
            };
            if wanted {
                request_line::write(writer, line, edge);
            }
            return;
        }
        let key = edge.key.as_ref().map(outcrop_domain::ids::KeyId::as_str);
        let (path, outcome) = (edge.path.as_ref(), line.outcome().as_str());
        if edge.interest == Interest::Low {
            tracing::debug!(request.id = %line.id, method = edge.method, path, status = edge.status, outcome, duration_ms, "request");
            return;
        }
        let Some(job) = line.job else {
            tracing::info!(
                request.id = %line.id, method = edge.method, path, status = edge.status, key.id = key, outcome,
                error.class = line.error_class(), duration_ms, sent_bytes = edge.sent_bytes, client_gone = edge.client_gone, "request"
            );
            return;
        };
        let regions = job.regions_tried.iter().map(outcrop_domain::ids::Region::as_str).collect::<Vec<_>>().join(",");
        let usage = job.usage.unwrap_or_default();
        tracing::info!(
            request.id = %line.id,
            method = edge.method,
            path,
            status = edge.status,
            key.id = key,
            model.asked = job.model_asked,
            model.id = job.model.as_ref().map(outcrop_domain::ids::ModelId::as_str),
            regions,
            attempts = job.attempts,
            outcome,
            error.class = line.error_class(),
            error.detail = job.error_detail.as_deref(),
            queue_wait_ms = job.queue_wait.as_secs_f64() * 1000.0,
            first_event_ms = job.first_event.map(|first| first.as_secs_f64() * 1000.0),
            duration_ms,
            tokens.input = usage.input,
            tokens.output = usage.output,
            tokens.cache_read = usage.cache_read,
            tokens.cache_write = usage.cache_write(),
            estimated = job.estimated.then_some(true),
            cost.micro_usd = job.cost.map(|cost| cost.0),
            adjusted = (!job.adjusted.is_empty()).then_some(job.adjusted.as_str()),
            upstream.request_id = job.upstream_request_id.as_deref(),
            sent_bytes = edge.sent_bytes,
            client_gone = edge.client_gone,
            "request"
        );
    }
}

/// Labels come from a closed set: a status is three digits.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        413 => "413",
        429 => "429",
        499 => "499",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        100..=199 => "1xx",
        201..=299 => "2xx",
        300..=399 => "3xx",
        402..=498 => "4xx",
        _ => "5xx",
    }
}
