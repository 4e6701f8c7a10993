//! What can be wrong with the settings of an upstream, found at start.

use outcrop_domain::ids::Region;

/// An upstream could not be set up. Failed calls are [`outcrop_domain::error::UpstreamFailure`], never this.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// An endpoint URL from the settings does not serve as one.
    #[error("endpoint `{url}` is not usable: {reason}")]
    Endpoint {
        /// The URL after `{region}` was filled in.
        url: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// AWS has no endpoint for these options.
    #[error("no AWS endpoint for region `{region}`: {reason}")]
    NoEndpoint {
        /// The region.
        region: Region,
        /// The SDK's words.
        reason: String,
    },
    /// A proxy URL from the settings does not serve as one.
    #[error("proxy for `{scheme}` is not usable: {reason}")]
    Proxy {
        /// Which of the proxies.
        scheme: &'static str,
        /// Which rule it breaks; never the URL, which may hold a password.
        reason: &'static str,
    },
    /// The certificate bundle from the settings holds no usable certificate.
    #[error("the CA bundle is not usable: {reason}")]
    CaBundle {
        /// What was wrong.
        reason: String,
    },
    /// The TLS library refused its own defaults.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// A credential cannot be sent: it has characters that no header may carry.
    #[error("the Bedrock API key has characters that no HTTP header may carry")]
    BearerToken,
    /// An entry of the fetch allow-list is neither a host name nor an address range.
    #[error("allow-list entry `{entry}` is neither a host name nor an address range")]
    AllowEntry {
        /// The entry.
        entry: String,
    },
}
