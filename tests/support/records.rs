//! Request lines, caught instead of printed.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use metrics::LocalRecorderGuard;
use metrics_exporter_prometheus::PrometheusHandle;
use outcrop::telemetry::{RequestLog, metrics_recorder};
use outcrop_gateway::record::{EdgeFacts, JobOutcome, JobReport, RecordSink, RequestLine};
use tokio::sync::watch;

use super::wait::soon;

/// The numbers of one test: tests run beside each other in one process, and each has all that it starts on one thread.
/// To be made before the gateway is.
pub struct Numbers {
    handle: PrometheusHandle,
    _on_this_thread: LocalRecorderGuard<'static>,
}

impl Numbers {
    /// Counts on this thread from now on.
    pub fn start() -> Self {
        // A few kilobytes per test of this kind.
        let recorder = Box::leak(Box::new(metrics_recorder().expect("a recorder")));
        Self { handle: recorder.handle(), _on_this_thread: metrics::set_default_local_recorder(recorder) }
    }

    /// For an admin port.
    pub fn handle(&self) -> PrometheusHandle {
        self.handle.clone()
    }

    /// The sum of a counter's or gauge's values that have these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.handle.render();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name).filter(|rest| rest.starts_with([' ', '{']))?;
            let value = rest.rsplit(' ').next()?.parse::<f64>().expect("a number");
            labels.iter().all(|label| rest.contains(label)).then_some(value)
        });
        values.sum()
    }
}

/// One request line.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: String,
    pub duration: Duration,
    pub edge: Option<EdgeFacts>,
    pub job: Option<JobReport>,
    pub outcome: JobOutcome,
    pub error_class: Option<&'static str>,
}

/// Keeps every line, and hands it to the real log so that its counters count.
pub struct Records {
    lines: Mutex<Vec<Line>>,
    count: watch::Sender<usize>,
    log: RequestLog,
}

impl Default for Records {
    fn default() -> Self {
        Self { lines: Mutex::default(), count: watch::Sender::new(0), log: RequestLog::default() }
    }
}

impl Records {
    /// Every line so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first `count` lines, once they are written.
    pub async fn first(&self, count: usize) -> Vec<Line> {
        let mut written = self.count.subscribe();
        soon("request lines", written.wait_for(|lines| *lines >= count)).await.unwrap();
        self.lines().into_iter().take(count).collect()
    }

    /// The only line there is, once it is written.
    pub async fn only(&self) -> Line {
        let line = self.first(1).await.remove(0);
        assert_eq!(self.lines().len(), 1, "{:?}", self.lines());
        line
    }
}

impl RecordSink for Records {
    fn write(&self, line: &RequestLine<'_>) {
        self.log.write(line);
        let kept = Line {
            id: line.id.to_string(),
            duration: line.duration,
            edge: line.edge.cloned(),
            job: line.job.cloned(),
            outcome: line.outcome(),
            error_class: line.error_class(),
        };
        let count = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(kept);
            lines.len()
        };
        self.count.send_replace(count);
    }
}
