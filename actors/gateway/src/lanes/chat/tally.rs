//! The account of one request: settled exactly once, whatever happens to the job.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use outcrop_domain::{
    adjust::Adjustments,
    chat::{ChatResponse, ServiceTier},
    error::GatewayError,
    estimate,
    ids::{KeyId, ModelId, Region},
    model::{ModelSpec, Target, cost, unit_cost},
    money::MicroUsd,
    usage::{Metering, Usage},
};

use super::wire::{Billed, Whole};
use crate::{
    foundation::{UsageInbox, UsageRow},
    record::{JobOutcome, JobReport, RequestRecord},
    targets::{HealthBoard, TargetCell},
};

/// What is known of an answer that is under way, written by whoever reads it and read when the account is settled.
#[derive(Debug, Default)]
pub(super) struct Heard {
    told: OnceLock<(Usage, Option<ServiceTier>)>,
    /// What upstream told at the beginning: its input, but not yet all of its output.
    begun: OnceLock<Usage>,
    /// Bytes of text, tool calls and reasoning that have come.
    produced: AtomicU64,
}

impl Heard {
    /// Upstream told what the call used. A report without any token is none: the call is then estimated.
    pub(super) fn told(&self, usage: Usage, tier: Option<ServiceTier>) {
        if usage.total() > 0 {
            // A second report of the same call would be a repeat: the first stands.
            let _repeat = self.told.set((usage, tier));
        }
    }

    /// Upstream told what the call has used so far.
    pub(super) fn begun(&self, usage: Usage) {
        // Every further report repeats the input.
        let _repeat = self.begun.set(usage);
    }

    /// What the call has used: as told, else estimated by the prompt and what came.
    pub(super) fn usage(&self, prompt_tokens: u64) -> (Usage, Metering) {
        if let Some((usage, _)) = self.told.get() {
            return (*usage, Metering::Told);
        }
        let estimated = estimate::usage(prompt_tokens, self.produced.load(Ordering::Relaxed));
        let begun = self.begun.get().map(|begun| Usage { output: begun.output.max(estimated.output), ..*begun });
        (begun.unwrap_or(estimated), Metering::Estimated)
    }

    /// So much has come by now.
    pub(super) fn produced(&self, bytes: u64) {
        self.produced.store(bytes, Ordering::Relaxed);
    }
}

/// The calls of a job, noted as each begins and as each answer opens: a job may be dropped at any await of them.
///
/// The lock is the job's own: its futures run in one task, take it for a push, and hold it over no await.
#[derive(Default)]
pub(super) struct CallLog(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    begun: Vec<Region>,
    /// Booked when the account is settled, however that comes about.
    open: Vec<OpenCall>,
    /// What was changed in a body that upstream had refused.
    healed: Adjustments,
}

impl CallLog {
    /// A call begins.
    pub(super) fn begun(&self, region: &Region) {
        self.calls().begun.push(region.clone());
    }

    /// An answer began: its call is booked at the end, also when nobody is left to tell how it ended. What a cut
    /// stream used is not told by Bedrock, which bills it all the same: it is estimated from what came.
    pub(super) fn opened(&self, opening: Opening<'_>) -> Arc<Heard> {
        let heard = Arc::<Heard>::default();
        let Opening { choice, spec, target, prompt_tokens, goes_on } = opening;
        self.calls().open.push(OpenCall {
            choice,
            spec: Arc::clone(spec),
            target: target.clone(),
            prompt_tokens,
            goes_on,
            heard: Arc::clone(&heard),
        });
        heard
    }

    /// A body was changed after upstream had refused it.
    pub(super) fn healed(&self, adjustments: Adjustments) {
        self.calls().healed.extend(adjustments);
    }

    fn count(&self) -> u32 {
        u32::try_from(self.calls().begun.len()).unwrap_or(u32::MAX)
    }

    fn take(&self) -> Calls {
        std::mem::take(&mut self.calls())
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call whose answer begins.
pub(super) struct Opening<'a> {
    pub(super) choice: u32,
    pub(super) spec: &'a Arc<ModelSpec>,
    pub(super) target: &'a Target,
    /// Estimated input, should upstream not get to tell; with what there is of an answer that goes on here.
    pub(super) prompt_tokens: u64,
    /// An answer that broke goes on here.
    pub(super) goes_on: bool,
}

/// A call whose answer is under way.
struct OpenCall {
    choice: u32,
    spec: Arc<ModelSpec>,
    target: Target,
    prompt_tokens: u64,
    goes_on: bool,
    heard: Arc<Heard>,
}

/// What one call used, and where it ran.
struct Used<'a> {
    spec: &'a ModelSpec,
    target: &'a Target,
    usage: Usage,
    metering: Metering,
    /// `None` where nobody knows it.
    cost: Option<MicroUsd>,
    outcome: JobOutcome,
}

/// Collects what a job did. Dropped without [`Tally::settle`] (a panic, a kill) it settles as lost.
pub(super) struct Tally {
    record: Arc<RequestRecord>,
    usage: Arc<UsageInbox>,
    key: KeyId,
    report: JobReport,
    began: outcrop_domain::clock::Moment,
    clock: Arc<dyn outcrop_domain::clock::Clock>,
    board: Arc<HealthBoard>,
    /// The target that answered last.
    cell: Option<Arc<TargetCell>>,
    calls: Arc<CallLog>,
    /// The tier that each call is metered by when upstream does not get to tell.
    tier: Option<ServiceTier>,
    /// Calls booked so far.
    booked: u32,
    /// It is a request of its own, in the metrics.
    counted: bool,
    settled: bool,
}

impl Tally {
    pub(super) fn open(
        record: Arc<RequestRecord>,
        usage: Arc<UsageInbox>,
        key: KeyId,
        clock: Arc<dyn outcrop_domain::clock::Clock>,
        board: Arc<HealthBoard>,
        queue_wait: Duration,
    ) -> Self {
        let began = clock.now();
        Self {
            record,
            usage,
            key,
            report: JobReport { queue_wait, ..JobReport::default() },
            began,
            clock,
            board,
            cell: None,
            calls: Arc::default(),
            tier: None,
            booked: 0,
            counted: true,
            settled: false,
        }
    }

    pub(super) fn asked(&mut self, model: &str) {
        self.report.model_asked = shortened(model, MAX_LOGGED_NAME_BYTES);
    }

    pub(super) fn resolved(&mut self, model: &ModelId) {
        self.report.model = Some(model.clone());
    }

    pub(super) fn adjusted(&mut self, adjustments: &Adjustments) {
        self.report.adjusted = shortened(&adjustments.to_string(), MAX_LOGGED_DETAIL_BYTES);
    }

    /// The tier that each call will be metered by, should upstream not tell.
    pub(super) fn prepared(&mut self, tier: Option<ServiceTier>) {
        self.tier = tier;
    }

    /// Where calls are noted as they begin.
    pub(super) fn calls(&self) -> Arc<CallLog> {
        Arc::clone(&self.calls)
    }

    /// What was changed in bodies that upstream had refused.
    pub(super) fn healed(&self) -> Adjustments {
        self.calls.calls().healed.clone()
    }

    /// Upstream's id of a call that ended.
    pub(super) fn identified(&mut self, request_id: Option<String>) {
        if request_id.is_some() {
            self.report.upstream_request_id = request_id;
        }
    }

    /// Calls begun so far.
    pub(super) fn attempts(&self) -> u32 {
        self.calls.count()
    }

    pub(super) fn first_event(&mut self) {
        if self.report.first_event.is_none() {
            self.report.first_event = Some(self.clock.now().since(self.began));
        }
    }

    /// Books a call that was answered whole, if it is one that is billed. `prompt_tokens`: its estimated input, should upstream
    /// not have told.
    pub(super) fn answered(&mut self, spec: &ModelSpec, target: &Target, answer: &Whole, prompt_tokens: u64) {
        let Some(billed) = answer.billed(prompt_tokens) else { return };
        let price = spec.price.as_ref();
        let (usage, metering, cost) = match billed {
            Billed::Tokens(usage, metering, tier) => {
                let tier = tier.or(self.tier);
                (usage, metering, price.map(|price| cost(price, &usage, &target.class, tier)))
            }
            Billed::Pieces(pieces) => {
                let of = |(unit, count)| unit_cost(price?, unit, count, &target.class);
                (Usage::default(), Metering::Told, pieces.and_then(of))
            }
        };
        self.book(&Used { spec, target, usage, metering, cost, outcome: JobOutcome::Completed });
    }

    /// Books a call whose answer was streamed, as far as it came.
    fn close(&mut self, call: &OpenCall, outcome: JobOutcome) {
        let (usage, metering) = call.heard.usage(call.prompt_tokens);
        let tier = call.heard.told.get().and_then(|(_, tier)| *tier).or(self.tier);
        let cost = call.spec.price.as_ref().map(|price| cost(price, &usage, &call.target.class, tier));
        self.book(&Used { spec: &call.spec, target: &call.target, usage, metering, cost, outcome });
    }

    fn book(&mut self, used: &Used<'_>) {
        let Used { spec, target, usage, cost: price, .. } = *used;
        self.report.usage.get_or_insert_default().add(&usage);
        self.report.estimated |= used.metering == Metering::Estimated;
        if let Some(price) = price {
            self.report.cost = Some(self.report.cost.unwrap_or(MicroUsd(0)).plus(price));
        }
        let cell = self.board.cell(&spec.id, &target.region);
        cell.meters().used(&usage, price, used.metering);
        self.cell = Some(cell);
        let row = UsageRow {
            request: self.record.id().clone(),
            call: self.booked,
            key: self.key.clone(),
            model: spec.id.clone(),
            region: target.region.clone(),
            usage,
            metering: used.metering,
            cost: price,
            outcome: used.outcome,
        };
        self.booked += 1;
        self.usage.record(row);
    }

    /// The account of what is no request of its own: it is told in the log, and not counted.
    pub(super) fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }

    /// Ends the account.
    pub(super) fn settle(mut self, outcome: JobOutcome, error: Option<&GatewayError>) {
        self.report.error_class = error.map(GatewayError::class);
        self.report.error_detail = error.map(|error| shortened(&error.to_string(), MAX_LOGGED_DETAIL_BYTES));
        self.write(outcome);
    }

    fn write(&mut self, outcome: JobOutcome) {
        self.settled = true;
        self.report.attempts = self.calls.count();
        let Calls { begun, open, healed } = self.calls.take();
        if !healed.is_empty() {
            self.report.adjusted.push_str(if self.report.adjusted.is_empty() { "" } else { "," });
            self.report.adjusted.push_str(&shortened(&healed.to_string(), MAX_LOGGED_DETAIL_BYTES));
        }
        for (place, call) in open.iter().enumerate() {
            if call.goes_on {
                self.report.adjusted.push_str(if self.report.adjusted.is_empty() { "" } else { "," });
                self.report.adjusted.push_str("stream=resumed:");
                self.report.adjusted.push_str(call.target.region.as_str());
            }
            let goes_on = |later: &OpenCall| later.choice == call.choice && later.goes_on;
            let broke = open.iter().skip(place + 1).any(goes_on);
            self.close(call, if broke { JobOutcome::Failed } else { outcome });
        }
        self.report.regions_tried = begun;
        self.report.outcome = outcome;
        let report = std::mem::take(&mut self.report);
        if self.counted {
            count_request(&report, self.cell.as_deref(), self.clock.now().since(self.began));
        }
        self.record.set_job(report);
    }
}

/// What a whole answer used: as upstream tells, else estimated by the prompt and what came.
pub(super) fn answer_usage(response: &ChatResponse, prompt_tokens: u64) -> (Usage, Metering) {
    if response.usage.total() > 0 {
        return (response.usage, Metering::Told);
    }
    (Usage { output: estimate::answer_tokens(&response.content), ..estimate::usage(prompt_tokens, 0) }, Metering::Estimated)
}

/// The account of a job that the lane refused: nothing to settle, but the log line shall say so.
pub(in crate::lanes) fn refused(record: &RequestRecord, model_asked: Option<&str>, error: &GatewayError, queue_wait: Duration) {
    record.set_job(JobReport {
        outcome: JobOutcome::Failed,
        error_class: Some(error.class()),
        error_detail: Some(error.to_string()),
        model_asked: shortened(model_asked.unwrap_or_default(), MAX_LOGGED_NAME_BYTES),
        queue_wait,
        ..JobReport::default()
    });
}

/// Longest name of a caller's in a log line; ids and ARNs are shorter.
const MAX_LOGGED_NAME_BYTES: usize = 256;

/// Longest error in a log line: whole sentences of AWS's, not whole documents of a caller's.
const MAX_LOGGED_DETAIL_BYTES: usize = 2048;

fn shortened(text: &str, limit: usize) -> String {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text).to_owned()
}

impl Drop for Tally {
    fn drop(&mut self) {
        if !self.settled {
            self.write(JobOutcome::Lost);
        }
    }
}

fn count_request(report: &JobReport, cell: Option<&TargetCell>, duration: Duration) {
    // The usual case counts through prepared handles.
    if let (Some(cell), JobOutcome::Completed) = (cell, report.outcome) {
        let meters = cell.meters();
        meters.completed.increment(1);
        meters.completed_duration.record(duration.as_secs_f64());
        meters.attempts.increment(u64::from(report.attempts));
        if let Some(first) = report.first_event {
            meters.first_event.record(first.as_secs_f64());
        }
        return;
    }
    let model = report.model.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
    let outcome = report.outcome.as_str();
    metrics::counter!("outcrop_requests_total", "model" => model.clone(), "outcome" => outcome, "error" => report.error_class.unwrap_or("none"))
        .increment(1);
    metrics::histogram!("outcrop_request_duration_seconds", "model" => model.clone(), "outcome" => outcome).record(duration.as_secs_f64());
    metrics::counter!("outcrop_upstream_attempts_total", "model" => model.clone()).increment(u64::from(report.attempts));
    if let Some(first) = report.first_event {
        metrics::histogram!("outcrop_time_to_first_event_seconds", "model" => model).record(first.as_secs_f64());
    }
}
