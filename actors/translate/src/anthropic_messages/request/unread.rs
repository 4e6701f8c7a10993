//! Properties that Anthropic's own servers act on, and those nobody here knows.

use outcrop_domain::{error::GatewayError, json::JsonObject};
use outcrop_protocol::anthropic::messages::{ContextManagement, MessagesRequest};

use super::faults::{fault, not_one_of};
use crate::{
    dialect::{
        control_fields::is_control,
        notes::{Notes, label},
    },
    errors::anthropic::thread_unsupported,
};

/// Refuses what the answer would be wrong without, reports what it is merely other without.
pub(super) fn settle(wire: &MessagesRequest, notes: &mut Notes) -> Result<(), GatewayError> {
    refuse_what_cannot_be(wire)?;
    match wire.speed.as_deref() {
        None | Some("standard") => {}
        Some("fast") => notes.meaning("speed", "ignored")?,
        Some(_) => return Err(not_one_of("speed", &["standard", "fast"])),
    }
    let rewrites = wire.context_management.as_ref().map(ContextManagement::rewrites);
    let changes =
        [("container", wire.container.is_some()), ("context_management", rewrites == Some(true)), ("fallbacks", wire.fallbacks.is_some())];
    for (field, _) in changes.into_iter().filter(|(_, given)| *given) {
        notes.meaning(field, "ignored")?;
    }
    let harmless = [
        ("anthropic_version", wire.anthropic_version.is_some()),
        ("billing_policy", wire.billing_policy.is_some()),
        // Without it the model sees more than it need: the answer costs more and is the same in kind.
        ("context_management", rewrites == Some(false)),
        ("diagnostics", wire.diagnostics.is_some()),
        ("fallback_credit_token", wire.fallback_credit_token.is_some()),
        ("user_profile_id", wire.user_profile_id.is_some()),
        ("workspace_id", wire.workspace_id.is_some()),
    ];
    for (field, _) in harmless.into_iter().filter(|(_, given)| *given) {
        notes.harmless(field, "ignored");
    }
    Ok(())
}

/// Properties that are the request itself, or a promise about where it is worked on.
fn refuse_what_cannot_be(wire: &MessagesRequest) -> Result<(), GatewayError> {
    if wire.mcp_servers.as_ref().is_some_and(|servers| !servers.is_empty()) {
        return Err(fault("mcp_servers", "MCP servers are not called from here; connect to them in the client and offer their tools"));
    }
    if wire.thread.is_some() {
        return Err(thread_unsupported());
    }
    if wire.compaction.is_some() {
        return Err(fault("compaction", "compaction is not available with this model; ask for a summary in a message"));
    }
    match wire.inference_geo.as_deref() {
        None | Some("global") => Ok(()),
        Some(_) => {
            Err(fault("inference_geo", "the geography of inference is chosen by the model's name here, e.g. by the prefix `us.` or `eu.`"))
        }
    }
}

/// Parameters for the model itself: unknown properties, each reported, then `additional_model_request_fields`, which win.
/// Fields that steer other gateways are left out of the first.
pub(super) fn model_parameters(rest: JsonObject, explicit: Option<JsonObject>, notes: &mut Notes) -> JsonObject {
    let mut parameters = JsonObject::new();
    for (name, value) in rest {
        if value.is_null() {
            continue;
        }
        if is_control(&name) {
            notes.harmless(label(&name), "dropped");
        } else {
            notes.harmless(label(&name), "passed_to_model");
            parameters.insert(name, value);
        }
    }
    parameters.extend(explicit.into_iter().flatten());
    parameters
}
