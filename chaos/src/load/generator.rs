//! The open-loop generator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{Asked, Client};
use crate::{
    draw::Draw,
    history::{End, Micros, Request, Role},
    plan::{Arrival, ClientDeed, Prompts, Schedule, nonce_text},
    scenario::{ClientPlan, Scenario},
};

/// Sends a schedule.
pub struct Generator {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// Its schedule.
    pub schedule: Schedule,
    /// Seed of the run.
    pub seed: u64,
    /// Bodies.
    pub prompts: Arc<Prompts>,
    /// How the target is reached.
    pub client: Client,
    /// Counts for whoever watches.
    pub counts: Arc<LiveCounts>,
    /// Where records go.
    pub records: mpsc::UnboundedSender<Request>,
}

/// What is going on, for progress displays and stop conditions.
#[derive(Debug, Default)]
pub struct LiveCounts {
    /// Sent.
    pub sent: AtomicU64,
    /// Answered in full.
    pub complete: AtomicU64,
    /// Throttled.
    pub throttled: AtomicU64,
    /// Failed otherwise.
    pub failed: AtomicU64,
    /// Under way.
    pub running: AtomicU64,
    /// Client faults done, by index of the fault; ten are told apart.
    pub deeds: [AtomicU64; 16],
}

/// What the generator says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Arrivals planned.
    pub planned: u64,
    /// Never sent: too many were under way.
    pub dropped: u64,
    /// 99th percentile of the time a send was late.
    pub lag_p99: Micros,
}

/// A send that is later than this at the 99th percentile was not open-loop. Source: the load rules.
const LAG: Micros = Micros::millis(5);

impl Sent {
    /// Why the run's numbers cannot be trusted, if so.
    #[must_use]
    pub fn taints(&self) -> Vec<String> {
        let mut taints = Vec::new();
        if self.dropped > 0 {
            taints.push(format!("{} arrivals were never sent: `max_in_flight` was reached", self.dropped));
        }
        if self.lag_p99 > LAG {
            taints.push(format!("one send in a hundred was {:.1} ms late or more", self.lag_p99.as_millis()));
        }
        taints
    }
}

impl Generator {
    /// Sends everything and waits for the last answer. `stop` set to true ends the sending early.
    pub async fn run(self, stop: tokio::sync::watch::Receiver<bool>) -> Sent {
        let mut running = JoinSet::new();
        let mut lags: Vec<Micros> = Vec::with_capacity(self.schedule.arrivals.len());
        let mut dropped = 0;
        let shared = Arc::new(Sender {
            client: self.client.clone(),
            scenario: Arc::clone(&self.scenario),
            prompts: Arc::clone(&self.prompts),
            counts: Arc::clone(&self.counts),
            records: self.records.clone(),
            seed: self.seed,
            next_id: AtomicU64::new(u64::try_from(self.schedule.arrivals.len()).unwrap_or(u64::MAX)),
        });
        for arrival in &self.schedule.arrivals {
            let due = self.client.origin + arrival.at;
            sleep_until(due).await;
            if *stop.borrow() {
                break;
            }
            while running.try_join_next().is_some() {}
            if running.len() >= self.scenario.load.max_in_flight {
                dropped += 1;
                let mut request = shared.request(arrival, Role::Load, arrival.id, arrival.nonce, arrival.at.into());
                request.end = End::Dropped;
                shared.record(request);
                continue;
            }
            lags.push(due.elapsed().into());
            running.spawn(Arc::clone(&shared).whole_story(*arrival));
        }
        while running.join_next().await.is_some() {}
        lags.sort_unstable();
        let planned = u64::try_from(self.schedule.arrivals.len()).unwrap_or(u64::MAX);
        Sent { planned, dropped, lag_p99: crate::measure::at_quantile(&lags, 0.99).unwrap_or_default() }
    }
}

struct Sender {
    client: Client,
    scenario: Arc<Scenario>,
    prompts: Arc<Prompts>,
    counts: Arc<LiveCounts>,
    records: mpsc::UnboundedSender<Request>,
    seed: u64,
    next_id: AtomicU64,
}

/// Clients do not wait longer than this for a promised moment.
const LONGEST_OBEDIENCE: Duration = Duration::from_secs(30);

impl Sender {
    /// A request, and what its client sends after it.
    async fn whole_story(self: Arc<Self>, arrival: Arrival) {
        let first = self.send(&arrival, Role::Load, arrival.id, arrival.nonce, arrival.at.into(), arrival.deed).await;
        let of = first.id;
        let times = match arrival.deed {
            Some(ClientDeed { plan: ClientPlan::RetryStorm { times }, .. }) => times,
            _ => 0,
        };
        let mut last = first;
        for _ in 0..times {
            if last.succeeded() {
                break;
            }
            last = self.again(&arrival, Role::Storm { of }, arrival.deed).await;
        }
        let refused = last.end == End::Refused && matches!(last.status, Some(429 | 503));
        if let (true, true, Some(seconds)) = (arrival.obeys, refused, last.retry_after.as_deref().and_then(|text| text.parse().ok())) {
            let pause = Duration::from_secs(seconds);
            if pause <= LONGEST_OBEDIENCE {
                sleep(pause).await;
                self.again(&arrival, Role::Obedient { of: last.id }, None).await;
            }
        }
    }

    async fn again(&self, arrival: &Arrival, role: Role, deed: Option<ClientDeed>) -> Request {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let nonce = Draw::stream(self.seed, "again", id).bits();
        self.send(arrival, role, id, nonce, self.client.now(), deed).await
    }

    async fn send(&self, arrival: &Arrival, role: Role, id: u64, nonce: u64, intended: Micros, deed: Option<ClientDeed>) -> Request {
        let mut request = self.request(arrival, role, id, nonce, intended);
        if let Some(deed) = deed {
            request.key = key_of(deed.plan).to_owned();
            if let Some(count) = self.counts.deeds.get(deed.fault) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        let body = match self.prompts.body(&self.scenario, arrival, nonce, &request.model) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "a body could not be written");
                return request;
            }
        };
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.counts.running.fetch_add(1, Ordering::Relaxed);
        let done = self.client.ask(Asked { request, body, deed }).await;
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
        let count = match &done {
            done if done.succeeded() => &self.counts.complete,
            done if done.throttled() => &self.counts.throttled,
            _ => &self.counts.failed,
        };
        if !done.self_inflicted() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.record(done.clone());
        done
    }

    fn request(&self, arrival: &Arrival, role: Role, id: u64, nonce: u64, intended: Micros) -> Request {
        let mut request = Request {
            id,
            role,
            nonce: nonce_text(nonce),
            key: LOAD_KEY.to_owned(),
            conversation: arrival.talk.map(|talk| (talk.id, talk.turn)),
            intended,
            deadline: intended.plus(self.scenario.load.deadline.into()),
            ..Request::default()
        };
        let Some(kind) = self.scenario.load.mix.get(arrival.kind) else { return request };
        request.kind.clone_from(&kind.name);
        request.stream = kind.stream;
        request.fence.clone_from(&kind.fence);
        if let Some(model) = self.scenario.models.get(kind.model) {
            request.model_id.clone_from(&model.id);
            // A fence of one region is a name that reaches no other.
            request.model = match kind.fence.first() {
                Some(region) => format!("bedrock/{region}/{}", model.id),
                None => model.ask.clone(),
            };
        }
        request
    }

    fn record(&self, request: Request) {
        if self.records.send(request).is_err() {
            tracing::error!("nobody takes the records of requests any more");
        }
    }
}

/// Key of clients that do nothing to themselves.
pub const LOAD_KEY: &str = "load";

/// Every kind of misbehaving client has a key of its own, so that what is booked for it can be summed.
fn key_of(plan: ClientPlan) -> &'static str {
    match plan {
        ClientPlan::Vanish { .. } => "vanish",
        ClientPlan::SlowReader { .. } => "slow-reader",
        ClientPlan::HalfOpen => "half-open",
        ClientPlan::BadBody => "bad-body",
        ClientPlan::HugeBody { .. } => "huge-body",
        ClientPlan::RetryStorm { .. } => "retry-storm",
    }
}

/// Ids of all keys, each with a secret made from the seed.
#[must_use]
pub fn keys(seed: u64) -> super::Keys {
    const IDS: [&str; 8] = [LOAD_KEY, "vanish", "slow-reader", "half-open", "bad-body", "huge-body", "retry-storm", CANARY_KEY];
    let secret = |number: u64| format!("sk-chaos-{:016x}", Draw::stream(seed, "key", number).bits());
    IDS.iter().zip(0..).map(|(id, number)| ((*id).to_owned(), secret(number))).collect()
}

/// Key of canaries.
pub const CANARY_KEY: &str = "canary";

/// The moment all times of a run count from: a little ahead, so that the first arrival is not late.
#[must_use]
pub fn origin() -> Instant {
    Instant::now() + Duration::from_millis(20)
}
