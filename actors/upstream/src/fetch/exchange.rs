//! One hop of a fetch: connect to a judged address, ask, read under the cap.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, future::FusedFuture};
use http::{
    HeaderMap, Request, StatusCode, Uri,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, USER_AGENT},
};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use rustls::ClientConfig;
use tower_service::Service;
use url::{Position, Url};

use super::{Admit, ByteStream, Dialer, FetchError};
use crate::{
    ports::BoxFuture,
    transport::{BoxError, BoxedConnection, error_chain},
};

/// Longest wait for one address; the next one may answer.
const DIAL_LIMIT: Duration = Duration::from_secs(4);
/// Most addresses of a name that are tried.
const ADDRESSES_TRIED: usize = 4;
/// Largest allocation for an announced length, before any of it has come.
const FIRST_RESERVATION: usize = 64 * 1024;
const AGENT: &str = concat!("outcrop/", env!("CARGO_PKG_VERSION"));

/// One request of a fetch.
pub(super) struct Hop<'a> {
    pub(super) url: &'a Url,
    pub(super) host: String,
    /// All judged.
    pub(super) addresses: &'a [SocketAddr],
    pub(super) dialer: &'a dyn Dialer,
    pub(super) tls: &'a Arc<ClientConfig>,
    pub(super) max_bytes: usize,
    pub(super) admit: Admit<'a>,
}

/// What a hop led to.
pub(super) enum Outcome {
    Body { bytes: Bytes, content_type: Option<String> },
    Redirect(String),
}

impl Hop<'_> {
    pub(super) async fn get(&self) -> Result<Outcome, FetchError> {
        let connection = self.connect().await?;
        let (mut sender, driver) = http1::Builder::new().handshake(connection).await.map_err(|error| self.broken(&error))?;
        // The connection is driven by this very future: when the caller goes away, so does everything of the fetch.
        let mut driver = pin!(driver.fuse());
        let request = self.request()?;
        let response = alongside(driver.as_mut(), sender.send_request(request)).await.map_err(|error| self.broken(&error))?;
        let (parts, body) = response.into_parts();
        if let Some(location) = redirect(&parts.headers, parts.status) {
            return Ok(Outcome::Redirect(location.to_owned()));
        }
        if parts.status != StatusCode::OK {
            return Err(FetchError::Status { host: self.host.clone(), status: parts.status.as_u16() });
        }
        if parts.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(FetchError::Encoded { host: self.host.clone() });
        }
        let bytes = alongside(driver, self.read(body)).await?;
        let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Outcome::Body { bytes, content_type })
    }

    async fn connect(&self) -> Result<MaybeHttpsStream<BoxedConnection>, FetchError> {
        let mut last_problem = String::new();
        for address in self.addresses.iter().take(ADDRESSES_TRIED) {
            match tokio::time::timeout(DIAL_LIMIT, self.connect_to(*address)).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => last_problem = error_chain(&*error),
                Err(_) => "it did not answer in time".clone_into(&mut last_problem),
            }
        }
        Err(FetchError::Connection { host: self.host.clone(), reason: last_problem })
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<MaybeHttpsStream<BoxedConnection>, BoxError> {
        // TLS is for the name in the URL, TCP for the address that was judged.
        let destination: Uri = self.url[..Position::AfterPort].parse()?;
        let pinned = PinnedDial(Some(self.dialer.dial(address)));
        HttpsConnector::from((pinned, Arc::clone(self.tls))).call(destination).await
    }

    fn request(&self) -> Result<Request<Empty<Bytes>>, FetchError> {
        let invalid = |error: http::Error| FetchError::Invalid { reason: error.to_string() };
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let target = &self.url[Position::BeforePath..Position::AfterQuery];
        Request::get(target)
            .header(HOST, host)
            .header(USER_AGENT, AGENT)
            .header(ACCEPT, "*/*")
            .header(ACCEPT_ENCODING, "identity")
            .body(Empty::new())
            .map_err(invalid)
    }

    async fn read(&self, mut body: Incoming) -> Result<Bytes, FetchError> {
        let too_large = || FetchError::TooLarge { host: self.host.clone(), limit_bytes: self.max_bytes };
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.max_bytes {
            return Err(too_large());
        }
        let mut read = BytesMut::with_capacity(announced.min(FIRST_RESERVATION));
        while let Some(piece) = body.frame().await {
            if let Ok(piece) = piece.map_err(|error| self.broken(&error))?.into_data() {
                if read.len() + piece.len() > self.max_bytes {
                    return Err(too_large());
                }
                (self.admit)(piece.len()).map_err(|error| FetchError::Refused(Box::new(error)))?;
                read.extend_from_slice(&piece);
            }
        }
        Ok(read.freeze())
    }

    fn broken(&self, error: &hyper::Error) -> FetchError {
        FetchError::Connection { host: self.host.clone(), reason: error_chain(error) }
    }
}

/// A connector that goes to one address, once, whatever the URL says.
struct PinnedDial(Option<BoxFuture<'static, io::Result<Box<dyn ByteStream>>>>);

impl Service<Uri> for PinnedDial {
    type Response = BoxedConnection;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<BoxedConnection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let dialing = self.0.take();
        Box::pin(async move {
            let dialing = dialing.ok_or_else(|| io::Error::other("this connection was made already"))?;
            Ok(BoxedConnection::over_stream(dialing.await?))
        })
    }
}

fn redirect(headers: &HeaderMap, status: StatusCode) -> Option<&str> {
    let redirects = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    if redirects { headers.get(LOCATION)?.to_str().ok() } else { None }
}

/// Runs `work` while `driver` moves its bytes. The driver's own errors show in `work`.
async fn alongside<D, W>(mut driver: Pin<&mut D>, work: W) -> W::Output
where
    D: FusedFuture,
    W: Future,
{
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(output);
        }
        if !driver.is_terminated() && driver.as_mut().poll(context).is_ready() {
            // Its end may be what the work waits for.
            return work.as_mut().poll(context);
        }
        Poll::Pending
    })
    .await
}
