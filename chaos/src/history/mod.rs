//! What happened in one run, in three independent books: what clients saw, what the simulator did, what the operating
//! system says. The gateway's own rows are kept beside them as the accused: they are compared, never believed.

mod about;
mod buckets;
mod client;
mod file;
mod index;
mod journal;
mod system;
mod time;

use serde::{Deserialize, Serialize};

pub use about::{About, AtLeast, Budget, ModelFacts, Price, Rules};
pub use buckets::{Buckets, Room};
pub use client::{ClientFault, End, Envelope, Request, Role, Run, Said, Tokens, WordTime};
pub use file::{HistoryError, Writer, read};
pub use index::Joined;
pub use journal::{Admission, BREAKING, BucketEvent, BucketKey, Call, Change, Ending, Limit, Refill};
pub use system::{FaultSpan, HostEvent, HostFact, Layer, Leak, Ledger, LedgerTotals, PhaseMark, Row, Sample, SampleKind, Scan};
pub use time::Micros;

/// One run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// What was run, and the rules it is judged by.
    pub about: About,
    /// The phases, in order.
    pub phases: Vec<PhaseMark>,
    /// The faults, in the order of the scenario.
    pub faults: Vec<FaultSpan>,
    /// The client's book, in the order of intended times.
    pub requests: Vec<Request>,
    /// The simulator's book, by call number.
    pub calls: Vec<Call>,
    /// Every change of a true quota bucket, in the order of time.
    pub buckets: Vec<BucketEvent>,
    /// The operating system's book.
    pub samples: Vec<Sample>,
    /// What was done to the gateway's process, and what came of it.
    pub host: Vec<HostEvent>,
    /// The gateway's usage rows: the accused.
    pub rows: Vec<Row>,
    /// The totals of the gateway's ledger, by replica: the accused.
    pub ledgers: Vec<Ledger>,
    /// What was searched for leaks.
    pub scans: Vec<Scan>,
}

/// One line of a history file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// First line.
    About(Box<About>),
    /// A phase.
    Phase(PhaseMark),
    /// A fault.
    Fault(FaultSpan),
    /// A request.
    Request(Box<Request>),
    /// An upstream call.
    Call(Box<Call>),
    /// A change of a bucket.
    Bucket(BucketEvent),
    /// A sample of the system.
    Sample(Sample),
    /// Something done to the process.
    Host(HostEvent),
    /// A usage row.
    Row(Box<Row>),
    /// Totals of a ledger.
    Ledger(Ledger),
    /// A search for leaks.
    Scan(Scan),
}

impl History {
    /// Puts a record where it belongs.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::About(about) => self.about = *about,
            Record::Phase(phase) => self.phases.push(phase),
            Record::Fault(fault) => self.faults.push(fault),
            Record::Request(request) => self.requests.push(*request),
            Record::Call(call) => self.calls.push(*call),
            Record::Bucket(event) => self.buckets.push(event),
            Record::Sample(sample) => self.samples.push(sample),
            Record::Host(event) => self.host.push(event),
            Record::Row(row) => self.rows.push(*row),
            Record::Ledger(ledger) => self.ledgers.push(ledger),
            Record::Scan(scan) => self.scans.push(scan),
        }
    }

    /// Brings every book into its order; records come in the order in which they ended.
    pub fn sort(&mut self) {
        self.requests.sort_by_key(|request| (request.intended, request.id));
        self.calls.sort_by_key(|call| call.number);
        self.buckets.sort_by_key(|event| event.at);
        self.samples.sort_by_key(|sample| sample.at);
        self.host.sort_by_key(|event| event.at);
        self.phases.sort_by_key(|phase| phase.from);
    }

    /// When the last thing happened.
    #[must_use]
    pub fn end(&self) -> Micros {
        let requests = self.requests.iter().map(|request| request.ended.unwrap_or(request.intended));
        let phases = self.phases.iter().map(|phase| phase.until);
        requests.chain(phases).max().unwrap_or_default()
    }

    /// True when a fault of the scenario is in force in `region` at any time of the stretch. Client faults do not count:
    /// they trouble nobody but their own request.
    #[must_use]
    pub fn troubled(&self, region: &str, from: Micros, until: Micros) -> bool {
        self.faults.iter().any(|fault| fault.layer != Layer::Client && fault.touches(region) && fault.overlaps(from, until))
    }

    /// True when any fault but those of clients is in force at any time of the stretch.
    #[must_use]
    pub fn any_fault(&self, from: Micros, until: Micros) -> bool {
        self.faults.iter().any(|fault| fault.layer != Layer::Client && fault.overlaps(from, until))
    }

    /// The phase in which a request was meant to be sent.
    #[must_use]
    pub fn phase_at(&self, at: Micros) -> Option<&PhaseMark> {
        self.phases.iter().rev().find(|phase| phase.from <= at)
    }
}
