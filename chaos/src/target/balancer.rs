//! A balancer that hashes conversations: what production puts in front of several gateways.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use super::Seen;

/// Longest life of an idle connection to a replica. Short: at rest they would be descriptors of the gateway's that are none of its
/// own doing.
const IDLE: Duration = Duration::from_secs(2);

type Reply = Response<Either<Incoming, Full<Bytes>>>;

/// The balancer.
#[derive(Debug)]
pub struct Balancer {
    /// Where clients connect.
    pub address: SocketAddr,
    task: AbortHandle,
}

struct Shared {
    replicas: Vec<(SocketAddr, Seen)>,
    client: Client<HttpConnector, Full<Bytes>>,
    turn: AtomicU64,
}

impl Balancer {
    /// Listens.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(replicas: Vec<(SocketAddr, Seen)>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the balancer's port")?;
        let address = listener.local_addr()?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector);
        let shared = Arc::new(Shared { replicas, client, turn: AtomicU64::new(0) });
        let task = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
                    Err(error) => tracing::warn!(%error, "the balancer could not accept a connection"),
                }
            }
        });
        Ok(Self { address, task: task.abort_handle() })
    }

    /// Takes no connection any more.
    pub fn stop(&self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.pass(request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of the balancer ended badly");
    }
}

impl Shared {
    async fn pass(&self, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let key = head.headers.get("x-session-id").map(|value| hash(value.as_bytes()));
        // Requests of no conversation go around.
        let key = key.unwrap_or_else(|| hash(&self.turn.fetch_add(1, Ordering::Relaxed).to_be_bytes()));
        let Ok(body) = body.collect().await else { return refusal(StatusCode::BAD_REQUEST) };
        let body = body.to_bytes();
        for replica in self.order(key) {
            let Ok(uri) = format!("http://{replica}{}", head.uri).parse::<Uri>() else { return refusal(StatusCode::BAD_REQUEST) };
            let mut again = Request::new(Full::new(body.clone()));
            *again.method_mut() = head.method.clone();
            *again.uri_mut() = uri;
            *again.headers_mut() = head.headers.clone();
            again.headers_mut().remove(header::HOST);
            match self.client.request(again).await {
                Ok(response) => return response.map(Either::Left),
                // Nothing was sent to it: the next one may have the request.
                Err(error) if error.is_connect() => {}
                Err(_) => return refusal(StatusCode::BAD_GATEWAY),
            }
        }
        refusal(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Ready replicas by rendezvous: each conversation has its own order, which changes for no other when one goes.
    fn order(&self, key: u64) -> Vec<SocketAddr> {
        let mut order: Vec<(u64, SocketAddr)> = self
            .replicas
            .iter()
            .filter(|(_, seen)| seen.ready())
            .map(|(address, _)| (hash(&[key.to_be_bytes().as_slice(), &address.port().to_be_bytes()].concat()), *address))
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(_, address)| address).collect()
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn refusal(status: StatusCode) -> Reply {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from_static(
        b"{\"error\":{\"message\":\"the balancer has no replica\",\"type\":\"server_error\"}}",
    ))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}
