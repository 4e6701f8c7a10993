//! Once a second: what the operating system and the simulator's gauges say, and what both books have new.

use std::{
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::{Upstream, faults::Expiries};
use crate::{
    history::{Call, HistoryError, Micros, Record, Sample, SampleKind, Writer},
    load::LiveCounts,
    scenario::StopIf,
    target::{Gateway, Usage},
};

/// Writes records; shared by everybody who has some.
#[derive(Clone)]
pub(super) struct Books(Arc<Mutex<Inner>>);

struct Inner {
    writer: Option<Writer>,
    fault: Option<HistoryError>,
}

impl Books {
    pub(super) fn new(writer: Writer) -> Self {
        Self(Arc::new(Mutex::new(Inner { writer: Some(writer), fault: None })))
    }

    /// Writes; the first error is kept and told at the end.
    pub(super) fn write(&self, record: &Record) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = &mut inner.writer
            && let Err(error) = writer.write(record)
        {
            inner.fault.get_or_insert(error);
        }
    }

    /// Ends the file.
    pub(super) fn finish(&self) -> Result<(), HistoryError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = inner.writer.take().map_or(Ok(()), Writer::finish);
        inner.fault.take().map_or(finished, Err)
    }
}

/// What is sampled.
#[derive(Clone)]
pub(super) struct Sampler {
    pub(super) origin: Instant,
    pub(super) upstream: Arc<Upstream>,
    pub(super) gateway: Option<Arc<Gateway>>,
    pub(super) counts: Arc<LiveCounts>,
    pub(super) books: Books,
    /// What is tested runs in this process.
    pub(super) own_process: bool,
    /// Counts refusals for expired credentials.
    pub(super) expiries: Expiries,
}

impl Sampler {
    /// Takes a sample.
    pub(super) fn sample(&self, kind: SampleKind) -> Sample {
        let usage = match (&self.gateway, self.own_process) {
            (Some(gateway), _) => Some(gateway.usage()).filter(|usage| usage.rss_kib > 0),
            (None, true) => Usage::of(std::process::id()),
            (None, false) => None,
        };
        let (in_flight, connections) = self.upstream.gauges();
        let sample = Sample {
            at: self.origin.elapsed().into(),
            kind,
            rss_kib: usage.map(|usage| usage.rss_kib),
            fds: usage.map(|usage| usage.fds),
            in_flight,
            connections,
            clients: self.counts.running.load(Ordering::Relaxed),
        };
        self.books.write(&Record::Sample(sample.clone()));
        sample
    }

    /// Moves what the simulator has new into the history.
    pub(super) fn drain(&self) {
        for event in self.upstream.take_buckets(self.origin) {
            self.books.write(&Record::Bucket(event));
        }
        for call in self.upstream.take_ended(self.origin) {
            self.call(call);
        }
    }

    /// Writes a call, of which nothing more will be known.
    pub(super) fn call(&self, call: Call) {
        self.expiries.see(&call);
        self.books.write(&Record::Call(Box::new(call)));
    }

    /// Samples every second until stopped, with one sample marked as warm; stops the run when nothing can be learned any more.
    pub(super) async fn run(self, warm_at: Micros, stop_if: StopIf, stop: watch::Sender<bool>) {
        let mut timer = tokio::time::interval_at(self.origin, Duration::from_secs(1));
        let mut warm = false;
        let mut watch = Success::default();
        loop {
            timer.tick().await;
            let now = Micros::from(self.origin.elapsed());
            let kind = if !warm && now >= warm_at { SampleKind::Warm } else { SampleKind::Tick };
            warm |= kind == SampleKind::Warm;
            let sample = self.sample(kind);
            self.drain();
            let heavy = stop_if.rss_mb.is_some_and(|limit| sample.rss_kib.is_some_and(|kib| kib / 1024 > limit));
            if heavy || watch.hopeless(&self.counts, stop_if, now) {
                tracing::warn!("the run is given up: `stop_if` holds");
                stop.send_replace(true);
            }
        }
    }
}

/// Successes over the time that `stop_if` looks at.
#[derive(Default)]
struct Success {
    since: Micros,
    complete: u64,
    bad: u64,
}

impl Success {
    #[allow(clippy::cast_precision_loss, reason = "counts of a run lie far below 2^52")]
    fn hopeless(&mut self, counts: &LiveCounts, stop_if: StopIf, now: Micros) -> bool {
        let Some((least, lasting)) = stop_if.success_below else { return false };
        if now.minus(self.since) < Micros::from(lasting) {
            return false;
        }
        let complete = counts.complete.load(Ordering::Relaxed);
        let bad = counts.failed.load(Ordering::Relaxed) + counts.throttled.load(Ordering::Relaxed);
        let (good, ill) = (complete - self.complete, bad - self.bad);
        *self = Self { since: now, complete, bad };
        good + ill > 0 && (good as f64) < least * (good + ill) as f64
    }
}
