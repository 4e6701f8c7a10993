//! Stored responses told once more.

use super::*;

fn stored(shape: ResponseShape, events: &[ChatEvent]) -> (JsonText, String) {
    let (writer, mut out) = written(shape, events);
    let closed = writer.close(9, &mut out);
    let stored = closed.response().stored().unwrap();
    closed.finish(&mut out);
    (stored, String::from_utf8(out).unwrap())
}

fn all() -> Vec<ChatEvent> {
    let web = CitationPlace::Web { url: "https://example.com/a".to_owned(), domain: None };
    let citation = Citation { title: None, source: None, quoted: None, place: Some(web) };
    let mut events = vec![
        thinks(0, "hm"),
        signed(0, "SIG"),
        stopped(0),
        started_tool(1, "s1", "nova_grounding", ToolOrigin::Server),
        input(1, "{\"query\":\"x\"}"),
        stopped(1),
        started_tool(2, "s2", "nova_code_interpreter", ToolOrigin::Server),
        input(2, "{\"code\":\"1\"}"),
        stopped(2),
    ];
    events.extend(printed(6, "s2", &["1"]));
    events.extend([
        text(3, "a"),
        ChatEvent::Cited { index: 3, citation },
        tool(4, "c1", "crm__find"),
        input(4, "{}"),
        stopped(4),
        tool(5, "c2", "apply_patch"),
        input(5, "{\"input\":\"p\"}"),
        stopped(5),
        stop(StopReason::ToolUse),
        finished(1, 1),
    ]);
    events
}

fn told_again(stored: &JsonText, include: Include, starting_after: Option<u64>) -> String {
    let mut out = Vec::new();
    replay(stored, include, starting_after, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_stored_response_is_told_again_word_for_word() {
    let (stored, first) = stored(rich_shape(), &all());
    let again = grammar::check(&told_again(&stored, rich_shape().include, None));
    let mut first = grammar::check(&first);
    for event in &mut first[..2] {
        // By now it is known.
        event["response"]["service_tier"] = json!("flex");
    }
    // Every text was one delta the first time too.
    assert_eq!(again, first);
}

#[test]
fn what_was_not_asked_for_is_not_told() {
    let (stored, _) = stored(rich_shape(), &all());
    let again = told_again(&stored, Include::default(), None);
    grammar::check(&again);
    assert!(!again.contains("encrypted_content") && !again.contains("logs\":\""), "{again}");
}

#[test]
fn a_client_that_comes_back_gets_what_it_has_not_seen() {
    let (stored, _) = stored(rich_shape(), &all());
    let include = rich_shape().include;
    let whole = told_again(&stored, include, None);
    let events = grammar::events(&whole);
    for seen in 0..events.len() - 1 {
        let rest = told_again(&stored, include, Some(seen as u64));
        assert_eq!(grammar::events(&rest), &events[seen + 1..], "after {seen}");
        assert_eq!(after(whole.as_bytes(), Some(seen as u64)), rest.as_bytes(), "a recorded stream is cut at the same place");
    }
}

#[test]
fn a_client_that_has_seen_more_gets_the_end() {
    let (stored, _) = stored(rich_shape(), &all());
    let rest = grammar::events(&told_again(&stored, Include::default(), Some(5_000)));
    assert_eq!((rest.len(), &rest[0]["type"], &rest[0]["sequence_number"]), (1, &json!("response.completed"), &json!(5_001)));
    assert!(told_again(&stored, Include::default(), Some(u64::MAX)).contains("response.completed"));
}

#[test]
fn a_response_under_way_has_no_end_yet() {
    let shape = ResponseShape { echo: Arc::new(Echo { background: true, ..Echo::default() }), ..ResponseShape::default() };
    for (status, told) in [(Status::Queued, &["created", "queued"][..]), (Status::InProgress, &["created", "queued", "in_progress"][..])] {
        let stored = crate::openai_responses::response::under_way(&meta(), &shape, status).unwrap();
        let mut out = Vec::new();
        assert_eq!(replay(&stored, Include::default(), None, &mut out).unwrap(), status);
        assert_eq!(kinds(&grammar::events(&String::from_utf8(out).unwrap())), told);
    }
}

#[test]
fn a_failed_response_is_told_as_failed() {
    let (writer, mut out) = written(ResponseShape::default(), &[text(0, "Hel"), tool(1, "c", "f")]);
    let stored = writer.fail(&throttled(), &mut out).response().stored().unwrap();
    let events = grammar::check(&told_again(&stored, Include::default(), None));
    assert_eq!(events.last().unwrap()["response"]["error"]["code"], "rate_limit_exceeded");
}

#[test]
fn what_is_no_response_is_our_own_fault() {
    let mut out = Vec::new();
    let error = replay(&JsonText::parse("[1]".to_owned()).unwrap(), Include::default(), None, &mut out).unwrap_err();
    assert!(matches!(error, GatewayError::Internal { .. }) && out.is_empty());
}

#[test]
fn a_recorded_stream_is_cut_after_the_event_that_was_seen() {
    let recorded = b": ping\n\nevent: a\ndata: {}\n\n: ping\n\nevent: b\ndata: {}\n\nevent: c\ndata";
    assert_eq!(after(recorded, None), recorded);
    assert_eq!(after(recorded, Some(0)), b": ping\n\nevent: b\ndata: {}\n\nevent: c\ndata");
    assert_eq!(after(recorded, Some(1)), b"event: c\ndata");
    assert_eq!(after(recorded, Some(2)), b"");
    assert_eq!(after(recorded, Some(99)), b"");
}
