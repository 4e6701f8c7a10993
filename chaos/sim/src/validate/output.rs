//! What the caller asks of the answer: structured output, effort, extra response fields, latency.

use serde_json::Value;

use super::{Case, Refusal, schema};

/// Checks `outputConfig`, `additionalModelResponseFieldPaths` and `performanceConfig`.
pub(super) fn check(case: &Case<'_, '_>) -> Result<(), Refusal> {
    if let Some(text) = case.request.schema {
        text_format(case, text)?;
    }
    if let Some(effort) = case.request.effort {
        if case.traits.efforts.is_empty() {
            return Err(Refusal::unsupported_field("outputConfig.effort"));
        }
        if !case.traits.efforts.iter().any(|known| known == effort) {
            return Err(Refusal::model(format!("output_config.effort: Input should be {}", quoted(&case.traits.efforts))));
        }
    }
    for path in &case.request.response_paths {
        if !pointer(path) {
            return Err(Refusal::validation(format!("The additionalModelResponseFieldPaths value {path} is not a valid JSON Pointer.")));
        }
    }
    latency(case)
}

/// Checks the wanted latency.
pub(super) fn latency(case: &Case<'_, '_>) -> Result<(), Refusal> {
    if case.request.latency == Some("optimized") && !case.traits.latency_optimized {
        return Err(Refusal::validation(format!("Latency performance configuration is not supported for {}", case.model.id)));
    }
    Ok(())
}

fn text_format(case: &Case<'_, '_>, text: &str) -> Result<(), Refusal> {
    if !case.traits.structured {
        return Err(Refusal::model("output_config.format: Extra inputs are not permitted"));
    }
    let schema: Value = serde_json::from_str(text).map_err(|_| {
        Refusal::validation("The format of the value at outputConfig.textFormat.structure.jsonSchema.schema is invalid. Provide a valid JSON schema string and try again.")
    })?;
    if !schema.is_object() {
        return Err(Refusal::model("output_config.format.schema: Input should be a valid dictionary"));
    }
    schema::subset(&schema, "output_config.format")
}

/// `'low', 'medium' or 'high'`.
pub(super) fn quoted(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            let rest: Vec<String> = rest.iter().map(|word| format!("'{word}'")).collect();
            format!("{} or '{last}'", rest.join(", "))
        }
        Some((last, _)) => format!("'{last}'"),
        None => String::new(),
    }
}

/// RFC 6901: starts with `/`; `~` only before 0 or 1.
fn pointer(path: &str) -> bool {
    path.starts_with('/') && path.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'))
}
