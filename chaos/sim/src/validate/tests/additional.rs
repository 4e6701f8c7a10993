//! `additionalModelRequestFields`.

use super::*;

fn fields(change: Value) -> Value {
    body(json!({"additionalModelRequestFields": change}))
}

#[test]
fn unknown_fields_are_refused_by_closed_families_and_passed_by_open_ones() {
    refused(SONNET_45, &fields(json!({"cache_control": {}})), "cache_control: Extra inputs are not permitted");
    refused(SONNET_45, &fields(json!({"frequency_penalty": 1})), "frequency_penalty: Extra inputs are not permitted");
    refused(NOVA, &fields(json!({"top_k": 5})), "#: extraneous key [top_k]");
    refused(NOVA, &fields(json!({"inferenceConfig": {"maxTokens": 5}})), "#/inferenceConfig: extraneous key [maxTokens]");
    refused(LLAMA, &fields(json!({"top_k": 5})), "extraneous key [top_k]");
    refused(GPT, &fields(json!({"reasoning_effort": "low"})), "extraneous key [reasoning_effort]");
    accepted(NOVA, &fields(json!({"inferenceConfig": {"topK": 5}})));
    refused(NOVA, &fields(json!({"inferenceConfig": {"topK": 129}})), "topK");
    accepted(SONNET_45, &fields(json!({"top_k": 5, "metadata": {"user_id": "u"}})));
    accepted(MISTRAL_LARGE, &fields(json!({"top_k": 5})));
    accepted(GPT_OSS, &fields(json!({"seed": 1, "frequency_penalty": 0.5})));
    refused(GPT_OSS, &fields(json!({"logit_bias": {}})), "logit_bias is not supported");
    let outage = converse(&model(GROK), &fields(json!({"presence_penalty": 1})), false).unwrap_err();
    assert_eq!((outage.status, outage.error_type), (503, "ServiceUnavailableException"));
}

#[test]
fn fields_that_converse_writes_itself_conflict() {
    refused(SONNET_45, &fields(json!({"system": "x"})), "The additional field system conflicts with an existing field.");
    refused(SONNET_45, &fields(json!({"max_tokens": 5})), "The additional field max_tokens conflicts with an existing field.");
    let mut twice = fields(json!({"temperature": 0.5}));
    accepted(SONNET_45, &twice);
    twice["inferenceConfig"] = json!({"temperature": 0.5});
    refused(SONNET_45, &twice, "The additional field temperature conflicts");
}

#[test]
fn beta_flags_are_an_allow_list_per_model() {
    let flags = |flags: Value| fields(json!({"anthropic_beta": flags}));
    accepted(SONNET_45, &flags(json!(["fine-grained-tool-streaming-2025-05-14", "computer-use-2025-01-24", "context-1m-2025-08-07"])));
    for flag in ["oauth-2025-04-20", "claude-code-20250219", "prompt-caching-2024-07-31", "computer-use-2025-11-24"] {
        refused(SONNET_45, &flags(json!([flag])), "invalid beta flag");
    }
    accepted("anthropic.claude-opus-4-5-20251101-v1:0", &flags(json!(["computer-use-2025-11-24", "effort-2025-11-24"])));
    refused(SONNET_46, &flags(json!(["context-1m-2025-08-07"])), "invalid beta flag");
    refused(SONNET_45, &flags(json!("fine-grained-tool-streaming-2025-05-14")), "anthropic_beta: Input should be a valid list");
}

#[test]
fn native_tool_choice_lives_beside_tool_config_but_not_twice() {
    let with = |native: Value, choice: Option<Value>| {
        let mut body = fields(json!({"tool_choice": native}));
        body["toolConfig"] = tools();
        if let Some(choice) = choice {
            body["toolConfig"]["toolChoice"] = choice;
        }
        body
    };
    accepted(SONNET_45, &with(json!({"disable_parallel_tool_use": true}), Some(json!({"any": {}}))));
    refused(SONNET_45, &with(json!({"type": "auto"}), Some(json!({"auto": {}}))), "The additional field tool_choice conflicts");
    accepted(SONNET_45, &with(json!({"type": "any", "disable_parallel_tool_use": true}), None));
    refused(OPUS_55, &with(json!({"type": "any"}), None), "forced tool use is not supported");
    refused(SONNET_45, &with(json!({"disable_parallel_tool_use": "yes"}), None), "valid boolean");
    refused(SONNET_45, &with(json!({"parallel": false}), None), "tool_choice.parallel: Extra inputs are not permitted");
}

#[test]
fn anthropic_defined_tools_exist_and_server_tools_do_not() {
    let with = |tool: Value, betas: Value| fields(json!({"tools": [tool], "anthropic_beta": betas}));
    accepted(SONNET_45, &with(json!({"type": "bash_20250124", "name": "bash"}), json!([])));
    accepted(SONNET_45, &with(json!({"name": "mine", "input_schema": {"type": "object"}}), json!([])));
    refused(SONNET_45, &with(json!({"name": "mine"}), json!([])), "tools.0.custom.input_schema: Field required");
    let computer = json!({"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600});
    refused(SONNET_45, &with(computer.clone(), json!([])), "requires a computer-use flag");
    accepted(SONNET_45, &with(computer, json!(["computer-use-2025-01-24"])));
    for kind in ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825"] {
        refused(SONNET_45, &with(json!({"type": kind, "name": "x"}), json!([])), "does not match any of the expected tags");
    }
}

#[test]
fn native_output_config_follows_the_model() {
    let config = |config: Value| fields(json!({"output_config": config}));
    accepted(SONNET_46, &config(json!({"effort": "max"})));
    refused(SONNET_46, &config(json!({"effort": "xhigh"})), "output_config.effort: Input should be");
    refused(SONNET_45, &config(json!({"effort": "low"})), "output_config.effort: Extra inputs are not permitted");
    let opus = "anthropic.claude-opus-4-5-20251101-v1:0";
    refused(opus, &config(json!({"effort": "low"})), "output_config: Extra inputs are not permitted");
    accepted(opus, &fields(json!({"output_config": {"effort": "low"}, "anthropic_beta": ["effort-2025-11-24"]})));
    let format = |schema: Value| config(json!({"format": {"type": "json_schema", "schema": schema}}));
    accepted(SONNET_45, &format(json!({"type": "object", "additionalProperties": false})));
    refused(SONNET_45, &format(json!({"type": "object"})), "'additionalProperties' must be explicitly set to false");
    refused(
        OPUS_47,
        &format(json!({"type": "object", "additionalProperties": false})),
        "output_config.format: Extra inputs are not permitted",
    );
}
