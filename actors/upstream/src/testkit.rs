//! A server in memory that tests script, and an independent check of SigV4 signatures.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use outcrop_domain::clock::{Clock, Moment};
use sha2::{Digest, Sha256};
use tokio::{
    io::DuplexStream,
    sync::{Notify, mpsc},
};

use crate::{
    ports::BoxFuture,
    transport::{Connector, Transport, TransportSettings},
};

pub(crate) type ServerBody = UnsyncBoxBody<Bytes, io::Error>;
type Handler = dyn Fn(Received) -> BoxFuture<'static, Response<ServerBody>> + Send + Sync;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path_and_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// An HTTP server behind a connector in memory. Follows a paused clock.
#[derive(Clone)]
pub(crate) struct FakeServer {
    handler: Arc<Handler>,
    received: Arc<Mutex<Vec<Received>>>,
    connections: Arc<AtomicUsize>,
    closing: Arc<Notify>,
}

impl FakeServer {
    pub(crate) fn new<F, Fut>(handler: F) -> Self
    where
        F: Fn(Received) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response<ServerBody>> + Send + 'static,
    {
        Self {
            handler: Arc::new(move |received| Box::pin(handler(received))),
            received: Arc::default(),
            connections: Arc::default(),
            closing: Arc::default(),
        }
    }

    pub(crate) fn answering(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> Self {
        Self::new(move |_| std::future::ready(answer(status, headers, body)))
    }

    /// Drops all connections without a word.
    pub(crate) fn close_connections(&self) {
        self.closing.notify_waiters();
    }

    pub(crate) fn transport(&self) -> Transport {
        let server = self.clone();
        let connector = Connector::from_streams(move |_| std::future::ready(Ok(server.connect())));
        Transport::over(connector, &TransportSettings::default())
    }

    /// The client's half of a new connection.
    pub(crate) fn connect(&self) -> DuplexStream {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let (client, server) = tokio::io::duplex(256 * 1024);
        let this = self.clone();
        tokio::spawn(async move {
            let closing = Arc::clone(&this.closing);
            let service = service_fn(move |request: Request<Incoming>| {
                let this = this.clone();
                async move { Ok::<_, Infallible>(this.respond(request).await) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .auto_date_header(false)
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(server), service);
            tokio::select! {
                // A client that goes away is what some tests are about.
                served = serving => drop(served),
                () = closing.notified() => {}
            }
        });
        client
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<ServerBody> {
        let (parts, body) = request.into_parts();
        let received = Received {
            method: parts.method.to_string(),
            path_and_query: parts.uri.path_and_query().unwrap().to_string(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        self.received.lock().unwrap().push(received.clone());
        (self.handler)(received).await
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<ServerBody> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()).unwrap()
}

/// A response whose body the test feeds; an `Err` breaks the connection.
pub(crate) fn streaming(status: u16, headers: &[(&str, &str)]) -> (mpsc::Sender<io::Result<Bytes>>, Response<ServerBody>) {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(16);
    let pieces =
        futures_util::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?.map(Frame::data), receiver)) });
    let response = answer(status, headers, "").map(|_| StreamBody::new(pieces).boxed_unsync());
    (sender, response)
}

/// A clock that shows a fixed time.
#[derive(Debug)]
pub(crate) struct StillClock(pub(crate) SystemTime);

impl Clock for StillClock {
    fn now(&self) -> Moment {
        Moment(self.0.duration_since(SystemTime::UNIX_EPOCH).unwrap())
    }

    fn wall(&self) -> SystemTime {
        self.0
    }
}

/// The parts of an `Authorization` header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authorization {
    pub(crate) access_key: String,
    pub(crate) scope: String,
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
}

impl Authorization {
    pub(crate) fn of(request: &Received) -> Self {
        let rest = request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").expect("a SigV4 header");
        let fields: BTreeMap<&str, &str> = rest.split(", ").map(|field| field.split_once('=').unwrap()).collect();
        let (access_key, scope) = fields["Credential"].split_once('/').unwrap();
        Self {
            access_key: access_key.to_owned(),
            scope: scope.to_owned(),
            signed_headers: fields["SignedHeaders"].split(';').map(str::to_owned).collect(),
            signature: fields["Signature"].to_owned(),
        }
    }
}

/// Computes the signature as the server must, from nothing but the request and the secret.
pub(crate) fn expected_signature(request: &Received, secret: &str) -> String {
    let authorization = Authorization::of(request);
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    // Every service but S3 encodes the already encoded path once more.
    let canonical_path = path.replace('%', "%25");
    let canonical_headers: String = authorization
        .signed_headers
        .iter()
        .map(|name| {
            let values: Vec<&str> = request.headers.get_all(name).iter().map(|value| value.to_str().unwrap().trim()).collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    let canonical = format!(
        "{}\n{canonical_path}\n{query}\n{canonical_headers}\n{}\n{}",
        request.method,
        authorization.signed_headers.join(";"),
        hex::encode(Sha256::digest(&request.body)),
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{}\n{}",
        request.header("x-amz-date"),
        authorization.scope,
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let scope: Vec<&str> = authorization.scope.split('/').collect();
    assert_eq!(&request.header("x-amz-date")[..8], scope[0]);
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope {
        key = keyed_hash(&key, part.as_bytes());
    }
    hex::encode(keyed_hash(&key, to_sign.as_bytes()))
}

fn keyed_hash(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
