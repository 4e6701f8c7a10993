//! What an answer must remember of its request.

use std::{collections::BTreeMap, fmt, sync::Arc};

use outcrop_domain::{chat::ReasoningVisibility, json::JsonText};

/// How the client wants its answer written. Read off the request, used by [`super::response`] and [`super::stream`].
/// Cheap to clone: what is large is shared.
#[derive(Debug, Clone, PartialEq)]
pub struct ResponseShape {
    /// What the answer is made into.
    pub answer: AnswerForm,
    /// Tools that the model knows by other names or in another form than the client.
    pub tools: Arc<ToolForms>,
    /// Whether reasoning is shown as a summary (`reasoning.summary`).
    pub summary: ReasoningVisibility,
    /// What the answer holds beyond the usual (`include`).
    pub include: Include,
    /// Parameters that the response repeats.
    pub echo: Arc<Echo>,
}

impl ResponseShape {
    /// The same, of a response that is not stored.
    #[must_use]
    pub fn unstored(mut self) -> Self {
        Arc::make_mut(&mut self.echo).store = false;
        self
    }
}

impl Default for ResponseShape {
    /// Of a request that says nothing: reasoning is summarised only for who asks.
    fn default() -> Self {
        Self {
            answer: AnswerForm::Items,
            tools: Arc::default(),
            summary: ReasoningVisibility::Hidden,
            include: Include::default(),
            echo: Arc::default(),
        }
    }
}

/// What an answer is made into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerForm {
    /// Messages, reasoning, calls.
    #[default]
    Items,
    /// A `compaction` item that holds the text: the input ended with `compaction_trigger`.
    Summary,
}

/// `include`, as far as answers differ by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Include {
    /// `reasoning.encrypted_content`.
    pub encrypted_reasoning: bool,
    /// `code_interpreter_call.outputs`.
    pub code_outputs: bool,
}

impl Include {
    /// All that may be included: what is stored.
    pub(super) const ALL: Self = Self { encrypted_reasoning: true, code_outputs: true };
}

/// The tools whose calls do not look to the client as the model writes them, by the model's name for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolForms(pub(super) BTreeMap<String, ToolForm>);

impl ToolForms {
    /// How calls of the tool that the model knows as `name` look to the client; `None`: as the model writes them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ToolForm> {
        self.0.get(name)
    }
}

/// How a tool looks to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolForm {
    /// What a call of it is.
    pub kind: CallKind,
    /// The namespace it lies in.
    pub namespace: Option<String>,
    /// Its name there.
    pub name: String,
}

/// What a call of a client's tool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `function_call`: an object.
    Function,
    /// `custom_tool_call`: free text, which the model writes as the only member of an object.
    Custom,
}

/// What every response carries that comes neither from the model nor from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseMeta {
    /// `resp_...`.
    pub id: String,
    /// Unix seconds.
    pub created_unix: u64,
    /// The model's name as the client shall see it.
    pub model_shown: String,
}

/// Parameters that the response repeats, as the client gave them or as OpenAI would have understood their absence.
#[derive(Clone, PartialEq)]
pub struct Echo {
    /// `background`.
    pub background: bool,
    /// `conversation`, by id.
    pub conversation: Option<String>,
    /// `instructions`.
    pub instructions: Option<String>,
    /// `max_output_tokens`.
    pub max_output_tokens: Option<u32>,
    /// `max_tool_calls`.
    pub max_tool_calls: Option<i64>,
    /// `metadata`.
    pub metadata: BTreeMap<String, String>,
    /// `parallel_tool_calls`.
    pub parallel_tool_calls: bool,
    /// `previous_response_id`.
    pub previous_response_id: Option<String>,
    /// `prompt_cache_key`.
    pub prompt_cache_key: Option<String>,
    /// `prompt_cache_retention`.
    pub prompt_cache_retention: Option<String>,
    /// `reasoning.effort`.
    pub effort: Option<String>,
    /// `reasoning.summary`.
    pub summary: Option<String>,
    /// `safety_identifier`.
    pub safety_identifier: Option<String>,
    /// `service_tier`.
    pub service_tier: Option<String>,
    /// `store`.
    pub store: bool,
    /// `temperature`.
    pub temperature: Option<f64>,
    /// `text`.
    pub text: JsonText,
    /// `tool_choice`.
    pub tool_choice: JsonText,
    /// `tools`.
    pub tools: Vec<JsonText>,
    /// `top_logprobs`.
    pub top_logprobs: u32,
    /// `top_p`.
    pub top_p: Option<f64>,
    /// `truncation`.
    pub truncation: String,
    /// `user`.
    pub user: Option<String>,
}

impl fmt::Debug for Echo {
    /// Shapes only: the caller's words and labels stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Echo")
            .field("background", &self.background)
            .field("conversation", &self.conversation)
            .field("previous_response_id", &self.previous_response_id)
            .field("store", &self.store)
            .field("instructions", &self.instructions.as_ref().map(String::len))
            .field("labels", &self.metadata.len())
            .field("tools", &self.tools.len())
            .finish_non_exhaustive()
    }
}

impl Default for Echo {
    /// A request that says nothing.
    fn default() -> Self {
        Self {
            background: false,
            conversation: None,
            instructions: None,
            max_output_tokens: None,
            max_tool_calls: None,
            metadata: BTreeMap::new(),
            parallel_tool_calls: true,
            previous_response_id: None,
            prompt_cache_key: None,
            prompt_cache_retention: None,
            effort: None,
            summary: None,
            safety_identifier: None,
            service_tier: None,
            store: true,
            temperature: None,
            text: constant("{\"format\":{\"type\":\"text\"}}"),
            tool_choice: constant("\"auto\""),
            tools: Vec::new(),
            top_logprobs: 0,
            top_p: None,
            truncation: "disabled".to_owned(),
            user: None,
        }
    }
}

/// A JSON text that is written here and known to be one.
fn constant(text: &str) -> JsonText {
    JsonText::parse(text.to_owned()).unwrap_or_else(|_| JsonText::empty_object())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_what_the_caller_wrote() {
        let secret = || Some("secret".to_owned());
        let metadata = BTreeMap::from([("secret".to_owned(), "secret".to_owned())]);
        let echo = Echo { instructions: secret(), user: secret(), safety_identifier: secret(), metadata, ..Echo::default() };
        let shown = format!("{:?}", ResponseShape { echo: Arc::new(echo), ..ResponseShape::default() });
        assert!(!shown.contains("secret"), "{shown}");
    }
}
