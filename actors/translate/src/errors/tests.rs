//! What the dialects make of one error, side by side.

use std::time::Duration;

use super::*;

fn upstream(cause: Cause, status: u16, code: &str) -> GatewayError {
    GatewayError::Upstream(UpstreamFailure {
        cause,
        status,
        code: code.to_owned(),
        message: "upstream's words".to_owned(),
        request_id: None,
        retry_after: None,
        region: None,
        model_error: None,
    })
}

/// Status and type.
type Told = (u16, &'static str);

#[test]
fn pain_09_every_row_of_appendix_b_holds_in_both_dialects() {
    // What upstream says; Anthropic's and OpenAI's form of it; whether another target is tried.
    let rows: [(Cause, u16, &str, Told, Told, bool); 13] = [
        (Cause::Throttled, 429, "ThrottlingException", (429, "rate_limit_error"), (429, "rate_limit_error"), true),
        (Cause::QuotaExhausted, 400, "ServiceQuotaExceededException", (429, "rate_limit_error"), (429, "insufficient_quota"), true),
        (Cause::Unavailable, 503, "ServiceUnavailableException", (529, "overloaded_error"), (503, "server_error"), true),
        (Cause::NotReady, 429, "ModelNotReadyException", (529, "overloaded_error"), (503, "server_error"), true),
        (Cause::Unavailable, 500, "InternalServerException", (500, "api_error"), (500, "server_error"), true),
        (Cause::Timeout, 408, "ModelTimeoutException", (504, "timeout_error"), (504, "server_error"), true),
        (Cause::BrokenStream, 424, "ModelStreamErrorException", (500, "api_error"), (502, "server_error"), false),
        (Cause::BadRequest, 400, "ValidationException", (400, "invalid_request_error"), (400, "invalid_request_error"), false),
        (Cause::ContextOverflow, 400, "ValidationException", (400, "invalid_request_error"), (400, "invalid_request_error"), false),
        (Cause::AccessDenied, 403, "AccessDeniedException", (403, "permission_error"), (403, "permission_error"), true),
        (Cause::ModelMissing, 404, "ResourceNotFoundException", (404, "not_found_error"), (404, "invalid_request_error"), true),
        (Cause::ModelMissing, 400, "ValidationException", (404, "not_found_error"), (404, "invalid_request_error"), true),
        (Cause::Credentials, 403, "ExpiredTokenException", (503, "api_error"), (503, "server_error"), true),
    ];
    for (cause, status, code, anthropics, openais, elsewhere) in rows {
        let error = upstream(cause, status, code);
        let (messages, chat) = (anthropic::reply(&error, None), openai::reply(&error));
        assert_eq!((messages.status, messages.body.error.kind.as_ref()), anthropics, "{code}");
        assert_eq!((chat.status, chat.body.error.kind), openais, "{code}");
        assert_eq!(cause.try_elsewhere(), elsewhere, "{code}");
        if cause != Cause::Credentials {
            assert_eq!(chat.body.error.message, "upstream's words", "{code}");
            assert!(messages.body.error.message.contains("upstream's words"), "{code}");
        }
    }
    let ours = GatewayError::RateLimited { message: "the key's limit is spent".to_owned(), retry_after: Duration::from_secs(9) };
    let (messages, chat) = (anthropic::reply(&ours, None), openai::reply(&ours));
    assert_eq!((messages.status, messages.retry_after), (429, Some(Duration::from_secs(9))));
    assert_eq!((chat.status, chat.retry_after, chat.body.error.code), (429, Some(Duration::from_secs(9)), Some("rate_limit_exceeded")));
}
