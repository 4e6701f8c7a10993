//! Tools of a Messages body.

use super::*;

fn tool(change: Value) -> Value {
    let mut tool =
        json!({"name": "look", "description": "looks", "input_schema": {"type": "object", "properties": {"at": {"type": "string"}}}});
    patch(&mut tool, change);
    tool
}

fn tools(list: Value) -> Value {
    let mut body = claude(json!({}));
    body["tools"] = list;
    body
}

fn with_beta(mut body: Value, flag: &str) -> Value {
    body["anthropic_beta"] = json!([flag]);
    body
}

#[test]
fn names_are_short_plain_and_unique() {
    accepted(SONNET_45, &tools(json!([tool(json!({"name": "a".repeat(64)}))])));
    refused(
        SONNET_45,
        &tools(json!([tool(json!({"name": "a".repeat(65)}))])),
        "tools.0.custom.name: String should have at most 64 characters",
    );
    refused(
        SONNET_45,
        &tools(json!([tool(json!({"name": "a.b"}))])),
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'",
    );
    refused(SONNET_45, &tools(json!([tool(json!({"name": ""}))])), "tools.0.custom.name: String should have at least 1 character");
    refused(SONNET_45, &tools(json!([tool(json!({"name": null}))])), "tools.0.custom.name: Field required");
    refused(SONNET_45, &tools(json!([tool(json!({})), tool(json!({}))])), "tools: Tool names must be unique.");
    accepted(SONNET_45, &tools(json!([])));
}

#[test]
fn schemas_are_objects_that_make_sense() {
    let schema = |schema: Value| {
        let mut one = tool(json!({}));
        one["input_schema"] = schema;
        tools(json!([one]))
    };
    refused(SONNET_45, &tools(json!([tool(json!({"input_schema": null}))])), "tools.0.custom.input_schema: Field required");
    refused(SONNET_45, &schema(json!({})), "tools.0.custom.input_schema.type: Field required");
    refused(SONNET_45, &schema(json!({"type": "string"})), "tools.0.custom.input_schema.type: Input should be 'object'");
    refused(
        SONNET_45,
        &schema(json!({"type": "object", "anyOf": [{}]})),
        "input_schema does not support oneOf, allOf, or anyOf at the top level",
    );
    for wrong in [
        json!({"properties": []}),
        json!({"properties": {"a": {"type": "text"}}}),
        json!({"properties": {"a": "string"}}),
        json!({"required": "a"}),
        json!({"properties": {"a": {"type": "string", "pattern": "["}}}),
        json!({"properties": {"a": {"enum": "x"}}}),
        json!({"properties": {"a": {"items": [1]}}}),
    ] {
        let mut whole = json!({"type": "object"});
        patch(&mut whole, wrong);
        refused(SONNET_45, &schema(whole), "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12");
    }
    accepted(
        SONNET_45,
        &schema(json!({"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "(?=x)", "default": 1}}})),
    );
    refused(SONNET_45, &tools(json!([tool(json!({"strict": true}))])), "'additionalProperties' must be explicitly set to false");
    accepted(SONNET_45, &tools(json!([tool(json!({"strict": true, "input_schema": {"additionalProperties": false}}))])));
    refused(OPUS_47, &tools(json!([tool(json!({"strict": false}))])), "tools.0.custom.strict: Extra inputs are not permitted");
}

#[test]
fn members_of_other_surfaces_are_extra_inputs() {
    for key in ["input_examples", "allowed_callers", "parameters"] {
        let mut one = tool(json!({}));
        one[key] = json!([]);
        refused(SONNET_45, &tools(json!([one])), &format!("tools.0.custom.{key}: Extra inputs are not permitted"));
    }
    let eager = tools(json!([tool(json!({"eager_input_streaming": true}))]));
    refused(SONNET_45, &eager, "tools.0.custom.eager_input_streaming: Extra inputs are not permitted");
    accepted(SONNET_45, &with_beta(eager, "fine-grained-tool-streaming-2025-05-14"));
}

#[test]
fn server_tools_do_not_exist_on_the_runtime() {
    for kind in ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset"] {
        let body = tools(json!([{"type": kind, "name": "x"}]));
        refused(
            SONNET_45,
            &body,
            &format!("tools.0: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', "),
        );
    }
}

#[test]
fn defined_tools_have_their_names_and_some_their_flags() {
    accepted(SONNET_45, &tools(json!([{"type": "bash_20250124", "name": "bash"}])));
    refused(SONNET_45, &tools(json!([{"type": "bash_20250124", "name": "shell"}])), "tools.0.bash_20250124.name: Input should be 'bash'");
    refused(SONNET_45, &tools(json!([{"type": "bash_20250124", "name": "bash", "x": 1}])), "tools.0.bash_20250124.x: Extra inputs");
    let computer = json!([{"type": "computer_20250124", "name": "computer", "display_width_px": 1024, "display_height_px": 768}]);
    refused(SONNET_45, &tools(computer.clone()), "tools.0: Input tag 'computer_20250124'");
    accepted(SONNET_45, &with_beta(tools(computer), "computer-use-2025-01-24"));
    let memory = json!([{"type": "memory_20250818", "name": "memory"}]);
    refused(SONNET_45, &tools(memory.clone()), "tools.0: Input tag 'memory_20250818'");
    accepted(SONNET_45, &with_beta(tools(memory), "context-management-2025-06-27"));
}

#[test]
fn tool_search_and_deferred_tools_need_their_flag() {
    let flag = "tool-search-tool-2025-10-19";
    let search = json!({"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"});
    refused(SONNET_45, &tools(json!([search.clone()])), "tools.0: Input tag 'tool_search_tool_regex_20251119'");
    let later = tool(json!({"defer_loading": true}));
    refused(SONNET_45, &tools(json!([later.clone()])), "tools.0.custom.defer_loading: Extra inputs are not permitted");
    accepted(SONNET_45, &with_beta(tools(json!([search, later.clone()])), flag));
    refused(SONNET_45, &with_beta(tools(json!([later.clone()])), flag), "All tools have defer_loading set.");
    let mut marked = later;
    marked["cache_control"] = json!({"type": "ephemeral"});
    refused(
        SONNET_45,
        &with_beta(tools(json!([tool(json!({"name": "b"})), marked])), flag),
        "cannot have both defer_loading=true and cache_control set",
    );
    let found = json!([
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "tool_search_tool_regex", "input": {"query": "look"}},
            {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_1", "content":
                {"type": "tool_search_tool_search_result", "tool_references": [{"type": "tool_reference", "tool_name": "look"}]}},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "tool_reference", "tool_name": "look"}]}]},
    ]);
    accepted(SONNET_45, &with_beta(turns(found.clone()), flag));
    let mut misnamed = found.clone();
    misnamed[1]["content"][0]["id"] = json!("toolu_1");
    refused(SONNET_45, &with_beta(turns(misnamed), flag), "server_tool_use.id: String should match pattern '^srvtoolu_[a-zA-Z0-9_-]+$'");
    refused(SONNET_45, &turns(found), "messages.1.content.0: Input tag 'server_tool_use'");
}

#[test]
fn choices_name_tools_that_are_there() {
    let choose = |choice: Value| {
        let mut body = tools(json!([tool(json!({}))]));
        body["tool_choice"] = choice;
        body
    };
    accepted(SONNET_45, &choose(json!({"type": "tool", "name": "look", "disable_parallel_tool_use": true})));
    refused(SONNET_45, &choose(json!({"type": "tool", "name": "see"})), "tool_choice: Tool 'see' not found in provided tools");
    refused(SONNET_45, &choose(json!({"type": "tool"})), "tool_choice.tool.name: Field required");
    refused(SONNET_45, &choose(json!({"name": "look"})), "tool_choice.type: Field required");
    refused(SONNET_45, &choose(json!({"type": "required"})), "tool_choice: Input tag 'required' found using 'type' does not match");
    refused(SONNET_45, &choose(json!("auto")), "tool_choice: Input should be a valid dictionary");
    refused(OPUS_55, &choose(json!({"type": "any"})), "tool_choice: forced tool use is not supported by this model");
    let mut alone = claude(json!({}));
    alone["tool_choice"] = json!({"type": "any"});
    refused(SONNET_45, &alone, "tool_choice: may only be specified while providing tools");
}
