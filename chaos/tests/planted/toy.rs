//! A gateway of a few hundred lines that can be told to have a bug. It is here to test the harness, and nothing else.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use outcrop_chaos::{load::Dialling, target::LogBook};
use outcrop_sim::Simulator;
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, timeout},
};

use crate::{
    plant::Plant,
    stream::{Body, Job, stream_answer},
};

pub(crate) const REGIONS: [&str; 3] = ["us-east-1", "us-west-2", "eu-west-1"];
const MODEL: &str = "global.anthropic.claude-sonnet-4-6";
const FIRST_BYTE: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Toy(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) simulator: Simulator,
    pub(crate) regions: Vec<String>,
    pub(crate) plant: Plant,
    pub(crate) log: Arc<Mutex<LogBook>>,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) leases: usize,
    pub(crate) key_limit: Option<usize>,
    state: Mutex<State>,
    pub(crate) idle: Notify,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) regions: BTreeMap<String, RegionState>,
    homes: HashMap<String, String>,
    granted: VecDeque<Instant>,
    pub(crate) jobs: BTreeMap<u64, Arc<Notify>>,
    pub(crate) leaked: usize,
    tasks: Vec<AbortHandle>,
    pub(crate) hoard: Vec<Vec<u8>>,
    next: u64,
    pub(crate) deaf: bool,
    pub(crate) last_text: String,
    last_error: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct RegionState {
    failures: u32,
    window: Option<Instant>,
    open_until: Option<Instant>,
    throttles: bool,
    probing: bool,
    pub(crate) dead: bool,
}

/// An upstream call under way; dropped, its connection is closed.
pub(crate) struct Upstream {
    pub(crate) response: Response<Incoming>,
    pub(crate) region: String,
    line: AbortHandle,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.line.abort();
    }
}

pub(crate) enum Failed {
    Throttled(String),
    Refused(u16, String),
    Broken(String),
}

impl Toy {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// A client connects.
    pub(crate) fn connect(&self) -> Dialling {
        let toy = self.clone();
        Box::pin(async move {
            if toy.state().deaf {
                return Err(std::io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = tokio::io::duplex(64 * 1024);
            let service = {
                let toy = toy.clone();
                hyper::service::service_fn(move |request| {
                    let toy = toy.clone();
                    async move { Ok::<_, std::convert::Infallible>(toy.answer(request).await) }
                })
            };
            let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), service);
            let task = tokio::spawn(async move { drop(serving.await) });
            toy.state().tasks.push(task.abort_handle());
            Ok(Box::new(near) as Box<dyn outcrop_chaos::load::Io>)
        })
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(work);
        self.state().tasks.push(task.abort_handle());
    }

    /// SIGKILL: nothing that runs survives.
    pub(crate) fn die(&self) {
        let mut state = self.state();
        state.deaf = true;
        let tasks = std::mem::take(&mut state.tasks);
        drop(state);
        tasks.iter().for_each(AbortHandle::abort);
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let secret = header("authorization").unwrap_or_default().replace("Bearer ", "");
        let Some(key) = self.0.keys.iter().find(|(_, known)| **known == secret).map(|(id, _)| id.clone()) else {
            return refusal(401, "invalid_request_error", "no such key", None);
        };
        let Ok(body) = body.collect().await else { return refusal(400, "invalid_request_error", "half a body", None) };
        let job = match self.admit(&key) {
            Ok(job) => job,
            Err(response) => return *response,
        };
        let id = job.id;
        let mut response = self.run(job, &body.to_bytes(), header("x-session-id")).await;
        response.headers_mut().insert("x-request-id", format!("req-{id}").parse().unwrap());
        response
    }

    fn admit(&self, key: &str) -> Result<Job, Box<Response<Body>>> {
        let mut state = self.state();
        if let (Some(limit), "load") = (self.0.key_limit, key) {
            let now = Instant::now();
            while state.granted.front().is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(60)) {
                state.granted.pop_front();
            }
            let limit = if self.0.plant == Plant::OvershootsKeyLimit { limit * 2 } else { limit };
            if state.granted.len() >= limit {
                drop(state);
                return Err(Box::new(refusal(429, "rate_limit_error", "the key has no more", Some(60))));
            }
            state.granted.push_back(now);
        }
        if state.jobs.len() + state.leaked >= self.0.leases {
            drop(state);
            return Err(Box::new(refusal(503, "server_error", "too many at once", Some(1))));
        }
        state.next += 1;
        let id = state.next;
        let killed = Arc::new(Notify::new());
        state.jobs.insert(id, Arc::clone(&killed));
        if self.0.plant == Plant::LeaksMemory {
            state.hoard.push(vec![1; 400 * 1024]);
        }
        drop(state);
        Ok(Job::new(self.clone(), id, key, killed))
    }

    async fn run(&self, mut job: Job, body: &[u8], session: Option<String>) -> Response<Body> {
        let Ok(wire) = serde_json::from_slice::<Value>(body) else {
            return job.refuse(400, "invalid_request_error", "the body is not JSON", None);
        };
        if self.0.plant == Plant::LogsPrompt {
            self.0.log.lock().unwrap().line(0, &format!("prompt: {}", wire["messages"]));
        }
        let stream = wire["stream"].as_bool().unwrap_or(false);
        let asked = wire["model"].as_str().unwrap_or_default();
        let pinned = asked.strip_prefix("bedrock/").and_then(|rest| rest.split('/').next()).map(str::to_owned);
        let converse = Bytes::from(converse(&wire).to_string());
        job.prompt_bytes = converse.len() as u64;
        let rounds = if self.0.plant == Plant::RetryStorm { 3 } else { 1 };
        let mut last = None;
        for _ in 0..rounds {
            for region in self.order(session.as_deref(), pinned.as_deref()) {
                let tries = if self.0.plant == Plant::RetryStorm { 3 } else { 1 };
                for _ in 0..tries {
                    let Some(permit) = self.may(&region) else { continue };
                    let called = self.call(&region, stream, &converse).await;
                    drop(permit);
                    job.attempts += 1;
                    match called {
                        Ok(upstream) => {
                            self.learn(&region, None);
                            if let Some(session) = &session {
                                self.state().homes.insert(session.clone(), region.clone());
                            }
                            job.pinned = pinned.is_some();
                            return self.deliver(job, upstream, stream, converse).await;
                        }
                        Err(Failed::Refused(status, text)) => return job.refuse(status, "invalid_request_error", &self.face(text), None),
                        Err(failed) => {
                            self.learn(&region, Some(&failed));
                            let throttled = matches!(failed, Failed::Throttled(_));
                            last = Some(failed);
                            if throttled && self.0.plant == Plant::ThrottlesWithRoom {
                                return self.give_up(job, last);
                            }
                        }
                    }
                }
            }
        }
        self.give_up(job, last)
    }

    fn give_up(&self, mut job: Job, last: Option<Failed>) -> Response<Body> {
        let benched =
            self.state().regions.values().any(|region| region.throttles && region.open_until.is_some_and(|until| until > Instant::now()));
        let throttled = matches!(last, Some(Failed::Throttled(_))) || last.is_none() && benched;
        let retry_after = match self.0.plant {
            Plant::NoRetryAfter => None,
            Plant::RetryAfterOne => Some(1),
            _ if throttled => Some(60),
            _ => Some(2),
        };
        let text = match last {
            Some(Failed::Throttled(text) | Failed::Broken(text) | Failed::Refused(_, text)) => text,
            None => "no region is open".to_owned(),
        };
        if throttled {
            job.refuse(429, "rate_limit_error", &text, retry_after)
        } else {
            job.refuse(503, "server_error", &text, retry_after)
        }
    }

    async fn deliver(&self, mut job: Job, upstream: Upstream, stream: bool, converse: Bytes) -> Response<Body> {
        if self.0.plant == Plant::HedgesWithoutCancel && !job.pinned {
            let other = REGIONS.iter().find(|region| **region != upstream.region).unwrap();
            if let Ok(mut loser) = self.call(other, stream, &converse).await {
                job.extra_input += 100;
                self.spawn(async move { while loser.response.body_mut().frame().await.is_some() {} });
            }
        }
        if stream {
            return stream_answer(self.clone(), job, upstream, converse);
        }
        let mut upstream = upstream;
        let read = upstream.response.body_mut().collect();
        let body = tokio::select! {
            body = read => body,
            () = job.killed() => return job.refuse(500, "server_error", "the worker died", None),
        };
        let Some(answer) = body.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok()) else {
            return job.refuse(502, "server_error", "the answer broke", None);
        };
        job.take_usage(&answer["usage"]);
        let text: String =
            answer["output"]["message"]["content"].as_array().into_iter().flatten().filter_map(|block| block["text"].as_str()).collect();
        job.words = text.split_whitespace().count() as u64;
        job.complete();
        json_response(200, &json!({ "choices": [{ "message": { "content": text }, "finish_reason": "stop" }] }), None)
    }

    /// Regions in the order they are tried.
    fn order(&self, session: Option<&str>, pinned: Option<&str>) -> Vec<String> {
        let mut state = self.state();
        let mut order: Vec<String> = match pinned {
            Some(region) if self.0.plant == Plant::LeavesFence => [region].into_iter().chain(REGIONS).map(str::to_owned).collect(),
            Some(region) => vec![region.to_owned()],
            None => self.0.regions.clone(),
        };
        if self.0.plant == Plant::IgnoresAffinity {
            state.next += 1;
            let turn = state.next as usize % order.len();
            order.rotate_left(turn);
        } else if let Some(home) = session.and_then(|session| state.homes.get(session)).cloned() {
            order.sort_by_key(|region| *region != home);
        }
        order
    }

    /// Whether a region may be called now; the permit is the half-open probe.
    fn may(&self, region: &str) -> Option<Permit> {
        let mut state = self.state();
        let now = Instant::now();
        let all_open = self.0.plant == Plant::OneBreakerForAll
            && state.regions.values().any(|other| other.open_until.is_some_and(|until| until > now));
        let own = state.regions.entry(region.to_owned()).or_default();
        if own.dead || all_open {
            return None;
        }
        let free = matches!(self.0.plant, Plant::ProbesWithEveryRequest | Plant::RetryStorm);
        let Some(until) = own.open_until.filter(|_| !free) else { return Some(Permit(None)) };
        if self.0.plant == Plant::NeverHalfOpens || until > now || own.probing {
            return None;
        }
        own.probing = true;
        Some(Permit(Some((self.clone(), region.to_owned()))))
    }

    /// What a call says about its region.
    fn learn(&self, region: &str, failed: Option<&Failed>) {
        let throttled = matches!(failed, Some(Failed::Throttled(_)));
        // A region out of quota is no region in trouble: the next request may be smaller.
        if throttled && !matches!(self.0.plant, Plant::OneBreakerForAll | Plant::BackoffPerFailure) {
            return;
        }
        let mut state = self.state();
        let own = state.regions.entry(region.to_owned()).or_default();
        if failed.is_none() {
            (own.failures, own.open_until, own.window) = (0, None, None);
            return;
        }
        let now = Instant::now();
        let same_window = own.window.is_some_and(|window| now.duration_since(window) < Duration::from_secs(1));
        let per_failure = self.0.plant == Plant::BackoffPerFailure;
        if per_failure || !same_window {
            own.failures += 1;
            own.window = Some(now);
        }
        let most = if per_failure { 3_600 } else { 4 };
        own.throttles = throttled || per_failure;
        own.open_until = Some(now + Duration::from_secs((1_u64 << (own.failures - 1).min(12)).min(most)));
    }

    pub(crate) async fn call(&self, region: &str, stream: bool, body: &Bytes) -> Result<Upstream, Failed> {
        let broken = |what: &str| Failed::Broken(format!("{region}: {what}"));
        let exchange = async {
            let io = self.0.simulator.connect(region).await.map_err(|_| broken("no connection"))?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(io)).await.map_err(|_| broken("no handshake"))?;
            let line = tokio::spawn(async move { drop(connection.await) }).abort_handle();
            let verb = if stream { "converse-stream" } else { "converse" };
            let request = Request::post(format!("/model/{MODEL}/{verb}")).header("host", "sim").header("content-type", "application/json");
            // The line is closed also when this future is dropped.
            let guard = Guard(line.clone());
            let response = sender.send_request(request.body(Full::new(body.clone())).unwrap()).await.map_err(|_| broken("cut"))?;
            std::mem::forget(guard);
            Ok(Upstream { response, region: region.to_owned(), line })
        };
        let mut upstream = timeout(FIRST_BYTE, exchange).await.map_err(|_| broken("silent"))??;
        let status = upstream.response.status();
        if status == StatusCode::OK {
            return Ok(upstream);
        }
        let text =
            upstream.response.body_mut().collect().await.ok().and_then(|body| serde_json::from_slice::<Value>(&body.to_bytes()).ok());
        let text = text.and_then(|body| body["message"].as_str().map(str::to_owned)).unwrap_or_default();
        Err(match status.as_u16() {
            429 => Failed::Throttled(text),
            400 => Failed::Refused(400, text),
            _ => Failed::Broken(text),
        })
    }

    /// Upstream's words as the client is told them.
    fn face(&self, text: String) -> String {
        match self.0.plant {
            Plant::WrapsUpstreamText => "something went wrong upstream".to_owned(),
            Plant::MixesErrorBodies => self.state().last_error.replace(text.clone()).unwrap_or(text),
            _ => text,
        }
    }
}

struct Guard(AbortHandle);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A call may be made; gives the probe back.
struct Permit(Option<(Toy, String)>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((toy, region)) = &self.0 {
            toy.state().regions.entry(region.clone()).or_default().probing = false;
        }
    }
}

fn converse(wire: &Value) -> Value {
    let point = json!({ "cachePoint": { "type": "default" } });
    let text = |message: &Value| match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
    };
    let (mut system, mut messages) = (Vec::new(), Vec::new());
    for message in wire["messages"].as_array().into_iter().flatten() {
        match message["role"].as_str() {
            Some("system") => system.extend([json!({ "text": text(message) }), point.clone()]),
            role => messages.push(json!({ "role": role, "content": [{ "text": text(message) }] })),
        }
    }
    if !system.is_empty() {
        messages.last_mut().unwrap()["content"].as_array_mut().unwrap().push(point);
    }
    json!({ "system": system, "messages": messages, "inferenceConfig": { "maxTokens": wire["max_tokens"] } })
}

pub(crate) fn json_response(status: u16, body: &Value, retry_after: Option<u64>) -> Response<Body> {
    let mut response = Response::builder().status(status).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds.to_string());
    }
    response.body(Body::whole(body.to_string())).unwrap()
}

pub(crate) fn refusal(status: u16, kind: &str, text: &str, retry_after: Option<u64>) -> Response<Body> {
    json_response(status, &json!({ "error": { "message": text, "type": kind, "code": null } }), retry_after)
}

impl Inner {
    pub(crate) fn new(simulator: Simulator, regions: Vec<String>, plant: Plant, keys: BTreeMap<String, String>) -> Self {
        let log = Arc::new(Mutex::new(LogBook::new(keys.values().cloned().collect())));
        Self { simulator, regions, plant, log, keys, leases: 500, key_limit: None, state: Mutex::default(), idle: Notify::new() }
    }
}
