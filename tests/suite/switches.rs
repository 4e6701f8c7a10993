//! What Bedrock's own switches do, by whatever route a client comes: caching, guardrails, tiers, latency, labels.

use outcrop_sim::{Call, Operation};
use serde_json::{Value, json};

use crate::support::{Answer, CLAUDE, TestGateway};

/// A model with a prompt cache that every dialect reaches over the hub.
const MODEL: &str = "nova-lite";
/// One that answers sooner, where that is asked for.
const FAST: &str = "nova-pro";

/// A request for a model, as a route wants it.
type Says = fn(&str) -> Value;

/// The routes, and how each of them says something.
const ROUTES: [(&str, Says); 4] = [
    ("/v1/chat/completions", |model| json!({"model": model, "messages": [{"role": "user", "content": "say exactly: fine"}]})),
    ("/v1/completions", |model| json!({"model": model, "prompt": "say exactly: fine"})),
    ("/v1/responses", |model| json!({"model": model, "input": "say exactly: fine"})),
    (
        "/anthropic/v1/messages",
        |model| json!({"model": model, "max_tokens": 50, "messages": [{"role": "user", "content": "say exactly: fine"}]}),
    ),
];

/// The upstream body of a request by each route, with further members and headers.
async fn bodies(gateway: &TestGateway, model: &str, headers: &[(&str, &str)], more: &Value) -> Vec<Value> {
    let mut bodies = Vec::new();
    for (path, says) in ROUTES {
        let answer = asked(gateway, path, says(model), headers, more).await;
        assert_eq!(answer.status, 200, "{path} {more}: {}", answer.text());
        bodies.push(gateway.bodies().pop().unwrap());
    }
    bodies
}

async fn asked(gateway: &TestGateway, path: &str, mut body: Value, headers: &[(&str, &str)], more: &Value) -> Answer {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.post_with(path, headers, &body).await
}

/// Is there a cache point behind the only turn?
fn turn_is_marked(body: &Value) -> bool {
    body["messages"][0]["content"].as_array().unwrap().last().unwrap().get("cachePoint").is_some()
}

#[tokio::test]
async fn sections_are_cached_as_settings_and_requests_say_on_every_route() {
    let gateway = TestGateway::start().await;
    for body in bodies(&gateway, MODEL, &[], &json!({})).await {
        assert!(!turn_is_marked(&body), "{body}");
    }
    for body in bodies(&gateway, MODEL, &[], &json!({"prompt_caching": {"messages": true}})).await {
        assert!(turn_is_marked(&body), "{body}");
    }
    for (path, says) in &ROUTES[..3] {
        let answer = asked(&gateway, path, says(MODEL), &[], &json!({"prompt_cache_key": "system.messages"})).await;
        assert!(answer.status == 200 && turn_is_marked(&gateway.bodies().pop().unwrap()), "{path}");
        asked(&gateway, path, says(MODEL), &[], &json!({"prompt_cache_key": "user-4711"})).await.ok();
        assert!(!turn_is_marked(&gateway.bodies().pop().unwrap()), "{path}: a key that routes is no switch");
    }
    // Anthropic's own word for it.
    let (path, says) = ROUTES[3];
    asked(&gateway, path, says(MODEL), &[], &json!({"cache_control": {"type": "ephemeral"}})).await.ok();
    assert!(turn_is_marked(&gateway.bodies().pop().unwrap()));
    gateway.end().await;
}

#[tokio::test]
async fn clients_that_set_no_marks_are_cached_where_the_operator_wants_it() {
    let gateway = TestGateway::builder().set("chat.prompt_caching={ system = true, messages = true }").start().await;
    for body in bodies(&gateway, MODEL, &[], &json!({})).await {
        assert!(turn_is_marked(&body), "{body}");
    }
    for body in bodies(&gateway, MODEL, &[], &json!({"prompt_caching": {"messages": false}})).await {
        assert!(!turn_is_marked(&body), "{body}");
    }
    gateway.end().await;
}

/// The guardrail that a body has.
fn guardrail(body: &Value) -> Option<&str> {
    body["guardrailConfig"]["guardrailIdentifier"].as_str()
}

#[tokio::test]
async fn guardrails_come_by_body_header_and_alias_on_every_route() {
    let gateway = TestGateway::builder()
        .set(r#"models.aliases.safe={model = "nova-lite", guardrail = {identifier = "gralias1", version = "1"}}"#)
        .start()
        .await;
    let header = [("x-amzn-bedrock-guardrailidentifier", "grheader"), ("x-amzn-bedrock-guardrailversion", "2")];
    let ours = json!({"guardrail": {"identifier": "grbody01", "version": "1"}});
    let converses = json!({"guardrailConfig": {"guardrailIdentifier": "grbody02", "guardrailVersion": "1"}});
    for (model, headers, more, expected) in [
        (MODEL, &[][..], json!({}), None),
        (MODEL, &[][..], ours.clone(), Some("grbody01")),
        (MODEL, &[][..], converses, Some("grbody02")),
        (MODEL, &header[..], json!({}), Some("grheader")),
        ("safe", &[][..], json!({}), Some("gralias1")),
        ("safe", &[][..], ours, Some("grbody01")),
        ("safe", &header[..], json!({}), Some("grheader")),
    ] {
        for body in bodies(&gateway, model, headers, &more).await {
            assert_eq!(guardrail(&body), expected, "{model} {headers:?} {more}: {body}");
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn the_operators_guardrail_holds_on_every_route_and_is_not_replaced() {
    let gateway = TestGateway::builder().set(r#"chat.guardrail={ identifier = "grglobal", version = "1" }"#).start().await;
    for body in bodies(&gateway, MODEL, &[], &json!({})).await {
        assert_eq!(guardrail(&body), Some("grglobal"), "{body}");
    }
    let calls = gateway.calls().len();
    let own = json!({"guardrail": {"identifier": "grbody01", "version": "1"}});
    let header = [("x-amzn-bedrock-guardrailidentifier", "grheader"), ("x-amzn-bedrock-guardrailversion", "2")];
    for (path, says) in ROUTES {
        assert_eq!(asked(&gateway, path, says(MODEL), &[], &own).await.status, 400, "{path}");
        assert_eq!(asked(&gateway, path, says(MODEL), &header, &json!({})).await.status, 403, "{path}");
    }
    assert_eq!(gateway.calls().len(), calls);
    gateway.end().await;
}

#[tokio::test]
async fn tiers_and_latency_come_by_body_header_and_alias_on_every_route() {
    let gateway = TestGateway::builder().set(r#"models.aliases.cheap={model = "nova-pro", service_tier = "flex"}"#).start().await;
    let told = json!({"service_tier": "priority", "performanceConfig": {"latency": "optimized"}});
    let header = [("x-amzn-bedrock-service-tier", "flex"), ("x-amzn-bedrock-performanceconfig-latency", "standard")];
    for (model, headers, more, tier, latency) in [
        (FAST, &[][..], json!({}), None, None),
        (FAST, &[][..], told.clone(), Some("priority"), Some("optimized")),
        (FAST, &header[..], told.clone(), Some("flex"), Some("standard")),
        ("cheap", &[][..], json!({}), Some("flex"), None),
        ("cheap", &[][..], told, Some("priority"), Some("optimized")),
    ] {
        for body in bodies(&gateway, model, headers, &more).await {
            assert_eq!((body["serviceTier"]["type"].as_str(), body["performanceConfig"]["latency"].as_str()), (tier, latency), "{body}");
        }
    }
    gateway.end().await;
}

#[tokio::test]
async fn labels_of_request_and_alias_reach_the_invocation_log_on_every_route() {
    let gateway = TestGateway::builder()
        .set(r#"models.aliases.billed={model = "nova-lite", metadata = {cost_centre = "42", team = "house"}}"#)
        .start()
        .await;
    for body in bodies(&gateway, "billed", &[], &json!({"metadata": {"team": "a"}, "requestMetadata": {"job": "nightly"}})).await {
        assert_eq!(body["requestMetadata"], json!({"team": "a", "job": "nightly", "cost_centre": "42"}), "{body}");
    }
    gateway.end().await;
}

/// Messages to Claude pass as they are: InvokeModel has headers for what Converse has fields for.
const CLAUDES: usize = 3;

/// The call of a message to Claude with further members and headers, whole and as a stream.
async fn invoked(gateway: &TestGateway, model: &str, headers: &[(&str, &str)], more: &Value) -> [Call; 2] {
    let (path, says) = ROUTES[CLAUDES];
    let mut calls = Vec::new();
    for (stream, operation) in [(false, Operation::InvokeModel), (true, Operation::InvokeModelWithResponseStream)] {
        let mut body = says(model);
        body["stream"] = stream.into();
        let answer = asked(gateway, path, body, headers, more).await;
        assert_eq!(answer.status, 200, "{headers:?} {more}: {}", answer.text());
        let call = gateway.calls().pop().unwrap();
        assert_eq!(call.operation, operation);
        calls.push(call);
    }
    calls.try_into().unwrap()
}

/// What a call says in one of InvokeModel's headers.
fn wish<'a>(call: &'a Call, name: &str) -> Option<&'a str> {
    call.wish(&format!("x-amzn-bedrock-{name}"))
}

fn sent(call: &Call) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

#[tokio::test]
async fn guardrails_come_to_claude_in_headers_from_body_header_alias_and_operator() {
    let gateway = TestGateway::builder()
        .set(
            r#"models.aliases.safe={model = "claude-sonnet-4-6", guardrail = {identifier = "gralias1", version = "3", trace = "enabled"}}"#,
        )
        .start()
        .await;
    let header = [("x-amzn-bedrock-guardrailidentifier", "grheader"), ("x-amzn-bedrock-guardrailversion", "2")];
    let ours = json!({"guardrail": {"identifier": "grbody01", "version": "1"}});
    for (model, headers, more, expected) in [
        (CLAUDE, &[][..], json!({}), [None; 3]),
        (CLAUDE, &[][..], ours.clone(), [Some("grbody01"), Some("1"), None]),
        (CLAUDE, &header[..], json!({}), [Some("grheader"), Some("2"), None]),
        ("safe", &[][..], json!({}), [Some("gralias1"), Some("3"), Some("ENABLED")]),
        ("safe", &[][..], ours, [Some("grbody01"), Some("1"), None]),
        ("safe", &header[..], json!({}), [Some("grheader"), Some("2"), None]),
    ] {
        for call in invoked(&gateway, model, headers, &more).await {
            assert_eq!(
                ["guardrailidentifier", "guardrailversion", "trace"].map(|name| wish(&call, name)),
                expected,
                "{model} {headers:?} {more}"
            );
            assert!(!call.body.windows(9).any(|bytes| bytes == b"guardrail"), "the model would refuse the field: {}", sent(&call));
        }
    }
    gateway.end().await;

    let gateway = TestGateway::builder().set(r#"chat.guardrail={ identifier = "grglobal", version = "1" }"#).start().await;
    for call in invoked(&gateway, CLAUDE, &[], &json!({})).await {
        assert_eq!(wish(&call, "guardrailidentifier"), Some("grglobal"));
    }
    let (path, says) = ROUTES[CLAUDES];
    let calls = gateway.calls().len();
    let own = json!({"guardrail": {"identifier": "grbody01", "version": "1"}});
    assert_eq!(asked(&gateway, path, says(CLAUDE), &[], &own).await.status, 400);
    assert_eq!(asked(&gateway, path, says(CLAUDE), &header, &json!({})).await.status, 403);
    assert_eq!(gateway.calls().len(), calls);
    gateway.end().await;
}

#[tokio::test]
async fn tiers_and_latency_come_to_claude_in_headers_from_body_header_and_alias() {
    let gateway = TestGateway::builder().set(r#"models.aliases.cheap={model = "claude-sonnet-4-6", service_tier = "flex"}"#).start().await;
    let told = json!({"service_tier": "priority", "performanceConfig": {"latency": "standard"}});
    let header = [("x-amzn-bedrock-service-tier", "flex"), ("x-amzn-bedrock-performanceconfig-latency", "standard")];
    for (model, headers, more, tier, latency) in [
        (CLAUDE, &[][..], json!({}), None, None),
        (CLAUDE, &[][..], told.clone(), Some("priority"), Some("standard")),
        (CLAUDE, &header[..], json!({}), Some("flex"), Some("standard")),
        (CLAUDE, &header[..1], told.clone(), Some("flex"), Some("standard")),
        ("cheap", &[][..], json!({}), Some("flex"), None),
        ("cheap", &[][..], told, Some("priority"), Some("standard")),
    ] {
        for call in invoked(&gateway, model, headers, &more).await {
            assert_eq!(
                (wish(&call, "service-tier"), wish(&call, "performanceconfig-latency")),
                (tier, latency),
                "{model} {headers:?} {more}"
            );
            let body = sent(&call);
            assert!(body.get("service_tier").is_none() && body.get("performanceConfig").is_none(), "{body}");
        }
    }
    // Not a model that answers sooner on demand: it says so itself.
    let (path, says) = ROUTES[CLAUDES];
    let sooner = [("x-amzn-bedrock-performanceconfig-latency", "optimized")];
    let refused = asked(&gateway, path, says(CLAUDE), &sooner, &json!({})).await;
    assert!(refused.status == 400 && refused.text().contains("Latency performance configuration"), "{}", refused.text());
    assert_eq!(wish(&gateway.calls().pop().unwrap(), "performanceconfig-latency"), Some("optimized"));
    gateway.end().await;
}

#[tokio::test]
async fn labels_of_request_and_alias_come_to_claude_in_a_header() {
    let gateway = TestGateway::builder()
        .set(r#"models.aliases.billed={model = "claude-sonnet-4-6", metadata = {cost_centre = "42", team = "house"}}"#)
        .start()
        .await;
    let more = json!({"metadata": {"user_id": "u", "team": "a"}, "requestMetadata": {"job": "nightly"}});
    for call in invoked(&gateway, "billed", &[], &more).await {
        let labels: Value = serde_json::from_str(wish(&call, "request-metadata").unwrap()).unwrap();
        assert_eq!(labels, json!({"team": "a", "job": "nightly", "cost_centre": "42"}));
        let body = sent(&call);
        assert_eq!((&body["metadata"], body.get("requestMetadata")), (&json!({"user_id": "u"}), None), "{body}");
    }
    for call in invoked(&gateway, CLAUDE, &[], &json!({})).await {
        assert_eq!(wish(&call, "request-metadata"), None);
    }
    gateway.end().await;
}

#[tokio::test]
async fn sections_that_settings_and_requests_have_cached_are_marked_in_the_body_for_claude() {
    let asks = json!({
        "system": "Be brief.",
        "tools": [{"name": "a", "input_schema": {"type": "object"}}, {"name": "b", "input_schema": {"type": "object"}}],
    });
    let with = |more: Value| {
        let mut asks = asks.clone();
        asks.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        asks
    };
    // The mark on the system prompt, the last tool and the last turn.
    let marks = |call: &Call| {
        let body = sent(call);
        assert!(body.get("prompt_caching").is_none() && body["tools"][0].get("cache_control").is_none(), "{body}");
        let turn = &body["messages"][0]["content"];
        [&body["system"][0]["cache_control"], &body["tools"][1]["cache_control"], &turn[0]["cache_control"]].map(Clone::clone)
    };
    let (plain, hour, none) = (json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"}), Value::Null);

    let gateway = TestGateway::start().await;
    for (more, expected) in [
        (json!({}), [&none, &none, &none]),
        (json!({"prompt_caching": {"system": true}}), [&plain, &none, &none]),
        (json!({"prompt_caching": {"tools": true, "messages": true, "ttl": "1h"}}), [&none, &hour, &hour]),
        // Anthropic's own word for it, which Bedrock does not know.
        (json!({"cache_control": {"type": "ephemeral"}}), [&none, &none, &plain]),
    ] {
        for call in invoked(&gateway, CLAUDE, &[], &with(more.clone())).await {
            assert_eq!(marks(&call).each_ref(), expected, "{more}");
        }
    }
    gateway.end().await;

    let gateway =
        TestGateway::builder().set(r#"chat.prompt_caching={ system = true, tools = true, messages = true, ttl = "1h" }"#).start().await;
    for (more, expected) in [
        (json!({}), [&hour, &hour, &hour]),
        (
            json!({"prompt_caching": {"system": false, "ttl": "5m"}}),
            [&none, &json!({"type": "ephemeral", "ttl": "5m"}), &json!({"type": "ephemeral", "ttl": "5m"})],
        ),
        // Who marks for himself knows what he wants.
        (json!({"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]}), [&plain, &none, &none]),
    ] {
        for call in invoked(&gateway, CLAUDE, &[], &with(more.clone())).await {
            assert_eq!(marks(&call).each_ref(), expected, "{more}");
        }
    }
    gateway.end().await;
}
