//! Whatever a client sends, the body keeps Converse's rules.

use outcrop_domain::{
    chat::{
        CacheMark, CachePolicy, CacheTtl, ChatRequest, Content, Effort, Media, MediaFormat, MediaKind, MediaSource, Message, ReasoningMode,
        ReasoningRequest, ResponseFormat, Role, Sampling, SearchResult, SystemBlock, Tool, ToolChoice, ToolOrigin, ToolResultPart,
        ToolResultStatus,
    },
    model::{ChatCapabilities, ToolIds, ToolSupport},
};
use proptest::prelude::*;

use super::{asking, assistant, call, checker, json, options, presets, result, signed, text, tool, unsigned, user, users};
use crate::converse::request::write;

const NAMES: [&str; 5] = ["f", "g", "get.weather", "", "a_name_that_is_much_longer_than_the_sixty_four_characters_that_are_allowed"];
const IDS: [&str; 5] = ["1", "2", "call_abc", "", "an id with spaces"];

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just(" \n".to_owned()), Just("text ".to_owned()), "[a-z \\n]{0,6}"]
}

fn any_ttl() -> impl Strategy<Value = Option<CacheTtl>> {
    prop::sample::select(vec![None, Some(CacheTtl::FiveMinutes), Some(CacheTtl::OneHour)])
}

fn any_document() -> impl Strategy<Value = Media> {
    let source = prop::sample::select(vec![
        MediaSource::Base64("eA==".to_owned()),
        MediaSource::Text("plain".to_owned()),
        MediaSource::TextBlocks(vec!["plain".to_owned(), " ".to_owned(), "blocks".to_owned()]),
    ]);
    (prop::option::of("[a-z_. ?é]{0,8}"), source, any::<bool>()).prop_map(|(name, source, citations)| {
        let format = MediaFormat { kind: MediaKind::Document, name: if matches!(source, MediaSource::Base64(_)) { "pdf" } else { "txt" } };
        Media { format, source, name, context: None, citations }
    })
}

fn any_search_result() -> impl Strategy<Value = SearchResult> {
    (any_text(), any_text(), prop::collection::vec(any_text(), 0..3), any::<bool>())
        .prop_map(|(source, title, blocks, citations)| SearchResult { source, title, blocks, citations })
}

fn any_content() -> impl Strategy<Value = Content> {
    let name = prop::sample::select(&NAMES[..]);
    let id = prop::sample::select(&IDS[..]);
    let input = prop::sample::select(vec!["{}", "[1]", "\"x\"", r#"{"a":{"b":1}}"#]);
    let part = prop_oneof![
        3 => any_text().prop_map(ToolResultPart::Text),
        1 => any_document().prop_map(ToolResultPart::Media),
        1 => Just(ToolResultPart::Json(json(r#"{"a":1}"#))),
        1 => any_search_result().prop_map(ToolResultPart::SearchResult),
    ];
    let status = prop::sample::select(vec![ToolResultStatus::Unstated, ToolResultStatus::Success, ToolResultStatus::Error]);
    prop_oneof![
        6 => any_text().prop_map(Content::Text),
        4 => (id.clone(), name, input).prop_map(|(id, name, input)| Content::ToolUse {
            id: id.to_owned(),
            name: name.to_owned(),
            input: json(input),
            origin: ToolOrigin::Client,
        }),
        4 => (id, prop::collection::vec(part, 0..2), status)
            .prop_map(|(id, parts, status)| Content::ToolResult { id: id.to_owned(), parts, status }),
        2 => any_text().prop_map(|text| signed(&text)),
        1 => any_text().prop_map(|text| unsigned(&text)),
        2 => any_ttl().prop_map(|ttl| Content::CachePoint(CacheMark { ttl })),
        1 => any_document().prop_map(Content::Media),
        1 => any_search_result().prop_map(Content::SearchResult),
        1 => any_text().prop_map(|text| Content::Guarded { text, qualifiers: vec![] }),
    ]
}

fn any_message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![4 => Just(Role::User), 4 => Just(Role::Assistant), 1 => Just(Role::System)];
    (role, prop::collection::vec(any_content(), 0..4)).prop_map(|(role, content)| Message { role, content })
}

fn any_tools() -> impl Strategy<Value = Vec<Tool>> {
    let marks = prop::collection::vec(prop::option::of(any_ttl()), NAMES.len());
    (prop::sample::subsequence(&NAMES[..], 0..=NAMES.len()), marks).prop_map(|(names, marks)| {
        let marks = marks.into_iter().map(|mark| mark.map(|ttl| Tool::CachePoint(CacheMark { ttl })));
        names.into_iter().map(tool).zip(marks).flat_map(|(tool, mark)| std::iter::once(tool).chain(mark)).collect()
    })
}

fn any_system() -> impl Strategy<Value = Vec<SystemBlock>> {
    let block = prop_oneof![
        2 => any_text().prop_map(SystemBlock::Text),
        1 => any_ttl().prop_map(|ttl| SystemBlock::CachePoint(CacheMark { ttl })),
    ];
    prop::collection::vec(block, 0..4)
}

fn any_format() -> impl Strategy<Value = ResponseFormat> {
    let schema = |text: &str| ResponseFormat::JsonSchema { name: String::new(), description: None, schema: json(text), strict: None };
    prop::sample::select(vec![
        ResponseFormat::Text,
        ResponseFormat::JsonObject,
        schema(r#"{"properties":{"a":{}}}"#),
        schema(r#"{"type":"array"}"#),
    ])
}

fn any_reasoning() -> impl Strategy<Value = ReasoningRequest> {
    let mode = prop::sample::select(vec![ReasoningMode::ModelDecides, ReasoningMode::On, ReasoningMode::Off]);
    let effort = prop::option::of(prop::sample::select(vec![Effort::Minimal, Effort::Medium, Effort::Max]));
    (mode, effort, prop::option::of(0_u32..40_000)).prop_map(|(mode, effort, budget_tokens)| ReasoningRequest {
        mode,
        effort,
        budget_tokens,
        ..ReasoningRequest::default()
    })
}

prop_compose! {
    fn any_request()(
        messages in prop::collection::vec(any_message(), 1..8),
        tools in any_tools(),
        system in any_system(),
        format in any_format(),
        reasoning in any_reasoning(),
        choice in 0..4_u8,
        caching in any::<[bool; 3]>(),
        ttl in any_ttl(),
        max_tokens in prop::option::of(0_u32..100_000),
        temperature in prop::option::of(0.0..2.0_f64),
    ) -> ChatRequest {
        let named = tools.iter().find_map(|tool| match tool {
            Tool::Function { name, .. } => Some(name.clone()),
            _ => None,
        });
        let tool_choice = match (choice, named) {
            (1, Some(_)) => ToolChoice::Any,
            (2, Some(name)) => ToolChoice::Named(name),
            (3, _) => ToolChoice::None,
            _ => ToolChoice::Auto,
        };
        let [in_system, in_tools, in_messages] = caching;
        ChatRequest {
            messages,
            tools,
            system,
            format,
            reasoning,
            tool_choice,
            cache: CachePolicy { system: in_system, tools: in_tools, messages: in_messages, ttl },
            max_tokens,
            sampling: Sampling { temperature, ..Sampling::default() },
            ..ChatRequest::default()
        }
    }
}

fn any_model() -> impl Strategy<Value = (&'static str, ChatCapabilities)> {
    prop::sample::select(presets::all())
}

/// A conversation as well-behaved agents hold it: whole rounds, no blanks.
fn any_round() -> impl Strategy<Value = Vec<Message>> {
    let said = || "[a-z]{1,5}";
    prop_oneof![
        (said(), said()).prop_map(|(question, answer)| vec![user(&question), assistant(vec![text(&answer)])]),
        (said(), 1..4_usize, any::<bool>()).prop_map(|(question, calls, note)| {
            let ids: Vec<String> = (0..calls).map(|number| format!("call.{number} {question}")).collect();
            let asked = std::iter::once(signed("why")).chain(ids.iter().map(|id| call(id, "get.weather"))).collect();
            let mut answered: Vec<Message> = ids.iter().rev().map(|id| users(vec![result(id, "sun")])).collect();
            if note {
                answered.push(super::system("Hurry."));
            }
            [vec![user(&question), assistant(asked)], answered, vec![assistant(vec![text("So.")])]].concat()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_conversation_becomes_a_body_that_keeps_the_rules(request in any_request(), (name, model) in any_model()) {
        let mut request = request;
        if model.tools == ToolSupport::None {
            request.tools.clear();
            request.tool_choice = ToolChoice::Auto;
        }
        let body = match write(&request, &model, &options()) {
            Ok(body) => body,
            Err(error) => {
                prop_assert!(error.to_string().contains("documents; Bedrock takes at most"), "{error}");
                return Ok(());
            }
        };
        let json = serde_json::from_slice(&body.bytes).unwrap();
        let found = checker::violations(&json, model.tool_ids == ToolIds::NineAlphanumerics, model.prefill);
        prop_assert!(found.is_empty(), "{name}: {found:?}\n{json:#}");
    }

    #[test]
    fn pain_13_the_body_of_one_turn_is_a_byte_prefix_of_the_next(
        rounds in prop::collection::vec(any_round(), 0..4),
        next in any_round(),
        (name, model) in any_model(),
    ) {
        // What stands before the messages is the same in both: the tools are given.
        let tools = if model.tools == ToolSupport::None { vec![] } else { vec![tool("get.weather")] };
        let before: Vec<Message> = rounds.concat();
        let body = |messages: Vec<Message>| write(&ChatRequest { tools: tools.clone(), ..asking(messages) }, &model, &options()).unwrap().bytes;
        for end in 1..next.len() {
            if next[end].role != Role::Assistant {
                continue;
            }
            let shorter = body([&before[..], &next[..end]].concat());
            let longer = body([&before[..], &next[..], &[user("and?")]].concat());
            prop_assert!(longer.starts_with(shorter.strip_suffix(b"]}").unwrap()), "{name}");
        }
    }
}
