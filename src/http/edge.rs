//! What every handler holds, and the wrapper around every request: its id, its record, its last headers.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::{Router, body::Body, extract::Request, response::Response};
use http::{HeaderName, HeaderValue, Method};
use hyper::body::Incoming;
use outcrop_domain::{
    clock::{Ports, random_id},
    ids::RequestId,
};
use outcrop_gateway::{
    ports::GatewayPorts,
    record::{RecordSink, RequestRecord},
};
use tower::Service;

use super::{
    body::{RecordedBody, ResponseGuard},
    server::ServiceError,
};

/// Limits of the edge that can change while it runs.
#[derive(Debug, Clone)]
pub struct EdgeLimits {
    /// Largest request body.
    pub body_bytes: usize,
    /// Longest time for a body to arrive.
    pub body_timeout: Duration,
    /// Silence after which a stream gets a keep-alive comment.
    pub keep_alive: Duration,
    /// Longest wait for a real status before a stream is opened regardless.
    pub open_stream_after: Duration,
    /// `x-outcrop-adjusted` is sent.
    pub report_adjustments: bool,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            keep_alive: Duration::from_secs(15),
            open_stream_after: Duration::from_secs(20),
            report_adjustments: true,
        }
    }
}

/// What every handler holds.
#[derive(Clone)]
pub struct Edge(Arc<EdgeParts>);

struct EdgeParts {
    ports: GatewayPorts,
    limits: ArcSwap<EdgeLimits>,
    world: Ports,
    sink: Arc<dyn RecordSink>,
    draining: AtomicBool,
}

impl Edge {
    /// Puts the edge together.
    #[must_use]
    pub fn new(ports: GatewayPorts, limits: EdgeLimits, world: Ports, sink: Arc<dyn RecordSink>) -> Self {
        Self(Arc::new(EdgeParts { ports, limits: ArcSwap::from_pointee(limits), world, sink, draining: AtomicBool::new(false) }))
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

/// Paths longer than this are cut in logs.
const LOGGED_PATH_BYTES: usize = 200;

impl hyper::service::Service<http::Request<Incoming>> for EdgeService {
    type Response = Response;
    type Error = ServiceError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, ServiceError>> + Send>>;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        let mut router = self.router.clone();
        let record = self.edge.open_record();
        let mut request: Request = request.map(Body::new);
        let mut guard = ResponseGuard::new(Arc::clone(&record), method_name(request.method()), logged_path(request.uri().path()));
        request.extensions_mut().insert(Arc::clone(&record));
        let id = HeaderValue::from_str(record.id().as_str());
        Box::pin(async move {
            let mut response = match router.call(request).await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
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

fn logged_path(path: &str) -> String {
    path.chars().take(LOGGED_PATH_BYTES).collect()
}
