//! Shapes, limits, sampling, output, caching, context.

use super::*;

#[test]
fn unknown_members_are_refused_at_every_level() {
    let rows = [
        (json!({"foo": 1}), "#: extraneous key [foo] is not permitted"),
        (json!({"inferenceConfig": {"topK": 1}}), "#/inferenceConfig: extraneous key [topK]"),
        (json!({"messages": [{"role": "user", "content": [{"text": "x"}], "name": "bob"}]}), "#/messages/0: extraneous key [name]"),
        (content(json!([{"text": "x", "cache_control": {}}])), "#/messages/0/content/0: extraneous key [cache_control]"),
        (
            content(json!([{"image": {"format": "png", "source": {"url": "u"}}}])),
            "#/messages/0/content/0/image/source: extraneous key [url]",
        ),
        (
            json!({"toolConfig": {"tools": [{"toolSpec": {"name": "x", "parameters": {}}}]}}),
            "#/toolConfig/tools/0/toolSpec: extraneous key [parameters]",
        ),
        (json!({"toolConfig": {"tools": [], "toolChoice": {"none": {}}}}), "extraneous key [none]"),
        (json!({"system": [{"text": "x", "type": "text"}]}), "#/system/0: extraneous key [type]"),
        (json!({"outputConfig": {"format": {}}}), "#/outputConfig: extraneous key [format]"),
        (
            json!({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "streamProcessingMode": "sync"}}),
            "[streamProcessingMode]",
        ),
    ];
    for (change, fragment) in rows {
        refused(SONNET_45, &body(change), fragment);
    }
    let guarded = body(json!({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1", "streamProcessingMode": "sync"}}));
    assert_eq!(converse(&model(SONNET_45), &guarded, true), Ok(()));
}

#[test]
fn wrong_json_types_are_serialization_errors() {
    let rows = [
        (json!({"messages": "hi"}), "STRING_VALUE can not be converted to a List (at 'messages')"),
        (json!({"messages": [{"role": 1, "content": []}]}), "NUMBER_VALUE can not be converted to a String"),
        (content(json!("hello")), "STRING_VALUE can not be converted to a List (at 'messages.0.content')"),
        (content(json!([{"text": ["a"]}])), "START_ARRAY can not be converted to a String"),
        (content(json!(["a"])), "can not be converted to a structure"),
        (json!({"inferenceConfig": {"maxTokens": "5"}}), "STRING_VALUE can not be converted to a Integer"),
        (json!({"inferenceConfig": {"maxTokens": 5.5}}), "DECIMAL_VALUE can not be converted to a Integer"),
        (json!({"inferenceConfig": {"maxTokens": 99_999_999_999_i64}}), "can not be converted to a Integer"),
        (json!({"inferenceConfig": {"temperature": true}}), "TRUE_VALUE can not be converted to a Float"),
        (json!({"inferenceConfig": {"stopSequences": "x"}}), "can not be converted to a List"),
        (json!({"additionalModelRequestFields": []}), "START_ARRAY can not be converted to a Map"),
        (content(json!([{"image": {"format": "png", "source": {"bytes": "!!!"}}}])), "invalid base64"),
    ];
    for (change, fragment) in rows {
        refused_as(SONNET_45, &body(change), "SerializationException", fragment);
    }
}

#[test]
fn constraint_violations_are_reported_together_in_the_front_end_words() {
    let rows = [
        (
            json!({"messages": null}),
            "1 validation error detected: Value at 'messages' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({"messages": [{"role": "user"}]}),
            "Value at 'messages.1.member.content' failed to satisfy constraint: Member must not be null",
        ),
        (
            json!({"messages": [{"role": "tool", "content": [{"text": "x"}]}]}),
            "Value 'tool' at 'messages.1.member.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant, system]",
        ),
        (
            json!({"inferenceConfig": {"temperature": 1.5}}),
            "Value '1.5' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1",
        ),
        (json!({"inferenceConfig": {"temperature": -0.1}}), "greater than or equal to 0"),
        (json!({"inferenceConfig": {"topP": 2}}), "at 'inferenceConfig.topP'"),
        (json!({"inferenceConfig": {"maxTokens": 0}}), "Member must have value greater than or equal to 1"),
        (json!({"inferenceConfig": {"stopSequences": [""]}}), "at 'inferenceConfig.stopSequences.1.member'"),
        (json!({"inferenceConfig": {"topP": 2, "maxTokens": 0}}), "2 validation errors detected: "),
        (json!({"performanceConfig": {"latency": "fast"}}), "[standard, optimized]"),
        (json!({"serviceTier": {"type": "gold"}}), "[priority, default, flex, reserved]"),
        (json!({"serviceTier": {}}), "'serviceTier.type' failed to satisfy constraint: Member must not be null"),
        (
            json!({"requestMetadata": {}}),
            "'requestMetadata' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (json!({"requestMetadata": {"a": "b;c"}}), "Member must satisfy regular expression pattern"),
        (
            json!({"system": [{"text": ""}]}),
            "'system.1.member.text' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (content(json!([{"image": {"format": "bmp", "source": {"bytes": "AA=="}}}])), "[png, jpeg, gif, webp]"),
        (
            json!({"toolConfig": {"tools": []}}),
            "'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            json!({"additionalModelResponseFieldPaths": ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/11"]}),
            "less than or equal to 10",
        ),
        (json!({"guardrailConfig": {"guardrailIdentifier": "ABC", "guardrailVersion": "1"}}), "at 'guardrailConfig.guardrailIdentifier'"),
        (json!({"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "v1"}}), "at 'guardrailConfig.guardrailVersion'"),
    ];
    for (change, fragment) in rows {
        refused(SONNET_46, &body(change), fragment);
    }
    let many: serde_json::Map<String, Value> = (0..17).map(|index| (format!("k{index}"), json!("v"))).collect();
    refused(SONNET_46, &body(json!({"requestMetadata": many})), "less than or equal to 16");
    accepted(
        SONNET_46,
        &body(json!({
            "inferenceConfig": {"maxTokens": 1, "temperature": 1, "stopSequences": ["END"]},
            "requestMetadata": {"team": "a b:_@$#=/+,-.", "empty": ""},
            "serviceTier": {"type": "flex"}, "performanceConfig": {"latency": "standard"},
            "guardrailConfig": {"guardrailIdentifier": "abc123", "guardrailVersion": "DRAFT", "trace": "enabled"},
            "system": [{"text": "Be brief."}], "additionalModelResponseFieldPaths": ["/stop_sequence"],
        })),
    );
}

#[test]
fn unions_take_exactly_one_member() {
    refused(NOVA, &content(json!([{}])), "ContentBlock object at messages.0.content.0 must set one of the following keys: text, image,");
    refused(
        NOVA,
        &content(json!([{"text": "a", "image": {}}])),
        "ContentBlock object at messages.0.content.0 must set only one of the following keys",
    );
    refused(NOVA, &body(json!({"system": [{}]})), "SystemContentBlock object at system.0 must set one of");
    accepted(NOVA, &content(json!([{"text": "a", "image": null}])));
}

#[test]
fn prompt_variables_need_a_prompt() {
    refused(NOVA, &body(json!({"promptVariables": {"a": {"text": "b"}}})), "promptVariables field is only supported");
}

#[test]
fn a_guardrail_needs_both_identifier_and_version() {
    refused(NOVA, &body(json!({"guardrailConfig": {"guardrailIdentifier": "abc"}})), "must both be provided");
    accepted(
        NOVA,
        &body(
            json!({"guardrailConfig": {"guardrailIdentifier": "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc", "guardrailVersion": "12"}}),
        ),
    );
}

#[test]
fn max_tokens_stays_within_the_models_limits() {
    refused(
        SONNET_35,
        &body(json!({"inferenceConfig": {"maxTokens": 8193}})),
        "The maximum tokens you requested exceeds the model limit of 8192.",
    );
    accepted(SONNET_35, &body(json!({"inferenceConfig": {"maxTokens": 8192}})));
    for id in [GPT, KIMI, GROK] {
        refused(id, &body(json!({"inferenceConfig": {"maxTokens": 15}})), "Expected a value >= 16");
        accepted(id, &body(json!({"inferenceConfig": {"maxTokens": 16}})));
    }
}

#[test]
fn stop_sequences_follow_the_model() {
    for id in [GPT, GROK, KIMI] {
        refused(id, &body(json!({"inferenceConfig": {"stopSequences": ["x"]}})), "This model doesn't support the stopSequences field");
        accepted(id, &body(json!({"inferenceConfig": {"stopSequences": []}})));
    }
    accepted("openai.gpt-5.5", &body(json!({"inferenceConfig": {"stopSequences": ["x"]}})));
    refused(NOVA, &body(json!({"inferenceConfig": {"stopSequences": ["1", "2", "3", "4", "5"]}})), "model limit of 4");
    refused(SONNET_45, &body(json!({"inferenceConfig": {"stopSequences": ["\n\n"]}})), "each stop sequence must contain non-whitespace");
    accepted(NOVA, &body(json!({"inferenceConfig": {"stopSequences": ["\n\n"]}})));
}

#[test]
fn sampling_parameters_follow_the_model() {
    let both = body(json!({"inferenceConfig": {"temperature": 0.5, "topP": 0.9}}));
    let one = body(json!({"inferenceConfig": {"temperature": 0.5}}));
    refused(SONNET_45, &both, "`temperature` and `top_p` cannot both be specified for this model");
    refused(
        SONNET_45,
        &body(json!({"inferenceConfig": {"temperature": 0.5}, "additionalModelRequestFields": {"top_p": 0.9}})),
        "`temperature` and `top_p` cannot both be specified",
    );
    accepted(SONNET_45, &one);
    accepted(SONNET_35, &both);
    for id in [OPUS_47, OPUS_48, OPUS_55, SONNET_5] {
        refused(id, &one, "`temperature` is deprecated for this model");
        refused(id, &body(json!({"additionalModelRequestFields": {"top_k": 5}})), "`top_k` is deprecated for this model");
    }
    refused(GPT, &body(json!({"inferenceConfig": {"topP": 0.5}})), "Unsupported parameter: 'top_p'");
}

#[test]
fn latency_optimisation_is_refused_where_it_does_not_exist() {
    let optimized = body(json!({"performanceConfig": {"latency": "optimized"}}));
    refused(SONNET_45, &optimized, "Latency performance configuration is not supported for");
    accepted("amazon.nova-pro-v1:0", &optimized);
}

fn format(schema: &Value) -> Value {
    body(
        json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": schema.to_string(), "name": "answer"}}}}}),
    )
}

#[test]
fn structured_output_takes_a_string_of_the_supported_subset() {
    let good = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"$ref": "#/$defs/b"}}, "required": ["a"],
        "additionalProperties": false, "$defs": {"b": {"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 1}}});
    accepted(SONNET_45, &format(&good));
    refused(OPUS_47, &format(&good), "output_config.format: Extra inputs are not permitted");
    refused(NOVA_2, &format(&good), "output_config.format: Extra inputs are not permitted");
    let object_schema =
        body(json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": good}}}}}));
    refused_as(SONNET_45, &object_schema, "SerializationException", "START_OBJECT can not be converted to a String");
    let broken = body(json!({"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{"}}}}}));
    refused(SONNET_45, &broken, "Provide a valid JSON schema string");
    let closed = |inner: Value| json!({"type": "object", "properties": {"a": inner}, "additionalProperties": false});
    let rows = [
        (json!({"type": "object"}), "'additionalProperties' must be explicitly set to false"),
        (closed(json!({"type": "object", "properties": {}})), "'additionalProperties' must be explicitly set to false"),
        (
            closed(json!({"type": "integer", "minimum": 1, "maximum": 5})),
            "For 'integer' type, properties minimum, maximum are not supported",
        ),
        (closed(json!({"type": "string", "minLength": 1})), "'minLength' is not supported"),
        (closed(json!({"type": "array", "items": {}, "minItems": 2})), "'minItems' values other than 0 or 1"),
        (closed(json!({"not": {"type": "null"}})), "'not' is not supported"),
        (closed(json!({"$ref": "https://example.com/x"})), "cannot be resolved"),
        (closed(json!({"$ref": "#"})), "cannot be resolved"),
        (
            json!({"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "additionalProperties": false,
                "$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}, "additionalProperties": false}}}),
            "Circular reference",
        ),
    ];
    for (schema, fragment) in rows {
        refused(SONNET_45, &format(&schema), fragment);
    }
}

#[test]
fn effort_is_a_word_the_model_knows() {
    let effort = |word: &str| body(json!({"outputConfig": {"effort": word}}));
    refused(SONNET_35, &effort("low"), "outputConfig.effort");
    refused(SONNET_46, &effort("xhigh"), "Input should be 'low', 'medium', 'high' or 'max'");
    accepted(SONNET_46, &effort("max"));
    accepted(OPUS_48, &effort("xhigh"));
}

#[test]
fn response_paths_are_json_pointers() {
    refused(SONNET_45, &body(json!({"additionalModelResponseFieldPaths": ["stop_sequence"]})), "is not a valid JSON Pointer");
    refused(SONNET_45, &body(json!({"additionalModelResponseFieldPaths": ["/a~2"]})), "is not a valid JSON Pointer");
    accepted(SONNET_45, &body(json!({"additionalModelResponseFieldPaths": ["/a~1b", "/unknown"]})));
}

fn point(ttl: Option<&str>) -> Value {
    ttl.map_or_else(|| json!({"cachePoint": {"type": "default"}}), |ttl| json!({"cachePoint": {"type": "default", "ttl": ttl}}))
}

#[test]
fn cache_points_follow_support_number_order_and_place() {
    let one = |ttl| content(json!([{"text": "a"}, point(ttl)]));
    refused(LLAMA, &one(None), "You invoked an unsupported model or your request did not allow prompt caching");
    refused(GPT, &one(None), "This model doesn't support the cachePoint field");
    refused(KIMI, &one(None), "This model doesn't support the cachePoint field");
    accepted(NOVA, &one(None));
    accepted(SONNET_45, &one(Some("1h")));
    accepted(SONNET_37, &one(Some("5m")));
    refused(SONNET_37, &one(Some("1h")), "cache_control.ephemeral.ttl: Extra inputs are not permitted");
    refused(NOVA, &one(Some("1h")), "ttl: Extra inputs are not permitted");
    refused(SONNET_45, &one(Some("2h")), "[5m, 1h]");

    let many = |count: usize| {
        let blocks: Vec<Value> = (0..count).flat_map(|index| [json!({"text": format!("part {index}")}), point(None)]).collect();
        content(json!(blocks))
    };
    accepted(SONNET_45, &many(4));
    refused(SONNET_45, &many(5), "A maximum of 4 blocks with cache_control may be provided. Found 5.");

    let mixed = |first, second| json!({"system": [{"text": "s"}, point(first)], "messages": [{"role": "user", "content": [{"text": "a"}, point(second)]}]});
    accepted(SONNET_45, &mixed(Some("1h"), None));
    refused(
        SONNET_45,
        &mixed(None, Some("1h")),
        "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'",
    );

    let mut with_tools = body(json!({"toolConfig": tools()}));
    with_tools["toolConfig"]["tools"].as_array_mut().unwrap().push(point(None));
    accepted(SONNET_45, &with_tools);
    refused(NOVA, &with_tools, "#/toolConfig/tools/1: extraneous key [cachePoint]");

    let text_document = content(json!([{"text": "a"}, document("notes", "txt", b"text"), point(None)]));
    refused(SONNET_45, &text_document, "cache_control cannot be set for text documents");
    accepted(SONNET_45, &content(json!([{"text": "a"}, document("notes", "pdf", b"%PDF-1.7"), point(None)])));
}

#[test]
fn context_overflow_speaks_each_familys_words() {
    let long = |tokens: usize| "abcd".repeat(tokens);
    let input = |tokens: usize| content(json!([{"text": long(tokens)}]));
    refused(SONNET_45, &input(200_001), "prompt is too long: 200005 tokens > 200000 maximum");
    accepted(SONNET_45, &input(199_000));
    refused(NOVA_MICRO, &input(128_001), "Input is too long for requested model.");
    refused(SONNET_35, &input(200_001), "Input is too long for requested model.");
    let mut nearly = input(195_000);
    nearly["inferenceConfig"] = json!({"maxTokens": 8000});
    refused(SONNET_37, &nearly, "input length and `max_tokens` exceed context limit: 195004 + 8000 > 200000");
    accepted(SONNET_45, &nearly);
    let mut extended = input(200_001);
    extended["additionalModelRequestFields"] = json!({"anthropic_beta": ["context-1m-2025-08-07"]});
    accepted(SONNET_45, &extended);
}
