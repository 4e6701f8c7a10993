//! `inferenceConfig` against the model.

use serde_json::Value;

use super::{Case, Refusal};
use crate::models::{Dialect, Sampling};

/// Checks lengths, stop sequences and sampling parameters.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    length(case)?;
    stop_sequences(case)?;
    sampling(case)
}

fn length(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let Some(asked) = case.request.inference.max_tokens else { return Ok(()) };
    let most = case.traits.max_output;
    if asked > most {
        return Err(Refusal::validation(format!(
            "The maximum tokens you requested exceeds the model limit of {most}. Try again with a maximum tokens value that is lower than {most}."
        )));
    }
    let least = case.traits.min_tokens;
    if asked < least {
        return Err(Refusal::model(format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {least}, but got {asked} instead."
        )));
    }
    Ok(())
}

pub(super) fn stop_sequences(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let stops = &case.request.inference.stop_sequences;
    if stops.is_empty() {
        return Ok(());
    }
    let most = case.traits.stop_sequences;
    if most == 0 {
        return Err(Refusal::unsupported_field("stopSequences"));
    }
    if stops.len() > most {
        return Err(Refusal::validation(format!(
            "The number of stopSequences exceeds the model limit of {most}. Remove some and try again."
        )));
    }
    if case.traits.dialect == Dialect::Claude && stops.iter().any(|stop| stop.trim().is_empty()) {
        return Err(Refusal::model("stop_sequences: each stop sequence must contain non-whitespace"));
    }
    Ok(())
}

pub(super) fn sampling(case: &Case<'_, '_>) -> Result<(), Refusal> {
    let extra = |key: &str| case.request.additional.and_then(|fields| fields.get(key)).and_then(Value::as_f64).is_some();
    let temperature = case.request.inference.temperature.is_some() || extra("temperature");
    let top_p = case.request.inference.top_p.is_some() || extra("top_p");
    match case.traits.sampling {
        Sampling::Free => Ok(()),
        Sampling::Either if temperature && top_p => {
            Err(Refusal::model("`temperature` and `top_p` cannot both be specified for this model. Please use only one."))
        }
        Sampling::Either => Ok(()),
        Sampling::None => {
            let top_k = case.traits.dialect == Dialect::Claude && extra("top_k");
            let found = [("temperature", temperature), ("top_p", top_p), ("top_k", top_k)];
            let Some((name, _)) = found.iter().find(|(_, set)| *set) else { return Ok(()) };
            Err(match case.traits.dialect {
                Dialect::Claude => Refusal::model(format!("`{name}` is deprecated for this model.")),
                _ => Refusal::model(format!("Unsupported parameter: '{name}' is not supported with this model.")),
            })
        }
    }
}
