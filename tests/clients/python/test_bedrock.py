"""Bedrock's own operations through AWS's SDK: as on AWS, but that the endpoint is the gateway's and the key too."""

import functools
import json

import botocore.exceptions
import pytest

from conftest import aws

shows = functools.partial(pytest.mark.shows, "boto3: native Bedrock")

CLAUDE = "us.anthropic.claude-sonnet-4-6"
NOVA = "amazon.nova-lite-v1:0"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f000384018058d47d6a0000000049454e44ae426082")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = {"tools": [{"toolSpec": {"name": "get_weather", "description": "Tells the weather of a city", "inputSchema": {"json": SCHEMA}}}]}


def user(*content: dict | str) -> list[dict]:
    return [{"role": "user", "content": [{"text": part} if isinstance(part, str) else part for part in content]}]


def words(message: dict) -> str:
    return "".join(block.get("text", "") for block in message["content"])


def collect(stream) -> tuple[dict, str, dict]:
    """The message, the stop reason and the metadata that the events of a converse stream add up to."""
    blocks: dict[int, dict] = {}
    stop, metadata, open_block = None, None, None
    for event in stream:
        ((kind, data),) = event.items()
        if kind == "contentBlockStart":
            blocks[data["contentBlockIndex"]] = {"toolUse": {**data["start"]["toolUse"], "input": ""}}
        elif kind == "contentBlockDelta":
            open_block = data["contentBlockIndex"]
            delta, block = data["delta"], blocks.setdefault(data["contentBlockIndex"], {})
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            elif "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            else:
                reasoning = block.setdefault("reasoningContent", {}).setdefault("reasoningText", {})
                for key, value in delta["reasoningContent"].items():
                    reasoning[key] = reasoning.get(key, "") + value
        elif kind == "contentBlockStop":
            assert data["contentBlockIndex"] in blocks or open_block is None
        elif kind == "messageStop":
            stop = data["stopReason"]
        elif kind == "metadata":
            metadata = data
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}, stop, metadata


@shows("text")
@pytest.mark.parametrize("model", [CLAUDE, NOVA, "claude-sonnet-4-6", "openai.gpt-oss-120b-1:0"])
def test_converse(runtime, model):
    answer = runtime.converse(modelId=model, messages=user("Say exactly: the quick brown fox"), inferenceConfig={"maxTokens": 300})
    assert "the quick brown fox" in words(answer["output"]["message"])
    assert answer["stopReason"] == "end_turn" and answer["metrics"]["latencyMs"] >= 0
    assert answer["usage"]["totalTokens"] == answer["usage"]["inputTokens"] + answer["usage"]["outputTokens"] > 0
    assert answer["ResponseMetadata"]["RequestId"]


@shows("stream")
@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_converse_stream(runtime, model):
    answer = runtime.converse_stream(modelId=model, messages=user("Say exactly: one two three four five six"))
    message, stop, metadata = collect(answer["stream"])
    assert "one two three four five six" in words(message)
    assert stop == "end_turn" and metadata["usage"]["outputTokens"] > 0


@shows("tools")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_tool_round_trip(runtime, model, stream):
    messages = user("What is the weather in Paris? Use get_weather.")
    if stream:
        message, stop, _ = collect(runtime.converse_stream(modelId=model, messages=messages, toolConfig=TOOLS)["stream"])
    else:
        answer = runtime.converse(modelId=model, messages=messages, toolConfig=TOOLS)
        message, stop = answer["output"]["message"], answer["stopReason"]
    (call,) = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    assert stop == "tool_use" and call["name"] == "get_weather" and "city" in call["input"]
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "21 degrees"}]}}
    final = runtime.converse(modelId=model, messages=[*messages, message, *user(result)], toolConfig=TOOLS)
    assert "21 degrees" in words(final["output"]["message"])


@shows("thinking")
@pytest.mark.parametrize("stream", [False, True])
def test_thinking_keeps_its_signature(runtime, stream):
    wishes = {"modelId": CLAUDE, "toolConfig": TOOLS, "inferenceConfig": {"maxTokens": 4000}}
    wishes["additionalModelRequestFields"] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    messages = user("What is the weather in Paris? Use get_weather.")
    if stream:
        message, *_ = collect(runtime.converse_stream(messages=messages, **wishes)["stream"])
    else:
        message = runtime.converse(messages=messages, **wishes)["output"]["message"]
    assert message["content"][0]["reasoningContent"]["reasoningText"]["signature"]
    (call,) = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "21 degrees"}]}}
    final = runtime.converse(messages=[*messages, message, *user(result)], **wishes)
    assert "21 degrees" in words(final["output"]["message"])


@shows("images")
def test_image(runtime):
    image = {"image": {"format": "png", "source": {"bytes": PNG}}}
    answer = runtime.converse(modelId=NOVA, messages=user("What is this?", image))
    assert "image" in words(answer["output"]["message"]).lower()


@shows("caching")
def test_cache_points(runtime):
    system = [{"text": "You are a careful librarian. " * 1200}, {"cachePoint": {"type": "default"}}]
    for _ in range(2):
        usage = runtime.converse(modelId=CLAUDE, system=system, messages=user("Say exactly: hi"))["usage"]
    assert usage["cacheReadInputTokens"] > 1000


def claude_body(text: str, **more: object) -> str:
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 300, "messages": [{"role": "user", "content": text}], **more})


def nova_body(text: str) -> str:
    return json.dumps({"messages": user(text), "inferenceConfig": {"maxTokens": 300}})


@shows("text")
def test_invoke_claude(runtime):
    answer = runtime.invoke_model(modelId=CLAUDE, body=claude_body("Say exactly: the quick brown fox"))
    body = json.loads(answer["body"].read())
    assert answer["contentType"] == "application/json"
    assert body["content"] == [{"type": "text", "text": "the quick brown fox"}] and body["stop_reason"] == "end_turn"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert int(headers["x-amzn-bedrock-output-token-count"]) == body["usage"]["output_tokens"]


@shows("text")
def test_invoke_nova(runtime):
    body = json.loads(runtime.invoke_model(modelId=NOVA, body=nova_body("Say exactly: the quick brown fox"))["body"].read())
    assert words(body["output"]["message"]) == "the quick brown fox"


@shows("stream")
def test_invoke_stream_of_claude(runtime):
    stream = runtime.invoke_model_with_response_stream(modelId=CLAUDE, body=claude_body("Say exactly: one two three four five six"))
    events = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
    assert "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta") == "one two three four five six"
    assert events[0]["type"] == "message_start" and events[-1]["type"] == "message_stop"
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] > 0


@shows("stream")
def test_invoke_stream_of_nova(runtime):
    stream = runtime.invoke_model_with_response_stream(modelId=NOVA, body=nova_body("Say exactly: one two three"))
    events = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
    assert "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events) == "one two three"


@shows("tools", "thinking")
def test_invoke_claude_with_tools_and_thinking(runtime):
    tools = [{"name": "get_weather", "description": "Tells the weather of a city", "input_schema": SCHEMA}]
    wishes = {"tools": tools, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}
    answer = json.loads(runtime.invoke_model(modelId=CLAUDE, body=claude_body("What is the weather in Rome? Use get_weather.", **wishes))["body"].read())
    assert answer["content"][0]["signature"] and answer["stop_reason"] == "tool_use"
    result = {"type": "tool_result", "tool_use_id": answer["content"][-1]["id"], "content": "18 degrees"}
    history = [
        {"role": "user", "content": "What is the weather in Rome? Use get_weather."},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [result]},
    ]
    final = json.loads(runtime.invoke_model(modelId=CLAUDE, body=claude_body("", **wishes, messages=history))["body"].read())
    assert "18 degrees" in final["content"][-1]["text"]


@shows("counting")
def test_count_tokens(runtime):
    few = runtime.count_tokens(modelId="anthropic.claude-sonnet-4-6", input={"converse": {"messages": user("Hello")}})["inputTokens"]
    many = runtime.count_tokens(modelId="anthropic.claude-sonnet-4-6", input={"converse": {"messages": user("Hello " * 500)}})["inputTokens"]
    whole = runtime.count_tokens(modelId="anthropic.claude-sonnet-4-6", input={"invokeModel": {"body": claude_body("Hello " * 500)}})["inputTokens"]
    assert 0 < few < many and abs(whole - many) < 20
    asked = runtime.converse(modelId=CLAUDE, messages=user("Hello " * 500))["usage"]["inputTokens"]
    assert asked == many, "what is counted is what is billed"


@shows("models")
def test_models(bedrock):
    listed = {model["modelId"]: model for model in bedrock.list_foundation_models()["modelSummaries"]}
    assert NOVA in listed and "anthropic.claude-sonnet-4-6" in listed
    assert "ON_DEMAND" in listed[NOVA]["inferenceTypesSupported"]
    profiles = {profile["inferenceProfileId"] for profile in bedrock.list_inference_profiles()["inferenceProfileSummaries"]}
    assert CLAUDE in profiles
    assert bedrock.get_foundation_model(modelIdentifier=NOVA)["modelDetails"]["modelId"] == NOVA
    assert bedrock.get_inference_profile(inferenceProfileIdentifier=CLAUDE)["inferenceProfileId"] == CLAUDE


@shows("models")
def test_inference_profiles_by_pages(bedrock):
    pages = bedrock.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 5})
    ids = [profile["inferenceProfileId"] for page in pages for profile in page["inferenceProfileSummaries"]]
    assert len(ids) > 5 and len(ids) == len(set(ids))


@shows("errors")
def test_typed_exceptions(runtime):
    with pytest.raises((runtime.exceptions.ValidationException, runtime.exceptions.ResourceNotFoundException)) as unknown:
        runtime.converse(modelId="no-such-model", messages=user("hi"))
    assert "no-such-model" in str(unknown.value) or "identifier" in str(unknown.value)
    with pytest.raises(runtime.exceptions.ValidationException) as hot:
        runtime.converse(modelId=CLAUDE, messages=user("hi"), inferenceConfig={"temperature": 1.0, "maxTokens": 10_000_000})
    assert "max" in str(hot.value).lower()
    with pytest.raises(runtime.exceptions.ValidationException) as empty:
        runtime.invoke_model(modelId=CLAUDE, body=json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9}))
    assert "messages" in str(empty.value)


@shows("errors")
def test_strangers_are_refused(root_url, secure, own_account):
    def refused(client) -> None:
        with pytest.raises(botocore.exceptions.ClientError) as refusal:
            client.converse(modelId=NOVA, messages=user("hi"))
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] in (401, 403)

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
        refused(aws("bedrock-runtime", root_url, aws_access_key_id="AKIDSTRANGER", aws_secret_access_key="nothing"))
        patch.setenv("AWS_BEARER_TOKEN_BEDROCK", "wrong")
        refused(aws("bedrock-runtime", **secure))


@shows("errors")
def test_throttling_has_its_class(runtime, weather):
    # A model that no other test asks: it is held back for a while afterwards.
    weather.add(kind="throttle", model="openai.gpt-oss-20b-1:0")
    with pytest.raises(runtime.exceptions.ThrottlingException):
        runtime.converse(modelId="openai.gpt-oss-20b-1:0", messages=user("hi"))


@shows("errors")
def test_one_region_that_throttles_is_not_noticed(runtime, weather):
    weather.add(kind="throttle", region="us-east-1")
    answer = runtime.converse(modelId="amazon.nova-micro-v1:0", messages=user("Say exactly: elsewhere"))
    assert words(answer["output"]["message"]) == "elsewhere"


@shows("errors")
@pytest.mark.parametrize("native", [False, True])
def test_a_stream_that_breaks_raises(runtime, weather, native):
    weather.add(kind="exception_frame", type="modelStreamErrorException", after_events=4, text="The model stumbled.", model="amazon.nova-pro-v1:0")
    text = "Write a long story about the sea."
    if native:
        stream = runtime.invoke_model_with_response_stream(modelId="amazon.nova-pro-v1:0", body=nova_body(text))["body"]
    else:
        stream = runtime.converse_stream(modelId="amazon.nova-pro-v1:0", messages=user(text))["stream"]
    with pytest.raises(botocore.exceptions.EventStreamError) as broken:
        list(stream)
    assert "The model stumbled." in str(broken.value)


@shows("30 turns")
@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_session_of_thirty_turns(runtime, model):
    """An agent that calls its tool every other turn, streamed, with cached instructions and a summary half-way."""
    system = [{"text": "You are a weather agent. " * 300}, {"cachePoint": {"type": "default"}}]
    messages, cached = [], 0

    def ask(**more: object) -> dict:
        nonlocal cached
        message, stop, metadata = collect(runtime.converse_stream(modelId=model, system=system, messages=messages, toolConfig=TOOLS, **more)["stream"])
        cached += metadata["usage"].get("cacheReadInputTokens", 0)
        messages.append(message)
        return {"message": message, "stop": stop}

    for turn in range(30):
        if turn == 15:
            messages += user("Say exactly: fifteen turns about the weather")
            summary = words(ask()["message"])
            messages = user(f"So far: {summary}")
            messages.append({"role": "assistant", "content": [{"text": "I remember."}]})
        messages += user("Call get_weather for Rome." if turn % 2 == 0 else f"Say exactly: turn {turn} done")
        answer = ask()
        while answer["stop"] == "tool_use":
            calls = [block["toolUse"] for block in answer["message"]["content"] if "toolUse" in block]
            messages += user(*({"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": "18 degrees"}]}} for call in calls))
            answer = ask()
        if turn % 2 == 1:
            assert f"turn {turn} done" in words(answer["message"])
    assert cached > 0, "the instructions are read from the cache"
