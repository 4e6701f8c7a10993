//! One way out for everything that speaks HTTP to AWS: connector, TLS, proxies, pooled client.
//!
//! HTTP/1.1 on purpose: measured, a sequential call costs half of what it costs over HTTP/2, and one connection per
//! stream keeps a slow reader from holding up others.

mod connector;
mod proxy;
mod tls;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

pub use connector::{BoxedConnection, Connector};
pub use proxy::ProxySettings;
pub use tls::client_config;

use crate::UpstreamError;

/// Any error, boxed.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How connections are made and kept.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// Longest time for name lookup, TCP, proxy and TLS together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub pool_idle_timeout: Duration,
    /// How many unused connections are kept per host.
    pub pool_max_idle_per_host: usize,
    /// Silence on a connection after which the kernel probes the peer.
    pub tcp_keepalive: Duration,
    /// Further trusted roots, PEM; beside the system's.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Proxies.
    pub proxy: ProxySettings,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            // A region that does not take a connection within this time is down: fail over.
            connect_timeout: Duration::from_secs(5),
            // Below the minute after which load balancers commonly drop a connection, so that they rarely win the race.
            pool_idle_timeout: Duration::from_secs(50),
            // Above any sensible number of calls in flight per region; idle ones leave by the timeout.
            pool_max_idle_per_host: 1024,
            // NAT gateways forget silent flows after 350 s; long thinking is silent.
            tcp_keepalive: Duration::from_secs(60),
            extra_ca_pem: None,
            proxy: ProxySettings::default(),
        }
    }
}

/// Pooled HTTP client over one connector. Cheap to clone; clones share the pool.
#[derive(Clone)]
pub struct Transport {
    connector: Connector,
    client: Client<Connector, Full<Bytes>>,
    proxies: proxy::Proxies,
    idle_timeout: Duration,
    max_idle: usize,
}

impl Transport {
    /// Over the network. Reads the system's trusted roots once, here.
    ///
    /// # Errors
    /// [`UpstreamError`] for a CA bundle or proxy URL that is not usable.
    pub fn new(settings: &TransportSettings) -> Result<Self, UpstreamError> {
        let tls = client_config(settings.extra_ca_pem.as_deref())?;
        let proxies = proxy::Proxies::new(&settings.proxy)?;
        let connector = proxy::network_connector(settings, tls, proxies.clone());
        Ok(Self::build(connector, settings, proxies))
    }

    /// Over a connector of the caller's: an AWS in memory, a fault injector. Proxies of the settings are not used.
    #[must_use]
    pub fn over(connector: Connector, settings: &TransportSettings) -> Self {
        Self::build(connector, settings, proxy::Proxies::none())
    }

    fn build(connector: Connector, settings: &TransportSettings, proxies: proxy::Proxies) -> Self {
        let (idle_timeout, max_idle) = (settings.pool_idle_timeout, settings.pool_max_idle_per_host);
        let client = pooled_client(connector.clone(), idle_timeout, max_idle);
        Self { connector, client, proxies, idle_timeout, max_idle }
    }

    /// Sends a request on a pooled connection and waits for the response head.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper_util::client::legacy::Error> {
        self.client.request(request).await
    }

    /// A client with another body type and a pool of its own over the same connector.
    pub(crate) fn client_for<B>(&self) -> Client<Connector, B>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
    {
        pooled_client(self.connector.clone(), self.idle_timeout, self.max_idle)
    }

    /// `Proxy-Authorization` for requests that a proxy forwards (plain http only; TLS is tunnelled).
    pub(crate) fn proxy_authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        self.proxies.forward_authorization(destination)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

fn pooled_client<B>(connector: Connector, idle_timeout: Duration, max_idle: usize) -> Client<Connector, B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(idle_timeout)
        .pool_max_idle_per_host(max_idle)
        // Without a timer idle connections are never evicted.
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        // A pooled connection that the server closed before anything was written: the request was not sent, so it
        // goes out once more on another. Everything that was written is never repeated here.
        .retry_canceled_requests(true)
        .build(connector)
}

/// An error and what caused it, in one line.
pub(crate) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
