//! `include`.

use outcrop_domain::error::GatewayError;
use outcrop_protocol::openai::responses::ResponsesRequest;

use super::fault;
use crate::{dialect::notes::Notes, openai_responses::Include};

/// Every word that OpenAI knows.
const KNOWN: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

/// Reads what the answer shall hold beyond the usual. Sealed reasoning is in every new answer, asked for or not: clients send its items
/// on as they are, and without it the model would have lost its thoughts. Source: `ReasoningItem.encrypted_content`.
pub(super) fn read(wire: &ResponsesRequest, notes: &mut Notes) -> Result<Include, GatewayError> {
    let include = of_words(wire.include.as_deref().unwrap_or_default(), notes)?;
    Ok(Include { encrypted_reasoning: true, ..include })
}

fn of_words(words: &[String], notes: &mut Notes) -> Result<Include, GatewayError> {
    let mut include = Include::default();
    for (position, word) in words.iter().enumerate() {
        match word.as_str() {
            "reasoning.encrypted_content" => include.encrypted_reasoning = true,
            "code_interpreter_call.outputs" => include.code_outputs = true,
            "message.output_text.logprobs" => notes.meaning("include.message.output_text.logprobs", "ignored")?,
            "web_search_call.action.sources" => notes.harmless("include.web_search_call.action.sources", "ignored"),
            "web_search_call.results" => notes.harmless("include.web_search_call.results", "ignored"),
            // What these name is never in an answer, or always.
            known if KNOWN.contains(&known) => {}
            unknown => return Err(fault::unknown_word(format!("include[{position}]"), unknown, &KNOWN)),
        }
    }
    Ok(include)
}

impl Include {
    /// Reads the `include` of a query (`GET /v1/responses/{id}?include=...`).
    ///
    /// # Errors
    /// `InvalidRequest` for a word that nobody knows.
    pub fn of_query(words: &[String]) -> Result<Self, GatewayError> {
        of_words(words, &mut Notes::new(crate::dialect::notes::Strictness::Lenient))
    }
}
