//! The owner of usage totals.

use std::collections::{BTreeMap, HashSet, VecDeque};

use outcrop_domain::{
    ids::{KeyId, ModelId, Region, RequestId},
    money::MicroUsd,
    usage::{Metering, Usage},
};
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use crate::record::JobOutcome;

/// Tokens and cost of one upstream call that produced something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The request.
    pub request: RequestId,
    /// Which of its choices (0 unless `n` is more than 1).
    pub choice: u32,
    /// Who asked.
    pub key: KeyId,
    /// The model that answered.
    pub model: ModelId,
    /// Where.
    pub region: Region,
    /// Tokens.
    pub usage: Usage,
    /// Whether upstream told them.
    pub metering: Metering,
    /// Cost; `None` when the model has no price.
    pub cost: Option<MicroUsd>,
    /// How the call ended.
    pub outcome: JobOutcome,
}

/// What a [`LedgerWriter`] is told.
#[derive(Debug)]
pub enum LedgerWriterMsg {
    /// Count this call. A row that was counted already is ignored.
    Record(Box<UsageRow>),
    /// Asks for the totals.
    Describe {
        /// The answer.
        reply: Reply<LedgerReport>,
    },
}

/// Sums of rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LedgerTotals {
    /// Rows.
    pub calls: u64,
    /// Rows of calls the client cut short.
    pub cancelled: u64,
    /// Rows whose tokens are estimated.
    pub estimated: u64,
    /// Tokens.
    pub usage: Usage,
    /// Those among them that are estimated.
    pub estimated_usage: Usage,
    /// Cost of the rows that have a price.
    pub cost: MicroUsd,
    /// Rows without a price.
    pub unpriced: u64,
}

impl LedgerTotals {
    fn add(&mut self, row: &UsageRow) {
        self.calls += 1;
        self.cancelled += u64::from(row.outcome == JobOutcome::Cancelled);
        self.usage.add(&row.usage);
        if row.metering == Metering::Estimated {
            self.estimated += 1;
            self.estimated_usage.add(&row.usage);
        }
        match row.cost {
            Some(cost) => self.cost = self.cost.plus(cost),
            None => self.unpriced += 1,
        }
    }
}

/// Totals since the process started, for consoles and tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// Everything.
    pub all: LedgerTotals,
    /// By model.
    pub by_model: BTreeMap<ModelId, LedgerTotals>,
    /// By region.
    pub by_region: BTreeMap<Region, LedgerTotals>,
    /// By key.
    pub by_key: BTreeMap<KeyId, LedgerTotals>,
}

/// State of a [`LedgerWriter`].
#[derive(Debug, Default)]
pub struct LedgerBook {
    report: LedgerReport,
    seen: HashSet<RowIdentity>,
    order: VecDeque<RowIdentity>,
}

/// What a row is known by. A choice may be answered by two models, when its alias falls back after the first has begun.
type RowIdentity = (RequestId, u32, ModelId);

/// Rows remembered to recognise a repeat. A repeat follows within one settlement, so thousands are ample.
const REMEMBERED_ROWS: usize = 65_536;

impl LedgerBook {
    fn record(&mut self, row: &UsageRow) {
        let identity = (row.request.clone(), row.choice, row.model.clone());
        if !self.seen.insert(identity.clone()) {
            return;
        }
        self.order.push_back(identity);
        if self.order.len() > REMEMBERED_ROWS
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        self.report.all.add(row);
        self.report.by_model.entry(row.model.clone()).or_default().add(row);
        self.report.by_region.entry(row.region.clone()).or_default().add(row);
        self.report.by_key.entry(row.key.clone()).or_default().add(row);
    }
}

/// Counts usage.
///
/// * Owns: the totals by key, model and region.
/// * Told by: jobs, when they settle.
/// * Tells: nobody.
/// * On restart: begins with empty totals; the counters of the metrics endpoint keep the sums of the process.
/// * Bounded by: one row per upstream call; calls are bounded by the lanes. Repeats are recognised among the last
///   65,536 rows.
#[derive(Debug, Default)]
pub struct LedgerWriter;

impl Actor for LedgerWriter {
    type Msg = LedgerWriterMsg;
    type State = LedgerBook;
    type Arguments = ();

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<LedgerBook, ActorProcessingErr> {
        Ok(LedgerBook::default())
    }

    async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut LedgerBook) -> Result<(), ActorProcessingErr> {
        match message {
            LedgerWriterMsg::Record(row) => state.record(&row),
            LedgerWriterMsg::Describe { reply } => {
                reply.send(state.report.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(request: &str, choice: u32, outcome: JobOutcome, cost: Option<i64>) -> UsageRow {
        UsageRow {
            request: request.into(),
            choice,
            key: "key".into(),
            model: "model".into(),
            region: "us-east-1".into(),
            usage: Usage { input: 10, output: 5, ..Usage::default() },
            metering: Metering::Told,
            cost: cost.map(MicroUsd),
            outcome,
        }
    }

    #[test]
    fn a_row_is_counted_once() {
        let mut book = LedgerBook::default();
        book.record(&row("req_1", 0, JobOutcome::Completed, Some(7)));
        book.record(&row("req_1", 0, JobOutcome::Completed, Some(7)));
        book.record(&row("req_1", 1, JobOutcome::Cancelled, None));
        let all = book.report.all;
        assert_eq!((all.calls, all.cancelled, all.usage.input, all.cost, all.unpriced), (2, 1, 20, MicroUsd(7), 1));
        assert_eq!(book.report.by_key.len(), 1);
    }

    #[test]
    fn estimated_tokens_count_and_are_told_apart() {
        let mut book = LedgerBook::default();
        book.record(&row("req_1", 0, JobOutcome::Completed, Some(7)));
        book.record(&UsageRow { metering: Metering::Estimated, ..row("req_2", 0, JobOutcome::Cancelled, Some(3)) });
        let all = book.report.all;
        assert_eq!((all.usage.input, all.estimated, all.estimated_usage.input, all.cost), (20, 1, 10, MicroUsd(10)));
    }

    #[test]
    fn the_memory_of_rows_is_bounded() {
        let mut book = LedgerBook::default();
        for number in 0..REMEMBERED_ROWS + 10 {
            book.record(&row(&format!("req_{number}"), 0, JobOutcome::Completed, None));
        }
        assert_eq!(book.seen.len(), REMEMBERED_ROWS);
        assert_eq!(book.order.len(), REMEMBERED_ROWS);
    }
}
