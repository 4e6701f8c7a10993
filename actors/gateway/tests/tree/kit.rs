//! A whole tree over scripted regions, under a paused clock.

mod control;
mod web;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::HeaderMap;
use outcrop_domain::{
    clock::{Blocking, Clock, Entropy, Moment, Ports},
    error::{Cause, GatewayError, UpstreamFailure},
    ids::{KeyId, Region, RequestId},
    model::{BUILTIN, CataloguePolicy, ModelBook},
    secret::SecretString,
};
use outcrop_gateway::{
    admission::{KeyEntry, KeySnapshot, Principal},
    archive::Stores,
    ports::{ChatAnswer, ChatJob, ClientRequest, RequestOverrides, StreamItem},
    record::{JobReport, RecordSink, RequestLine, RequestRecord},
    settings::{ChatPolicy, LiveSettings, ResponsesPolicy, RoutingPolicy, Timeouts},
    targets::RoutingMemory,
    tree::{Gateway, GatewayParts, LaneLimits, RegionParts, start_gateway},
};
use outcrop_protocol::openai::body::decode;
use outcrop_store::{MemoryStore, Snapshots};
use outcrop_supervision::IntakeLimits;
use outcrop_upstream::{
    fetch::FetchLimits,
    frames::{FrameStream, StreamTiming},
    ports::{BoxFuture, ControlPlane, RuntimeAnswer, RuntimeCall, RuntimeClient},
    sniff::sniff,
};
use tokio::sync::{Notify, mpsc};

pub(crate) use control::{LookUpStep, ScriptedControl, offer};
pub(crate) use web::{NOTES, PDF, PNG, Web};

/// The model of all tests: callable by its bare id, no reasoning.
pub(crate) const MODEL: &str = "amazon.nova-lite-v1:0";

#[derive(Debug)]
pub(crate) struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    /// Halves: `unit()` is 0.5, so that jitter is none.
    fn next_u64(&self) -> u64 {
        (1 << 63) | self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Blocking work done at once, and counted.
#[derive(Debug, Default)]
pub(crate) struct Inline(AtomicU64);

impl Blocking for Inline {
    fn run(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        work();
    }
}

/// The ports of a test, with what they count.
#[derive(Default)]
pub(crate) struct Ported {
    chance: Arc<Counting>,
    blocking: Arc<Inline>,
}

impl Ported {
    /// Random numbers drawn so far.
    pub(crate) fn drawn(&self) -> u64 {
        self.chance.0.load(Ordering::Relaxed)
    }

    /// Pieces of work that went through the Blocking port.
    pub(crate) fn heavy(&self) -> u64 {
        self.blocking.0.load(Ordering::Relaxed)
    }

    fn ports(&self) -> Ports {
        Ports {
            clock: Arc::new(PausedClock(tokio::time::Instant::now())),
            entropy: Arc::clone(&self.chance) as Arc<dyn Entropy>,
            blocking: Arc::clone(&self.blocking) as Arc<dyn Blocking>,
        }
    }
}

/// What a scripted region does with its next call.
pub(crate) enum Step {
    Text(&'static str),
    Fail(Cause, &'static str),
    /// Never answers.
    Hang,
    Panic,
    /// A whole answer of these bytes.
    Raw(String),
    /// The same, without a header.
    Bare(String),
    /// A stream of these chunks.
    Chunks(Vec<Bytes>),
    /// Chunks of an event stream that the test feeds.
    Feed(mpsc::Receiver<Result<Bytes, String>>),
}

#[derive(Debug)]
pub(crate) struct ScriptedRegion {
    region: Region,
    steps: Mutex<VecDeque<Step>>,
    calls: Mutex<Vec<RuntimeCall>>,
    /// Told when a call was dropped before its end.
    pub dropped: Arc<Notify>,
    pub called: Notify,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Step")
    }
}

pub(crate) fn failure(cause: Cause, message: &str) -> UpstreamFailure {
    UpstreamFailure {
        cause,
        status: 400,
        code: "ScriptedException".to_owned(),
        message: message.to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    }
}

struct DropNotice(Option<Arc<Notify>>);

impl Drop for DropNotice {
    fn drop(&mut self) {
        if let Some(notify) = self.0.take() {
            notify.notify_one();
        }
    }
}

impl ScriptedRegion {
    pub(crate) fn new(region: &str) -> Arc<Self> {
        Arc::new(Self {
            region: region.into(),
            steps: Mutex::default(),
            calls: Mutex::default(),
            dropped: Arc::default(),
            called: Notify::new(),
        })
    }

    pub(crate) fn then(&self, step: Step) {
        self.steps.lock().unwrap().push_back(step);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(crate) fn all_calls(&self) -> Vec<RuntimeCall> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn last_call(&self) -> RuntimeCall {
        self.calls.lock().unwrap().last().unwrap().clone()
    }

    fn next(&self, call: RuntimeCall) -> Step {
        self.calls.lock().unwrap().push(call);
        self.called.notify_one();
        self.steps.lock().unwrap().pop_front().unwrap_or(Step::Text("unscripted"))
    }
}

pub(crate) fn whole_answer(text: &str) -> Bytes {
    let answer = serde_json::json!({
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18},
        "metrics": {"latencyMs": 5},
    });
    Bytes::from(serde_json::to_vec(&answer).unwrap())
}

pub(crate) fn event(kind: &str, payload: serde_json::Value) -> Bytes {
    use outcrop_sim::encode_frame;
    let headers = [(":event-type", kind), (":content-type", "application/json"), (":message-type", "event")];
    Bytes::from(encode_frame(&headers, &serde_json::to_vec(&payload).unwrap()))
}

pub(crate) fn exception(kind: &str, message: &str) -> Bytes {
    use outcrop_sim::encode_frame;
    let headers = [(":exception-type", kind), (":message-type", "exception")];
    Bytes::from(encode_frame(&headers, &serde_json::to_vec(&serde_json::json!({"message": message})).unwrap()))
}

pub(crate) fn start_event() -> Bytes {
    event("messageStart", serde_json::json!({"role": "assistant"}))
}

pub(crate) fn text_event(text: &str) -> Bytes {
    event("contentBlockDelta", serde_json::json!({"contentBlockIndex": 0, "delta": {"text": text}}))
}

pub(crate) fn end_events() -> Vec<Bytes> {
    vec![
        event("contentBlockStop", serde_json::json!({"contentBlockIndex": 0})),
        event("messageStop", serde_json::json!({"stopReason": "end_turn"})),
        event(
            "metadata",
            serde_json::json!({"usage": {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}, "metrics": {"latencyMs": 5}}),
        ),
    ]
}

pub(crate) fn whole_stream(text: &str) -> Vec<Bytes> {
    let mut chunks = vec![start_event(), text_event(text)];
    chunks.extend(end_events());
    chunks
}

/// Headers of an answer, some of them for its reader.
fn told() -> HeaderMap {
    let pairs = [("content-type", "application/json"), ("x-amzn-bedrock-input-token-count", "11"), ("server", "scripted")];
    pairs.map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))).into_iter().collect()
}

impl RuntimeClient for ScriptedRegion {
    fn region(&self) -> &Region {
        &self.region
    }

    fn call(&self, call: RuntimeCall) -> BoxFuture<'_, Result<RuntimeAnswer, UpstreamFailure>> {
        let step = self.next(call);
        let notice = DropNotice(Some(Arc::clone(&self.dropped)));
        Box::pin(async move {
            let mut notice = notice;
            let result = match step {
                Step::Text(text) => {
                    Ok(RuntimeAnswer { headers: HeaderMap::new(), body: whole_answer(text), request_id: Some("aws-1".to_owned()) })
                }
                Step::Fail(cause, message) => Err(failure(cause, message)),
                Step::Hang => std::future::pending().await,
                Step::Panic => panic!("scripted panic"),
                Step::Raw(body) => Ok(RuntimeAnswer { headers: told(), body: Bytes::from(body), request_id: Some("aws-1".to_owned()) }),
                Step::Bare(body) => Ok(RuntimeAnswer { headers: HeaderMap::new(), body: Bytes::from(body), request_id: None }),
                Step::Feed(_) | Step::Chunks(_) => panic!("a stream was scripted for a whole answer"),
            };
            notice.0 = None;
            result
        })
    }

    fn open_stream(&self, call: RuntimeCall) -> BoxFuture<'_, Result<FrameStream, UpstreamFailure>> {
        // The limits of the call, as the real client sets them.
        let timing = StreamTiming { idle: call.idle, deadline: tokio::time::Instant::now() + call.total };
        let step = self.next(call);
        let notice = DropNotice(Some(Arc::clone(&self.dropped)));
        Box::pin(async move {
            let mut notice = notice;
            let result = match step {
                Step::Text(text) => Ok(FrameStream::from_chunks(whole_stream(text))),
                Step::Fail(cause, message) => Err(failure(cause, message)),
                Step::Hang => std::future::pending().await,
                Step::Panic => panic!("scripted panic"),
                Step::Raw(_) | Step::Bare(_) => panic!("a whole answer was scripted for a stream"),
                Step::Chunks(chunks) => Ok(FrameStream::from_chunks(chunks).with_told(&told())),
                Step::Feed(chunks) => Ok(FrameStream::from_channel(chunks, Some(timing))),
            };
            notice.0 = None;
            result
        })
    }
}

/// Keeps the job reports of ended requests.
#[derive(Default)]
pub(crate) struct Reports(pub Mutex<Vec<Option<JobReport>>>, pub Notify);

impl RecordSink for Reports {
    fn write(&self, line: &RequestLine<'_>) {
        self.0.lock().unwrap().push(line.job.cloned());
        self.1.notify_one();
    }
}

pub(crate) struct TestTree {
    pub gateway: Gateway,
    pub regions: Vec<Arc<ScriptedRegion>>,
    pub controls: Vec<Arc<ScriptedControl>>,
    pub reports: Arc<Reports>,
    pub world: Ports,
    pub ported: Ported,
    pub web: Arc<Web>,
    /// Stored responses and conversations.
    pub kept: Arc<MemoryStore>,
}

pub(crate) fn settings() -> LiveSettings {
    LiveSettings {
        chat: ChatPolicy::default(),
        routing: RoutingPolicy::default(),
        timeouts: Timeouts::default(),
        fetch: FetchLimits { max_bytes: 1 << 20, total: Duration::from_secs(5) },
        responses: ResponsesPolicy::default(),
    }
}

pub(crate) fn book() -> Arc<ModelBook> {
    Arc::new(ModelBook::load(BUILTIN).unwrap())
}

pub(crate) const LIMITS: IntakeLimits = IntakeLimits { running: 64, queued: 64, max_wait: Duration::from_secs(5) };

/// One response in the background at a time, and one that waits.
const BACKGROUND: IntakeLimits = IntakeLimits { running: 1, queued: 1, max_wait: Duration::from_secs(600) };

impl TestTree {
    pub(crate) async fn start(names: &[&str]) -> Self {
        Self::with(names, settings(), LIMITS).await
    }

    pub(crate) async fn with(names: &[&str], settings: LiveSettings, chat_limits: IntakeLimits) -> Self {
        Self::remembering(names, settings, chat_limits, None).await
    }

    /// A tree that starts from what `store` has, and keeps there what it learns.
    pub(crate) async fn remembering(
        names: &[&str],
        settings: LiveSettings,
        chat_limits: IntakeLimits,
        store: Option<Arc<dyn Snapshots>>,
    ) -> Self {
        let ported = Ported::default();
        let world = ported.ports();
        let kept = Arc::new(MemoryStore::new(1 << 20));
        let web = Arc::new(Web::default());
        let regions: Vec<_> = names.iter().map(|name| ScriptedRegion::new(name)).collect();
        let controls: Vec<_> = names
            .iter()
            .map(|name| {
                Arc::new(ScriptedControl {
                    region: (*name).into(),
                    answers: Mutex::default(),
                    asked: AtomicU64::new(0),
                    looked_up: AtomicU64::new(0),
                    look_ups: Mutex::default(),
                })
            })
            .collect();
        let parts = GatewayParts {
            regions: regions
                .iter()
                .zip(&controls)
                .map(|(runtime, control)| RegionParts {
                    region: runtime.region.clone(),
                    runtime: Arc::clone(runtime) as Arc<dyn RuntimeClient>,
                    control: Arc::clone(control) as Arc<dyn ControlPlane>,
                })
                .collect(),
            settings,
            keys: KeySnapshot::new(
                &[KeyEntry { id: "team".into(), secret: SecretString::new("sk-team".to_owned()), models: Vec::new(), strategy: None }],
                true,
                world.entropy.as_ref(),
            ),
            book: book(),
            policy: CataloguePolicy { regions: names.iter().map(|name| (*name).into()).collect(), ..CataloguePolicy::default() },
            discovery_interval: Duration::from_secs(900),
            limits: LaneLimits { chat: chat_limits, responses: LIMITS, stored: LIMITS, background: BACKGROUND },
            stores: Stores::of(Arc::clone(&kept), true),
            drain: Duration::from_secs(5),
            fetcher: web.fetcher(),
            sniff,
            memory: store
                .as_ref()
                .and_then(|store| store.load().unwrap())
                .map_or_else(RoutingMemory::default, |bytes| RoutingMemory::read(&bytes, world.clock.wall()).unwrap()),
            memory_store: store,
            tolerance: 1,
            background: Vec::new(),
            ports: world.clone(),
        };
        let gateway = start_gateway(parts).await.unwrap();
        let tree = Self { gateway, regions, controls, reports: Arc::default(), world, ported, web, kept };
        tree.until(|| tree.gateway.ports().tree.not_ready().is_empty()).await;
        tree
    }

    /// Advances the paused clock until `done`.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never happened");
    }

    pub(crate) fn job(&self, body: &str) -> ChatJob {
        self.job_of(ClientRequest::OpenAiChat(Box::new(decode(body.as_bytes()).unwrap())), body.len())
    }

    pub(crate) fn job_of(&self, request: ClientRequest, body_bytes: usize) -> ChatJob {
        let record = RequestRecord::open(
            RequestId::from(format!("req_{}", self.world.entropy.next_u64())),
            Arc::clone(&self.world.clock),
            Arc::clone(&self.reports) as Arc<dyn RecordSink>,
        );
        ChatJob {
            record,
            principal: Arc::new(Principal { key: KeyId::from("team"), models: Vec::new(), strategy: None }),
            request,
            body_bytes,
            overrides: RequestOverrides::default(),
            held: None,
        }
    }

    pub(crate) async fn ask(&self, body: &str) -> Result<ChatAnswer, GatewayError> {
        self.gateway.ports().chat.submit(self.job(body)).await
    }

    pub(crate) async fn ask_text(&self) -> Result<String, GatewayError> {
        match self.ask(&hello(false)).await? {
            ChatAnswer::Whole { choices, .. } => Ok(format!("{:?}", choices[0].content)),
            other => panic!("not a whole answer: {other:?}"),
        }
    }

    pub(crate) fn last_report(&self) -> JobReport {
        self.reports.0.lock().unwrap().last().unwrap().clone().unwrap()
    }

    /// Kills an actor by name and waits until the tree has another in its place.
    pub(crate) async fn kill(&self, name: &str) {
        let before = self.cell(name).unwrap();
        before.kill();
        self.until(|| self.cell(name).is_some_and(|cell| cell.get_id() != before.get_id())).await;
    }

    pub(crate) fn cell(&self, name: &str) -> Option<ractor::ActorCell> {
        self.gateway.ports().tree.killables().into_iter().find(|(known, _)| known == name).map(|(_, cell)| cell)
    }
}

pub(crate) fn hello(stream: bool) -> String {
    format!(r#"{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "hello"}}], "stream": {stream}}}"#)
}

/// Everything a stream gives, in short words.
pub(crate) async fn drain(events: &mut mpsc::Receiver<StreamItem>) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(item) = events.recv().await {
        match item {
            StreamItem::Events { events, .. } => words.extend(events.into_iter().filter_map(|event| match event {
                outcrop_domain::chat::ChatEvent::Text { text, .. } => Some(text),
                _ => None,
            })),
            StreamItem::Failed(error) => words.push(format!("failed: {error}")),
            StreamItem::Bytes(bytes) => words.push(String::from_utf8_lossy(&bytes).into_owned()),
            StreamItem::Resumed { region, .. } => words.push(format!("resumed: {region}")),
            StreamItem::Done => words.push("done".to_owned()),
        }
    }
    words
}
