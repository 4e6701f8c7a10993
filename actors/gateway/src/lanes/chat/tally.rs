//! The account of one request: settled exactly once, whatever happens to the job.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use outcrop_domain::{
    adjust::Adjustments,
    chat::ServiceTier,
    error::GatewayError,
    ids::{KeyId, ModelId, Region},
    model::{ModelSpec, Target, cost},
    money::MicroUsd,
    usage::Usage,
};
use outcrop_supervision::Slot;

use crate::{
    foundation::{LedgerWriterMsg, UsageRow},
    record::{JobOutcome, JobReport, RequestRecord},
    targets::{HealthBoard, TargetCell},
};

/// What upstream told of a call's usage; filled by whoever reads the answer.
pub(super) type Told = Arc<OnceLock<(Usage, Option<ServiceTier>)>>;

/// A call whose answer is under way.
struct OpenCall {
    choice: u32,
    spec: Arc<ModelSpec>,
    target: Target,
    told: Told,
}

/// Collects what a job did. Dropped without [`Tally::settle`] (a panic, a kill) it settles as lost.
pub(super) struct Tally {
    record: Arc<RequestRecord>,
    ledger: Slot<LedgerWriterMsg>,
    key: KeyId,
    report: JobReport,
    began: outcrop_domain::clock::Moment,
    clock: Arc<dyn outcrop_domain::clock::Clock>,
    board: Arc<HealthBoard>,
    /// The target that answered last.
    cell: Option<Arc<TargetCell>>,
    /// Booked when the account is settled, however that comes about.
    open_calls: Vec<OpenCall>,
    settled: bool,
}

impl Tally {
    pub(super) fn open(
        record: Arc<RequestRecord>,
        ledger: Slot<LedgerWriterMsg>,
        key: KeyId,
        clock: Arc<dyn outcrop_domain::clock::Clock>,
        board: Arc<HealthBoard>,
        queue_wait: Duration,
    ) -> Self {
        let began = clock.now();
        Self {
            record,
            ledger,
            key,
            report: JobReport { queue_wait, ..JobReport::default() },
            began,
            clock,
            board,
            cell: None,
            open_calls: Vec::new(),
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

    pub(super) fn attempted(&mut self, regions: &[Region], request_id: Option<String>) {
        self.report.attempts += u32::try_from(regions.len()).unwrap_or(u32::MAX);
        self.report.regions_tried.extend_from_slice(regions);
        if request_id.is_some() {
            self.report.upstream_request_id = request_id;
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.report.attempts
    }

    pub(super) fn first_event(&mut self) {
        if self.report.first_event.is_none() {
            self.report.first_event = Some(self.clock.now().since(self.began));
        }
    }

    /// An answer began: its call is booked at the end, also when nobody is left to tell how it ended. What a cut
    /// stream used is not told by Bedrock; a row without tokens then says that the call was made.
    pub(super) fn opened(&mut self, choice: u32, spec: &Arc<ModelSpec>, target: &Target) -> Told {
        let told = Told::default();
        self.open_calls.push(OpenCall { choice, spec: Arc::clone(spec), target: target.clone(), told: Arc::clone(&told) });
        told
    }

    /// Books what one upstream call used.
    pub(super) fn used(
        &mut self,
        choice: u32,
        spec: &ModelSpec,
        target: &Target,
        usage: &Usage,
        tier: Option<ServiceTier>,
        outcome: JobOutcome,
    ) {
        let price = spec.price.as_ref().map(|price| cost(price, usage, &target.class, tier));
        self.report.usage.get_or_insert_default().add(usage);
        if let Some(price) = price {
            self.report.cost = Some(self.report.cost.unwrap_or(MicroUsd(0)).plus(price));
        }
        let cell = self.board.cell(&spec.id, &target.region);
        cell.meters().used(usage, price);
        self.cell = Some(cell);
        let row = UsageRow {
            request: self.record.id().clone(),
            choice,
            key: self.key.clone(),
            model: spec.id.clone(),
            region: target.region.clone(),
            usage: *usage,
            cost: price,
            outcome,
        };
        if self.ledger.cast(LedgerWriterMsg::Record(Box::new(row))).is_err() {
            metrics::counter!("outcrop_ledger_rows_lost_total").increment(1);
            tracing::error!(request.id = %self.record.id(), "the ledger is restarting: a usage row is only in the log");
        }
    }

    /// Ends the account.
    pub(super) fn settle(mut self, outcome: JobOutcome, error: Option<&GatewayError>) {
        self.report.error_class = error.map(GatewayError::class);
        self.report.error_detail = error.map(|error| shortened(&error.to_string(), MAX_LOGGED_DETAIL_BYTES));
        self.write(outcome);
    }

    fn write(&mut self, outcome: JobOutcome) {
        self.settled = true;
        for call in std::mem::take(&mut self.open_calls) {
            let (usage, tier) = call.told.get().copied().unwrap_or_default();
            self.used(call.choice, &call.spec, &call.target, &usage, tier, outcome);
        }
        self.report.outcome = outcome;
        let report = std::mem::take(&mut self.report);
        count_request(&report, self.cell.as_deref(), self.clock.now().since(self.began));
        self.record.set_job(report);
    }
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
