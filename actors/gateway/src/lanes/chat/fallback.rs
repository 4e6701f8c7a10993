//! Other models in place of one that cannot answer: the chain of an alias.

use outcrop_domain::{
    error::{Cause, GatewayError},
    model::Catalogue,
};

use crate::{
    ports::{ChatJob, ClientRequest},
    settings::LiveSettings,
};

/// The models of a request in order: the one asked for, then those that its alias falls back to.
pub(super) fn chain(settings: &LiveSettings, catalogue: &Catalogue, request: &ClientRequest, asked: &str) -> Vec<String> {
    let suits = match request {
        ClientRequest::Raw(raw) => raw.suits_other_models(),
        // A count for another model is none.
        ClientRequest::Counting(_) => false,
        _ => true,
    };
    // The usual case, and a name costs something to look up.
    if !suits || settings.chat.aliases.values().all(|alias| alias.fallback.is_empty()) {
        return Vec::new();
    }
    let named = catalogue.operator_alias(asked);
    let alias = named.as_ref().and_then(|name| settings.chat.alias(name));
    alias.map(|alias| alias.fallback.clone()).unwrap_or_default()
}

/// May another model answer what this one could not? Not when the request itself is at fault, nor the caller, nor we: only when
/// no region could serve the model.
pub(super) fn may_do_better(error: &GatewayError) -> bool {
    match error {
        GatewayError::Upstream(failure) => failure.cause.try_elsewhere() && failure.cause != Cause::Credentials,
        GatewayError::RateLimited { .. } | GatewayError::Unavailable { .. } | GatewayError::ModelNotFound { .. } => true,
        _ => false,
    }
}

/// The same job for another model. What is counted for its memory is shared by both.
pub(super) fn job_for(job: &ChatJob, model: &str) -> ChatJob {
    ChatJob {
        record: job.record.clone(),
        principal: job.principal.clone(),
        request: job.request.for_model(model),
        body_bytes: job.body_bytes,
        overrides: job.overrides.clone(),
        held: job.held.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outcrop_domain::error::UpstreamFailure;

    use super::*;

    fn failed(cause: Cause) -> GatewayError {
        GatewayError::Upstream(UpstreamFailure::own(cause, "", ""))
    }

    #[test]
    fn another_model_helps_when_no_region_could_serve_this_one_and_only_then() {
        for cause in [Cause::Throttled, Cause::QuotaExhausted, Cause::Unavailable, Cause::Timeout, Cause::AccessDenied, Cause::ModelMissing]
        {
            assert!(may_do_better(&failed(cause)), "{cause:?}");
        }
        for cause in [Cause::BadRequest, Cause::ContextOverflow, Cause::BrokenStream, Cause::Credentials] {
            assert!(!may_do_better(&failed(cause)), "{cause:?}");
        }
        assert!(may_do_better(&GatewayError::RateLimited { message: String::new(), retry_after: Duration::ZERO }));
        assert!(!may_do_better(&GatewayError::Forbidden { message: String::new() }));
        assert!(!may_do_better(&GatewayError::DeadlineExceeded { after: Duration::ZERO }), "nobody waits any longer");
    }
}
