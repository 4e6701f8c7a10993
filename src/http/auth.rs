//! Who asks: a gateway key as bearer token or `x-api-key`.

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
    route::note(parts, Interest::Usual);
    let principal = authenticate(&parts.headers, edge)?;
    if let Some(record) = parts.extensions.get::<Arc<RequestRecord>>() {
        record.asked_by(&principal.key);
    }
    Ok(Caller(principal))
}

fn authenticate(headers: &HeaderMap, edge: &Edge) -> Result<Arc<Principal>, GatewayError> {
    let keys = edge.gateway().keys.load();
    match presented(headers) {
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
    fn anything_else_is_no_key() {
        assert_eq!(presented(&headers(&[])), None);
        assert_eq!(presented(&headers(&[("authorization", "Basic abc")])), None);
        assert_eq!(presented(&headers(&[("authorization", "Bearer ")])), None);
    }
}
