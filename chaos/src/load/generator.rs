//! The open-loop generator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
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
    /// Bodies are written on threads of their own: on the load's, one of half a megabyte would keep others from being sent in
    /// time. Not under a paused clock, which such threads do not hold.
    pub bodies_aside: bool,
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
    /// Client faults done, by index of the fault; sixteen are told apart.
    pub deeds: [AtomicU64; 16],
}

/// Bodies are written so long before they are due: a prompt of megabytes takes its time, which is none of the gateway's.
const LEAD: Duration = Duration::from_millis(250);

impl Generator {
    /// Sends everything and waits for the last answer; says how many arrivals were planned. `stop` set to true ends the
    /// sending early. What came of the plan is told by the records: see [`SelfWatch`](super::SelfWatch).
    pub async fn run(self, stop: tokio::sync::watch::Receiver<bool>) -> u64 {
        let mut running = JoinSet::new();
        let shared = Arc::new(Sender {
            client: self.client.clone(),
            scenario: Arc::clone(&self.scenario),
            prompts: Arc::clone(&self.prompts),
            counts: Arc::clone(&self.counts),
            records: self.records.clone(),
            seed: self.seed,
            bodies_aside: self.bodies_aside,
            next_id: AtomicU64::new(u64::try_from(self.schedule.arrivals.len()).unwrap_or(u64::MAX)),
        });
        for arrival in &self.schedule.arrivals {
            sleep_until(self.client.origin + arrival.at.saturating_sub(LEAD)).await;
            if *stop.borrow() {
                break;
            }
            while running.try_join_next().is_some() {}
            running.spawn(Arc::clone(&shared).whole_story(*arrival));
        }
        while running.join_next().await.is_some() {}
        u64::try_from(self.schedule.arrivals.len()).unwrap_or(u64::MAX)
    }
}

struct Sender {
    client: Client,
    scenario: Arc<Scenario>,
    prompts: Arc<Prompts>,
    counts: Arc<LiveCounts>,
    records: mpsc::UnboundedSender<Request>,
    seed: u64,
    bodies_aside: bool,
    next_id: AtomicU64,
}

/// Clients do not wait longer than this for a promised moment.
const LONGEST_OBEDIENCE: Duration = Duration::from_secs(30);

impl Sender {
    /// A request, and what its client sends after it.
    async fn whole_story(self: Arc<Self>, arrival: Arrival) {
        let first = self.send(&arrival, Role::Load, arrival.id, arrival.nonce, arrival.at.into(), arrival.deed).await;
        // What was never sent is not repeated either.
        if first.sent.is_none() {
            return;
        }
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
        let dialect = self.scenario.load.mix.get(arrival.kind).map(|kind| kind.dialect).unwrap_or_default();
        let body = match self.body(*arrival, nonce, request.model.clone()).await {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(%error, "a body could not be written");
                return request;
            }
        };
        sleep_until(self.client.origin + Duration::from(intended)).await;
        if request.role == Role::Load && self.is_full() {
            request.end = End::Dropped;
            self.record(request.clone());
            return request;
        }
        if let Some(deed) = deed {
            request.key = key_of(deed.plan).to_owned();
            self.count(deed, &request.role);
        }
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.counts.running.fetch_add(1, Ordering::Relaxed);
        let done = self.client.ask(Asked { request, dialect, body, deed }).await;
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

    async fn body(&self, arrival: Arrival, nonce: u64, model: String) -> std::io::Result<Bytes> {
        let (prompts, scenario) = (Arc::clone(&self.prompts), Arc::clone(&self.scenario));
        let write = move || prompts.body(&scenario, &arrival, nonce, &model).map_err(std::io::Error::other);
        if self.bodies_aside { tokio::task::spawn_blocking(write).await? } else { write() }
    }

    fn is_full(&self) -> bool {
        let running = usize::try_from(self.counts.running.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        running >= self.scenario.load.max_in_flight
    }

    /// A storm is what follows a failure: its first request is like any other.
    fn count(&self, deed: ClientDeed, role: &Role) {
        let struck = !matches!(deed.plan, ClientPlan::RetryStorm { .. }) || matches!(role, Role::Storm { .. });
        if let Some(count) = self.counts.deeds.get(deed.fault).filter(|_| struck) {
            count.fetch_add(1, Ordering::Relaxed);
        }
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
