use super::*;

const ANSWER: &str = r#"{ "model" : "claude-opus-5-20260101","id":"msg_bdrk_1","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"","signature":"Eq\/=="},{"type":"text","text":"\"model\": \"x\""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":30,"cache_read_input_tokens":4,"cache_creation":{"ephemeral_1h_input_tokens":20,"ephemeral_5m_input_tokens":10},"output_tokens":5,"service_tier":"standard"},"novel":1.50}"#;

#[test]
fn pain_15_tokens_are_read_and_the_answer_stays_as_it_is() {
    let whole = read(ANSWER.as_bytes(), None).unwrap();
    let usage = Usage { input: 1, output: 5, cache_read: 4, cache_write_5m: 10, cache_write_1h: 20, reasoning: None };
    assert_eq!((whole.edited, whole.usage, whole.stop), (None, Some(usage), Some(StopReason::EndTurn)));
    assert_eq!(whole.service_tier, Some(ServiceTier::Default));
    assert!(whole.produced_bytes > 50);
}

#[test]
fn only_the_models_name_is_another() {
    let whole = read(ANSWER.as_bytes(), Some("al\"ias")).unwrap();
    let edited = String::from_utf8(whole.edited.unwrap()).unwrap();
    assert_eq!(edited, ANSWER.replacen("\"claude-opus-5-20260101\"", r#""al\"ias""#, 1));
}

#[test]
fn an_answer_without_tokens_tells_none() {
    let whole = read(br#"{"content":[{"type":"text","text":"abc"}],"usage":{"input_tokens":"many"}}"#, None).unwrap();
    assert_eq!((whole.usage, whole.stop, whole.produced_bytes), (None, None, 30));
}

#[test]
fn what_is_no_object_is_malformed_and_shows_no_content() {
    for answer in ["", "secret", "[]", "{\"a\":secret}", "{} secret"] {
        let failure = read(answer.as_bytes(), None).unwrap_err();
        assert!(failure.cause == Cause::Malformed && !failure.message.contains("secret"), "{answer}: {}", failure.message);
    }
}
