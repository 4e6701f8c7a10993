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

fn system(names: &[&str]) -> Value {
    tools(names.iter().map(|name| json!({"systemTool": {"name": name}})).collect())
}

/// Asks again with the answer in the history, and is understood.
fn goes_on(question: &str, turn: &Turn, tools: Value) {
    let mut next = with(question, tools);
    next["messages"].as_array_mut().unwrap().extend([replay(turn), json!({"role": "user", "content": [{"text": "thanks"}]})]);
    assert_eq!(validate::converse(&model(NOVA_2), &next, false), Ok(()));
}

#[test]
fn nova_grounding_searches_and_cites_the_web_behind_the_text() {
    let question = "Who invented the zipper?";
    let turn = ask(NOVA_2, &with(question, system(&["nova_grounding"])));
    let [
        Block::SystemToolUse { id, name, input },
        Block::SystemToolResult { id: answered, kind, text, failed },
        Block::Text(said),
        Block::Cited { text: own, citations },
        Block::Text(_),
    ] = turn.blocks.as_slice()
    else {
        panic!("{turn:?}")
    };
    assert_eq!((*name, input, id), ("nova_grounding", &json!({"query": "invented zipper"}), answered));
    assert_eq!((*kind, text.as_str(), *failed), ("nova_grounding_result", "[HIDDEN]", false));
    assert_eq!((said.contains("zipper"), own.as_str()), (true, ""));
    let web = &citations[0]["location"]["web"];
    assert!(web["url"].as_str().unwrap().starts_with("https://") && web["domain"].is_string(), "{citations}");
    assert_eq!(turn.stop_reason, "end_turn", "nobody has to run anything");
    goes_on(question, &turn, system(&["nova_grounding"]));
}

#[test]
fn nova_computes_with_a_program_and_tells_what_the_sandbox_told() {
    let run = |question: &str| {
        let turn = ask(NOVA_2, &with(question, system(&["nova_grounding", "nova_code_interpreter"])));
        let [
            Block::SystemToolUse { id, name: "nova_code_interpreter", input },
            Block::SystemToolResult { id: answered, kind: "nova_code_interpreter_result", text, failed },
            Block::Text(said),
        ] = turn.blocks.as_slice()
        else {
            panic!("{turn:?}")
        };
        assert_eq!((id, turn.stop_reason), (answered, "end_turn"));
        goes_on(question, &turn, system(&["nova_code_interpreter"]));
        (input["code"].as_str().unwrap().to_owned(), serde_json::from_str::<Value>(text).unwrap(), *failed, said.clone())
    };
    let printed = |out: &str| json!({"stdOut": out, "stdErr": "", "exitCode": 0, "isError": false});
    let (code, outcome, failed, said) = run("What is the average of 10, 24, 2 and 13?");
    assert_eq!(code, "numbers = [10, 24, 2, 13]\nprint(sum(numbers) / len(numbers))");
    assert_eq!((outcome, failed, said.as_str()), (printed("12.25"), false, "The program printed 12.25."));
    assert_eq!(run("Add 7 and -2.").1, printed("5"));
    assert_eq!(run("Divide 1 by 8").1, printed("0.125"));
    let (_, outcome, failed, said) = run("Divide 1 by 0");
    let error = "ZeroDivisionError: division by zero";
    assert_eq!(outcome, json!({"stdOut": "", "stdErr": error, "exitCode": 1, "isError": true}));
    assert!(failed && said.contains(error), "{said}");
}

#[test]
fn a_program_is_written_only_where_one_is_offered_and_asked_for_and_fits() {
    let ran = |turn: &Turn| turn.blocks.iter().any(|block| matches!(block, Block::SystemToolUse { .. }));
    assert!(!ran(&ask(NOVA_2, &user("What is the average of 1 and 2?"))));
    assert!(!ran(&ask(NOVA_2, &with("Tell me a joke about 7 cats", system(&["nova_code_interpreter"])))));
    let mut short = with("What is the average of 1 and 2?", system(&["nova_code_interpreter"]));
    short["inferenceConfig"] = json!({"maxTokens": 4});
    let turn = ask(NOVA_2, &short);
    assert_eq!((ran(&turn), turn.stop_reason), (false, "max_tokens"));
}
