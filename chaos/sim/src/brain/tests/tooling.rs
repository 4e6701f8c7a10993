use super::*;

fn tools(list: Value) -> Value {
    json!({"toolConfig": {"tools": list}})
}

fn search() -> Value {
    tool(
        "search_documents",
        "Find pages in the archive",
        json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}),
    )
}

fn clock() -> Value {
    tool("get_time", "Local time of a city", json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}))
}

#[test]
fn a_fitting_tool_is_called_with_values_from_the_text() {
    let turn = ask(CLAUDE, &with("What is the weather in New York, in fahrenheit?", tools(json!([search(), weather()]))));
    assert_eq!(turn.stop_reason, "tool_use");
    assert_eq!(calls(&turn), [("get_weather", &json!({"city": "New York", "unit": "fahrenheit"}))]);
    let Some(Block::ToolUse { id, .. }) = turn.blocks.last() else { panic!("{turn:?}") };
    assert!(id.starts_with("tooluse_") && id.len() == 30, "{id}");
    let lower = ask(CLAUDE, &with("weather in paris please", tools(json!([weather()]))));
    assert_eq!(calls(&lower)[0].1["city"], "paris");
}

#[test]
fn without_a_fitting_tool_the_answer_is_text() {
    let turn = ask(CLAUDE, &with("Tell me a joke about cats", tools(json!([search(), weather()]))));
    assert_eq!((turn.stop_reason, calls(&turn).len()), ("end_turn", 0));
}

#[test]
fn several_places_make_parallel_calls_unless_forbidden() {
    let mut body = with("Compare the weather in Paris, London and Tokyo", tools(json!([weather()])));
    let turn = ask(CLAUDE, &body);
    let cities: Vec<&Value> = calls(&turn).into_iter().map(|(_, input)| &input["city"]).collect();
    assert_eq!(cities, ["Paris", "London", "Tokyo"]);
    body["additionalModelRequestFields"] = json!({"tool_choice": {"disable_parallel_tool_use": true}});
    let one = ask(CLAUDE, &body);
    assert_eq!(calls(&one).len(), 1);
}

#[test]
fn without_parallel_calls_the_rest_follows_after_the_results() {
    let mut body = with("Weather in Paris and London?", tools(json!([weather()])));
    body["additionalModelRequestFields"] = json!({"tool_choice": {"disable_parallel_tool_use": true}});
    let mut memory = Memory::new(1);
    for city in ["Paris", "London"] {
        let turn = ask_with(&mut memory, CLAUDE, &body, 0);
        assert_eq!(calls(&turn)[0].1["city"], city);
        let Some(Block::ToolUse { id, .. }) = turn.blocks.last() else { panic!("{turn:?}") };
        let result =
            json!({"role": "user", "content": [{"toolResult": {"toolUseId": id, "content": [{"text": format!("{city} is sunny")}]}}]});
        body["messages"].as_array_mut().unwrap().extend([replay(&turn), result]);
    }
    let last = ask_with(&mut memory, CLAUDE, &body, 0);
    assert_eq!(last.stop_reason, "end_turn");
    assert!(said(&last).contains("London is sunny"), "{last:?}");
}

#[test]
fn two_topics_call_two_tools() {
    let turn = ask(CLAUDE, &with("What is the weather and the time in Oslo?", tools(json!([weather(), clock(), search()]))));
    let mut names: Vec<&str> = calls(&turn).into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["get_time", "get_weather"]);
}

#[test]
fn forced_choices_are_obeyed_without_a_preamble() {
    let forced = |choice: Value| {
        let mut body = with("Tell me a joke", tools(json!([search(), weather()])));
        body["toolConfig"]["toolChoice"] = choice;
        ask(CLAUDE, &body)
    };
    let any = forced(json!({"any": {}}));
    assert_eq!((calls(&any).len(), any.blocks.len()), (1, 1));
    assert_eq!(calls(&forced(json!({"tool": {"name": "get_weather"}})))[0].0, "get_weather");
    let mut none = with("weather in Rome", tools(json!([weather()])));
    none["additionalModelRequestFields"] = json!({"tool_choice": {"type": "none"}});
    assert!(calls(&ask(CLAUDE, &none)).is_empty());
}

#[test]
fn a_tool_named_by_the_system_prompt_as_the_way_to_answer_is_called_once() {
    let mut body = with("Tell me a joke", tools(json!([weather()])));
    body["system"] = json!([{"text": "Give your final answer by calling the tool `get_weather`; do not give it as plain text."}]);
    assert_eq!(calls(&ask(CLAUDE, &body))[0].0, "get_weather");
    body["system"] = json!([{"text": "Give your final answer by calling the tool `no_such_tool`."}]);
    assert!(calls(&ask(CLAUDE, &body)).is_empty());
}

#[test]
fn results_are_answered_with_their_text() {
    let history = |content: Value, status: &str| {
        json!({"toolConfig": {"tools": [weather()]}, "messages": [
            {"role": "user", "content": [{"text": "Weather in Paris?"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Paris"}}}]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": content, "status": status}}]}]})
    };
    let text = said(&ask(CLAUDE, &history(json!([{"text": "18 degrees, cloudy"}]), "success")));
    assert!(text.contains("get_weather answered: 18 degrees, cloudy"), "{text}");
    let json_text = said(&ask(CLAUDE, &history(json!([{"json": {"degrees": 18}}]), "success")));
    assert!(json_text.contains("{\"degrees\":18}"), "{json_text}");
    let failed = said(&ask(CLAUDE, &history(json!([{"text": "no such city"}]), "error")));
    assert!(failed.contains("get_weather failed: no such city"), "{failed}");
}

#[test]
fn anthropic_defined_tools_get_their_own_arguments() {
    let body =
        with("Use bash to list files", json!({"additionalModelRequestFields": {"tools": [{"type": "bash_20250124", "name": "bash"}]}}));
    let turn = ask(CLAUDE, &body);
    assert_eq!(calls(&turn).len(), 1);
    assert!(calls(&turn)[0].1["command"].is_string());
}

#[test]
fn a_call_that_does_not_fit_max_tokens_is_not_made() {
    let turn = ask(CLAUDE, &with("weather in Paris", json!({"toolConfig": {"tools": [weather()]}, "inferenceConfig": {"maxTokens": 12}})));
    assert_eq!((turn.stop_reason, calls(&turn).len()), ("max_tokens", 0));
    assert!(turn.usage.output <= 12);
}

#[test]
fn nova_grounding_cites_the_web() {
    let turn =
        ask(NOVA_2, &with("Who invented the zipper?", json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}})));
    let Some(Block::Cited { citations, .. }) = turn.blocks.last() else { panic!("{turn:?}") };
    let web = &citations[0]["location"]["web"];
    assert!(web["url"].as_str().unwrap().starts_with("https://") && web["domain"].is_string(), "{citations}");
    let mut next = with("Who invented the zipper?", json!({"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}));
    next["messages"].as_array_mut().unwrap().extend([replay(&turn), json!({"role": "user", "content": [{"text": "thanks"}]})]);
    assert_eq!(validate::converse(&model(NOVA_2), &next, false), Ok(()));
}
