//! What a request would become, without sending it.

use outcrop_domain::{error::GatewayError, json::JsonText, routing::Gate};
use outcrop_translate::converse::Mode;

use super::{ChatContext, prepare::Prepared};
use crate::ports::{ExplainedChange, ExplainedTarget, Explanation};

pub(super) fn explain(context: &ChatContext, prepared: &Prepared) -> Result<Explanation, GatewayError> {
    let (operation, verb) = match prepared.body.mode {
        Mode::Stream => ("ConverseStream", "converse-stream"),
        Mode::Whole => ("Converse", "converse"),
    };
    let now = context.ports.clock.now();
    let model = &prepared.resolution.model.id;
    let targets = prepared
        .resolution
        .targets
        .iter()
        .map(|target| ExplainedTarget {
            region: target.region.clone(),
            request: format!("POST /model/{}/{verb}", target.invoke_id),
            health: match context.board.cell(model, &target.region).candidate(now, false).gate {
                Gate::Closed => "healthy",
                Gate::Open { .. } => "closed to traffic",
                Gate::HalfOpen => "half-open",
            },
        })
        .collect();
    let body = String::from_utf8(prepared.bytes.to_vec()).ok().and_then(|text| JsonText::parse(text).ok());
    let adjusted = prepared
        .adjustments
        .iter()
        .map(|change| ExplainedChange { field: change.field.clone().into_owned(), action: change.action.clone().into_owned() })
        .collect();
    Ok(Explanation {
        model: model.clone(),
        replaced: prepared.replaced_words(),
        operation,
        targets,
        body: body.ok_or_else(|| GatewayError::Internal { message: "the translated body is not JSON".to_owned() })?,
        adjusted,
    })
}
