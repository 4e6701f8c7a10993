//! What Bedrock's own switches do on Bedrock's own paths: guardrails, tiers, latency, labels, by alias, body and header.

use outcrop_sim::{Call, Operation};
use serde_json::{Value, json};

use crate::support::{Answer, TestGateway};

/// A model that takes the same body either way, and answers sooner where that is asked for.
const MODEL: &str = "nova-pro";
const CONVERSE: [&str; 2] = ["converse", "converse-stream"];
const INVOKE: [&str; 2] = ["invoke", "invoke-with-response-stream"];

const BODY: &str = r#"{ "messages":[{"role":"user","content":[{"text":"say exactly: fine"}]}],"inferenceConfig":{"maxTokens":50}}"#;

/// Guardrail, tier, latency and labels of a call, wherever its operation has them.
type Asked = (Option<String>, Option<String>, Option<String>, Value);

fn asked(call: &Call) -> Asked {
    if matches!(call.operation, Operation::Converse | Operation::ConverseStream) {
        assert!(call.wishes.is_empty(), "Converse has no headers: {:?}", call.wishes);
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let text = |object: &str, member: &str| body[object][member].as_str().map(str::to_owned);
        let guardrail = text("guardrailConfig", "guardrailIdentifier");
        return (guardrail, text("serviceTier", "type"), text("performanceConfig", "latency"), body["requestMetadata"].clone());
    }
    assert_eq!(call.body, BODY, "InvokeModel has no members");
    let header = |name: &str| call.wish(&format!("x-amzn-bedrock-{name}")).map(str::to_owned);
    let labels = header("request-metadata").map_or(Value::Null, |json| serde_json::from_str(&json).unwrap());
    (header("guardrailidentifier"), header("service-tier"), header("performanceconfig-latency"), labels)
}

fn expected(guardrail: &str, tier: &str, latency: &str, labels: Value) -> Asked {
    let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    (said(guardrail), said(tier), said(latency), labels)
}

async fn ask(gateway: &TestGateway, model: &str, operation: &str, headers: &[(&str, &str)], body: &str) -> (Answer, Call) {
    let answer = gateway.post_bytes(&format!("/model/{model}/{operation}"), headers, body.to_owned()).await;
    assert_eq!(answer.status, 200, "{operation} {headers:?}: {}", answer.text());
    (answer, gateway.calls().pop().unwrap())
}

/// A gateway with an alias that has everything an alias can have.
async fn gateway() -> TestGateway {
    let alias = r#"models.aliases.house={model = "nova-pro", service_tier = "flex", metadata = {cost_centre = "42", team = "house"}, guardrail = {identifier = "gralias1", version = "1"}}"#;
    TestGateway::builder().set(alias).start().await
}

/// A body with members before its own.
fn with(members: &str) -> String {
    BODY.replacen("{ ", &format!("{{ {members},"), 1)
}

#[tokio::test]
async fn what_an_alias_has_reaches_every_operation_and_the_rest_stays_as_it_was() {
    let gateway = gateway().await;
    let labels = json!({"cost_centre": "42", "team": "house"});
    for operation in CONVERSE.into_iter().chain(INVOKE) {
        let (answer, call) = ask(&gateway, MODEL, operation, &[], BODY).await;
        assert_eq!((asked(&call), std::str::from_utf8(&call.body).unwrap()), (expected("", "", "", Value::Null), BODY), "{operation}");
        assert_eq!(answer.header("x-outcrop-adjusted"), None, "{operation}");
        let (answer, call) = ask(&gateway, "house", operation, &[], BODY).await;
        assert_eq!(asked(&call), expected("gralias1", "flex", "", labels.clone()), "{operation}");
        assert!(call.body.ends_with(&BODY.as_bytes()[2..]), "{operation}: every other byte");
        assert_eq!(answer.header("x-outcrop-adjusted"), None, "{operation}: nothing of the client's was changed");
    }
    gateway.end().await;
}

#[tokio::test]
async fn what_the_client_says_itself_wins_over_its_alias() {
    let gateway = gateway().await;
    let labels = json!({"cost_centre": "42", "team": "a"});
    let said = with(
        r#""guardrailConfig":{"guardrailIdentifier":"grbody01","guardrailVersion":"1"},"serviceTier":{"type":"priority"},"performanceConfig":{"latency":"optimized"},"requestMetadata":{"team":"a"}"#,
    );
    for operation in CONVERSE {
        let (answer, call) = ask(&gateway, "house", operation, &[], &said).await;
        assert_eq!(asked(&call), expected("grbody01", "priority", "optimized", labels.clone()), "{operation}");
        assert_eq!(answer.header("x-outcrop-adjusted"), None, "{operation}");
    }
    let headers = [
        ("x-amzn-bedrock-guardrailidentifier", "grheader"),
        ("x-amzn-bedrock-guardrailversion", "1"),
        ("x-amzn-bedrock-service-tier", "priority"),
        ("x-amzn-bedrock-performanceconfig-latency", "optimized"),
        ("x-amzn-bedrock-request-metadata", r#"{"team":"a"}"#),
    ];
    for operation in INVOKE {
        let (answer, call) = ask(&gateway, "house", operation, &headers, BODY).await;
        assert_eq!(asked(&call), expected("grheader", "priority", "optimized", labels.clone()), "{operation}");
        assert_eq!(answer.header("x-outcrop-adjusted"), None, "{operation}");
    }
    gateway.end().await;
}

#[tokio::test]
async fn headers_of_bedrocks_are_heard_by_converse_or_told_to_be_ignored() {
    let gateway = gateway().await;
    let headers = [
        ("x-amzn-bedrock-guardrailidentifier", "grheader"),
        ("x-amzn-bedrock-guardrailversion", "2"),
        ("x-amzn-bedrock-trace", "ENABLED"),
        ("x-amzn-bedrock-service-tier", "priority"),
        ("x-amzn-bedrock-performanceconfig-latency", "optimized"),
    ];
    for operation in CONVERSE {
        let (answer, call) = ask(&gateway, MODEL, operation, &headers, BODY).await;
        assert_eq!(asked(&call), expected("grheader", "priority", "optimized", Value::Null), "{operation}");
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!((&body["guardrailConfig"]["trace"], answer.header("x-outcrop-adjusted")), (&json!("enabled"), None), "{operation}");
        let other = [("x-amzn-bedrock-request-metadata", r#"{"team":"a"}"#), ("x-amzn-bedrock-service-tier", "flex")];
        let (answer, call) = ask(&gateway, MODEL, operation, &other, &with(r#""serviceTier":{"type":"priority"}"#)).await;
        assert_eq!(asked(&call), expected("", "flex", "", Value::Null), "{operation}");
        let told = answer.header("x-outcrop-adjusted");
        assert_eq!(told, Some("serviceTier=replaced,x-amzn-bedrock-request-metadata=ignored"), "{operation}");
        let nonsense = [("x-amzn-bedrock-service-tier", "gold")];
        let refused = gateway.post_bytes(&format!("/model/{MODEL}/{operation}"), &nonsense, BODY).await;
        assert_eq!((refused.status, refused.header("x-amzn-errortype")), (400, Some("ValidationException")), "{}", refused.text());
    }
    gateway.end().await;
}
