//! Reads URLs that callers name, behind a fence: only the public internet, whatever the URL says.
//!
//! Every hop is judged anew: scheme, port, and all addresses its name resolves to. The connection then goes to one of
//! the very addresses that were judged, so a name that changes its mind in between changes nothing. Proxies are not
//! used here: behind one, nobody could say which address is reached.

mod address;
mod exchange;
mod rules;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use outcrop_domain::error::GatewayError;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use url::{Host, Url};

pub use address::{AddressRange, closed_reason};
pub use rules::FetchSettings;
use rules::Rules;

use crate::{UpstreamError, ports::BoxFuture, transport::client_config};
use exchange::{Hop, Outcome};

/// How much one fetch may take.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// Largest body. Bytes.
    pub max_bytes: usize,
    /// Longest time for everything, redirects included.
    pub total: Duration,
}

/// Is asked for every piece of a body as it arrives, with its size in bytes, before the piece is kept. An error ends the
/// fetch and is told as [`FetchError::Refused`].
pub type Admit<'a> = &'a (dyn Fn(usize) -> Result<(), GatewayError> + Send + Sync);

/// What was fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The body.
    pub bytes: Bytes,
    /// `Content-Type` as the server wrote it: a hint for [`crate::sniff::sniff`], not a fact.
    pub content_type: Option<String>,
    /// Where the body finally was.
    pub final_url: String,
}

impl fmt::Debug for Fetched {
    /// URLs may be presigned and bodies are callers' content: neither is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched").field("bytes", &self.bytes.len()).field("content_type", &self.content_type).finish_non_exhaustive()
    }
}

/// Why a URL was not fetched. Names the host, never path or query: they may hold a secret. Never names an address:
/// callers must not learn what internal names resolve to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not a URL.
    #[error("the URL is not valid: {reason}")]
    Invalid {
        /// The parser's words.
        reason: String,
    },
    /// Neither http nor https, or http where it is switched off.
    #[error("URLs of scheme `{scheme}` are not fetched")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// User name or password in the URL.
    #[error("URLs with a user name or password are not fetched")]
    UserInfo,
    /// A port that is not open for fetching.
    #[error("port {port} of `{host}` is not open for fetching")]
    Port {
        /// The host.
        host: String,
        /// The port.
        port: u16,
    },
    /// The host is, or resolves to, something that is not the public internet.
    #[error("`{host}` is not fetched: it is {reason}")]
    Forbidden {
        /// The host.
        host: String,
        /// Which kind of address.
        reason: &'static str,
    },
    /// The name does not resolve.
    #[error("`{host}` could not be resolved")]
    Unresolved {
        /// The host.
        host: String,
    },
    /// No connection.
    #[error("no connection to `{host}`: {reason}")]
    Connection {
        /// The host.
        host: String,
        /// What failed.
        reason: String,
    },
    /// The server did not give the thing.
    #[error("`{host}` answered with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// A redirect that leads nowhere, or from https to http.
    #[error("`{host}` redirects to where it must not: {reason}")]
    Redirect {
        /// The host.
        host: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// Too many redirects.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: usize,
    },
    /// The body is too large.
    #[error("the body at `{host}` is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The limit.
        limit_bytes: usize,
    },
    /// The body is compressed although that was not asked for.
    #[error("`{host}` sent an encoded body, which is not decoded")]
    Encoded {
        /// The host.
        host: String,
    },
    /// Not done in time.
    #[error("`{host}` was not fetched within {after:?}")]
    Timeout {
        /// The host of the first URL.
        host: String,
        /// The limit.
        after: Duration,
    },
    /// Whoever fetches does not take more.
    #[error("{0}")]
    Refused(Box<GatewayError>),
}

impl FetchError {
    /// As the refusal of a request, with the field that named the URL. What the fetching side itself refused stays what
    /// it is.
    #[must_use]
    pub fn for_field(self, param: Option<String>) -> GatewayError {
        match self {
            Self::Refused(error) => *error,
            other => GatewayError::FetchFailed { message: other.to_string(), param },
        }
    }
}

/// Turns names into addresses.
pub trait Resolver: Send + Sync + fmt::Debug {
    /// All addresses of `host`.
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// A byte stream to an address.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Connects to addresses that have been judged.
pub trait Dialer: Send + Sync + fmt::Debug {
    /// Connects.
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>>;
}

/// Fetches. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    rules: Arc<Rules>,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: Arc<ClientConfig>,
}

impl Fetcher {
    /// Over the network, with the system's resolver.
    ///
    /// # Errors
    /// [`UpstreamError`] for an allow-list entry or CA bundle that is not usable.
    pub fn new(settings: &FetchSettings) -> Result<Self, UpstreamError> {
        Self::with_parts(settings, Arc::new(SystemResolver), Arc::new(TcpDialer))
    }

    /// With a resolver and a dialer of the caller's: tests, simulations.
    ///
    /// # Errors
    /// As [`Fetcher::new`].
    pub fn with_parts(settings: &FetchSettings, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>) -> Result<Self, UpstreamError> {
        let tls = client_config(settings.extra_ca_pem.as_deref())?;
        Ok(Self { rules: Arc::new(Rules::new(settings)?), resolver, dialer, tls })
    }

    /// Fetches `url`, as far as `admit` admits it. Dropping the future closes the connection.
    ///
    /// # Errors
    /// [`FetchError`]: the fence, the server, a limit or `admit` said no.
    pub async fn fetch(&self, url: &str, limits: FetchLimits, admit: Admit<'_>) -> Result<Fetched, FetchError> {
        let url = Url::parse(url).map_err(|error| FetchError::Invalid { reason: error.to_string() })?;
        let host = shown_host(&url);
        let late = FetchError::Timeout { host, after: limits.total };
        tokio::time::timeout(limits.total, self.follow(url, limits.max_bytes, admit)).await.unwrap_or(Err(late))
    }

    async fn follow(&self, mut url: Url, max_bytes: usize, admit: Admit<'_>) -> Result<Fetched, FetchError> {
        for _ in 0..=self.rules.max_redirects {
            let addresses = self.judge(&url).await?;
            let (host, dialer) = (shown_host(&url), &*self.dialer);
            let hop = Hop { url: &url, host, addresses: &addresses, dialer, tls: &self.tls, max_bytes, admit };
            match hop.get().await? {
                Outcome::Body { bytes, content_type } => return Ok(Fetched { bytes, content_type, final_url: url.into() }),
                Outcome::Redirect(location) => url = next_url(&url, &location)?,
            }
        }
        Err(FetchError::TooManyRedirects { limit: self.rules.max_redirects })
    }

    /// Addresses of `url`'s host, all of them judged. One that is closed closes the host: a name that points inside
    /// and outside at once is an attack or a mistake.
    async fn judge(&self, url: &Url) -> Result<Vec<SocketAddr>, FetchError> {
        let host = shown_host(url);
        let port = self.rules.check_url(url)?;
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![IpAddr::V4(address)],
            Some(Host::Ipv6(address)) => vec![IpAddr::V6(address)],
            Some(Host::Domain(name)) => self.resolver.resolve(name).await.map_err(|_| FetchError::Unresolved { host: host.clone() })?,
            None => return Err(FetchError::Invalid { reason: "it names no host".to_owned() }),
        };
        if addresses.is_empty() {
            return Err(FetchError::Unresolved { host });
        }
        for address in &addresses {
            self.rules.check_address(&host, port, *address)?;
        }
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("rules", &self.rules).field("resolver", &self.resolver).finish_non_exhaustive()
    }
}

fn next_url(from: &Url, location: &str) -> Result<Url, FetchError> {
    let refuse = |reason| FetchError::Redirect { host: shown_host(from), reason };
    let next = from.join(location).map_err(|_| refuse("its target is no URL"))?;
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(refuse("from https to http"));
    }
    Ok(next)
}

fn shown_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

#[derive(Debug)]
struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

#[derive(Debug)]
struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move { Ok(Box::new(tokio::net::TcpStream::connect(address).await?) as Box<dyn ByteStream>) })
    }
}

#[cfg(test)]
mod tests;
