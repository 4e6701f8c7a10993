//! What is added to native bodies, and the only change they know: what the operator has set for them, and what came by header
//! where Converse has members for it. Every other byte stays as the client wrote it.

use std::collections::BTreeMap;

use outcrop_domain::{
    adjust::Adjustments,
    chat::{Guardrail, GuardrailStreamMode, GuardrailTrace, Latency, ServiceTier},
    error::GatewayError,
};
use outcrop_protocol::{
    bedrock::converse::{AnswerTier, GuardrailConfig, PerformanceConfig as SentPerformance, ServiceTier as SentTier},
    extension::PerformanceConfig,
};
use serde::Serialize;

use crate::{
    converse::{
        answer,
        request::{MAX_LABELS, clean_labels},
    },
    transparent::json::{Edits, Kind, Scanner, Span, Text, Value, members_of, object},
};

/// Member of a Converse body that names a guardrail.
const GUARDRAIL: &str = "guardrailConfig";
/// Member that names the tier.
pub(super) const TIER: &str = "serviceTier";
/// Member that asks for latency.
const PERFORMANCE: &str = "performanceConfig";
/// Member that holds labels.
const LABELS: &str = "requestMetadata";

/// Member of an InvokeModel body that says how its guardrail shall work. Source: guardrails page of the Bedrock user guide.
pub const INVOKE_FIELD: &str = "amazon-bedrock-guardrailConfig";

/// The value of [`INVOKE_FIELD`] for this way of looking at a stream.
#[must_use]
pub fn invoke_field(mode: GuardrailStreamMode) -> &'static str {
    match mode {
        GuardrailStreamMode::Sync => r#"{"streamProcessingMode":"SYNCHRONOUS"}"#,
        GuardrailStreamMode::Async => r#"{"streamProcessingMode":"ASYNCHRONOUS"}"#,
    }
}

/// A native body that gets further members.
///
/// A member that the body has as `null` is not said. One that it has more than once and that is to be set is refused: which of
/// them counts is not for the client to say.
#[derive(Debug)]
pub struct AddedTo<'b> {
    body: &'b [u8],
    members: Vec<(Text, Value)>,
    /// Members that the body has not, as JSON.
    new: Vec<String>,
    edits: Edits,
}

impl<'b> AddedTo<'b> {
    /// A body to which nothing is added yet.
    #[must_use]
    pub fn new(body: &'b [u8]) -> Self {
        let members = members_of(body, Span::new(Scanner::new(body).at(), body.len()));
        Self { body, members, new: Vec::new(), edits: Edits::default() }
    }

    /// Does a Converse body name a guardrail of its own?
    #[must_use]
    pub fn names_guardrail(&self) -> bool {
        self.said(GUARDRAIL).is_some()
    }

    /// Does an InvokeModel body say how its guardrail shall work (how a stream is looked at, which parts of the prompt are)?
    #[must_use]
    pub fn steers_guardrail(&self) -> bool {
        self.said(INVOKE_FIELD).is_some()
    }

    /// Sets the guardrail of a Converse body that names none. `streams`: it is one of ConverseStream.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] when the body has the member more than once.
    pub fn guard(&mut self, guardrail: &Guardrail, streams: bool) -> Result<(), GatewayError> {
        let config = GuardrailConfig {
            guardrail_identifier: &guardrail.identifier,
            guardrail_version: &guardrail.version,
            trace: guardrail.trace.map(trace),
            stream_processing_mode: guardrail.stream_mode.filter(|_| streams).map(|mode| match mode {
                GuardrailStreamMode::Sync => "sync",
                GuardrailStreamMode::Async => "async",
            }),
        };
        self.set(GUARDRAIL, json(&config))
    }

    /// Says how the guardrail of an InvokeModel body that leaves it open looks at a stream.
    ///
    /// # Errors
    /// As [`AddedTo::guard`].
    pub fn guard_stream(&mut self, mode: GuardrailStreamMode) -> Result<(), GatewayError> {
        self.set(INVOKE_FIELD, invoke_field(mode).to_owned())
    }

    /// Sets the tier of a Converse body. What a header asks wins over the body, as in every dialect; `fallback` yields to both.
    ///
    /// # Errors
    /// As [`AddedTo::guard`].
    pub fn ask_tier(
        &mut self,
        header: Option<ServiceTier>,
        fallback: Option<ServiceTier>,
        notes: &mut Adjustments,
    ) -> Result<(), GatewayError> {
        let asked = match (header, self.said(TIER)) {
            (Some(header), Some(said)) => {
                if tier_of(self.body, said) == Some(header) {
                    return Ok(());
                }
                notes.note(TIER, REPLACED);
                header
            }
            (None, Some(_)) => return Ok(()),
            (header, None) => match header.or(fallback) {
                // The default one goes without saying.
                None | Some(ServiceTier::Default) => return Ok(()),
                Some(tier) => tier,
            },
        };
        self.set(TIER, json(&SentTier { kind: asked.as_str() }))
    }

    /// Sets the latency of a Converse body to what a header asks, which wins over the body.
    ///
    /// # Errors
    /// As [`AddedTo::guard`].
    pub fn ask_latency(&mut self, latency: Latency, notes: &mut Adjustments) -> Result<(), GatewayError> {
        let word = match latency {
            Latency::Standard => "standard",
            Latency::Optimized => "optimized",
        };
        if let Some(said) = self.said(PERFORMANCE) {
            let said: PerformanceConfig = serde_json::from_slice(said.span.of(self.body)).unwrap_or_default();
            if said.latency.as_deref() == Some(word) {
                return Ok(());
            }
            notes.note(PERFORMANCE, REPLACED);
        }
        self.set(PERFORMANCE, json(&SentPerformance { latency: word }))
    }

    /// Adds labels to a Converse body, where it has none of the name and as many as there is room for.
    ///
    /// # Errors
    /// As [`AddedTo::guard`].
    pub fn label(&mut self, labels: &BTreeMap<String, String>, notes: &mut Adjustments) -> Result<(), GatewayError> {
        if labels.is_empty() {
            return Ok(());
        }
        match self.said(LABELS) {
            None => match labelled(b"{}", labels, notes).and_then(|json| String::from_utf8(json).ok()) {
                Some(json) => self.set(LABELS, json),
                None => Ok(()),
            },
            Some(said) => {
                if self.members.iter().filter(|(key, _)| key.is(self.body, LABELS)).count() > 1 {
                    return Err(given_twice(LABELS));
                }
                more_labels(self.body, said, labels, &mut self.edits, notes);
                Ok(())
            }
        }
    }

    /// The body with what was added; `None` when nothing was.
    ///
    /// # Errors
    /// [`GatewayError::InvalidRequest`] when it is no JSON object.
    pub fn finish(mut self) -> Result<Option<Vec<u8>>, GatewayError> {
        if !self.new.is_empty() {
            let new = self.new.join(",");
            let start = Scanner::new(self.body);
            match self.members.first() {
                Some((key, _)) => self.edits.insert(key.span.start, format!("{new},")),
                None if start.kind().ok() == Some(Kind::Object) => self.edits.insert(Span::new(start.at() + 1, start.at() + 1).start, new),
                None => {
                    let message = "the request body is empty or no JSON object".to_owned();
                    return Err(GatewayError::InvalidRequest { message, param: None, code: None });
                }
            }
        }
        if self.edits.is_empty() { Ok(None) } else { self.edits.apply(self.body).map(Some) }
    }

    /// The last value of a member that says something.
    fn said(&self, field: &str) -> Option<Value> {
        let said = |(key, value): &&(Text, Value)| value.kind != Kind::Null && key.is(self.body, field);
        self.members.iter().rev().find(said).map(|(_, value)| *value)
    }

    fn set(&mut self, field: &'static str, json: String) -> Result<(), GatewayError> {
        let named: Vec<Span> = self.members.iter().filter(|(key, _)| key.is(self.body, field)).map(|(_, value)| value.span).collect();
        match named.as_slice() {
            [] => self.new.push(format!("\"{field}\":{json}")),
            [value] => self.edits.replace(*value, json),
            _ => return Err(given_twice(field)),
        }
        Ok(())
    }
}

/// What is reported of a member that a header has overruled.
const REPLACED: &str = "replaced";

/// The JSON object of labels `theirs` with those of `ours` whose names it has not, as many as there is room for. `None` when
/// nothing is added: there is nothing to add, or `theirs` is no object.
#[must_use]
pub fn labelled(theirs: &[u8], ours: &BTreeMap<String, String>, notes: &mut Adjustments) -> Option<Vec<u8>> {
    object(theirs).ok().flatten()?;
    let start = Scanner::new(theirs).at();
    let mut edits = Edits::default();
    more_labels(theirs, Value { span: Span::new(start, theirs.len()), kind: Kind::Object }, ours, &mut edits, notes);
    if edits.is_empty() { None } else { edits.apply(theirs).ok() }
}

/// Labels are left as they are where they are no object: AWS says what is wrong with them.
fn more_labels(text: &[u8], theirs: Value, ours: &BTreeMap<String, String>, edits: &mut Edits, notes: &mut Adjustments) {
    if theirs.kind != Kind::Object {
        return;
    }
    let members = members_of(text, theirs.span);
    let mut room = MAX_LABELS.saturating_sub(members.len());
    let mut new = Vec::new();
    for (name, value) in clean_labels(ours, notes) {
        match members.iter().find(|(key, _)| key.is(text, &name)) {
            Some((_, said)) if said.kind == Kind::Null => edits.replace(said.span, json(&value)),
            Some(_) => {}
            None if room == 0 => notes.note("metadata", "truncated"),
            None => {
                room -= 1;
                new.push(format!("{}:{}", json(&name), json(&value)));
            }
        }
    }
    let new = new.join(",");
    match members.first() {
        _ if new.is_empty() => {}
        Some((key, _)) => edits.insert(key.span.start, format!("{new},")),
        None => edits.insert(theirs.span.start + 1, new),
    }
}

/// The tier that a value of [`TIER`] names.
pub(super) fn tier_of(text: &[u8], value: Value) -> Option<ServiceTier> {
    answer::service_tier(serde_json::from_slice::<AnswerTier>(value.span.of(text)).ok())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn given_twice(field: &'static str) -> GatewayError {
    GatewayError::invalid(field, format!("`{field}` is given twice"))
}

fn trace(trace: GuardrailTrace) -> &'static str {
    match trace {
        GuardrailTrace::Enabled => "enabled",
        GuardrailTrace::Disabled => "disabled",
        GuardrailTrace::EnabledFull => "enabled_full",
    }
}

#[cfg(test)]
mod tests;
