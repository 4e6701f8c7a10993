use std::borrow::Cow;

use outcrop_domain::ids::Region;
use outcrop_protocol::openai::{body, chat::ChatCompletionRequest};

use super::*;
use crate::errors::words::MAX_MESSAGE_BYTES;

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

/// Status, type, code, param, retry.
fn seen(error: &GatewayError) -> (u16, &'static str, Option<&'static str>, Option<String>, &'static str) {
    let reply = reply(error);
    let object = reply.body.error;
    (reply.status, object.kind, object.code, object.param.map(Cow::into_owned), reply.retry.as_str())
}

#[test]
fn upstream_failures_follow_the_error_map() {
    let table = [
        (Cause::Throttled, 429, 429, RATE_LIMIT, Some("rate_limit_exceeded"), None, "true"),
        (Cause::QuotaExhausted, 429, 429, "insufficient_quota", Some("insufficient_quota"), None, "false"),
        (Cause::Unavailable, 503, 503, SERVER, None, None, "true"),
        (Cause::Unavailable, 500, 500, SERVER, None, None, "true"),
        (Cause::Unavailable, 424, 502, SERVER, None, None, "true"),
        (Cause::Unavailable, 0, 502, SERVER, None, None, "true"),
        (Cause::NotReady, 429, 503, SERVER, None, None, "true"),
        (Cause::Timeout, 408, 504, SERVER, None, None, "true"),
        (Cause::Connection, 0, 502, SERVER, None, None, "true"),
        (Cause::BadRequest, 400, 400, INVALID, None, None, "false"),
        (Cause::ContextOverflow, 400, 400, INVALID, Some("context_length_exceeded"), Some("messages"), "false"),
        (Cause::AccessDenied, 403, 403, PERMISSION, None, None, "false"),
        (Cause::ModelMissing, 404, 404, INVALID, Some("model_not_found"), Some("model"), "false"),
        (Cause::Credentials, 403, 503, SERVER, None, None, "true"),
        (Cause::BrokenStream, 0, 502, SERVER, None, None, "true"),
        (Cause::Malformed, 200, 502, SERVER, None, None, "true"),
    ];
    for (cause, upstream, status, kind, code, param, retry) in table {
        let error = failed(cause, upstream, "Code", "words");
        assert_eq!(seen(&error), (status, kind, code, param.map(str::to_owned), retry), "{cause:?} {upstream}");
    }
}

#[test]
fn our_own_errors_follow_the_error_map() {
    let soon = Duration::from_secs(3);
    let text = || "words".to_owned();
    let table = [
        (GatewayError::invalid_with_code("n", "words", "invalid_value"), 400, INVALID, Some("invalid_value"), Some("n"), "false"),
        (GatewayError::Unauthenticated { message: text() }, 401, INVALID, Some("invalid_api_key"), None, "false"),
        (GatewayError::Forbidden { message: text() }, 403, PERMISSION, None, None, "false"),
        (GatewayError::ModelNotFound { model: text(), message: text() }, 404, INVALID, Some("model_not_found"), Some("model"), "false"),
        (GatewayError::NotFound { message: text() }, 404, INVALID, None, None, "false"),
        (
            GatewayError::UnknownReference { message: text(), param: Some("previous_response_id".to_owned()), code: Some("a_code") },
            404,
            INVALID,
            Some("a_code"),
            Some("previous_response_id"),
            "false",
        ),
        (GatewayError::BodyTimeout { after: soon }, 408, INVALID, Some("request_timeout"), None, "true"),
        (GatewayError::BodyTooLarge { limit_bytes: 9 }, 413, INVALID, Some("request_too_large"), None, "false"),
        (
            GatewayError::FetchFailed { message: text(), param: Some("messages.0".to_owned()) },
            400,
            INVALID,
            Some("failed_to_download"),
            Some("messages.0"),
            "false",
        ),
        (GatewayError::RateLimited { message: text(), retry_after: soon }, 429, RATE_LIMIT, Some("rate_limit_exceeded"), None, "true"),
        (GatewayError::Overloaded { message: text(), retry_after: soon }, 503, SERVER, None, None, "true"),
        (GatewayError::Unavailable { message: text(), retry_after: soon }, 503, SERVER, None, None, "true"),
        (GatewayError::WorkerLost, 500, SERVER, None, None, "true"),
        (GatewayError::DeadlineExceeded { after: soon }, 504, SERVER, None, None, "true"),
        (GatewayError::Internal { message: text() }, 500, SERVER, None, None, "false"),
    ];
    for (error, status, kind, code, param, retry) in table {
        assert_eq!(seen(&error), (status, kind, code, param.map(str::to_owned), retry), "{error:?}");
    }
}

#[test]
fn pain_08_upstream_words_reach_the_client_unchanged() {
    let words =
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again";
    let error = failed(Cause::ContextOverflow, 400, "ValidationException", words);
    let json = serde_json::to_value(reply(&error).body).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"error": {"message": words, "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}})
    );
}

#[test]
fn pain_09_a_throttle_is_a_429_that_says_when_to_come_back() {
    let error = GatewayError::RateLimited { message: "Too many requests".to_owned(), retry_after: Duration::from_secs(7) };
    let reply = reply(&error);
    assert_eq!((reply.status, reply.retry_after, reply.retry), (429, Some(Duration::from_secs(7)), RetryHint::Retry));
}

#[test]
fn every_member_of_the_envelope_is_written_even_when_null() {
    let json = serde_json::to_string(&reply(&GatewayError::WorkerLost).body).unwrap();
    assert!(json.contains(r#""param":null,"code":null"#), "{json}");
}

#[test]
fn refused_credentials_do_not_show_their_details_to_the_client() {
    let error = failed(Cause::Credentials, 403, "ExpiredTokenException", "token of arn:aws:sts::123456789012:assumed-role/x expired");
    assert!(!reply(&error).body.error.message.contains("123456789012"));
}

#[test]
fn an_upstream_failure_without_words_shows_its_code() {
    assert_eq!(
        reply(&failed(Cause::Unavailable, 503, "ServiceUnavailableException", "")).body.error.message,
        "ServiceUnavailableException"
    );
}

#[test]
fn a_malformed_body_is_a_400_with_path_line_and_column() {
    let fault = body::decode::<ChatCompletionRequest>(b"{\"model\": \"m\",\n\"temperature\": \"hot\"}").unwrap_err();
    let error = malformed_body(&fault);
    assert_eq!(seen(&error), (400, INVALID, Some("invalid_type"), Some("temperature".to_owned()), "false"));
    let text = reply(&error).body.error.message.into_owned();
    assert!(text.contains("`temperature`") && text.contains("line 2"), "{text}");

    let fault = body::decode::<ChatCompletionRequest>(b"{\"model\": ").unwrap_err();
    let error = malformed_body(&fault);
    assert_eq!(seen(&error), (400, INVALID, None, None, "false"));
    assert!(reply(&error).body.error.message.contains("not valid JSON"));
}

#[test]
fn our_own_words_are_cut_where_they_quote_too_much_and_upstreams_never() {
    let giant = "ü".repeat(1 << 16);
    let error = GatewayError::invalid(giant.clone(), giant.clone());
    let own = reply(&error);
    let shown = own.body.error.message.as_ref();
    assert!(shown.len() <= MAX_MESSAGE_BYTES + 3 && shown.ends_with("ü..."), "{}", shown.len());
    assert!(own.body.error.param.is_some_and(|param| param.len() <= MAX_PARAM_BYTES + 3));
    assert_eq!(reply(&failed(Cause::BadRequest, 400, "ValidationException", &giant)).body.error.message, giant);
}
