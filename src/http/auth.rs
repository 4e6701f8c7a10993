//! Who asks: a gateway key as bearer token or `x-api-key`; on Bedrock's own paths also as the access key id of a signature.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::{
    admission::Principal,
    record::{Interest, RequestRecord},
};

use super::{Edge, errors::OpenAiFailure, route};

/// The principal of an authenticated request.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Arc<Principal>);

impl FromRequestParts<Edge> for Caller {
    type Rejection = OpenAiFailure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, OpenAiFailure> {
        admit(parts, edge).map_err(OpenAiFailure)
    }
}

/// Finds out who asks, and notes it.
///
/// # Errors
/// [`GatewayError::Unauthenticated`].
pub(super) fn admit(parts: &Parts, edge: &Edge) -> Result<Caller, GatewayError> {
    admitted(parts, edge, presented(&parts.headers))
}

/// As [`admit`], for requests that AWS's own clients may have signed.
///
/// The signature is not checked: nobody here has a secret to check it with. The access key id is the secret. It travels in clear
/// as a bearer token does, so it proves as much and is worth as much to whoever reads it.
///
/// # Errors
/// [`GatewayError::Unauthenticated`].
pub(super) fn admit_signed(parts: &Parts, edge: &Edge) -> Result<Caller, GatewayError> {
    admitted(parts, edge, signer(&parts.headers).or_else(|| presented(&parts.headers)))
}

fn admitted(parts: &Parts, edge: &Edge, key: Option<&str>) -> Result<Caller, GatewayError> {
    route::note(parts, Interest::Usual);
    let principal = authenticate(key, edge)?;
    if let Some(record) = parts.extensions.get::<Arc<RequestRecord>>() {
        record.asked_by(&principal.key);
    }
    Ok(Caller(principal))
}

fn authenticate(key: Option<&str>, edge: &Edge) -> Result<Arc<Principal>, GatewayError> {
    let keys = edge.gateway().keys.load();
    match key {
        // A key that is not known is a mistake even where none is needed: it must not become somebody else.
        Some(key) => keys
            .find(key)
            .or_else(|| keys.is_empty().then(|| keys.anonymous()).flatten())
            .ok_or_else(|| GatewayError::Unauthenticated { message: "the API key in the request is not known to this gateway".to_owned() }),
        None => keys.anonymous().ok_or_else(|| GatewayError::Unauthenticated {
            message: "no API key in the request: send it as `Authorization: Bearer KEY` or `x-api-key: KEY`".to_owned(),
        }),
    }
}

/// `Authorization: Bearer` first, since SDKs that send both put the real key there.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
    });
    bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()).map(str::trim).filter(|key| !key.is_empty()))
}

/// The access key id of a signature: `AWS4-HMAC-SHA256 Credential=ID/DATE/REGION/SERVICE/aws4_request, ...`. Ids of ours may hold
/// slashes, so the scope is taken off from behind.
fn signer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, parts) = text.split_once(' ')?;
    if !scheme.starts_with("AWS4-") {
        return None;
    }
    let credential = parts.split(',').find_map(|part| part.trim().strip_prefix("Credential="))?;
    let mut parts = credential.rsplitn(SCOPE_PARTS + 1, '/');
    parts.nth(SCOPE_PARTS).filter(|id| !id.is_empty())
}

/// Date, region, service and a fixed word. Source: Signature Version 4.
const SCOPE_PARTS: usize = 4;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_key_comes_as_bearer_token_or_x_api_key() {
        assert_eq!(presented(&headers(&[("authorization", "Bearer sk-1")])), Some("sk-1"));
        assert_eq!(presented(&headers(&[("authorization", "bearer  sk-1 ")])), Some("sk-1"));
        assert_eq!(presented(&headers(&[("x-api-key", "sk-2")])), Some("sk-2"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer sk-1"), ("x-api-key", "sk-2")])), Some("sk-1"));
        assert_eq!(presented(&headers(&[("authorization", "Bearer "), ("x-api-key", "sk-2")])), Some("sk-2"));
    }

    #[test]
    fn the_access_key_id_of_a_signature_is_a_key() {
        let of = |credential: &str| {
            let text = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=abc");
            let headers: HeaderMap = [(AUTHORIZATION, HeaderValue::from_str(&text).unwrap())].into_iter().collect();
            signer(&headers).map(str::to_owned)
        };
        assert_eq!(of("sk-team/20261130/us-east-1/bedrock/aws4_request").as_deref(), Some("sk-team"));
        assert_eq!(of("sk/with/slashes/20261130/us-east-1/bedrock/aws4_request").as_deref(), Some("sk/with/slashes"));
        for broken in ["sk-team", "/20261130/us-east-1/bedrock/aws4_request", "20261130/us-east-1/bedrock/aws4_request"] {
            assert_eq!(of(broken), None, "{broken}");
        }
        assert_eq!(signer(&headers(&[("authorization", "Bearer sk-1")])), None);
    }

    #[test]
    fn anything_else_is_no_key() {
        assert_eq!(presented(&headers(&[])), None);
        assert_eq!(presented(&headers(&[("authorization", "Basic abc")])), None);
        assert_eq!(presented(&headers(&[("authorization", "Bearer ")])), None);
    }
}
