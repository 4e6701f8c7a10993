//! The control port: what tests do in Rust, for other processes, as JSON over HTTP.
//!
//! | Request | Body | Answer |
//! |---|---|---|
//! | `GET /` | | [`State`]: the simulator's time and its regions |
//! | `GET /faults` | | list of [`FaultStatus`](crate::faults::FaultStatus) |
//! | `POST /faults` | a fault or a list of faults, as in scenario files | ids, in order; all or none are installed |
//! | `DELETE /faults`, `DELETE /faults/{id}` | | |
//! | `PUT /quotas` | `{region, model, profile?, quota}` | |
//! | `POST /quotas/scale` | `{region, model, profile?, factor}` | |
//! | `DELETE /quotas` | | |
//! | `PUT /behaviours` | `{region, model, behaviour}`, either place `*` | |
//! | `PUT /regions/{name}` | `{mode}`: `up`, `refuse`, `reset`, `black_hole` | |
//! | `GET /calls`, `DELETE /calls` | | [`CallRecord`](crate::CallRecord)s; with `DELETE` those of ended calls, which are forgotten |
//! | `GET /connections`, `DELETE /connections` | | [`ConnectionRecord`](crate::ConnectionRecord)s, likewise |
//! | `GET /buckets`, `DELETE /buckets` | | [`BucketEntry`](crate::BucketEntry)s, likewise |
//! | `GET /gauges` | | [`Gauge`](crate::Gauge)s |
//!
//! Anyone who reaches the port may use it. Errors are `{"error": text}` with status 400, 404 or 503.

mod route;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
    task::JoinSet,
};

use crate::{simulator::WeakSimulator, span::Nanos};

/// Scenarios with all their faults are some kilobytes.
const LARGEST_BODY: usize = 1024 * 1024;

/// What `GET /` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The simulator's time.
    pub now: Nanos,
    /// Its regions, sorted.
    pub regions: Vec<String>,
    /// Calls received so far.
    pub received: u64,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    error: &'a str,
}

/// What a request is answered with.
enum Answer {
    Json(Vec<u8>),
    Done,
    Failed(StatusCode, String),
}

impl Answer {
    fn json<T: Serialize>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::Json(body),
            Err(fault) => Self::Failed(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()),
        }
    }

    fn bad(fault: impl ToString) -> Self {
        Self::Failed(StatusCode::BAD_REQUEST, fault.to_string())
    }

    fn response(self) -> Response<Full<Bytes>> {
        let (status, body) = match self {
            Self::Json(body) => (StatusCode::OK, body),
            Self::Done => (StatusCode::NO_CONTENT, Vec::new()),
            Self::Failed(status, error) => (status, serde_json::to_vec(&Failure { error: &error }).unwrap_or_default()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

/// Answers control requests until the simulator stops; its connections end with it.
pub(crate) async fn listen(simulator: WeakSimulator, mut stopping: watch::Receiver<bool>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Cancel-safe, all: a state, an accepted connection that is never dropped, an ended one whose memory is freed.
            _ = stopping.wait_for(|stopping| *stopping) => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(simulator.clone(), stream));
                }
                Err(fault) => tracing::warn!(error = %fault, "a control connection could not be accepted"),
            }
        }
    }
}

/// Answers the control requests of one connection.
pub(crate) async fn serve<IO>(simulator: WeakSimulator, io: IO)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let simulator = simulator.clone();
        async move { Ok::<_, Infallible>(call(&simulator, request).await.response()) }
    });
    let connection = http1::Builder::new().auto_date_header(false).timer(TokioTimer::new()).serve_connection(TokioIo::new(io), service);
    if let Err(fault) = connection.await {
        tracing::debug!(error = %fault, "a control connection ended badly");
    }
}

async fn call(simulator: &WeakSimulator, request: Request<Incoming>) -> Answer {
    let Some(simulator) = simulator.upgrade() else {
        return Answer::Failed(StatusCode::SERVICE_UNAVAILABLE, "the simulator is gone".to_owned());
    };
    let (parts, body) = request.into_parts();
    match Limited::new(body, LARGEST_BODY).collect().await {
        Ok(body) => route::answer(&simulator, &parts.method, parts.uri.path(), &body.to_bytes()).await,
        Err(fault) => Answer::bad(fault),
    }
}
