//! Bodies that can be read and hold what is bad, on every route and in its dialect's envelope: as [`crate::bad_input`] for chat.

use serde_json::{Value, json};

use crate::{
    every_route::{Envelope, Everywhere, Route, Wrong, addresses_within, shown},
    support::{CLAUDE, WebServer},
};

/// Bodies of a route that it refuses for what `word` stands in the place of.
fn refused_for(route: &Route, word: &str) -> Vec<Value> {
    let mut bodies = Vec::new();
    if route.envelope == Envelope::Aws {
        // What is in an object passes: it is for AWS to judge.
        return vec![json!(word), json!([word])];
    }
    if route.body.get("model").is_some() {
        bodies.extend([route.with("model", word), route.with("model", json!({word: 1}))]);
    }
    let mut member = |name: &str, values: &[Value]| bodies.extend(values.iter().map(|value| route.with(name, value.clone())));
    let one_turn = |turn: Value| json!([turn]);
    let part = json!({"role": "user", "content": [{"type": word, "text": "hello"}]});
    match (route.envelope, route.said) {
        (Envelope::OpenAi, "messages") => {
            member("messages", &[json!(word), one_turn(json!({"role": word, "content": "hello"})), one_turn(part)]);
            member("tools", &[json!([{"type": word}])]);
        }
        (Envelope::OpenAi, "prompt") => {
            member("prompt", &[json!({word: 1}), json!([word, 1])]);
            for name in ["n", "best_of", "stream", "temperature", "max_tokens", "suffix", "messages"] {
                member(name, &[json!(word)]);
            }
        }
        (Envelope::OpenAi, "input") => {
            member("input", &[json!([word]), one_turn(json!({"role": word, "content": "hello"})), one_turn(part)]);
            member(
                "tools",
                &[json!(word), json!([{"type": word}]), json!([{"type": "namespace", "name": "n", "tools": [{"type": word}]}])],
            );
            member("tool_choice", &[json!(word), json!({"type": word}), json!({"type": "function", "name": word})]);
            member("reasoning", &[json!(word), json!({"effort": word})]);
            member("text", &[json!(word), json!({"format": {"type": word}})]);
            for name in ["previous_response_id", "conversation", "truncation", "stream"] {
                member(name, &[json!(word)]);
            }
            member("conversation", &[json!({"id": word})]);
            member("include", &[json!([word])]);
        }
        (Envelope::OpenAi, _) => {
            member("metadata", &[json!(word)]);
            if word.len() > 512 && route.name != "conversation items" {
                member("metadata", &[json!({word: "x"}), json!({"label": word})]);
            }
            if route.said == "items" {
                member("items", &[json!(word), json!([word]), one_turn(json!({"role": "user", "content": word, "id": 5}))]);
            }
        }
        (Envelope::Anthropic, _) => {
            member("messages", &[json!(word), json!({word: 1})]);
            if !route.path.ends_with("count_tokens") {
                member("max_tokens", &[json!(word), json!({word: 1})]);
            }
            if route.is_hub_messages() {
                member("messages", &[one_turn(json!({"role": word, "content": "hello"})), one_turn(part)]);
                member("system", &[json!([{"type": word, "text": "hello"}])]);
                member("tools", &[json!(word), json!([{"type": word, "name": "f"}])]);
                member("tool_choice", &[json!({"type": word}), json!({"type": "tool", "name": word})]);
                member("thinking", &[json!(word), json!({"type": word})]);
                member("service_tier", &[json!(word)]);
                member("stream", &[json!(word)]);
            }
        }
        (Envelope::Aws, _) => {}
    }
    bodies
}

#[tokio::test]
async fn a_giant_word_where_a_short_one_belongs_is_refused_on_every_route_without_an_echo() {
    let everywhere = Everywhere::start().await;
    let giant = "x".repeat(1 << 20);
    for route in &everywhere.routes {
        for body in refused_for(route, &giant) {
            let refused = everywhere.refused(route, &[], body.to_string()).await;
            assert!(matches!(refused.status, 400 | 404), "{} {}", route.name, refused.status);
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn a_word_of_control_characters_is_refused_on_every_route_and_reaches_no_header() {
    let everywhere = Everywhere::start().await;
    for route in &everywhere.routes {
        for body in refused_for(route, "x\r\nset-cookie: a=b\u{0}\u{1b}[31m,c=d") {
            let refused = everywhere.refused(route, &[], body.to_string()).await;
            assert!(matches!(refused.status, 400 | 404), "{} {}", route.name, refused.status);
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn giant_words_in_headers_and_queries_are_refused_without_an_echo() {
    let everywhere = Everywhere::start().await;
    let giant = "x".repeat(20 << 10);
    let judges = |route: &&Route| route.envelope != Envelope::Aws && route.body.get("model").is_some();
    for route in everywhere.routes.iter().filter(judges) {
        for name in [
            "x-amzn-bedrock-service-tier",
            "x-amzn-bedrock-trace",
            "x-amzn-bedrock-performanceconfig-latency",
            "x-amzn-bedrock-guardrailidentifier",
            "x-amzn-bedrock-guardrailstreamprocessingmode",
        ] {
            everywhere.refused(route, &[(name, giant.as_str())], route.body.to_string()).await.of(route.envelope, Wrong::Request);
        }
    }
    let items = everywhere.routes.iter().find(|route| route.name == "conversation items").unwrap().path.clone();
    for (envelope, path) in [
        (Envelope::OpenAi, format!("{items}?limit={giant}")),
        (Envelope::OpenAi, format!("{items}?order={giant}")),
        (Envelope::OpenAi, format!("{items}?include[]={giant}")),
        (Envelope::OpenAi, format!("/v1/responses/resp_1?stream={giant}")),
        (Envelope::OpenAi, format!("/v1/responses/resp_1?starting_after={giant}")),
        (Envelope::Anthropic, format!("/anthropic/v1/models?limit={giant}")),
        (Envelope::Aws, format!("/inference-profiles?maxResults={giant}")),
    ] {
        envelope.open(everywhere.gateway.get(&path).await).of(envelope, Wrong::Request);
    }
    everywhere.end().await;
}

/// Bodies of a route with a field of this name in each of its objects.
fn with_field(route: &Route, name: &str) -> Vec<Value> {
    let mut top = route.body.clone();
    top[name] = json!(1);
    let mut turn = json!({"role": "user", "content": "hello"});
    turn[name] = json!(1);
    let mut part = json!({"type": if route.is_responses() || route.said == "items" { "input_text" } else { "text" }, "text": "hello"});
    part[name] = json!(1);
    let parts = json!({"role": "user", "content": [part]});
    let mut tool = match route.envelope {
        Envelope::OpenAi if route.said == "messages" => json!({"type": "function", "function": {"name": "f", name: 1}}),
        Envelope::OpenAi => json!({"type": "function", "name": "f", "parameters": {"type": "object"}}),
        Envelope::Anthropic => json!({"name": "f", "input_schema": {"type": "object"}}),
        Envelope::Aws => json!({}),
    };
    tool[name] = json!(1);
    let mut bodies = vec![top];
    match (route.envelope, route.said) {
        (Envelope::Aws, _) | (_, "prompt") => {}
        (_, "metadata") => bodies.push(json!({"metadata": {name: "x"}})),
        (_, said) => {
            bodies.extend([route.with(said, json!([turn])), route.with(said, json!([parts]))]);
            bodies.extend([route.with("tools", json!([tool])), route.with("metadata", json!({name: "x"}))]);
            bodies.push(route.with("tools", json!([{"type": name, "name": "f", "input_schema": {"type": "object"}}])));
        }
    }
    bodies
}

#[tokio::test]
async fn odd_names_of_unknown_fields_break_no_header_on_any_route() {
    let everywhere = Everywhere::start().await;
    let giant = "y".repeat(100_000);
    for route in &everywhere.routes {
        for name in ["x\r\nset-cookie: a=b", "a,b=c,d", "größe", "\u{0}\u{1b}[31m", "", giant.as_str()] {
            for body in with_field(route, name) {
                let answer = everywhere.ended(route, &body).await;
                let told = answer.header("x-outcrop-adjusted").unwrap_or_default();
                let sound = told.split(',').all(|change| change.is_empty() || change.matches('=').count() == 1);
                assert!(sound, "{} {}: {told}", route.name, shown(name));
            }
        }
    }
    for line in everywhere.gateway.records.lines() {
        let adjusted = line.job.map(|job| job.adjusted).unwrap_or_default();
        assert!(adjusted.len() <= 4096, "the log line grows with the caller's words: {}", shown(&adjusted));
    }
    everywhere.end().await;
}

/// A body that names an address, and the path of that. `None` where a route knows no addresses.
fn naming(route: &Route, picture: bool, url: &str) -> Option<(Value, &'static str)> {
    let hello = |kind: &str| json!({"type": kind, "text": "What is this?"});
    let turn = |first: Value, second: Value| json!([{"role": "user", "content": [first, second]}]);
    let (part, path) = match (route.envelope, route.said, picture) {
        (Envelope::OpenAi, "messages", true) => {
            let part = json!({"type": "image_url", "image_url": {"url": url}});
            (turn(hello("text"), part), "messages.0.content.1")
        }
        (Envelope::OpenAi, "input", true) => {
            let part = json!({"type": "input_image", "image_url": url});
            (turn(hello("input_text"), part), "input[0].content[1].image_url")
        }
        (Envelope::OpenAi, "input", false) => {
            let part = json!({"type": "input_file", "file_url": url});
            (turn(hello("input_text"), part), "input[0].content[1].file_url")
        }
        (Envelope::Anthropic, _, _) => {
            let kind = if picture { "image" } else { "document" };
            let part = json!({"type": kind, "source": {"type": "url", "url": url}});
            (turn(hello("text"), part), "messages.0.content.1.source.url")
        }
        _ => return None,
    };
    Some((route.with(route.said, part), path))
}

#[tokio::test]
async fn addresses_that_must_not_be_fetched_are_refused_by_their_place_on_every_route_that_knows_any() {
    let web = WebServer::plain().await;
    let everywhere = Everywhere::with(Some(&format!("fetch.allowed_hosts=127.0.0.1:{}", web.address.port()))).await;
    let mut urls = addresses_within(web.address.port());
    urls.extend([
        "https://user:secret@example.com/x.png".to_owned(),
        web.url("/missing.png"),
        web.url("/to-metadata"),
        web.url("/page.html"),
        "file:///etc/passwd".to_owned(),
        "ftp://example.com/x.png".to_owned(),
        "gopher://x".to_owned(),
        "//example.com/x.png".to_owned(),
        "x.png".to_owned(),
        String::new(),
        format!("http://127.0.0.1/{}", "p".repeat(1 << 20)),
    ]);
    let mut known = Vec::new();
    for route in &everywhere.routes {
        for picture in [true, false] {
            for url in &urls {
                let Some((body, path)) = naming(route, picture, url) else { continue };
                let refused = everywhere.refused(route, &[], body.to_string()).await.of(route.envelope, Wrong::Request);
                let named = refused.param.as_deref().unwrap_or(&refused.message);
                assert!(named.trim_start_matches('`').starts_with(path), "{} {}: {named}", route.name, shown(url));
                assert!(!refused.message.contains("secret") && !refused.message.contains("meta-data"), "{}", refused.message);
                known.push(route.name);
            }
        }
    }
    known.dedup();
    let count = "count without prefix";
    let expected =
        ["chat", "messages", "messages without prefix", "messages through the hub", "count", count, "responses", "input tokens", "compact"];
    assert_eq!(known, expected);
    everywhere.end().await;
}

#[tokio::test]
async fn ten_thousand_tools_are_refused_or_are_for_the_model_to_judge() {
    let everywhere = Everywhere::start().await;
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    for route in &everywhere.routes {
        let tool = |number: usize| {
            let name = format!("tool_{number}");
            match (route.envelope, route.said) {
                (Envelope::OpenAi, "messages") => json!({"type": "function", "function": {"name": name, "parameters": schema}}),
                (Envelope::OpenAi, _) => json!({"type": "function", "name": name, "parameters": schema}),
                (Envelope::Anthropic, _) => json!({"name": name, "input_schema": schema}),
                (Envelope::Aws, _) => json!({"toolSpec": {"name": name, "inputSchema": {"json": schema}}}),
            }
        };
        let tools: Value = (0..10_000).map(tool).collect();
        match (route.envelope, route.said) {
            (Envelope::OpenAi, "items" | "metadata" | "prompt") => {}
            (Envelope::Aws, _) => drop(everywhere.ended(route, &route.with("toolConfig", json!({"tools": tools}))).await),
            _ if route.transparent => drop(everywhere.ended(route, &route.with("tools", tools)).await),
            _ => {
                let refused = everywhere.refused(route, &[], route.with("tools", tools).to_string()).await;
                refused.of(route.envelope, Wrong::Request).names("tools");
            }
        }
    }
    everywhere.end().await;
}

#[tokio::test]
async fn stored_ids_of_any_form_that_there_are_not_are_refused_with_404() {
    let everywhere = Everywhere::start().await;
    let giant = "r".repeat(1 << 20);
    let taken = everywhere.routes.iter().filter(|route| route.is_responses());
    for route in taken {
        for id in ["resp_unknown", "conv_1", "x\r\nset-cookie: a=b", "\u{0}", "größe", "../resp_1", "' or 1=1 --", giant.as_str()] {
            let previous = route.with("previous_response_id", id);
            let conversation = json!({"model": CLAUDE, "input": "hello", "conversation": {"id": id}});
            for (body, field) in [(previous, "previous_response_id"), (conversation, "conversation")] {
                let refused = everywhere.refused(route, &[], body.to_string()).await;
                assert_eq!(refused.status, 404, "{} {}", route.name, refused.message);
                refused.names(field);
            }
            if id.len() < 1024 {
                let reference = route.with("input", json!([{"type": "item_reference", "id": id}]));
                let refused = everywhere.refused(route, &[], reference.to_string()).await;
                assert_eq!(refused.status, 404, "{} {}", route.name, refused.message);
            }
        }
    }
    everywhere.end().await;
}
