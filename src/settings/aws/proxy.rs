//! Proxies between us and AWS.

use std::fmt;

use outcrop_domain::secret::SecretString;

use crate::settings::read::{At, Kind, List, NAME, Section};

/// Proxies by the scheme of the endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// For `https` endpoints, tunnelled.
    pub https: Option<ProxyUrl>,
    /// For `http` endpoints.
    pub http: Option<ProxyUrl>,
    /// Hosts, domains and address ranges that are reached directly.
    pub bypass: Vec<String>,
}

/// A proxy's URL. It may hold a password, so `Debug` and `Display` leave user and password out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    url: SecretString,
    shown: String,
}

impl Proxy {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            https: section.find("https", ProxyKind),
            http: section.find("http", ProxyKind),
            bypass: section.get("bypass", List::of(NAME), Vec::new()),
        }
    }
}

impl ProxyUrl {
    /// Reads `http://[user:password@]host:port`; without a scheme it is `http`, as other tools take it.
    fn parse(text: &str) -> Option<Self> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let mut url = url::Url::parse(&whole).ok()?;
        if url.scheme() != "http" || !url.has_host() || url.query().is_some() || url.fragment().is_some() {
            return None;
        }
        let secret = !url.username().is_empty() || url.password().is_some();
        url.set_username("").ok()?;
        url.set_password(None).ok()?;
        let plain = url.as_str().trim_end_matches('/').to_owned();
        let shown = if secret { plain.replacen("://", "://[redacted]@", 1) } else { plain };
        Some(Self { url: SecretString::new(whole), shown })
    }

    /// The whole URL, for the connector.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose()
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({})", self.shown)
    }
}

#[derive(Debug, Clone, Copy)]
struct ProxyKind;

impl Kind for ProxyKind {
    type Value = ProxyUrl;

    fn read(&self, at: &At<'_>) -> Option<ProxyUrl> {
        let url = at.text().and_then(ProxyUrl::parse);
        if url.is_none() {
            // The value is not quoted: it may hold a password.
            at.problem("expected the URL of an http proxy, such as \"http://proxy.example.com:3128\"".to_owned());
        }
        url
    }

    fn show(&self, value: &ProxyUrl) -> toml::Value {
        toml::Value::String(value.to_string())
    }

    fn reveal(&self, value: &ProxyUrl, into: &mut String) {
        into.push_str(value.expose());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_kept_for_the_connector_and_shown_to_nobody() {
        let url = ProxyUrl::parse("http://me:hush@proxy.test:3128").unwrap();
        assert_eq!(url.expose(), "http://me:hush@proxy.test:3128");
        assert_eq!(url.to_string(), "http://[redacted]@proxy.test:3128");
        assert!(!format!("{url:?}").contains("hush"));
    }

    #[test]
    fn a_bare_host_and_port_is_an_http_proxy() {
        assert_eq!(ProxyUrl::parse("proxy.test:3128").unwrap().expose(), "http://proxy.test:3128");
        for text in ["", "socks5://proxy.test", "https://proxy.test", "http://", "http://proxy.test/?q"] {
            assert_eq!(ProxyUrl::parse(text), None, "{text}");
        }
    }
}
