//! A whole answer of InvokeModel in Anthropic's shape: passed on as it is, but for the model's name.

use outcrop_domain::{
    chat::{ServiceTier, StopReason},
    error::{Cause, UpstreamFailure},
    usage::Usage,
};
use outcrop_protocol::bedrock::invoke::ClaudeUsage;

use super::{
    json::{Edits, Kind, Scanner},
    stream::stop_reason,
    usage::{UsageTally, service_tier},
};
use crate::converse::answer;

/// What was read of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WholeAnswer {
    /// The answer as the client shall see it; `None`: as it came.
    pub edited: Option<Vec<u8>>,
    /// Tokens; `None` when none were told.
    pub usage: Option<Usage>,
    /// Why it ended.
    pub stop: Option<StopReason>,
    /// The tier that served it, where told.
    pub service_tier: Option<ServiceTier>,
    /// Bytes of its content, for an estimate where no tokens were told.
    pub produced_bytes: u64,
}

/// Reads an answer. `model` is the name that the client shall see, where it shall see another.
///
/// # Errors
/// [`Cause::Malformed`] when it is no JSON object.
pub fn read(answer: &[u8], model: Option<&str>) -> Result<WholeAnswer, UpstreamFailure> {
    let mut reader = Reader { whole: WholeAnswer::default(), edits: Edits::default(), model };
    let fault = match reader.read(&mut Scanner::new(answer)) {
        Ok(true) => None,
        Ok(false) => Some("it is no object"),
        Err(fault) => Some(fault.what),
    };
    if let Some(what) = fault {
        return Err(answer::failure(Cause::Malformed, "MalformedAnswer", format!("the answer cannot be read: {what}")));
    }
    let Reader { mut whole, edits, .. } = reader;
    if !edits.is_empty() {
        let edited = edits.apply(answer);
        whole.edited = Some(edited.map_err(|error| answer::failure(Cause::Malformed, "MalformedAnswer", error.to_string()))?);
    }
    Ok(whole)
}

struct Reader<'m> {
    whole: WholeAnswer,
    edits: Edits,
    model: Option<&'m str>,
}

impl Reader<'_> {
    /// False when the answer is no object.
    fn read(&mut self, scanner: &mut Scanner<'_>) -> Result<bool, super::json::Fault> {
        if scanner.kind()? != Kind::Object {
            return Ok(false);
        }
        let text = scanner.text();
        let mut members = scanner.enter()?;
        while let Some(key) = scanner.key(&mut members)? {
            let value = scanner.skip()?;
            match (key.decode(text).as_deref(), self.model) {
                (Some("model"), Some(model)) => self.edits.replace(value.span, serde_json::to_string(model).unwrap_or_default()),
                (Some("stop_reason"), _) => self.whole.stop = super::json::said(text, value).map(|word| stop_reason(&word)),
                (Some("content"), _) => self.whole.produced_bytes = value.span.len(),
                (Some("usage"), _) => {
                    if let Ok(usage) = serde_json::from_slice::<ClaudeUsage>(value.span.of(text)) {
                        let mut tally = UsageTally::default();
                        tally.told_by_model(&usage);
                        self.whole.usage = tally.usage();
                        self.whole.service_tier = usage.service_tier.as_deref().and_then(service_tier);
                    }
                }
                _ => {}
            }
        }
        scanner.end()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
