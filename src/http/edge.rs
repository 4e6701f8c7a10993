//! What every handler holds, and the wrapper around every request: its id, its record, its last headers.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, extract::Request, response::Response};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Incoming;
use outcrop_domain::{
    clock::{Ports, random_id},
    error::GatewayError,
    ids::RequestId,
};
use outcrop_gateway::{
    ports::GatewayPorts,
    record::{RecordSink, RequestRecord},
};
use tower::Service;

use super::{
    anthropic, bedrock,
    body::{RecordedBody, ResponseGuard},
    body_memory::BodyMemory,
    errors::openai_error,
    server::ServiceError,
};

/// Limits of the edge; but for one they can change while it runs.
#[derive(Debug, Clone)]
pub struct EdgeLimits {
    /// Largest request body.
    pub body_bytes: usize,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// Longest silence within a body.
    pub body_idle: Duration,
    /// Bytes of all requests in memory together, small ones apart. Read once, when the edge is put together.
    pub body_memory: usize,
    /// Silence after which a stream gets a keep-alive comment.
    pub keep_alive: Duration,
    /// Longest wait for a real status before a stream is opened regardless.
    pub open_stream_after: Duration,
    /// Which of our own headers are sent.
    pub told: ToldHeaders,
}

/// Which of our own headers answers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldHeaders {
    /// `x-outcrop-adjusted`.
    pub adjustments: bool,
    /// `x-outcrop-region` and `x-outcrop-attempts`.
    pub routing: bool,
    /// What is left of a model's quotas, in the headers of the dialect.
    pub limits: bool,
}

/// What every handler holds.
#[derive(Clone)]
pub struct Edge(Arc<EdgeParts>);

struct EdgeParts {
    ports: GatewayPorts,
    limits: ArcSwap<EdgeLimits>,
    body_memory: BodyMemory,
    world: Ports,
    sink: Arc<dyn RecordSink>,
    draining: AtomicBool,
}

impl Edge {
    /// Puts the edge together.
    #[must_use]
    pub fn new(ports: GatewayPorts, limits: EdgeLimits, world: Ports, sink: Arc<dyn RecordSink>) -> Self {
        let body_memory = BodyMemory::new(limits.body_memory);
        let limits = ArcSwap::from_pointee(limits);
        Self(Arc::new(EdgeParts { ports, limits, body_memory, world, sink, draining: AtomicBool::new(false) }))
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &GatewayPorts {
        &self.0.ports
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> arc_swap::Guard<Arc<EdgeLimits>> {
        self.0.limits.load()
    }

    /// Replaces the limits.
    pub fn set_limits(&self, limits: EdgeLimits) {
        self.0.limits.store(Arc::new(limits));
    }

    /// The memory for request bodies.
    pub(super) fn body_memory(&self) -> &BodyMemory {
        &self.0.body_memory
    }

    /// Readiness falls from now on.
    pub fn begin_drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// What the gateway waits for before it can serve, or why it soon will not; empty when it is ready.
    #[must_use]
    pub fn not_ready(&self) -> Vec<String> {
        if self.0.draining.load(Ordering::Relaxed) {
            return vec!["the gateway is shutting down".to_owned()];
        }
        self.0.ports.tree.not_ready()
    }

    /// Time, randomness, blocking work.
    #[must_use]
    pub fn world(&self) -> &Ports {
        &self.0.world
    }

    fn open_record(&self) -> Arc<RequestRecord> {
        let id = RequestId::from(random_id("req_", self.0.world.entropy.as_ref()));
        RequestRecord::open(id, Arc::clone(&self.0.world.clock), Arc::clone(&self.0.sink))
    }
}

/// The service of one connection.
#[derive(Clone)]
pub(super) struct EdgeService {
    router: Router,
    edge: Edge,
}

impl EdgeService {
    pub(super) fn new(router: Router, edge: Edge) -> Self {
        Self { router, edge }
    }
}

/// Header that names a request to the client and in our logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl hyper::service::Service<http::Request<Incoming>> for EdgeService {
    type Response = Response;
    type Error = ServiceError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, ServiceError>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let mut router = self.router.clone();
        let record = self.edge.open_record();
        let mut request: Request = request.map(Body::new);
        let mut guard = ResponseGuard::new(Arc::clone(&record), method_name(request.method()), request.uri().clone());
        request.extensions_mut().insert(Arc::clone(&record));
        let id = HeaderValue::from_str(record.id().as_str());
        Box::pin(async move {
            // The call itself runs inside too: whatever panics in a handler ends that request, and nothing else.
            let mut response = match AssertUnwindSafe(async { router.call(request).await }).catch_unwind().await {
                Ok(Ok(response)) => response,
                Ok(Err(impossible)) => match impossible {},
                Err(_payload) => panicked(&record),
            };
            if let Ok(id) = id {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            guard.answered(&response);
            Ok(response.map(|body| Body::new(RecordedBody::new(body, guard))))
        })
    }
}

fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "HEAD" => "HEAD",
        "DELETE" => "DELETE",
        "PUT" => "PUT",
        "OPTIONS" => "OPTIONS",
        "PATCH" => "PATCH",
        _ => "OTHER",
    }
}

/// The answer of a handler that panicked. What it said is told to nobody: it may quote the request.
fn panicked(record: &Arc<RequestRecord>) -> Response {
    metrics::counter!("outcrop_handler_panics_total").increment(1);
    tracing::error!(request.id = %record.id(), "a handler panicked");
    let error = GatewayError::Internal { message: "the gateway failed on this request; the fault is not in it".to_owned() };
    if record.route().is_some_and(|(pattern, _)| anthropic::answers(pattern)) {
        return anthropic::failed(record, error);
    }
    if record.route().is_some_and(|(pattern, _)| bedrock::answers(pattern)) {
        return bedrock::failed(record, &error);
    }
    openai_error(&error)
}
