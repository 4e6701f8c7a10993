//! `POST /v1/messages/count_tokens` -> the chat hub, for [`crate::converse::count_tokens`].

use outcrop_domain::{adjust::Adjustments, chat::ChatRequest, error::GatewayError};
use outcrop_protocol::anthropic::{
    count_tokens::{CountTokensAnswer, CountTokensRequest},
    messages::MessagesRequest,
};
use serde_json::Map;

use super::request::{self, FetchedMedia, MediaUrl, ReadOptions};
pub use crate::converse::count_tokens::without_count;
use crate::dialect::notes::label;

/// A request to count, read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCount {
    /// The model, by the caller's name.
    pub model: String,
    /// What is to be counted; it has no limit of output tokens.
    pub request: ChatRequest,
    /// What was changed: the same as in the request that is counted.
    pub adjustments: Adjustments,
}

/// The web addresses of a request, each once, in order: to be fetched before [`read`].
#[must_use]
pub fn media_urls(request: &CountTokensRequest) -> Vec<MediaUrl> {
    request::urls(request.messages.as_deref())
}

/// Reads a request. `fetched` holds what [`media_urls`] named.
///
/// # Errors
/// As [`super::request::read`].
pub fn read(wire: CountTokensRequest, fetched: &FetchedMedia, options: &ReadOptions) -> Result<ReadCount, GatewayError> {
    let unknown: Vec<String> = wire.rest.iter().filter(|(_, value)| !value.is_null()).map(|(name, _)| label(name)).collect();
    let mut read = request::read_all_but_limit(as_messages(wire), fetched, options)?;
    for name in unknown {
        read.adjustments.note(name, "ignored");
    }
    Ok(ReadCount { model: read.model, request: read.request, adjustments: read.adjustments })
}

/// The answer.
#[must_use]
pub fn render(input_tokens: u64) -> CountTokensAnswer {
    CountTokensAnswer { input_tokens }
}

/// The request that would be answered instead of counted.
fn as_messages(wire: CountTokensRequest) -> MessagesRequest {
    MessagesRequest {
        model: wire.model,
        messages: wire.messages,
        system: wire.system,
        tools: wire.tools,
        tool_choice: wire.tool_choice,
        thinking: wire.thinking,
        output_config: wire.output_config,
        cache_control: wire.cache_control,
        context_management: wire.context_management,
        mcp_servers: wire.mcp_servers,
        anthropic_beta: wire.anthropic_beta,
        rest: Map::new(),
        ..MessagesRequest::default()
    }
}

#[cfg(test)]
mod tests {
    use outcrop_domain::{error::Cause, model::ChatCapabilities};
    use outcrop_protocol::body;
    use serde_json::{Value, json};

    use super::*;
    use crate::converse::{self, EffortBudgets, Mode, WriteOptions};

    fn read_plain(body: &Value) -> Result<ReadCount, GatewayError> {
        let wire = body::decode(body.to_string().as_bytes()).unwrap();
        read(wire, &FetchedMedia::default(), &ReadOptions::new(|_, _, _| None))
    }

    fn body() -> Value {
        json!({
            "model": "m",
            "system": [{"type": "text", "text": "Be brief."}],
            "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Hi"}],
        })
    }

    #[test]
    fn pain_18_tools_and_system_are_part_of_what_is_counted() {
        let read = read_plain(&body()).unwrap();
        assert_eq!((read.model.as_str(), read.request.max_tokens, read.adjustments.is_empty()), ("m", None, true));
        let model = ChatCapabilities { tools: outcrop_domain::model::ToolSupport::Full, ..ChatCapabilities::default() };
        let options =
            WriteOptions { model: read.model.clone(), mode: Mode::Whole, max_output_tokens: None, budgets: EffortBudgets::default() };
        let counted = converse::count_tokens::write(&read.request, &model, &options).unwrap();
        let json: Value = serde_json::from_slice(&counted.bytes).unwrap();
        let input = &json["input"]["converse"];
        assert_eq!(input["system"], json!([{"text": "Be brief."}]));
        assert_eq!(input["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
        assert_eq!(input["messages"][0]["content"], json!([{"text": "Hi"}]));
    }

    #[test]
    fn what_is_counted_is_what_would_be_sent() {
        let mut sent = body();
        sent["max_tokens"] = json!(5);
        let wire = body::decode(sent.to_string().as_bytes()).unwrap();
        let mut answered = request::read(wire, &FetchedMedia::default(), &ReadOptions::new(|_, _, _| None)).unwrap().request;
        answered.max_tokens = None;
        assert_eq!(read_plain(&body()).unwrap().request, answered);
    }

    #[test]
    fn members_that_do_not_count_are_reported() {
        let mut wire = body();
        wire["max_tokens"] = json!(5);
        wire["temperature"] = json!(null);
        assert_eq!(read_plain(&wire).unwrap().adjustments.to_string(), "max_tokens=ignored");
    }

    #[test]
    fn a_request_without_messages_is_refused_in_anthropics_words() {
        let mut wire = body();
        wire.as_object_mut().unwrap().remove("messages");
        assert_eq!(read_plain(&wire).unwrap_err().to_string(), "messages: Field required");
    }

    #[test]
    fn pain_18_where_there_is_no_exact_count_there_is_none() {
        use outcrop_domain::error::UpstreamFailure;
        let failed = |cause, message: &str| {
            GatewayError::Upstream(UpstreamFailure { status: 400, ..UpstreamFailure::own(cause, "ValidationException", message) })
        };
        for (cause, words) in [
            (Cause::BadRequest, "The provided model doesn't support counting tokens."),
            (Cause::ModelMissing, "no such model"),
            (Cause::AccessDenied, "not authorized to perform: bedrock:CountTokens"),
        ] {
            assert_eq!(without_count(failed(cause, words)), GatewayError::NotFound { message: words.to_owned() });
        }
        for error in
            [failed(Cause::BadRequest, "messages.0: no role"), failed(Cause::Throttled, "count too often"), GatewayError::WorkerLost]
        {
            assert_eq!(without_count(error.clone()), error);
        }
    }

    #[test]
    fn the_answer_is_one_number() {
        assert_eq!(serde_json::to_value(render(12)).unwrap(), json!({"input_tokens": 12}));
    }
}
