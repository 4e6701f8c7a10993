use super::*;

fn cause(status: u16, code: &str, message: &str) -> Cause {
    classify(Evidence { status, code, message, original_status: None })
}

#[test]
fn every_documented_error_type_has_its_cause() {
    let expected = [
        (429, "ThrottlingException", Cause::Throttled),
        (429, "TooManyRequestsException", Cause::Throttled),
        (400, "ServiceQuotaExceededException", Cause::QuotaExhausted),
        (429, "ModelNotReadyException", Cause::NotReady),
        (408, "ModelTimeoutException", Cause::Timeout),
        (424, "ModelErrorException", Cause::Unavailable),
        (424, "ModelStreamErrorException", Cause::Unavailable),
        (500, "InternalServerException", Cause::Unavailable),
        (503, "ServiceUnavailableException", Cause::Unavailable),
        (400, "ValidationException", Cause::BadRequest),
        (403, "AccessDeniedException", Cause::AccessDenied),
        (404, "FTUFormNotFilled", Cause::AccessDenied),
        (404, "ResourceNotFoundException", Cause::ModelMissing),
        (403, "ExpiredTokenException", Cause::Credentials),
        (403, "UnrecognizedClientException", Cause::Credentials),
        (403, "InvalidSignatureException", Cause::Credentials),
        (400, "RequestExpired", Cause::Credentials),
    ];
    for (status, code, wanted) in expected {
        assert_eq!(cause(status, code, "text"), wanted, "{code}");
    }
}

#[test]
fn the_text_refines_what_the_type_says() {
    let expected = [
        ("ThrottlingException", "Too many tokens per day, please wait before trying again.", Cause::QuotaExhausted),
        ("ThrottlingException", "Too many tokens, please wait before trying again.", Cause::Throttled),
        ("ServiceQuotaExceededException", "Too many requests, please wait before trying again.", Cause::Throttled),
        ("ServiceQuotaExceededException", "You have reached your maximum number of provisioned models.", Cause::QuotaExhausted),
        ("ServiceQuotaExceededException", "Too many tokens per day, please wait before trying again.", Cause::QuotaExhausted),
        (
            "ValidationException",
            "Invocation of model ID x with on-demand throughput isn\u{2019}t supported. Retry your request with an inference profile.",
            Cause::ModelMissing,
        ),
        ("ValidationException", "Invocation of model ID x with on-demand throughput isn't supported.", Cause::ModelMissing),
        ("ValidationException", "The provided model identifier is invalid.", Cause::ModelMissing),
        ("ValidationException", "Input is too long for requested model.", Cause::ContextOverflow),
        ("ValidationException", "prompt is too long: 210000 tokens > 200000 maximum", Cause::ContextOverflow),
        ("ValidationException", "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000", Cause::ContextOverflow),
        ("ValidationException", "temperature and top_p cannot both be specified", Cause::BadRequest),
        ("ValidationException", "Operation not allowed", Cause::AccessDenied),
        ("ResourceNotFoundException", "Model use case details have not been submitted for this account.", Cause::AccessDenied),
        ("ResourceNotFoundException", "This model version has reached the end of its life.", Cause::ModelMissing),
        ("ResourceNotFoundException", "Guardrail abc was not found.", Cause::BadRequest),
        ("AccessDeniedException", "You don't have access to the model with the specified model ID.", Cause::AccessDenied),
        ("AccessDeniedException", "The security token included in the request is expired", Cause::Credentials),
        ("AccessDeniedException", "Bearer Token has expired", Cause::Credentials),
    ];
    for (code, message, wanted) in expected {
        assert_eq!(cause(400, code, message), wanted, "{code}: {message}");
    }
}

#[test]
fn a_text_never_overrides_a_type_it_does_not_belong_to() {
    assert_eq!(cause(503, "ServiceUnavailableException", "prompt is too long per day"), Cause::Unavailable);
}

#[test]
fn without_a_type_the_status_decides() {
    let expected = [
        (400, Cause::BadRequest),
        (401, Cause::Credentials),
        (403, Cause::AccessDenied),
        (404, Cause::ModelMissing),
        (408, Cause::Timeout),
        (413, Cause::BadRequest),
        (418, Cause::BadRequest),
        (424, Cause::Unavailable),
        (429, Cause::Throttled),
        (500, Cause::Unavailable),
        (502, Cause::Unavailable),
        (529, Cause::Unavailable),
        (302, Cause::Malformed),
    ];
    for (status, wanted) in expected {
        assert_eq!(cause(status, "", ""), wanted, "{status}");
        assert_eq!(cause(status, "SomethingNewException", ""), wanted, "{status}");
    }
}

#[test]
fn the_original_status_tells_a_models_refusal_from_its_fall() {
    let with_original = |code, original, message| classify(Evidence { status: 424, code, message, original_status: Some(original) });
    assert_eq!(with_original("ModelErrorException", 400, "bad field"), Cause::BadRequest);
    assert_eq!(with_original("ModelErrorException", 400, "prompt is too long: 2 tokens > 1 maximum"), Cause::ContextOverflow);
    assert_eq!(with_original("ModelErrorException", 429, ""), Cause::Throttled);
    assert_eq!(with_original("ModelErrorException", 500, ""), Cause::Unavailable);
    assert_eq!(with_original("modelStreamErrorException", 422, ""), Cause::BadRequest);
    assert_eq!(with_original("InternalServerException", 400, ""), Cause::Unavailable);
}

#[test]
fn a_stream_exception_gets_the_types_spelling_and_status() {
    let evidence = Evidence { status: 0, code: "throttlingException", message: "Too many requests", original_status: None };
    let failure = told_failure(evidence, None, None, None);
    assert_eq!((failure.status, failure.code.as_str(), failure.cause), (429, "ThrottlingException", Cause::Throttled));
    let unknown = told_failure(Evidence { code: "newThing", message: "?", ..Evidence::default() }, None, None, None);
    assert_eq!((unknown.status, unknown.code.as_str(), unknown.cause), (500, "newThing", Cause::Unavailable));
}

#[test]
fn a_failure_without_a_text_shows_its_type() {
    let failure = told_failure(Evidence { code: "modelTimeoutException", ..Evidence::default() }, None, None, None);
    assert_eq!((failure.message.as_str(), failure.status), ("ModelTimeoutException", 408));
}

#[test]
fn codes_lose_namespace_and_address() {
    for written in ["ThrottlingException", "ThrottlingException:http://internal/coral/", "com.amazon.coral#ThrottlingException"] {
        assert_eq!(bare_code(written), "ThrottlingException");
    }
}

#[test]
fn every_text_rule_is_lower_case_and_every_code_listed_once() {
    for rule in TEXT_RULES {
        assert_eq!(rule.fragment, rule.fragment.to_lowercase());
    }
    let mut codes: Vec<String> = CODE_RULES.iter().map(|rule| rule.code.to_lowercase()).collect();
    codes.sort_unstable();
    let before = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), before);
}
