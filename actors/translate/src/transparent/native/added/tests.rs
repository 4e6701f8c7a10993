use super::*;

fn ours() -> Guardrail {
    Guardrail { identifier: "g".to_owned(), version: "1".to_owned(), trace: None, stream_mode: Some(GuardrailStreamMode::Async) }
}

/// A body after something was added to it, and what was reported.
fn added(
    body: &str,
    add: impl FnOnce(&mut AddedTo<'_>, &mut Adjustments) -> Result<(), GatewayError>,
) -> Result<(Option<String>, String), GatewayError> {
    let (mut to, mut notes) = (AddedTo::new(body.as_bytes()), Adjustments::default());
    add(&mut to, &mut notes)?;
    Ok((to.finish()?.map(|bytes| String::from_utf8(bytes).unwrap()), notes.to_string()))
}

fn guard(body: &str, streams: bool) -> Result<String, GatewayError> {
    added(body, |to, _| to.guard(&ours(), streams)).map(|(body, _)| body.unwrap())
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> BTreeMap<String, String> {
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[test]
fn a_body_gets_the_guardrail_and_keeps_every_other_byte() {
    let body = r#" { "messages" : [] , "x":1.0}"#;
    assert_eq!(
        guard(body, false).unwrap(),
        r#" { "guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"},"messages" : [] , "x":1.0}"#
    );
    assert!(guard(body, true).unwrap().contains(r#""streamProcessingMode":"async""#));
    for empty in ["{}", r#"{"guardrailConfig":null}"#] {
        assert_eq!(guard(empty, false).unwrap(), r#"{"guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}}"#);
    }
    for body in ["", "[]", "5", r#"{"guardrailConfig":null,"guardrailConfig":null}"#] {
        assert!(matches!(guard(body, false), Err(GatewayError::InvalidRequest { .. })), "{body}");
    }
}

#[test]
fn how_a_guardrail_works_is_seen_and_set_in_bodies_of_invoke() {
    let body = r#"{"max_tokens":1}"#;
    let steers = |body: &str| AddedTo::new(body.as_bytes()).steers_guardrail();
    assert!(!steers(body));
    let (set, _) = added(body, |to, _| to.guard_stream(GuardrailStreamMode::Sync)).unwrap();
    let set = set.unwrap();
    assert_eq!(set, r#"{"amazon-bedrock-guardrailConfig":{"streamProcessingMode":"SYNCHRONOUS"},"max_tokens":1}"#);
    assert!(steers(&set) && steers(r#"{"amazon\u002dbedrock-guardrailConfig":{"tagSuffix":"x"}}"#));
    assert!(added("[]", |to, _| to.guard_stream(GuardrailStreamMode::Async)).is_err());
}

#[test]
fn a_guardrail_of_its_own_is_seen_wherever_it_stands() {
    let names = |body: &[u8]| AddedTo::new(body).names_guardrail();
    assert!(names(br#"{"messages":[],"guardrail\u0043onfig":{"guardrailIdentifier":"x"}}"#));
    assert!(names(br#"{"guardrailConfig":null,"guardrailConfig":{}}"#) && names(br#"{"guardrailConfig":{},"guardrailConfig":null}"#));
    for body in [&br#"{"messages":[{"guardrailConfig":{}}]}"#[..], br#"{"guardrailConfig":null}"#, b"[]", b""] {
        assert!(!names(body));
    }
}

#[test]
fn a_header_asks_before_the_body_and_the_body_before_the_operator() {
    use ServiceTier::{Default, Flex, Priority};
    let flex = r#"{"serviceTier":{"type":"flex"},"messages":[]}"#;
    let priority = r#"{"serviceTier": {"type" : "priority"} ,"m":1}"#;
    for (body, header, fallback, expected, told) in [
        (r#"{"m":1}"#, None, None, None, ""),
        (r#"{"m":1}"#, None, Some(Flex), Some(r#"{"serviceTier":{"type":"flex"},"m":1}"#), ""),
        (r#"{"m":1}"#, Some(Priority), Some(Flex), Some(r#"{"serviceTier":{"type":"priority"},"m":1}"#), ""),
        (r#"{"m":1}"#, Some(Default), Some(Flex), None, ""),
        (r#"{"m":1}"#, None, Some(Default), None, ""),
        (r#"{"serviceTier":null}"#, None, Some(Flex), Some(r#"{"serviceTier":{"type":"flex"}}"#), ""),
        (priority, None, Some(Flex), None, ""),
        (priority, Some(Priority), Some(Flex), None, ""),
        (priority, Some(Default), None, Some(r#"{"serviceTier": {"type":"default"} ,"m":1}"#), "serviceTier=replaced"),
        (flex, Some(Priority), None, Some(r#"{"serviceTier":{"type":"priority"},"messages":[]}"#), "serviceTier=replaced"),
        // What nobody can read is AWS's to refuse, unless a header says better.
        (r#"{"serviceTier":5}"#, None, Some(Flex), None, ""),
        (r#"{"serviceTier":5}"#, Some(Flex), None, Some(r#"{"serviceTier":{"type":"flex"}}"#), "serviceTier=replaced"),
    ] {
        let (body, notes) = added(body, |to, notes| to.ask_tier(header, fallback, notes)).unwrap();
        assert_eq!((body.as_deref(), notes.as_str()), (expected, told), "{header:?} {fallback:?}");
    }
    let twice = r#"{"serviceTier":{"type":"flex"},"serviceTier":{"type":"priority"}}"#;
    assert!(added(twice, |to, notes| to.ask_tier(Some(Flex), None, notes)).is_err());
    assert_eq!(added(twice, |to, notes| to.ask_tier(None, Some(Flex), notes)).unwrap().0, None, "AWS's to refuse");
}

#[test]
fn the_latency_of_a_header_is_set_and_wins() {
    for (body, latency, expected, told) in [
        (r#"{"m":1}"#, Latency::Optimized, Some(r#"{"performanceConfig":{"latency":"optimized"},"m":1}"#), ""),
        (r#"{"performanceConfig":{"latency": "optimized"}}"#, Latency::Optimized, None, ""),
        (
            r#"{"performanceConfig":{"latency": "optimized"}}"#,
            Latency::Standard,
            Some(r#"{"performanceConfig":{"latency":"standard"}}"#),
            "performanceConfig=replaced",
        ),
    ] {
        let (body, notes) = added(body, |to, notes| to.ask_latency(latency, notes)).unwrap();
        assert_eq!((body.as_deref(), notes.as_str()), (expected, told));
    }
}

#[test]
fn labels_fill_the_gaps_of_a_body() {
    let ours = labels([("cost", "42"), ("team", "house")]);
    for (body, expected) in [
        (r#"{"m":1}"#, Some(r#"{"requestMetadata":{"cost":"42","team":"house"},"m":1}"#)),
        (r#"{"requestMetadata":null}"#, Some(r#"{"requestMetadata":{"cost":"42","team":"house"}}"#)),
        (r#"{"requestMetadata": { } }"#, Some(r#"{"requestMetadata": {"cost":"42","team":"house" } }"#)),
        (r#"{"requestMetadata":{ "team":"a" ,"job" : "b"}}"#, Some(r#"{"requestMetadata":{ "cost":"42","team":"a" ,"job" : "b"}}"#)),
        (r#"{"requestMetadata":{"te\u0061m":null}}"#, Some(r#"{"requestMetadata":{"cost":"42","te\u0061m":"house"}}"#)),
        (r#"{"requestMetadata":{"team":"a","cost":"b"}}"#, None),
        (r#"{"requestMetadata":"team"}"#, None),
    ] {
        let (read, notes) = added(body, |to, notes| to.label(&ours, notes)).unwrap();
        assert_eq!((read.as_deref(), notes.as_str()), (expected, ""), "{body}");
    }
    assert!(added(r#"{"requestMetadata":{},"requestMetadata":{}}"#, |to, notes| to.label(&ours, notes)).is_err());
    assert_eq!(added(r#"{"m":1}"#, |to, notes| to.label(&BTreeMap::new(), notes)).unwrap(), (None, String::new()));
}

#[test]
fn there_is_room_for_sixteen_labels_and_those_of_the_client_come_first() {
    let members: Vec<String> = (0..15).map(|number| format!(r#""their{number}":"x""#)).collect();
    let theirs = format!("{{{}}}", members.join(","));
    let mut notes = Adjustments::default();
    let all = labelled(theirs.as_bytes(), &labels([("cost", "42"), ("team", "house")]), &mut notes).unwrap();
    assert_eq!(String::from_utf8(all).unwrap(), format!(r#"{{"cost":"42",{}}}"#, members.join(",")));
    assert_eq!(notes.to_string(), "metadata=truncated");
}

#[test]
fn labels_of_a_header_are_added_to_an_object_and_to_nothing_else() {
    let ours = labels([("team", "house")]);
    let merged = |theirs: &str| labelled(theirs.as_bytes(), &ours, &mut Adjustments::default()).map(|all| String::from_utf8(all).unwrap());
    assert_eq!(merged("{}").as_deref(), Some(r#"{"team":"house"}"#));
    assert_eq!(merged(r#" {"job":"b"} "#).as_deref(), Some(r#" {"team":"house","job":"b"} "#));
    for theirs in ["", "team", "[]", r#"{"job""#, r#"{"job":"b"} x"#, r#"{"team":"a"}"#] {
        assert_eq!(merged(theirs), None, "{theirs}");
    }
}

#[test]
fn all_that_is_added_stands_at_the_beginning_in_one_piece() {
    let add = |to: &mut AddedTo<'_>, notes: &mut Adjustments| {
        to.guard(&ours(), false)?;
        to.ask_tier(None, Some(ServiceTier::Flex), notes)?;
        to.ask_latency(Latency::Standard, notes)?;
        to.label(&labels([("a", "b")]), notes)
    };
    let whole = concat!(
        r#""guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"},"serviceTier":{"type":"flex"},"#,
        r#""performanceConfig":{"latency":"standard"},"requestMetadata":{"a":"b"}"#,
    );
    assert_eq!(added("{}", add).unwrap().0.unwrap(), format!("{{{whole}}}"));
    assert_eq!(added(r#" {"m":1} "#, add).unwrap().0.unwrap(), format!(r#" {{{whole},"m":1}} "#));
}
