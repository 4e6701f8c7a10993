//! What operators hear of targets: log lines and counters of what happens seldom.

use outcrop_domain::{
    clock::Moment,
    error::{Cause, UpstreamFailure},
    routing::{Gate, quota::Refused},
};

use super::TargetCell;

/// A trip is a warning; lost access is an alarm, since nobody repairs it by waiting.
pub(super) fn tell_operators(cell: &TargetCell, failure: Option<&UpstreamFailure>, windows: u32, now: Moment) {
    let (model, region) = (cell.model.as_str(), cell.region.as_str());
    tell_of_gate(cell, now);
    let Some(failure) = failure else {
        tracing::info!(model.id = model, region, "target answers again");
        return;
    };
    let cause = failure.cause.as_str();
    metrics::counter!("outcrop_target_trips_total", "model" => model.to_owned(), "region" => region.to_owned(), "cause" => cause)
        .increment(1);
    match failure.cause {
        Cause::AccessDenied | Cause::ModelMissing => {
            tracing::error!(
                model.id = model,
                region,
                cause,
                upstream.code = failure.code,
                upstream.message = failure.message,
                "target refused to serve the model and is skipped"
            );
        }
        _ => tracing::warn!(
            model.id = model,
            region,
            cause,
            windows,
            upstream.code = failure.code,
            "target is closed to traffic for its backoff"
        ),
    }
}

/// A target that begins as the last run left it, where that is not open to everybody.
pub(super) fn tell_of_beginning(cell: &TargetCell, now: Moment) {
    if cell.strictest_gate(now) == Gate::Closed {
        return;
    }
    tell_of_gate(cell, now);
    if cell.last_failure().is_some_and(|failure| failure.cause == Cause::QuotaExhausted) {
        tracing::warn!(
            model.id = cell.model.as_str(),
            region = cell.region.as_str(),
            "the daily quota was spent before this start: the target is left alone until midnight UTC, but for a probe every 15 minutes"
        );
    }
}

/// Whether it may be called, by its health or its quotas.
pub(super) fn tell_of_gate(cell: &TargetCell, now: Moment) {
    let (model, region) = (cell.model.as_str(), cell.region.as_str());
    let closed = cell.strictest_gate(now) != Gate::Closed;
    metrics::gauge!("outcrop_target_open", "model" => model.to_owned(), "region" => region.to_owned()).set(f64::from(u8::from(closed)));
}

/// A refusal is counted; a spent day is a warning.
pub(super) fn tell_of_quota(cell: &TargetCell, by: Refused) {
    let (model, region) = (cell.model.as_str(), cell.region.as_str());
    let resource = match by {
        Refused::Requests => "requests",
        Refused::Tokens => "tokens",
        Refused::Daily => "day",
        Refused::Unnamed => "unnamed",
    };
    metrics::counter!("outcrop_target_refused_total", "model" => model.to_owned(), "region" => region.to_owned(), "resource" => resource)
        .increment(1);
    if by == Refused::Daily {
        tracing::warn!(
            model.id = model,
            region,
            "the daily quota is spent: the target is left alone until midnight UTC, but for a probe every 15 minutes"
        );
    } else {
        tracing::debug!(model.id = model, region, resource, "a call was refused by a quota");
    }
}
