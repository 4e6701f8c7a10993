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
    /// Number of the call among those of the request that produced something: there is one for each choice, and an answer that
    /// goes on elsewhere is several.
    pub call: u32,
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

/// What a row is known by: the request, and the number of the call.
type RowIdentity = (RequestId, u32);

/// Rows remembered to recognise a repeat. A repeat follows within one settlement, so thousands are ample, and few enough to
/// stay in the processor's cache.
const REMEMBERED_ROWS: usize = 4_096;

/// How long rows gather: a busy gateway has dozens by then, and nobody watches totals more closely.
const GATHER: Duration = Duration::from_millis(20);

/// Most rows counted at once: a tenth of a millisecond. After an outage there may be very many, and other actors run on the
/// same thread.
const BATCH: usize = 256;

impl LedgerBook {
    /// An empty book.
    fn new(inbox: Arc<UsageInbox>) -> Self {
        Self { inbox, report: LedgerReport::default(), seen: HashSet::new(), order: VecDeque::new() }
    }

    /// Counts a batch of what waits. True when there may be more.
    fn collect(&mut self) -> bool {
        let rows = self.inbox.take(BATCH);
        rows.iter().for_each(|row| self.record(row));
        rows.len() == BATCH
    }

    fn record(&mut self, row: &UsageRow) {
        let identity = (row.request.clone(), row.call);
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
/// * Bounded by: one row per upstream call; calls are bounded by the lanes, rows in the inbox by 262,144. Repeats are
///   recognised among the last 4,096 rows.
#[derive(Debug, Default)]
pub struct LedgerWriter;

impl Actor for LedgerWriter {
    type Msg = LedgerWriterMsg;
    type State = LedgerBook;
    type Arguments = Arc<UsageInbox>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, inbox: Arc<UsageInbox>) -> Result<LedgerBook, ActorProcessingErr> {
        // Rows that came while there was no ledger told nobody.
        inbox.expect_ledger();
        myself.cast(LedgerWriterMsg::Collect)?;
        Ok(LedgerBook::new(inbox))
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut LedgerBook) -> Result<(), ActorProcessingErr> {
        match message {
            LedgerWriterMsg::Waiting => drop(myself.send_after(GATHER, || LedgerWriterMsg::Collect)),
            LedgerWriterMsg::Collect => {
                if state.collect() {
                    myself.cast(LedgerWriterMsg::Collect)?;
                }
            }
            LedgerWriterMsg::Describe { reply } => {
                // Whoever asks is told of all: tests and consoles ask, in moments of rest.
                while state.collect() {}
                reply.send(state.report.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use outcrop_supervision::Slot;

    use super::*;

    pub(in crate::foundation) fn row(request: &str) -> UsageRow {
        UsageRow {
            request: request.into(),
            call: 0,
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
        book.record(&UsageRow { call: 1, outcome: JobOutcome::Cancelled, cost: None, ..row("req_1") });
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
    async fn rows_are_taken_together_after_a_moment_again_and_again() {
        let (slot, inbox) = place();
        let (actor, _join) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        slot.fill(actor);
        for round in 0..3 {
            inbox.record(row(&format!("req_{round}_a")));
            inbox.record(row(&format!("req_{round}_b")));
            tokio::time::sleep(GATHER * 2).await;
            assert_eq!(inbox.waiting(), 0, "round {round}: nobody asked, and they were taken");
        }
        assert_eq!(calls(&slot).await, 6);
        inbox.record(row("req_last"));
        assert_eq!(calls(&slot).await, 7, "whoever asks is told of all");
    }

    /// Counts what a ledger is told.
    struct Told(Arc<AtomicUsize>);

    impl Actor for Told {
        type Msg = LedgerWriterMsg;
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _myself: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
            Ok(())
        }

        async fn handle(&self, _myself: ActorRef<Self::Msg>, message: Self::Msg, (): &mut ()) -> Result<(), ActorProcessingErr> {
            assert!(matches!(message, LedgerWriterMsg::Waiting));
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_rows_wake_the_ledger_once_until_it_has_taken_them_all() {
        let ((slot, inbox), told) = (place(), Arc::new(AtomicUsize::new(0)));
        let (actor, _join) = Told::spawn(None, Told(Arc::clone(&told)), ()).await.unwrap();
        slot.fill(actor);
        let mut expected = Vec::new();
        for take in [1, 9, 9] {
            (0..3).for_each(|number| inbox.record(row(&format!("req_{number}"))));
            tokio::time::sleep(GATHER).await;
            expected.push(told.load(Ordering::Relaxed));
            inbox.take(take);
        }
        assert_eq!(expected, [1, 1, 2], "after the first round two rows were left behind, and the ledger knew of them");
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_ledger_left_is_there_for_the_next_however_much() {
        let (slot, inbox) = place();
        let (first, ended) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        slot.fill(first.clone());
        tokio::time::sleep(GATHER).await;
        inbox.record(row("req_first"));
        first.kill();
        ended.await.unwrap();
        slot.clear();
        for number in 0..3 * BATCH {
            inbox.record(row(&format!("req_{number}")));
        }
        let (second, _join) = LedgerWriter::spawn(None, LedgerWriter, Arc::clone(&inbox)).await.unwrap();
        // Between its start and its place in the slot.
        inbox.record(row("req_between"));
        slot.fill(second);
        tokio::time::sleep(GATHER * 2).await;
        assert_eq!(inbox.waiting(), 0, "nobody asked, and all were taken");
        assert_eq!(calls(&slot).await, 3 * BATCH as u64 + 2);
    }
}
