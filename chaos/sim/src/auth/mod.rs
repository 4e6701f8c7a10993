//! Who calls: signatures and API keys, and the refusals AWS gives when they are wrong.

mod sigv4;

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use http::{HeaderMap, header, request::Parts};
use subtle::ConstantTimeEq;

use crate::{lock::held, validate::Refusal};

/// How a caller identified itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthKind {
    /// A valid signature of this access key.
    SigV4 {
        /// Access key id.
        access_key: String,
    },
    /// A valid API key.
    Bearer,
    /// Nothing was checked.
    Unchecked,
}

/// Whether callers must identify themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMode {
    /// As AWS: refuse what is not signed or signed wrongly.
    #[default]
    Checked,
    /// Accept anything (benchmarks).
    Off,
}

/// An access key of the simulated account.
#[derive(Clone)]
pub struct Credential {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// Session token that must accompany it (temporary credentials).
    pub session_token: Option<String>,
}

impl Credential {
    /// A long-lived access key.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into(), session_token: None }
    }

    /// Makes it a temporary one.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// The account's access and API keys; they can change while the simulator runs.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    credentials: BTreeMap<String, KnownKey>,
    bearers: Vec<KnownBearer>,
}

struct KnownKey {
    credential: Credential,
    expired: bool,
    /// When it was put; `None` before the start.
    put_at: Option<Duration>,
}

/// An API key.
struct KnownBearer {
    token: String,
    expired: bool,
    put_at: Option<Duration>,
}

/// Who called.
pub(crate) struct Identity {
    pub(crate) kind: AuthKind,
    /// Access key id or API key; empty if nothing was checked.
    pub(crate) key: String,
    /// When that key was put; `None` before the start.
    pub(crate) put_at: Option<Duration>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key of a bearer is a secret.
        formatter.debug_struct("Identity").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Identity {
    /// Anyone.
    pub(crate) fn unchecked() -> Self {
        Self { kind: AuthKind::Unchecked, key: String::new(), put_at: None }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("access_keys", &held(&self.keys).credentials.len()).finish_non_exhaustive()
    }
}

/// What a signature is checked against.
pub(crate) struct Checked<'a> {
    pub(crate) region: &'a str,
    /// The server's time, seconds since 1970.
    pub(crate) now: i64,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a [u8],
}

impl Keyring {
    /// Adds or replaces an access key.
    pub(crate) fn put(&self, credential: Credential, put_at: Option<Duration>) {
        held(&self.keys).credentials.insert(credential.access_key.clone(), KnownKey { credential, expired: false, put_at });
    }

    /// Adds or replaces an API key.
    pub(crate) fn put_bearer(&self, token: String, put_at: Option<Duration>) {
        let mut keys = held(&self.keys);
        keys.bearers.retain(|bearer| bearer.token != token);
        keys.bearers.push(KnownBearer { token, expired: false, put_at });
    }

    /// Makes AWS forget an access key or an API key. False when it is unknown.
    pub(crate) fn revoke(&self, key: &str) -> bool {
        let mut keys = held(&self.keys);
        let bearers = keys.bearers.len();
        keys.bearers.retain(|bearer| bearer.token != key);
        keys.credentials.remove(key).is_some() || keys.bearers.len() < bearers
    }

    /// Makes a temporary access key or an API key expire. False when it is unknown.
    pub(crate) fn expire(&self, key: &str) -> bool {
        let mut keys = held(&self.keys);
        let mut known = false;
        if let Some(found) = keys.credentials.get_mut(key) {
            found.expired = true;
            known = true;
        }
        for bearer in keys.bearers.iter_mut().filter(|bearer| bearer.token == key) {
            bearer.expired = true;
            known = true;
        }
        known
    }

    /// Identifies the caller of one request.
    pub(crate) fn check(&self, checked: &Checked<'_>) -> Result<Identity, Refusal> {
        let Some(authorization) = single(&checked.parts.headers, header::AUTHORIZATION.as_str()) else {
            return Err(missing_token());
        };
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            return self.check_bearer(token.trim());
        }
        let Some(parameters) = authorization.strip_prefix(sigv4::ALGORITHM) else {
            return Err(missing_token());
        };
        let signature = sigv4::Presented::parse(parameters, &checked.parts.headers)?;
        let (secret, put_at) = self.secret_of(&signature, &checked.parts.headers)?;
        signature.check(&secret, checked)?;
        let key = signature.access_key.to_owned();
        Ok(Identity { kind: AuthKind::SigV4 { access_key: key.clone() }, key, put_at })
    }

    fn check_bearer(&self, token: &str) -> Result<Identity, Refusal> {
        let keys = held(&self.keys);
        let known = keys.bearers.iter().find(|known| bool::from(known.token.as_bytes().ct_eq(token.as_bytes())));
        match known {
            Some(bearer) if bearer.expired => Err(expired()),
            Some(bearer) => Ok(Identity { kind: AuthKind::Bearer, key: bearer.token.clone(), put_at: bearer.put_at }),
            None => Err(refusal(403, "AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.")),
        }
    }

    fn secret_of(&self, signature: &sigv4::Presented<'_>, headers: &HeaderMap) -> Result<(String, Option<Duration>), Refusal> {
        let keys = held(&self.keys);
        let unrecognized = || refusal(403, "UnrecognizedClientException", "The security token included in the request is invalid.");
        let key = keys.credentials.get(signature.access_key).ok_or_else(unrecognized)?;
        let presented = single(headers, "x-amz-security-token");
        let token_fits = match (&key.credential.session_token, presented) {
            (None, None) => true,
            (Some(token), Some(presented)) => bool::from(token.as_bytes().ct_eq(presented.as_bytes())),
            _ => false,
        };
        if !token_fits {
            return Err(unrecognized());
        }
        if key.expired {
            return Err(expired());
        }
        Ok((key.credential.secret_key.clone(), key.put_at))
    }
}

/// The value of a header that may be given only once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn refusal(status: u16, error_type: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status, error_type, message: message.into() }
}

/// AWS's refusal of credentials that were good once.
pub(crate) fn expired() -> Refusal {
    refusal(403, "ExpiredTokenException", "The security token included in the request is expired")
}

fn missing_token() -> Refusal {
    refusal(403, "MissingAuthenticationToken", "Missing Authentication Token")
}

#[cfg(test)]
mod tests;
