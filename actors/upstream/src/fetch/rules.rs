//! The operator's rules of the fence.

use std::net::IpAddr;

use url::{Host, Url};

use super::{
    FetchError,
    address::{AddressRange, closed_reason},
};
use crate::UpstreamError;

/// What may be fetched.
#[derive(Debug, Clone)]
pub struct FetchSettings {
    /// Plain `http` too.
    pub allow_http: bool,
    /// Ports that may be named; others are closed.
    pub ports: Vec<u16>,
    /// Hosts (`minio.corp`, `*.minio.corp`, each with an optional `:port`) and address ranges (`10.1.0.0/16`) that are open on every
    /// port although they are not public. For internal object stores.
    pub allow: Vec<String>,
    /// Most redirects that are followed.
    pub max_redirects: usize,
    /// Further trusted roots, PEM.
    pub extra_ca_pem: Option<Vec<u8>>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            allow_http: true,
            // What the public web is served on; any other port is more likely a service than a picture.
            ports: vec![80, 443],
            allow: Vec::new(),
            // As many as common object stores and shorteners need, with room.
            max_redirects: 5,
            extra_ca_pem: None,
        }
    }
}

/// The settings, parsed.
#[derive(Debug)]
pub(super) struct Rules {
    allow_http: bool,
    ports: Vec<u16>,
    hosts: Vec<OpenHost>,
    ranges: Vec<AddressRange>,
    pub(super) max_redirects: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct OpenHost {
    /// Lower case, as the URL parser writes it.
    name: String,
    /// Its subdomains instead of itself.
    subdomains: bool,
    port: Option<u16>,
}

impl Rules {
    pub(super) fn new(settings: &FetchSettings) -> Result<Self, UpstreamError> {
        let (mut hosts, mut ranges) = (Vec::new(), Vec::new());
        for entry in &settings.allow {
            match (AddressRange::parse(entry), OpenHost::parse(entry)) {
                (Some(range), _) => ranges.push(range),
                (None, Some(host)) => hosts.push(host),
                (None, None) => return Err(UpstreamError::AllowEntry { entry: entry.clone() }),
            }
        }
        Ok(Self { allow_http: settings.allow_http, ports: settings.ports.clone(), hosts, ranges, max_redirects: settings.max_redirects })
    }

    /// Judges all that can be judged without its addresses; gives the port.
    pub(super) fn check_url(&self, url: &Url) -> Result<u16, FetchError> {
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            scheme => return Err(FetchError::Scheme { scheme: scheme.to_owned() }),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::UserInfo);
        }
        url.port_or_known_default().ok_or_else(|| FetchError::Invalid { reason: "it names no port".to_owned() })
    }

    /// Judges one address of the host, and the port together with it.
    pub(super) fn check_address(&self, host: &str, port: u16, address: IpAddr) -> Result<(), FetchError> {
        if self.hosts.iter().any(|open| open.covers(host, port)) || self.ranges.iter().any(|range| range.contains(address)) {
            return Ok(());
        }
        if let Some(reason) = closed_reason(address) {
            return Err(FetchError::Forbidden { host: host.to_owned(), reason });
        }
        if !self.ports.contains(&port) {
            return Err(FetchError::Port { host: host.to_owned(), port });
        }
        Ok(())
    }
}

impl OpenHost {
    fn parse(entry: &str) -> Option<Self> {
        let (entry, subdomains) = entry.strip_prefix("*.").map_or((entry, false), |rest| (rest, true));
        let (name, port) = match entry.rsplit_once(':') {
            // `[::1]:80` has its colons inside brackets; `::1` is an address, not a host with a port.
            Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok()?)),
            _ => (entry, None),
        };
        let name = Host::parse(name).ok()?.to_string();
        Some(Self { name, subdomains, port })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        let name_fits = if self.subdomains {
            host.strip_suffix(self.name.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        };
        name_fits && self.port.is_none_or(|open| open == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(entry: &str, host: &str, port: u16) -> bool {
        OpenHost::parse(entry).unwrap().covers(host, port)
    }

    #[test]
    fn open_hosts_are_matched_whole() {
        assert!(covers("Minio.Corp", "minio.corp", 9000));
        assert!(covers("minio.corp", "minio.corp.", 9000));
        assert!(!covers("minio.corp", "evilminio.corp", 80));
        assert!(!covers("minio.corp", "minio.corp.evil.example", 80));
        assert!(covers("*.minio.corp", "bucket.minio.corp", 80));
        assert!(!covers("*.minio.corp", "minio.corp", 80));
        assert!(!covers("*.minio.corp", ".minio.corp", 80));
        assert!(!covers("*.minio.corp", "evilminio.corp", 80));
        assert!(covers("minio.corp:9000", "minio.corp", 9000));
        assert!(!covers("minio.corp:9000", "minio.corp", 9001));
        assert!(covers("[::1]:80", "[::1]", 80));
    }

    #[test]
    fn entries_that_are_neither_host_nor_range_are_refused() {
        for entry in ["", "http://x/", "a b", "10.0.0.0/40", "x:port"] {
            let settings = FetchSettings { allow: vec![entry.to_owned()], ..FetchSettings::default() };
            assert!(matches!(Rules::new(&settings), Err(UpstreamError::AllowEntry { .. })), "{entry}");
        }
    }

    #[test]
    fn schemes_and_user_names_are_judged_before_anything_is_resolved() {
        let rules = Rules::new(&FetchSettings { allow_http: false, ..FetchSettings::default() }).unwrap();
        let check = |url: &str| rules.check_url(&Url::parse(url).unwrap());
        for url in ["http://a.example/", "ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "data:text/plain,x"] {
            assert!(matches!(check(url), Err(FetchError::Scheme { .. })), "{url}");
        }
        assert_eq!(check("https://user@a.example/"), Err(FetchError::UserInfo));
        assert_eq!(check("https://:pass@a.example/"), Err(FetchError::UserInfo));
        assert_eq!(check("https://a.example:8443/"), Ok(8443));
        assert_eq!(check("https://a.example/"), Ok(443));
    }
}
