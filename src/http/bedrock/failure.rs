//! Errors in AWS's own shape, and who asks on these routes.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Method, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::RequestRecord;
use outcrop_translate::errors::aws;

use super::super::{
    Edge,
    auth::{self, Caller},
    errors::{Told, error_response},
    route::Routed,
};

/// The type of an error. Source: restJson1.
static ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// What AWS's clients read the id of a request from.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// An error on one of these routes.
#[derive(Debug)]
pub(super) struct Failure {
    error: Box<GatewayError>,
    record: Option<Arc<RequestRecord>>,
}

/// The record of a request, as its answers name it.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Option<Arc<RequestRecord>>);

impl Asked {
    fn of(parts: &Parts) -> Self {
        Self(parts.extensions.get::<Arc<RequestRecord>>().cloned())
    }

    /// The record.
    pub(super) fn record(&self) -> Option<&RequestRecord> {
        self.0.as_deref()
    }

    /// An error of this request.
    pub(super) fn failed(&self, error: GatewayError) -> Failure {
        Failure { error: Box::new(error), record: self.0.clone() }
    }

    /// Names the request in an answer of ours.
    pub(super) fn name(&self, mut response: Response) -> Response {
        let id = self.0.as_ref().and_then(|record| HeaderValue::from_str(record.id().as_str()).ok());
        response.headers_mut().extend(id.map(|id| (REQUEST_ID.clone(), id)));
        response
    }
}

impl<S: Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        of(self.record.as_ref(), &self.error)
    }
}

/// An error as a response.
pub(super) fn of(record: Option<&Arc<RequestRecord>>, error: &GatewayError) -> Response {
    let reply = aws::reply(error);
    let body = serde_json::to_vec(&reply.body).unwrap_or_default();
    let mut response = error_response(error, &Told { status: reply.status, retry_after: reply.retry_after, retry: reply.retry }, body);
    // Upstream's id, for its support; where nothing was asked there, ours.
    let upstream = match error {
        GatewayError::Upstream(failure) => failure.request_id.as_deref(),
        _ => None,
    };
    let id = upstream.or_else(|| record.map(|record| record.id().as_str())).and_then(|id| HeaderValue::from_str(id).ok());
    let headers = response.headers_mut();
    headers.extend(id.map(|id| (REQUEST_ID.clone(), id)));
    headers.extend(HeaderValue::from_str(reply.code).ok().map(|code| (ERROR_TYPE.clone(), code)));
    response
}

/// The principal of an authenticated request, refused in this shape.
pub(super) struct NativeCaller(pub(super) Caller);

impl FromRequestParts<Edge> for NativeCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Failure> {
        auth::admit_signed(parts, edge).map(Self).map_err(|error| Asked::of(parts).failed(error))
    }
}

/// A known path, asked by the wrong method.
pub(super) async fn wrong_method(_route: Routed, asked: Asked, method: Method, uri: Uri) -> Failure {
    let error = GatewayError::InvalidRequest {
        message: format!("the method {method} is not allowed on {}", uri.path()),
        param: None,
        code: Some("method_not_allowed"),
    };
    asked.failed(error)
}
