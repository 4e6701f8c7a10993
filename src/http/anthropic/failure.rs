//! Errors as responses in Anthropic's envelope, and the header that names every request of this dialect.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
};
use outcrop_domain::error::GatewayError;
use outcrop_gateway::record::RequestRecord;
use outcrop_translate::errors::anthropic;

use super::super::{
    Edge,
    auth::{self, Caller},
    errors::{Told, error_response},
    route::Routed,
};

/// What Anthropic's clients read the id of a request from; ours is `x-request-id`.
static REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The id of a request, as its headers and its errors tell it.
#[derive(Debug, Clone, Default)]
pub(in crate::http) struct RequestName(Option<Arc<RequestRecord>>);

impl RequestName {
    fn of(parts: &Parts) -> Self {
        Self(parts.extensions.get::<Arc<RequestRecord>>().cloned())
    }

    /// The id.
    pub(super) fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|record| record.id().as_str())
    }

    /// The request's record.
    pub(super) fn record(&self) -> Option<&RequestRecord> {
        self.0.as_deref()
    }

    /// Names the request in a response.
    pub(super) fn name(&self, mut response: Response) -> Response {
        if let Some(id) = self.id().and_then(|id| HeaderValue::from_str(id).ok()) {
            response.headers_mut().insert(REQUEST_ID.clone(), id);
        }
        response
    }

    /// An error of this request.
    pub(super) fn failed(self, error: GatewayError) -> Failure {
        Failure { error: Box::new(error), request: self }
    }
}

impl<S: Sync> FromRequestParts<S> for RequestName {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts))
    }
}

/// An error on an Anthropic route.
#[derive(Debug)]
pub(in crate::http) struct Failure {
    pub(super) error: Box<GatewayError>,
    request: RequestName,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let reply = anthropic::reply(&self.error, self.request.id());
        let body = serde_json::to_vec(&reply.body).unwrap_or_default();
        let told = Told { status: reply.status, retry_after: reply.retry_after, retry: reply.retry };
        self.request.name(error_response(&self.error, &told, body))
    }
}

/// An error of the request of this record.
pub(super) fn of(record: &Arc<RequestRecord>, error: GatewayError) -> Response {
    RequestName(Some(Arc::clone(record))).failed(error).into_response()
}

/// The principal of an authenticated request, refused in this dialect.
pub(in crate::http) struct MessagesCaller(pub(super) Caller);

impl FromRequestParts<Edge> for MessagesCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Failure> {
        auth::admit(parts, edge).map(Self).map_err(|error| RequestName::of(parts).failed(error))
    }
}

/// No such path.
pub(super) async fn unknown_url(_route: Routed, request: RequestName, method: Method, uri: Uri) -> Failure {
    request.failed(GatewayError::NotFound { message: format!("unknown request URL: {method} {}", uri.path()) })
}

/// A known path, asked by the wrong method.
pub(super) async fn wrong_method(_route: Routed, request: RequestName, method: Method, uri: Uri) -> Response {
    let error = GatewayError::InvalidRequest {
        message: format!("the method {method} is not allowed on {}", uri.path()),
        param: None,
        code: Some("method_not_allowed"),
    };
    let mut response = request.failed(error).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
