//! Connections over the network, directly or through a proxy.

use std::{fmt, io, net::IpAddr, sync::Arc};

use http::{HeaderValue, Uri, uri::Scheme};
use hyper_rustls::HttpsConnector;
use hyper_util::client::{
    legacy::connect::{HttpConnector, proxy::Tunnel},
    proxy::matcher::{Intercept, Matcher},
};
use rustls::ClientConfig;
use tower_service::Service;

use super::{BoxError, BoxedConnection, Connector, TransportSettings};
use crate::UpstreamError;

/// Proxies as `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name them; the settings read those, not this crate.
#[derive(Clone, Default)]
pub struct ProxySettings {
    /// For `http` endpoints: `http://[user:password@]host:port`.
    pub http: Option<String>,
    /// For `https` endpoints, tunnelled: `http://[user:password@]host:port`.
    pub https: Option<String>,
    /// Hosts, domains and address ranges that are reached directly, separated by commas.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for ProxySettings {
    /// Proxy URLs may hold a password: only which ones are set is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// Decides which destination goes through which proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxies {
    matcher: Option<Arc<Matcher>>,
}

impl Proxies {
    pub(super) fn none() -> Self {
        Self { matcher: None }
    }

    pub(super) fn new(settings: &ProxySettings) -> Result<Self, UpstreamError> {
        let (http, https) = (check("http", settings.http.as_deref())?, check("https", settings.https.as_deref())?);
        if http.is_none() && https.is_none() {
            return Ok(Self::none());
        }
        let mut builder = Matcher::builder();
        if let Some(url) = http {
            builder = builder.http(url.to_owned());
        }
        if let Some(url) = https {
            builder = builder.https(url.to_owned());
        }
        if let Some(list) = &settings.no_proxy {
            builder = builder.no(list.clone());
        }
        Ok(Self { matcher: Some(Arc::new(builder.build())) })
    }

    pub(super) fn intercept(&self, destination: &Uri) -> Option<Intercept> {
        let matcher = self.matcher.as_ref()?;
        if is_local(destination) { None } else { matcher.intercept(destination) }
    }

    pub(super) fn forward_authorization(&self, destination: &Uri) -> Option<HeaderValue> {
        if destination.scheme() != Some(&Scheme::HTTP) {
            return None;
        }
        self.intercept(destination)?.basic_auth().cloned()
    }
}

fn check<'a>(scheme: &'static str, url: Option<&'a str>) -> Result<Option<&'a str>, UpstreamError> {
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let refuse = |reason| Err(UpstreamError::Proxy { scheme, reason });
    let Ok(parsed) = url.parse::<Uri>() else {
        return refuse("it is not a URL");
    };
    if parsed.authority().is_none() {
        return refuse("it names no host");
    }
    match parsed.scheme_str() {
        // A bare `host:port` means http.
        None | Some("http") => Ok(Some(url)),
        Some(_) => refuse("only http proxies are supported"),
    }
}

/// Instance and container metadata services and this machine are never behind a proxy.
fn is_local(destination: &Uri) -> bool {
    let host = destination.host().unwrap_or_default();
    let bare = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unicast_link_local() || address.is_unique_local(),
        Err(_) => bare == "localhost",
    }
}

/// The connector that leaves this machine.
pub(super) fn network_connector(settings: &TransportSettings, tls: Arc<ClientConfig>, proxies: Proxies) -> Connector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(settings.tcp_keepalive));
    tcp.set_connect_timeout(Some(settings.connect_timeout));
    let limit = settings.connect_timeout;
    Connector::from_fn(move |destination| {
        let (tcp, tls, intercept) = (tcp.clone(), Arc::clone(&tls), proxies.intercept(&destination));
        async move {
            // TCP has its own limit inside; this one also covers name lookup, the proxy's answer and TLS.
            let connecting = connect(tcp, tls, intercept, destination);
            tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")))?
        }
    })
}

async fn connect(
    mut tcp: HttpConnector,
    tls: Arc<ClientConfig>,
    intercept: Option<Intercept>,
    destination: Uri,
) -> Result<BoxedConnection, BoxError> {
    match intercept {
        // Not through the TLS connector: its connection has room for a TLS session, a kilobyte, either way.
        None if destination.scheme() == Some(&Scheme::HTTP) => Ok(BoxedConnection::new(tcp.call(destination).await?)),
        None => Ok(BoxedConnection::new(HttpsConnector::from((tcp, tls)).call(destination).await?)),
        Some(proxy) if destination.scheme() == Some(&Scheme::HTTPS) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), tcp);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            Ok(BoxedConnection::new(HttpsConnector::from((tunnel, tls)).call(destination).await?))
        }
        Some(proxy) => Ok(BoxedConnection::forwarded(tcp.call(proxy.uri().clone()).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no_proxy: Option<&str>) -> Proxies {
        Proxies::new(&ProxySettings {
            http: Some("http://user:pass@proxy.corp:3128".to_owned()),
            https: Some("proxy.corp:3129".to_owned()),
            no_proxy: no_proxy.map(str::to_owned),
        })
        .unwrap()
    }

    fn port_for(proxies: &Proxies, destination: &str) -> Option<u16> {
        proxies.intercept(&destination.parse().unwrap()).and_then(|intercept| intercept.uri().port_u16())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_exceptions_are_direct() {
        let proxies = proxies(Some("vpce.amazonaws.com,10.0.0.0/8"));
        assert_eq!(port_for(&proxies, "http://bedrock.internal/"), Some(3128));
        assert_eq!(port_for(&proxies, "https://bedrock-runtime.us-east-1.amazonaws.com/"), Some(3129));
        assert_eq!(port_for(&proxies, "https://vpce-1.vpce.amazonaws.com/"), None);
        assert_eq!(port_for(&proxies, "https://10.1.2.3/"), None);
    }

    #[test]
    fn metadata_services_and_this_machine_are_never_behind_a_proxy() {
        let proxies = proxies(None);
        for local in
            ["http://169.254.169.254/", "http://169.254.170.2/v2", "http://[fd00:ec2::254]/", "http://localhost:1/", "http://127.0.0.1/"]
        {
            assert_eq!(port_for(&proxies, local), None, "{local}");
        }
    }

    #[test]
    fn only_forwarded_requests_carry_the_proxys_password() {
        let proxies = proxies(None);
        assert!(proxies.forward_authorization(&Uri::from_static("http://bedrock.internal/")).is_some());
        assert!(proxies.forward_authorization(&Uri::from_static("https://bedrock.internal/")).is_none());
        assert!(!format!("{proxies:?}").contains("pass"));
    }

    #[test]
    fn a_proxy_of_another_kind_is_refused_at_start() {
        for url in ["socks5://p:1", "https://p:1", "/path", "http://"] {
            let settings = ProxySettings { https: Some(url.to_owned()), ..ProxySettings::default() };
            assert!(matches!(Proxies::new(&settings), Err(UpstreamError::Proxy { scheme: "https", .. })), "{url}");
        }
        assert!(Proxies::new(&ProxySettings { http: Some(String::new()), ..ProxySettings::default() }).unwrap().matcher.is_none());
    }
}
