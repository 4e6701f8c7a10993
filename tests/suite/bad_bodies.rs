//! Bodies that nobody can read, on every route and in its dialect's envelope: as [`crate::bad_input`] for chat.

use http::Method;
use serde_json::{Value, json};

use crate::{
    every_route::{Envelope, Everywhere, ModelIn, Route, Wrong, no_json, shown},
    support::{KEY, Raw},
};

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        let whole = route.body.to_string();
        for body in no_json(&whole) {
            if body.is_empty() && route.name == "conversations" {
                // A conversation of nothing needs no body.
                everywhere.send(&route.path, &[], "").await.ok();
                continue;
            }
            everywhere.refused(route, &[], body.to_vec()).await.of(route.envelope, Wrong::Request);
        }
        let at = whole.find("hello").expect("a word");
        for bytes in [b"\xff".as_slice(), b"\xc3\x28", b"\xed\xa0\x80", b"\xf0\x9f"] {
            let body = [&whole.as_bytes()[..at], bytes, &whole.as_bytes()[at + 1..]].concat();
            everywhere.refused(route, &[], body).await.of(route.envelope, Wrong::Request);
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn json_of_another_kind_is_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        let in_a_list = json!([route.body]).to_string();
        let its_values: Value = route.body.as_object().unwrap().values().cloned().collect();
        for body in ["[]", "\"hello\"", "null", "5", "true", in_a_list.as_str(), its_values.to_string().as_str()] {
            everywhere.refused(route, &[], body.to_owned()).await.of(route.envelope, Wrong::Request);
        }
        // What is said is neither a number nor missing.
        for body in [route.with(route.said, 5), json!({})] {
            let judged_upstream = route.envelope == Envelope::Aws;
            if judged_upstream || (body == json!({}) && route.name == "conversations") {
                everywhere.ended(route, &body).await;
            } else {
                everywhere.refused(route, &[], body.to_string()).await.of(route.envelope, Wrong::Request);
            }
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_on_every_route_declared_or_not() {
    let everywhere = Everywhere::with(Some("server.body_limit=64 KiB")).await;
    for route in &everywhere.routes {
        let large = format!("{}{}", route.body, " ".repeat(1 << 20));
        let refused = everywhere.refused(route, &[], large.clone()).await.of(route.envelope, Wrong::Size);
        assert!(refused.message.contains("65536"), "{}", refused.message);
        let head = format!("POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n", route.path);
        // A careful client asks before it sends.
        let mut asking = Raw::connect(everywhere.gateway.address).await;
        asking.send(format!("{head}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", large.len())).await;
        route.envelope.open(asking.answer().await.expect("an answer before the body")).of(route.envelope, Wrong::Size);
        // A chunked body says nothing of its length.
        let mut chunked = Raw::connect(everywhere.gateway.address).await;
        chunked.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
        for piece in large.as_bytes().chunks(16 << 10) {
            if !chunked.send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()).await {
                break;
            }
        }
        route.envelope.open(chunked.answer().await.expect("an answer within the body")).of(route.envelope, Wrong::Size);
        let fits = format!("{}{}", route.body, " ".repeat(60 << 10));
        assert_eq!(everywhere.send(&route.path, &[], fits).await.status, 200, "{}", route.name);
    }
    everywhere.end().await;
}

#[tokio::test]
async fn compressed_bodies_are_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        for encoding in ["gzip", "br", "zstd", "deflate", "gzip, identity"] {
            let body = &b"\x1f\x8b\x08\x00\x00"[..];
            let refused = everywhere.refused(route, &[("content-encoding", encoding)], body).await.of(route.envelope, Wrong::Request);
            assert!(refused.message.contains("compressed"), "{}", refused.message);
        }
        let plain = everywhere.send(&route.path, &[("content-encoding", "identity")], route.body.to_string()).await;
        assert_eq!(plain.status, 200, "{}", route.name);
    }
    everywhere.end().await;
}

/// Stands where something deep shall stand.
const DEEP: &str = "@deep@";

/// Bodies of a route with something in each of its places.
fn places(route: &Route) -> Vec<Value> {
    let mut bodies = vec![json!(DEEP), route.with("unheard_of", DEEP), route.with(route.said, DEEP)];
    let mut member = |name: &str, values: &[Value]| bodies.extend(values.iter().map(|value| route.with(name, value.clone())));
    let turns =
        [json!([DEEP]), json!([{"role": "user", "content": DEEP}]), json!([{"role": "user", "content": "hello", "unheard_of": DEEP}])];
    match (route.envelope, route.said) {
        (Envelope::OpenAi, "messages") => {
            member("messages", &turns);
            member("tools", &[json!([{"type": "function", "function": {"name": "f", "parameters": DEEP}}])]);
            member("response_format", &[json!({"type": "json_schema", "json_schema": {"name": "s", "schema": DEEP}})]);
        }
        (Envelope::OpenAi, "prompt") => {
            member("prompt", &[json!([DEEP])]);
            member("logit_bias", &[json!(DEEP), json!({"50256": DEEP})]);
        }
        (Envelope::OpenAi, "input") => {
            member("input", &turns);
            let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": DEEP});
            let shell = json!({"type": "shell_call", "call_id": "c", "action": DEEP});
            member("input", &[json!([call]), json!([shell]), json!([{"type": "message", "role": "user", "content": [DEEP]}])]);
            member("tools", &[json!([DEEP]), json!([{"type": "function", "name": "f", "parameters": DEEP}])]);
            member("text", &[json!(DEEP), json!({"format": {"type": "json_schema", "name": "s", "schema": DEEP}})]);
            member("tool_choice", &[json!(DEEP)]);
            member("metadata", &[json!(DEEP), json!({"label": DEEP})]);
        }
        (Envelope::OpenAi, _) => {
            member("items", &turns);
            member("metadata", &[json!(DEEP), json!({"label": DEEP})]);
        }
        (Envelope::Anthropic, _) => {
            member("messages", &turns);
            let blocks = [
                json!({"type": "text", "text": "hello", "unheard_of": DEEP}),
                json!({"type": "tool_use", "id": "t", "name": "f", "input": DEEP}),
                json!({"type": "tool_result", "tool_use_id": "t", "content": DEEP}),
            ];
            member("messages", &blocks.map(|block| json!([{"role": "user", "content": [block]}])));
            member("tools", &[json!([DEEP]), json!([{"name": "f", "input_schema": DEEP}])]);
            for name in ["system", "thinking", "metadata", "tool_choice"] {
                member(name, &[json!(DEEP)]);
            }
        }
        (Envelope::Aws, "input") => member("input", &[json!({"converse": DEEP}), json!({"converse": {"messages": DEEP}})]),
        (Envelope::Aws, _) => {
            member("messages", &turns);
            member("toolConfig", &[json!(DEEP), json!({"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": DEEP}}}]})]);
            member("additionalModelRequestFields", &[json!(DEEP)]);
        }
    }
    bodies
}

#[tokio::test]
async fn json_nested_a_hundred_thousand_levels_deep_is_refused_on_every_route_wherever_it_stands() {
    let everywhere = Everywhere::start().await;
    let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    for route in &everywhere.routes {
        for place in places(route) {
            for deep in [&arrays, &objects] {
                let body = place.to_string().replace(&format!("\"{DEEP}\""), deep);
                let refused = everywhere.refused(route, &[], body).await.of(route.envelope, Wrong::Request);
                assert!(!refused.message.contains("[[[") && !refused.message.contains("{\"a\":{"), "{}", refused.message);
            }
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn what_tools_have_printed_may_be_as_deep_as_it_likes_where_it_is_text() {
    let everywhere = Everywhere::start().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let items = |output: &str| {
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        json!([call, {"type": "function_call_output", "call_id": "c", "output": output}])
    };
    for route in everywhere.routes.iter().filter(|route| route.is_responses() || route.said == "items") {
        let as_json = route.with(route.said, items(DEEP)).to_string().replace(&format!("\"{DEEP}\""), &deep);
        everywhere.refused(route, &[], as_json).await.of(route.envelope, Wrong::Request);
        let as_text = everywhere.send(&route.path, &[], route.with(route.said, items(&deep)).to_string()).await.ok();
        if route.name == "responses" {
            let path = format!("/v1/responses/{}/input_items", as_text["id"].as_str().unwrap());
            let listed = everywhere.gateway.get(&path).await.ok();
            assert!(listed["data"].as_array().unwrap().iter().any(|item| item["output"] == deep.as_str()), "it is kept as it came");
        }
    }
    let kept = everywhere.routes.iter().find(|route| route.name == "conversation items").unwrap();
    let listed = everywhere.gateway.get(&kept.path).await.ok();
    assert!(listed["data"].as_array().unwrap().iter().any(|item| item["output"] == deep.as_str()), "it is kept as it came");
    everywhere.end().await;
}

#[tokio::test]
async fn a_body_of_twenty_thousand_unknown_fields_is_answered_in_time_on_every_route() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        let mut body = route.body.clone();
        for number in 0..20_000 {
            body[format!("unknown_{number}")] = json!(1);
        }
        everywhere.ended(route, &body).await;
    }
    everywhere.end().await;
}

#[tokio::test]
async fn a_body_is_json_on_every_route_whatever_else_it_is_called() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/octet-stream", "", "/"]
        {
            let answer = everywhere.send(&route.path, &[("content-type", kind)], route.body.to_string()).await;
            assert_eq!(answer.status, 200, "{} {kind}: {}", route.name, shown(&String::from_utf8_lossy(&answer.body)));
            let form = "model=x&messages=hello";
            everywhere.refused(route, &[("content-type", kind)], form).await.of(route.envelope, Wrong::Request);
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn a_wrong_key_and_no_key_are_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    let strangers = [
        (None, None),
        (Some("sk-wrong"), None),
        (Some(""), None),
        (Some("sk-test-ke"), None),
        (Some("sk-test-key2"), None),
        (None, Some(("x-api-key", "sk-wrong"))),
        (None, Some(("authorization", "Basic dGVzdGVyOnNrLXRlc3Qta2V5"))),
        (None, Some(("authorization", "AWS4-HMAC-SHA256 Credential=AKID/20261130/us-east-1/bedrock/aws4_request, Signature=0"))),
        (None, Some(("authorization", "AWS4-HMAC-SHA256 Credential=////"))),
    ];
    for route in &everywhere.routes {
        for (key, header) in strangers {
            let headers: Vec<(&str, &str)> = header.into_iter().collect();
            for body in [route.body.to_string(), "{".to_owned()] {
                let stranger = everywhere.client(key);
                let answer = stranger.send(Method::POST, &route.path, &headers, body.into()).await.answer().await;
                let challenge = answer.header("www-authenticate").map(str::to_owned);
                let refused = route.envelope.open(answer).of(route.envelope, Wrong::Key);
                assert!(!refused.message.contains("sk-") && !refused.message.contains("AKID"), "{}", refused.message);
                let expected = (route.envelope != Envelope::Aws).then_some("Bearer");
                assert_eq!(challenge.as_deref(), expected, "{}", route.name);
            }
        }
    }
    everywhere.gateway.untouched().await;
    for route in &everywhere.routes {
        everywhere.answers(route).await;
    }
    everywhere.end().await;
}

#[tokio::test]
async fn a_wrong_method_is_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        for method in [Method::PUT, Method::PATCH, Method::OPTIONS] {
            let answer = everywhere.gateway.method(method.clone(), &route.path).await;
            assert!(answer.header("allow").is_some_and(|allowed| allowed.contains("POST")), "{method} {}", route.name);
            route.envelope.open(answer).of(route.envelope, Wrong::Method);
        }
    }
    everywhere.gateway.untouched().await;
    everywhere.end().await;
}

#[tokio::test]
async fn a_model_of_any_name_that_there_is_not_is_refused_on_every_route() {
    let everywhere = Everywhere::start().await;
    let (long, odd) = ("m".repeat(30 << 10), "x\r\nset-cookie: a=b\u{0}\u{1b}[31m\u{7f}");
    for route in everywhere.routes.iter().filter(|route| route.model != ModelIn::Nowhere) {
        for name in ["no-such-model", long.as_str(), odd, "größe-😀", "../../secret", "%2e%2e%2f", "a,b=c", "${jndi:x}", "'; --"] {
            let (path, body) = route.of_model(name).unwrap();
            let refused = everywhere.refused_at(route, &path, &[], body.to_string()).await.of(route.envelope, Wrong::Model);
            assert!(refused.answer.header("x-outcrop-model").is_none(), "{:?}", refused.answer.headers);
            if route.model == ModelIn::Body {
                // A stream that cannot begin is refused with a true status.
                let mut streamed = body;
                streamed["stream"] = true.into();
                everywhere.refused_at(route, &path, &[], streamed.to_string()).await.of(route.envelope, Wrong::Model);
            }
        }
        let (path, body) = route.of_model(" ").unwrap();
        everywhere.refused_at(route, &path, &[], body.to_string()).await.of(route.envelope, Wrong::Request);
    }
    everywhere.end().await;
}

#[tokio::test]
async fn paths_that_are_no_text_or_name_nothing_are_refused_in_their_dialects_envelope() {
    let everywhere = Everywhere::start().await;
    let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
    let long = "i".repeat(30 << 10);
    let mut paths = Vec::new();
    for id in ["%FF", "%C3%28", "%ED%A0%80", "%00", "%0d%0aset-cookie:%20a=b", "..%2F..%2Fsecret", long.as_str()] {
        for (method, path) in [(&get, "/v1/models/{}"), (&get, "/v1/responses/{}"), (&get, "/v1/responses/{}/input_items")] {
            paths.push((Envelope::OpenAi, method, path.replace("{}", id)));
        }
        for (method, path) in [(&delete, "/v1/responses/{}"), (&post, "/v1/responses/{}/cancel"), (&get, "/v1/conversations/{}")] {
            paths.push((Envelope::OpenAi, method, path.replace("{}", id)));
        }
        for (method, path) in [(&delete, "/v1/conversations/{}"), (&get, "/v1/conversations/{}/items"), (&post, "/v1/conversations/{}")] {
            paths.push((Envelope::OpenAi, method, path.replace("{}", id)));
        }
        for method in [&get, &delete] {
            paths.push((Envelope::OpenAi, method, format!("/v1/conversations/conv_1/items/{id}")));
        }
        paths.push((Envelope::Anthropic, &get, format!("/anthropic/v1/models/{id}")));
        for path in ["/foundation-models/{}", "/inference-profiles/{}"] {
            paths.push((Envelope::Aws, &get, path.replace("{}", id)));
        }
        for verb in ["converse", "converse-stream", "invoke", "invoke-with-response-stream", "count-tokens", "apply"] {
            paths.push((Envelope::Aws, &post, format!("/model/{id}/{verb}")));
        }
        paths.push((Envelope::Aws, &post, format!("/model/amazon.nova-lite-v1%3A0/{id}")));
    }
    for path in ["/model/converse", "/model//converse", "/model/%20/converse", "/model/amazon.nova-lite-v1%3A0/converse/"] {
        paths.push((Envelope::Aws, &post, path.to_owned()));
    }
    for (envelope, method, path) in paths {
        let body = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}],"metadata":{"a":"b"}}"#;
        let answer = everywhere.gateway.send(method.clone(), &path, &[], body.into()).await.answer().await;
        assert!(matches!(answer.status, 400 | 404), "{} {method} {}", answer.status, shown(&path));
        envelope.open(answer);
    }
    everywhere.gateway.untouched().await;
    for route in &everywhere.routes {
        everywhere.answers(route).await;
    }
    everywhere.end().await;
}
