//! What the answers of this dialect carry that does not come from the model, and how what went wrong instead is told.

use std::{sync::Arc, time::UNIX_EPOCH};

use axum::{extract::Request, response::Response};
use outcrop_domain::{clock::random_id, error::GatewayError};
use outcrop_gateway::record::RequestRecord;
use outcrop_translate::openai_chat::RenderMeta;

use super::super::{Edge, ToldHeaders, errors::openai_error, headers};

/// Name and time of an answer.
pub(super) struct Meta {
    id: String,
    created_unix: u64,
}

impl Meta {
    /// Of an answer whose id begins with `prefix`.
    pub(super) fn new(edge: &Edge, prefix: &str) -> Self {
        let created_unix = edge.world().clock.wall().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { id: random_id(prefix, edge.world().entropy.as_ref()), created_unix }
    }

    /// With the model that answers.
    pub(super) fn render_meta(&self, model_shown: String) -> RenderMeta {
        RenderMeta { id: self.id.clone(), created_unix: self.created_unix, model_shown }
    }
}

/// The record of a request, to be asked for before the request is spent.
pub(super) fn record_of(request: &Request) -> Option<Arc<RequestRecord>> {
    request.extensions().get::<Arc<RequestRecord>>().cloned()
}

/// An error instead of an answer. The job has told the record how far it came before it answered.
pub(super) fn failure(error: &GatewayError, record: Option<&RequestRecord>, told: ToldHeaders) -> Response {
    let mut response = openai_error(error);
    if let Some(report) = record.and_then(RequestRecord::job) {
        headers::describe_failure(response.headers_mut(), report, error, told);
    }
    response
}
