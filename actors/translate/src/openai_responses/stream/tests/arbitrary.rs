//! Whatever a model does, in whatever order and however cut, the stream keeps to its grammar and tells what was said.

use outcrop_domain::chat::{ChatResponse, Content};
use proptest::prelude::*;

use super::*;

fn any_event() -> impl Strategy<Value = ChatEvent> {
    let index = 0_u32..5;
    let name = prop_oneof![Just("f"), Just("apply_patch"), Just("crm__find"), Just("nova_code_interpreter"), Just("nova_grounding")];
    let origin = prop_oneof![Just(ToolOrigin::Client), Just(ToolOrigin::Server)];
    prop_oneof![
        4 => (index.clone(), any::<String>()).prop_map(|(index, text)| ChatEvent::Text { index, text }),
        3 => (index.clone(), name, origin).prop_map(|(index, name, origin)| started_tool(index, &format!("c{index}"), name, origin)),
        4 => (index.clone(), any::<String>()).prop_map(|(index, fragment)| ChatEvent::ToolInput { index, fragment }),
        3 => (index.clone(), any::<String>()).prop_map(|(index, text)| ChatEvent::Reasoning { index, text }),
        1 => (index.clone(), any::<String>()).prop_map(|(index, signature)| ChatEvent::ReasoningSignature { index, signature }),
        1 => (index.clone(), any::<String>()).prop_map(|(index, data)| ChatEvent::ReasoningRedacted { index, data }),
        4 => index.clone().prop_map(stopped),
        1 => index.clone().prop_map(|index| ChatEvent::BlockStarted { index, kind: BlockKind::Text }),
        1 => index.clone().prop_map(|index| ChatEvent::BlockStarted { index, kind: BlockKind::Reasoning }),
        1 => index.clone().prop_map(|index| ChatEvent::BlockStarted { index, kind: BlockKind::ServerToolResult { id: "s".to_owned() } }),
        1 => (index.clone(), any::<String>()).prop_map(|(index, text)| ChatEvent::ServerToolOutput { index, text }),
        1 => (index, any::<String>()).prop_map(|(index, title)| ChatEvent::Cited { index, citation: Citation {
            title: Some(title), source: None, quoted: None,
            place: Some(CitationPlace::Web { url: "https://example.com".to_owned(), domain: None }) } }),
        1 => Just(ChatEvent::Started),
        1 => Just(finished(1, 2)),
    ]
}

fn any_stop() -> impl Strategy<Value = StopReason> {
    prop_oneof![
        Just(StopReason::EndTurn),
        Just(StopReason::ToolUse),
        Just(StopReason::MaxTokens),
        Just(StopReason::ContentFiltered),
        Just(StopReason::MalformedToolUse)
    ]
}

/// Cuts text at arbitrary character boundaries.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (characters.len() + 1)).chain([0, characters.len()]).collect();
    places.sort_unstable();
    places.windows(2).map(|pair| characters[pair[0]..pair[1]].iter().collect()).collect()
}

/// A block of an answer as models write it.
#[derive(Debug, Clone)]
enum Said {
    Text(String),
    Thought(String, Option<String>),
    Hidden(String),
    Call(&'static str, String),
}

fn said() -> impl Strategy<Value = Said> {
    let text = "[^\\x00]{1,12}";
    prop_oneof![
        text.prop_map(Said::Text),
        (text, proptest::option::of("[A-Z]{1,8}")).prop_map(|(text, signature)| Said::Thought(text, signature)),
        "[A-Z]{1,8}".prop_map(Said::Hidden),
        (prop_oneof![Just("f"), Just("crm__find")], text).prop_map(|(name, text)| Said::Call(name, json!({ "v": text }).to_string())),
        (prop_oneof![Just("apply_patch"), Just("crm__note")], text)
            .prop_map(|(name, text)| Said::Call(name, json!({ "input": text }).to_string())),
    ]
}

fn as_content(said: &Said, number: usize) -> Content {
    match said.clone() {
        Said::Text(text) => Content::Text(text),
        Said::Thought(text, signature) => Content::Reasoning(Reasoning::Text { text, signature }),
        Said::Hidden(data) => Content::Reasoning(Reasoning::Redacted(data)),
        Said::Call(name, arguments) => Content::ToolUse {
            id: format!("c{number}"),
            name: name.to_owned(),
            input: JsonText::parse(arguments).unwrap(),
            origin: ToolOrigin::Client,
        },
    }
}

fn as_events(said: &Said, number: usize, cuts: &[usize]) -> Vec<ChatEvent> {
    let index = u32::try_from(number).unwrap();
    let mut events = Vec::new();
    match said {
        Said::Text(text) => events.extend(pieces(text, cuts).into_iter().map(|text| ChatEvent::Text { index, text })),
        Said::Thought(text, signature) => {
            events.extend(pieces(text, cuts).into_iter().map(|text| ChatEvent::Reasoning { index, text }));
            events.extend(signature.as_deref().map(|signature| signed(index, signature)));
        }
        Said::Hidden(data) => events.push(ChatEvent::ReasoningRedacted { index, data: data.clone() }),
        Said::Call(name, arguments) => {
            events.push(tool(index, &format!("c{number}"), name));
            events.extend(pieces(arguments, cuts).into_iter().map(|fragment| ChatEvent::ToolInput { index, fragment }));
        }
    }
    events.push(stopped(index));
    events
}

proptest! {
    // Each case is held against the schema event by event.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_sequence_of_events_keeps_to_the_grammar(
        events in proptest::collection::vec(any_event(), 0..40),
        reason in any_stop(),
        late in proptest::collection::vec(any_event(), 0..4),
        rich in any::<bool>(),
    ) {
        let shape = if rich { rich_shape() } else { ResponseShape::default() };
        let mut all = events;
        all.push(stop(reason));
        all.extend(late);
        grammar::check(&stream_of(shape, &all));
    }

    #[test]
    fn pain_21_any_sequence_of_events_can_break_anywhere(events in proptest::collection::vec(any_event(), 0..40)) {
        let (writer, mut out) = written(rich_shape(), &events);
        let closed = writer.fail(&throttled(), &mut out);
        let stored = closed.response().stored().unwrap();
        closed.finish(&mut out);
        let told = grammar::check(&String::from_utf8(out).unwrap());
        prop_assert_eq!(&told.last().unwrap()["response"], &stored.to_value().unwrap());
        let mut again = Vec::new();
        replay(&stored, rich_shape().include, None, &mut again).unwrap();
        grammar::check(&String::from_utf8(again).unwrap());
    }

    #[test]
    fn a_streamed_answer_is_the_whole_answer_however_it_is_cut(
        blocks in proptest::collection::vec(said(), 0..8),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
        reason in any_stop(),
        rich in any::<bool>(),
    ) {
        let shape = if rich { rich_shape() } else { ResponseShape::default() };
        let mut events: Vec<ChatEvent> = blocks.iter().enumerate().flat_map(|(number, said)| as_events(said, number, &cuts)).collect();
        events.extend([stop(reason), finished(3, 4)]);
        let (writer, mut out) = written(shape.clone(), &events);
        let closed = writer.close(9, &mut out);
        let usage = Usage { input: 3, output: 4, cache_read: 3, cache_write_5m: 2, cache_write_1h: 1, reasoning: Some(1) };
        let content = blocks.iter().enumerate().map(|(number, said)| as_content(said, number)).collect();
        let whole = ChatResponse { content, stop: reason, usage, service_tier: Some(ServiceTier::Flex), trace: None, stop_sequence: None };
        let rendered = response::render(whole, meta(), shape, 9);
        prop_assert_eq!(closed.response(), &rendered);
    }
}
