//! The owner of usage totals.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use outcrop_domain::{
    ids::{KeyId, ModelId, Region, RequestId},
    money::MicroUsd,
    usage::{Metering, Usage},
};
use outcrop_supervision::Reply;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use serde::Serialize;

use super::UsageInbox;
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
    /// Rows wait in the inbox.
    Waiting,
    /// Time to take them. A row that was counted already is ignored.
    Collect,
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
#[derive(Debug)]
pub struct LedgerBook {
    inbox: Arc<UsageInbox>,
    report: LedgerReport,
    seen: HashSet<RowIdentity>,
    order: VecDeque<RowIdentity>,
}

/// What a row is known by. A choice may be answered by two models, when its alias falls back after the first has begun.
type RowIdentity = (RequestId, u32, ModelId);

/// Rows remembered to recognise a repeat. A repeat follows within one settlement, so thousands are ample, and few enough to
/// stay in the processor's cache.
const REMEMBERED_ROWS: usize = 4_096;

/// How long rows gather: a busy gateway has hundreds by then, and nobody watches totals more closely.
const GATHER: Duration = Duration::from_millis(20);

impl LedgerBook {
    /// An empty book.
    fn new(inbox: Arc<UsageInbox>) -> Self {
        Self { inbox, report: LedgerReport::default(), seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Counts what waits.
    fn collect(&mut self) {
        for row in self.inbox.take() {
            self.record(&row);
        }
    }

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
/// * Told by: the inbox that jobs put their rows in when they settle, once for all rows of some milliseconds.
/// * Tells: nobody.
/// * On restart: begins with empty totals, and takes the rows that its predecessor left in the inbox; the counters of the
///   metrics endpoint keep the sums of the process.
/// * Bounded by: one row per upstream call; calls are bounded by the lanes, rows in the inbox by a number. Repeats are
///   recognised among the last 4,096 rows.
#[derive(Debug, Default)]
pub struct LedgerWriter;

impl Actor for LedgerWriter {
    type Msg = LedgerWriterMsg;
    type State = LedgerBook;
    type Arguments = Arc<UsageInbox>;

    async fn pre_start(&self, _myself: ActorRef<Self::Msg>, inbox: Arc<UsageInbox>) -> Result<LedgerBook, ActorProcessingErr> {
        let mut book = LedgerBook::new(inbox);
        book.collect();
        Ok(book)
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut LedgerBook) -> Result<(), ActorProcessingErr> {
        match message {
            LedgerWriterMsg::Waiting => drop(myself.send_after(GATHER, || LedgerWriterMsg::Collect)),
            LedgerWriterMsg::Collect => state.collect(),
            LedgerWriterMsg::Describe { reply } => {
                state.collect();
                reply.send(state.report.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use outcrop_supervision::Slot;

    use super::*;

    pub(in crate::foundation) fn row(request: &str) -> UsageRow {
        UsageRow {
            request: request.into(),
            choice: 0,
            key: "key".into(),
            model: "model".into(),
            region: "us-east-1".into(),
            usage: Usage { input: 10, output: 5, ..Usage::default() },
            metering: Metering::Told,
            cost: Some(MicroUsd(7)),
            outcome: JobOutcome::Completed,
        }
    }

    fn book() -> LedgerBook {
        LedgerBook::new(Arc::new(UsageInbox::new(Slot::new("ledger-writer"))))
    }

    #[test]
    fn a_row_is_counted_once() {
        let mut book = book();
        book.record(&row("req_1"));
        book.record(&row("req_1"));
        book.record(&UsageRow { choice: 1, outcome: JobOutcome::Cancelled, cost: None, ..row("req_1") });
        let all = book.report.all;
        assert_eq!((all.calls, all.cancelled, all.usage.input, all.cost, all.unpriced), (2, 1, 20, MicroUsd(7), 1));
        assert_eq!(book.report.by_key.len(), 1);
    }

    #[test]
    fn estimated_tokens_count_and_are_told_apart() {
        let mut book = book();
        book.record(&row("req_1"));
        book.record(&UsageRow { metering: Metering::Estimated, outcome: JobOutcome::Cancelled, cost: Some(MicroUsd(3)), ..row("req_2") });
        let all = book.report.all;
        assert_eq!((all.usage.input, all.estimated, all.estimated_usage.input, all.cost), (20, 1, 10, MicroUsd(10)));
    }

    #[test]
    fn the_memory_of_rows_is_bounded() {
        let mut book = book();
        for number in 0..REMEMBERED_ROWS + 10 {
            book.record(&row(&format!("req_{number}")));
        }
        assert_eq!(book.seen.len(), REMEMBERED_ROWS);
        assert_eq!(book.order.len(), REMEMBERED_ROWS);
    }

    /// A slot for a ledger, and its inbox.
    fn place() -> (Slot<LedgerWriterMsg>, Arc<UsageInbox>) {
        let slot = Slot::new("ledger-writer");
        (slot.clone(), Arc::new(UsageInbox::new(slot)))
    }

    async fn calls(slot: &Slot<LedgerWriterMsg>) -> u64 {
        slot.call(|reply| LedgerWriterMsg::Describe { reply }, Duration::from_secs(1)).await.unwrap().all.calls
    }

    #[tokio::test(start_paused = true)]
    async fn rows_are_taken_together_after_a_moment_and_before_every_answer() {
        let (slot, inbox) = place();
        let (actor, _join) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        slot.fill(actor);
        inbox.record(row("req_1"));
        inbox.record(row("req_2"));
        assert_eq!(calls(&slot).await, 2, "whoever asks is told of all");
        inbox.record(row("req_3"));
        tokio::time::sleep(GATHER * 2).await;
        assert!(inbox.take().is_empty(), "nobody asked, and it was taken");
        inbox.record(row("req_4"));
        assert_eq!(calls(&slot).await, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_ledger_left_is_there_for_the_next() {
        let (slot, inbox) = place();
        let (first, ended) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        slot.fill(first.clone());
        inbox.record(row("req_1"));
        first.kill();
        ended.await.unwrap();
        slot.clear();
        inbox.record(row("req_2"));
        let (second, _join) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        slot.fill(second);
        inbox.record(row("req_3"));
        assert_eq!(calls(&slot).await, 3);
    }
}
