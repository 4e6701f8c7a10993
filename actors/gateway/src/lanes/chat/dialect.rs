//! What differs between the dialects of chat clients: how a request is read into the hub, and what the edge must know to
//! write its answer. Everything between the two is the same for all.

use std::sync::Arc;

use outcrop_domain::{adjust::Adjustments, chat::ChatRequest, error::GatewayError, model::ModelSpec};
use outcrop_protocol::openai::completions::CompletionRequest;
use outcrop_translate::{
    anthropic_messages::request as messages,
    converse::Mode,
    dialect::{
        ReadOptions,
        media::{FetchedMedia, MediaUrl},
    },
    openai_chat::{request as openai_chat, stream::UsageChunk},
    openai_completions::request as completions,
    openai_responses::{
        compact,
        request::{self as responses, MissingTools, ResponsesOptions},
    },
};

use super::facts::Hints;
use crate::{
    ports::{AnswerDialect, ClientRequest, ResponsesAsk},
    settings::ChatPolicy,
};

/// A request in no dialect any more.
pub(super) struct Read {
    /// What is asked.
    pub(super) request: ChatRequest,
    /// What is asked beside it: the other prompts of a legacy completion.
    pub(super) beside: Vec<ChatRequest>,
    /// What was changed.
    pub(super) adjustments: Adjustments,
    /// Answers asked for to each request, at least 1.
    pub(super) choices_each: u32,
    /// Whole or bit by bit.
    pub(super) mode: Mode,
    /// How the answer is written.
    pub(super) dialect: AnswerDialect,
}

/// The web addresses that a request names: to be fetched before it is read.
pub(super) fn media_urls(request: &ClientRequest) -> Vec<MediaUrl> {
    match request {
        ClientRequest::OpenAiChat(wire) => openai_chat::media_urls(wire),
        ClientRequest::Messages(wire) => messages::media_urls(wire),
        ClientRequest::Responses(ask) | ClientRequest::Compaction { ask, .. } | ClientRequest::Counting(ask) => {
            responses::media_urls(&ask.wire, &ask.earlier)
        }
        ClientRequest::Completions(_) | ClientRequest::Raw(_) => Vec::new(),
    }
}

/// Must the request's content be read to find them? Where items stay as they were written, they are text until now.
pub(super) fn is_read_for_urls(request: &ClientRequest) -> bool {
    matches!(request, ClientRequest::Responses(_) | ClientRequest::Compaction { .. } | ClientRequest::Counting(_))
}

/// What the client says of its conversation. `session` came in a header.
pub(super) fn hints(request: &ClientRequest, session: Option<String>) -> Hints {
    match request {
        ClientRequest::OpenAiChat(wire) => Hints { session, prompt_cache_key: wire.prompt_cache_key.clone(), user: wire.user.clone() },
        ClientRequest::Messages(wire) => {
            let user = wire.metadata.as_ref().and_then(|metadata| metadata.get("user_id")).and_then(|user| user.as_str());
            Hints { session, prompt_cache_key: None, user: user.map(str::to_owned) }
        }
        ClientRequest::Responses(ask) | ClientRequest::Compaction { ask, .. } | ClientRequest::Counting(ask) => {
            hints_of_responses(ask, session)
        }
        ClientRequest::Completions(wire) => {
            Hints { session, prompt_cache_key: text_member(wire, "prompt_cache_key"), user: wire.user.clone() }
        }
        ClientRequest::Raw(_) => Hints { session, ..Hints::default() },
    }
}

/// A conversation that is stored has a name of its own. One that goes from response to response has another name at every
/// turn; it is known by its opening, which the earlier items bring with them.
fn hints_of_responses(ask: &ResponsesAsk, session: Option<String>) -> Hints {
    let wire = &ask.wire;
    let session = session.or_else(|| responses::conversation_id(wire).map(str::to_owned));
    Hints { session, prompt_cache_key: wire.prompt_cache_key.clone(), user: wire.user.clone().or_else(|| wire.safety_identifier.clone()) }
}

fn text_member(wire: &CompletionRequest, name: &str) -> Option<String> {
    wire.extra.get(name).and_then(|value| value.as_str()).map(str::to_owned)
}

/// Reads a request for a model.
///
/// # Errors
/// What is wrong with it, in the words of its dialect.
pub(super) fn read(
    request: ClientRequest,
    fetched: &FetchedMedia,
    options: ReadOptions,
    policy: &ChatPolicy,
    model: &ModelSpec,
) -> Result<Read, GatewayError> {
    match request {
        ClientRequest::OpenAiChat(wire) => {
            let read = openai_chat::read(*wire, fetched, &options)?;
            let (mode, usage_chunk) = delivery(read.delivery);
            let dialect = AnswerDialect::OpenAiChat { shape: read.shape, usage_chunk, choices: read.choices };
            let (adjustments, choices_each) = (read.adjustments, read.choices);
            Ok(Read { request: read.request, beside: Vec::new(), adjustments, choices_each, mode, dialect })
        }
        ClientRequest::Messages(wire) => {
            let read = messages::read(*wire, fetched, &options)?;
            let mode = match read.delivery {
                messages::Delivery::Whole => Mode::Whole,
                messages::Delivery::Stream => Mode::Stream,
            };
            let (adjustments, dialect) = (read.adjustments, AnswerDialect::Messages);
            Ok(Read { request: read.request, beside: Vec::new(), adjustments, choices_each: 1, mode, dialect })
        }
        ClientRequest::Responses(ask) => {
            let (wire, earlier) = ask.into_parts();
            let read = responses::read(wire, &earlier, fetched, &for_responses(options, policy, model))?;
            let mode = match read.delivery {
                responses::Delivery::Whole => Mode::Whole,
                responses::Delivery::Stream => Mode::Stream,
            };
            let (adjustments, dialect) = (read.adjustments, AnswerDialect::Responses { shape: read.shape });
            Ok(Read { request: read.request, beside: Vec::new(), adjustments, choices_each: 1, mode, dialect })
        }
        ClientRequest::Compaction { ask, id } => {
            let (wire, earlier) = ask.into_parts();
            let read = compact::read(wire, &earlier, fetched, &for_responses(options, policy, model), &id)?;
            let (adjustments, dialect) = (read.adjustments, AnswerDialect::Compaction { kept: Arc::new(read.kept) });
            Ok(Read { request: read.request, beside: Vec::new(), adjustments, choices_each: 1, mode: Mode::Whole, dialect })
        }
        ClientRequest::Counting(ask) => {
            let (wire, earlier) = ask.into_parts();
            let read = responses::read_for_counting(wire, &earlier, fetched, &for_responses(options, policy, model))?;
            let (adjustments, dialect) = (read.adjustments, AnswerDialect::Passed);
            Ok(Read { request: read.request, beside: Vec::new(), adjustments, choices_each: 1, mode: Mode::Whole, dialect })
        }
        ClientRequest::Completions(wire) => {
            let read = completions::read(*wire, &options)?;
            let (mode, usage_chunk) = delivery(read.delivery);
            let mut requests = read.requests.into_iter();
            let Some(request) = requests.next() else {
                return Err(GatewayError::Internal { message: "a completion was read without a prompt".to_owned() });
            };
            let beside: Vec<ChatRequest> = requests.collect();
            let (adjustments, choices_each) = (read.adjustments, read.shape.choices_per_prompt);
            let choices = in_all(choices_each, beside.len());
            let dialect = AnswerDialect::Completions { shape: read.shape, usage_chunk, choices };
            Ok(Read { request, beside, adjustments, choices_each, mode, dialect })
        }
        ClientRequest::Raw(_) => Err(GatewayError::Internal { message: "a request was to be translated before it was decoded".to_owned() }),
    }
}

fn for_responses(shared: ReadOptions, policy: &ChatPolicy, model: &ModelSpec) -> ResponsesOptions {
    let missing_tools = if policy.leave_out_hosted_tools { MissingTools::LeftOut } else { MissingTools::Refused };
    ResponsesOptions { shared, missing_tools, context_tokens: model.context_tokens }
}

/// Answers to all of a request's prompts: one, and so many beside it.
pub(super) fn in_all(choices_each: u32, beside: usize) -> u32 {
    let prompts = u32::try_from(beside).unwrap_or(u32::MAX).saturating_add(1);
    choices_each.saturating_mul(prompts)
}

fn delivery(delivery: openai_chat::Delivery) -> (Mode, UsageChunk) {
    match delivery {
        openai_chat::Delivery::Whole => (Mode::Whole, UsageChunk::Omitted),
        openai_chat::Delivery::Stream { usage } => (Mode::Stream, usage),
    }
}

#[cfg(test)]
mod tests {
    use outcrop_domain::{
        chat::{SystemTool, Tool},
        model::{BUILTIN, ModelBook},
    };
    use outcrop_protocol::body::decode;
    use outcrop_translate::openai_responses::request::Earlier;

    use super::*;

    fn responses(body: &str) -> ClientRequest {
        ClientRequest::Responses(Box::new(ResponsesAsk::new(decode(body.as_bytes()).unwrap(), Earlier::default())))
    }

    fn completions(body: &str) -> ClientRequest {
        ClientRequest::Completions(Box::new(decode(body.as_bytes()).unwrap()))
    }

    /// What is known of a conversation: its session, its key, its user.
    fn known(request: &ClientRequest, session: Option<&str>) -> [Option<String>; 3] {
        let Hints { session, prompt_cache_key, user } = hints(request, session.map(str::to_owned));
        [session, prompt_cache_key, user]
    }

    fn of(words: [Option<&str>; 3]) -> [Option<String>; 3] {
        words.map(|word| word.map(str::to_owned))
    }

    #[test]
    fn a_stored_conversation_is_a_session_and_a_previous_response_is_none() {
        let stored = responses(r#"{"conversation": {"id": "conv_1"}, "prompt_cache_key": "k", "user": "u"}"#);
        assert_eq!(known(&stored, None), of([Some("conv_1"), Some("k"), Some("u")]));
        assert_eq!(known(&stored, Some("s")), of([Some("s"), Some("k"), Some("u")]), "a header is more particular");
        let linked = responses(r#"{"previous_response_id": "resp_1", "safety_identifier": "s"}"#);
        assert_eq!(known(&linked, None), of([None, None, Some("s")]));
        let legacy = completions(r#"{"prompt": "x", "prompt_cache_key": "k", "user": "u"}"#);
        assert_eq!(known(&legacy, None), of([None, Some("k"), Some("u")]));
    }

    #[test]
    fn the_addresses_of_items_stored_earlier_are_fetched_too() {
        let image = |url: &str| format!(r#"{{"role": "user", "content": [{{"type": "input_image", "image_url": "{url}"}}]}}"#);
        let earlier = Earlier {
            items: vec![outcrop_domain::json::JsonText::parse(image("https://example.com/a.png")).unwrap()],
            ..Earlier::default()
        };
        let wire = decode(format!(r#"{{"input": [{}]}}"#, image("https://example.com/b.png")).as_bytes()).unwrap();
        let request = ClientRequest::Responses(Box::new(ResponsesAsk::new(wire, earlier)));
        let urls: Vec<String> = media_urls(&request).into_iter().map(|found| found.url).collect();
        assert_eq!(urls, ["https://example.com/a.png", "https://example.com/b.png"]);
    }

    #[test]
    fn a_search_is_the_models_own_where_it_has_one_and_refused_by_name_where_not() {
        let book = ModelBook::load(BUILTIN).unwrap();
        let read_for = |id: &str, policy: &ChatPolicy| {
            let model = book.get(id).unwrap();
            let system_tools = model.chat.as_ref().unwrap().system_tools.clone();
            let options = ReadOptions { system_tools, ..ReadOptions::new(|_, _, _| None) };
            let request = responses(r#"{"model": "m", "input": "news?", "tools": [{"type": "web_search"}]}"#);
            read(request, &FetchedMedia::default(), options, policy, model)
        };
        let found = read_for("amazon.nova-2-lite-v1:0", &ChatPolicy::default()).unwrap();
        assert_eq!(found.request.tools, [Tool::System(SystemTool { name: "nova_grounding".to_owned() })]);
        let refused = read_for("amazon.nova-lite-v1:0", &ChatPolicy::default()).err().unwrap();
        assert!(refused.to_string().contains("web_search"), "{refused}");
        let lenient = ChatPolicy { leave_out_hosted_tools: true, ..ChatPolicy::default() };
        let left_out = read_for("amazon.nova-lite-v1:0", &lenient).unwrap();
        assert_eq!((left_out.request.tools.len(), left_out.adjustments.to_string().as_str()), (0, "tools.web_search=dropped"));
    }

    #[test]
    fn the_prompts_of_a_completion_are_requests_beside_each_other() {
        let book = ModelBook::load(BUILTIN).unwrap();
        let model = book.get("amazon.nova-lite-v1:0").unwrap();
        let request = completions(r#"{"model": "m", "prompt": ["a", "b", "c"], "n": 2, "stream": true}"#);
        let read = read(request, &FetchedMedia::default(), ReadOptions::new(|_, _, _| None), &ChatPolicy::default(), model).unwrap();
        assert_eq!((read.beside.len(), read.choices_each, read.mode), (2, 2, Mode::Stream));
        assert!(matches!(read.dialect, AnswerDialect::Completions { choices: 6, .. }), "{:?}", read.dialect);
        assert_eq!((in_all(2, 2), in_all(1, 0), in_all(u32::MAX, 5)), (6, 1, u32::MAX));
    }
}
