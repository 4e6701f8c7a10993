//! Which route a request took: the handlers' word for its log line.
//!
//! Asked for as an argument by every handler that does not ask for a [`super::auth::Caller`], which tells it too. A layer
//! around the routes would say it once, but costs each request several allocations.

use std::{convert::Infallible, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::request::Parts,
};
use outcrop_gateway::record::{Interest, RequestRecord};

/// The route is noted.
pub(super) struct Routed;

/// The route is noted as one that machines ask all the time.
pub(super) struct Probed;

impl<S: Sync> FromRequestParts<S> for Routed {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        note(parts, Interest::Usual);
        Ok(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Probed {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        note(parts, Interest::Low);
        Ok(Self)
    }
}

/// Notes the pattern that fitted.
pub(super) fn note(parts: &Parts, interest: Interest) {
    if let (Some(record), Some(path)) = (parts.extensions.get::<Arc<RequestRecord>>(), parts.extensions.get::<MatchedPath>()) {
        record.routed(path.as_str(), interest);
    }
}
