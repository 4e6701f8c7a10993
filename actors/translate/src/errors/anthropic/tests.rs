use outcrop_domain::ids::Region;
use outcrop_protocol::{anthropic::messages::MessagesRequest, body};
use serde_json::json;

use super::*;

fn failed(cause: Cause, status: u16, code: &str, message: &str) -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause,
        status,
        code: code.to_owned(),
        message: message.to_owned(),
        request_id: None,
        retry_after: None,
        region: Some(Region::from("us-east-1")),
        model_error: None,
    })
}

/// Status, type, retry.
fn seen(error: &GatewayError) -> (u16, String, &'static str) {
    let reply = reply(error, None);
    (reply.status, reply.body.error.kind.into_owned(), reply.retry.as_str())
}

#[test]
fn pain_09_upstream_failures_follow_the_error_map() {
    let table = [
        (Cause::Throttled, 429, 429, RATE_LIMIT, "true"),
        (Cause::QuotaExhausted, 429, 429, RATE_LIMIT, "false"),
        (Cause::QuotaExhausted, 400, 429, RATE_LIMIT, "false"),
        (Cause::Unavailable, 503, 529, OVERLOADED, "true"),
        (Cause::Unavailable, 500, 500, API, "true"),
        (Cause::Unavailable, 424, 500, API, "true"),
        (Cause::Unavailable, 0, 500, API, "true"),
        (Cause::NotReady, 429, 529, OVERLOADED, "true"),
        (Cause::Timeout, 408, 504, TIMEOUT, "true"),
        (Cause::Connection, 0, 502, API, "true"),
        (Cause::BadRequest, 400, 400, INVALID, "false"),
        (Cause::ContextOverflow, 400, 400, INVALID, "false"),
        (Cause::AccessDenied, 403, 403, PERMISSION, "false"),
        (Cause::ModelMissing, 404, 404, NOT_FOUND, "false"),
        (Cause::Credentials, 403, 503, API, "true"),
        (Cause::BrokenStream, 0, 500, API, "true"),
        (Cause::Malformed, 200, 502, API, "true"),
    ];
    for (cause, upstream, status, kind, retry) in table {
        assert_eq!(seen(&failed(cause, upstream, "Code", "words")), (status, kind.to_owned(), retry), "{cause:?} {upstream}");
    }
}

#[test]
fn pain_21_claudes_own_word_for_no_capacity_reaches_the_client() {
    assert_eq!(seen(&failed(Cause::Unavailable, 0, "overloaded_error", "Overloaded")), (529, OVERLOADED.to_owned(), "true"));
    assert_eq!(seen(&failed(Cause::Unavailable, 0, "api_error", "words")), (500, API.to_owned(), "true"));
}

#[test]
fn pain_09_our_own_errors_follow_the_error_map() {
    let soon = Duration::from_secs(3);
    let text = || "words".to_owned();
    let table = [
        (GatewayError::invalid("top_k", "words"), 400, INVALID, "false"),
        (GatewayError::FetchFailed { message: text(), param: None }, 400, INVALID, "false"),
        (GatewayError::Unauthenticated { message: text() }, 401, "authentication_error", "false"),
        (GatewayError::Forbidden { message: text() }, 403, PERMISSION, "false"),
        (GatewayError::ModelNotFound { model: text(), message: text() }, 404, NOT_FOUND, "false"),
        (GatewayError::NotFound { message: text() }, 404, NOT_FOUND, "false"),
        (GatewayError::UnknownReference { message: text(), param: None, code: Some("a_code") }, 404, NOT_FOUND, "false"),
        (GatewayError::BodyTimeout { after: soon }, 408, TIMEOUT, "true"),
        (GatewayError::BodyTooLarge { limit_bytes: 9 }, 413, "request_too_large", "false"),
        (GatewayError::RateLimited { message: text(), retry_after: soon }, 429, RATE_LIMIT, "true"),
        (GatewayError::Overloaded { message: text(), retry_after: soon }, 529, OVERLOADED, "true"),
        (GatewayError::Unavailable { message: text(), retry_after: soon }, 529, OVERLOADED, "true"),
        (GatewayError::WorkerLost, 500, API, "true"),
        (GatewayError::DeadlineExceeded { after: soon }, 504, TIMEOUT, "true"),
        (GatewayError::Internal { message: text() }, 500, API, "false"),
    ];
    for (error, status, kind, retry) in table {
        assert_eq!(seen(&error), (status, kind.to_owned(), retry), "{error:?}");
    }
}

#[test]
fn pain_08_upstream_words_reach_the_client_unchanged() {
    for words in [
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "***.***.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ] {
        let error = failed(Cause::BadRequest, 400, "ValidationException", words);
        assert_eq!(
            serde_json::to_value(reply(&error, Some("req_1")).body).unwrap(),
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": words}, "request_id": "req_1"})
        );
    }
}

#[test]
fn pain_09_a_throttle_says_when_to_come_back() {
    let error = GatewayError::RateLimited { message: "Too many requests".to_owned(), retry_after: Duration::from_secs(7) };
    let reply = reply(&error, None);
    assert_eq!((reply.status, reply.retry_after, reply.retry), (429, Some(Duration::from_secs(7)), RetryHint::Retry));
    assert!(!serde_json::to_string(&reply.body).unwrap().contains("request_id"));
}

#[test]
fn the_field_at_fault_is_named_in_the_words() {
    let message = |error: &GatewayError| reply(error, None).body.error.message.into_owned();
    let of_converse = GatewayError::invalid("messages[0].content[1]", "model `m` does not accept images");
    assert_eq!(message(&of_converse), "messages.0.content.1: model `m` does not accept images");
    assert_eq!(message(&GatewayError::invalid("tools", "two different tools are named `f`")), "two different tools are named `f`");
    let named = GatewayError::invalid("messages[2]", "the user turn that begins with messages[2] holds 9 documents");
    assert_eq!(message(&named), "the user turn that begins with messages[2] holds 9 documents");
    assert_eq!(message(&GatewayError::invalid("max_tokens", "max_tokens: Field required")), "max_tokens: Field required");
    let fetch =
        GatewayError::FetchFailed { message: "it was not there".to_owned(), param: Some("messages.0.content.0.source.url".to_owned()) };
    assert_eq!(message(&fetch), "messages.0.content.0.source.url: it was not there");
}

#[test]
fn refused_credentials_do_not_show_their_details_to_the_client() {
    let error = failed(Cause::Credentials, 403, "ExpiredTokenException", "token of arn:aws:sts::123456789012:assumed-role/x expired");
    assert!(!reply(&error, None).body.error.message.contains("123456789012"));
}

#[test]
fn our_own_words_are_cut_where_they_quote_too_much_and_upstreams_never() {
    let giant = "ü".repeat(1 << 16);
    let error = GatewayError::invalid(giant.clone(), "is not known");
    assert!(reply(&error, None).body.error.message.len() < 300);
    let upstream = failed(Cause::BadRequest, 400, "ValidationException", &giant);
    assert_eq!(reply(&upstream, None).body.error.message, giant);
}

#[test]
fn a_malformed_body_is_a_400_with_path_line_and_column() {
    let text = |body: &[u8]| {
        let error = malformed_body(&body::decode::<MessagesRequest>(body).unwrap_err());
        assert_eq!(seen(&error), (400, INVALID.to_owned(), "false"));
        reply(&error, None).body.error.message.into_owned()
    };
    assert_eq!(
        text(b"{\"model\": \"m\",\n\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":5}]}]}"),
        "messages.0.content.0.text: invalid type: integer `5`, expected a string: line 2 column 61"
    );
    assert!(text(b"{\"model\": ").starts_with("The request body is not valid JSON: EOF"));
    assert!(text(b"[1]").starts_with("Input should be an object: "));
}
