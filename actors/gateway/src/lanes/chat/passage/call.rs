//! Native calls: the operation is called as the client called it. Its body and headers pass as they are; what the aliases and
//! settings have for it (guardrail, tier, labels) is added where the client says nothing of it.
//!
//! Converse knows these wishes as members of its body, InvokeModel as headers. A client may send the headers to Converse, too:
//! they are put into the body, as they are for every other dialect. What cannot be is reported.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use outcrop_domain::{
    adjust::{Adjustments, word},
    chat::Guardrail,
    error::GatewayError,
};
use outcrop_translate::{
    dialect::guardrail::GuardrailRule,
    transparent::{
        messages_body::CachedPrefix,
        native::{self, AddedTo},
    },
};
use outcrop_upstream::ports::RuntimeOperation;

use super::{
    super::{
        facts::{self, Passing},
        input::NativeInput,
        prepare::{Prepared, another_guardrail, guardrail_rule},
        wire::{Reading, Wire},
    },
    Ground,
    wish_headers::{self, GUARDRAIL, GUARDRAIL_VERSION, LATENCY, OF_BEDROCK, SERVICE_TIER, STREAM_MODE, TRACE},
};

/// Prepares a native call.
pub(super) fn prepare(ground: Ground, input: NativeInput) -> Result<Prepared, GatewayError> {
    let NativeInput { operation, body, headers, model: _ } = input;
    let mut notes = Adjustments::default();
    let spec = &ground.resolution.model;
    let (body, headers, seen, tier) = match operation {
        RuntimeOperation::Converse | RuntimeOperation::ConverseStream => {
            let body = converse(&ground, operation.streams(), body, &headers, &mut notes)?;
            let seen = native::converse_request(&body)?;
            let tier = seen.service_tier;
            (body, HeaderMap::new(), seen, tier)
        }
        RuntimeOperation::InvokeModel | RuntimeOperation::InvokeModelWithResponseStream => {
            let (body, headers) = invoke(&ground, operation.streams(), body, headers, &mut notes)?;
            let seen = native::invoke_request(&body)?;
            let tier = wish_headers::tier(&headers);
            (body, headers, seen, tier)
        }
        RuntimeOperation::CountTokens => {
            report_unheard(&headers, &[], &mut notes);
            let seen = native::count_request(&body)?;
            (body, HeaderMap::new(), seen, None)
        }
    };
    let route = if operation == RuntimeOperation::CountTokens {
        facts::aside(ground.strategy)
    } else {
        let cached = spec.chat.as_ref().and_then(|chat| facts::kept(seen.cached, seen.earlier_tokens, chat));
        let conversation = |prefix: CachedPrefix| (prefix, seen.affinity(&body, &[spec.id.as_str()], ground.overrides.session.as_deref()));
        let seen = Passing { prompt_tokens: seen.prompt_tokens, max_tokens: seen.max_tokens, cached: cached.map(conversation) };
        facts::passing(&seen, spec, ground.strategy)
    };
    let wire = Wire { operation, headers, reading: Reading::Native { kind: spec.kind } };
    Ok(ground.prepared(wire, body, route, notes, tier))
}

/// A Converse body with what its headers ask and what the operator has for it.
fn converse(ground: &Ground, streams: bool, body: Bytes, headers: &HeaderMap, notes: &mut Adjustments) -> Result<Bytes, GatewayError> {
    let overrides = &ground.overrides;
    let rule = guardrail_rule(&ground.settings.chat, &ground.aliases, overrides.guardrail.as_ref())?;
    let guardrail = applicable(&rule, ground)?;
    let (tier, labels) = (ground.tier(), ground.labels());
    // Faults are told of what the client wrote, not of what is added to it.
    native::checked(&body)?;
    let mut heard: Vec<&HeaderName> = Vec::new();
    let is_idle = guardrail.is_none() && overrides.service_tier.or(tier).is_none() && overrides.latency.is_none() && labels.is_empty();
    // The usual case: what is not to be changed need not be looked at.
    if is_idle {
        report_unheard(headers, &heard, notes);
        return Ok(body);
    }
    let mut added = AddedTo::new(&body);
    if let Some(guardrail) = guardrail {
        match (added.names_guardrail(), &rule) {
            (true, GuardrailRule::Fixed(_)) => return Err(another_guardrail()),
            (true, GuardrailRule::Open(_)) => {}
            (false, _) => {
                added.guard(guardrail, streams)?;
                heard.extend(overrides.guardrail.iter().flat_map(|named| guardrail_headers(named, streams)));
            }
        }
    }
    added.ask_tier(overrides.service_tier, tier, notes)?;
    heard.extend(overrides.service_tier.map(|_| &SERVICE_TIER));
    if let Some(latency) = overrides.latency {
        added.ask_latency(latency, notes)?;
        heard.push(&LATENCY);
    }
    added.label(&labels, notes)?;
    report_unheard(headers, &heard, notes);
    Ok(added.finish()?.map_or(body, Bytes::from))
}

/// The headers that a guardrail of theirs was read from, as far as Converse has something for them.
fn guardrail_headers(named: &Guardrail, streams: bool) -> impl Iterator<Item = &'static HeaderName> {
    let trace = named.trace.map(|_| &TRACE);
    let mode = named.stream_mode.filter(|_| streams).map(|_| &STREAM_MODE);
    [&GUARDRAIL, &GUARDRAIL_VERSION].into_iter().chain(trace).chain(mode)
}

/// Reports headers of Bedrock's that an operation has nothing for.
fn report_unheard(headers: &HeaderMap, heard: &[&HeaderName], notes: &mut Adjustments) {
    for name in headers.keys().filter(|name| name.as_str().starts_with(OF_BEDROCK) && !heard.contains(name)) {
        notes.note(word(name.as_str()), "ignored");
    }
}

/// Body and headers of an InvokeModel call with what the operator has for it.
fn invoke(
    ground: &Ground,
    streams: bool,
    body: Bytes,
    mut headers: HeaderMap,
    notes: &mut Adjustments,
) -> Result<(Bytes, HeaderMap), GatewayError> {
    let rule = guardrail_rule(&ground.settings.chat, &ground.aliases, None)?;
    native::checked(&body)?;
    let body = match applicable(&rule, ground)? {
        Some(guardrail) => guard_invoke(body, &mut headers, guardrail, matches!(rule, GuardrailRule::Fixed(_)), streams)?,
        None => body,
    };
    wish_headers::fall_back_to_tier(&mut headers, ground.tier());
    wish_headers::label(&mut headers, &ground.labels(), notes)?;
    Ok((body, headers))
}

/// The operator's guardrail, where the client names none; where it may not name one, it is refused.
fn guard_invoke(body: Bytes, headers: &mut HeaderMap, guardrail: &Guardrail, is_fixed: bool, streams: bool) -> Result<Bytes, GatewayError> {
    let names_one = headers.contains_key(&GUARDRAIL) || headers.contains_key(&GUARDRAIL_VERSION);
    // What it shall look at and what it tells are as much the operator's as which it is.
    if is_fixed && (names_one || headers.contains_key(&TRACE) || AddedTo::new(&body).steers_guardrail()) {
        return Err(another_guardrail());
    }
    if names_one {
        return Ok(body);
    }
    wish_headers::put_guardrail(headers, guardrail)?;
    let Some(mode) = guardrail.stream_mode.filter(|_| streams) else { return Ok(body) };
    let mut added = AddedTo::new(&body);
    if !added.steers_guardrail() {
        added.guard_stream(mode)?;
    }
    Ok(added.finish()?.map_or(body, Bytes::from))
}

/// The guardrail of a rule, where there is one and the model is one to be guarded.
///
/// # Errors
/// When the model cannot be guarded: an unguarded answer is not what was asked for.
fn applicable<'r>(rule: &'r GuardrailRule, ground: &Ground) -> Result<Option<&'r Guardrail>, GatewayError> {
    let (GuardrailRule::Fixed(guardrail) | GuardrailRule::Open(Some(guardrail))) = rule else { return Ok(None) };
    // Vectors and pictures have no guardrails there.
    let Some(chat) = &ground.resolution.model.chat else { return Ok(None) };
    if !chat.guardrails {
        return Err(GatewayError::invalid("guardrail", format!("model `{}` does not support guardrails", ground.asked)));
    }
    Ok(Some(guardrail))
}
