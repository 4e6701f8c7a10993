"""Chat completions through the official OpenAI client."""

import asyncio
import functools
import json

import openai
import pytest

shows = functools.partial(pytest.mark.shows, "openai (Python): chat")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}

PERSON_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "address": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
            "required": ["city", "zip"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "age", "tags", "address"],
    "additionalProperties": False,
}


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def collect(stream):
    """Text, tool calls by index, finish reason, usage, and the chunks themselves."""
    text, calls, finish, usage, chunks = "", {}, None, None, []
    for chunk in stream:
        chunks.append(chunk)
        if chunk.usage is not None:
            usage = chunk.usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            for call in choice.delta.tool_calls or []:
                known = calls.setdefault(call.index, {"id": None, "name": None, "arguments": ""})
                if call.id:
                    assert known["id"] is None, "an id is sent once"
                    known["id"], known["name"] = call.id, call.function.name
                known["arguments"] += call.function.arguments or ""
            if choice.finish_reason:
                assert finish is None, "one finish reason"
                finish = choice.finish_reason
    return text, calls, finish, usage, chunks


@shows("text")
def test_text(client, model):
    answer = client.chat.completions.create(model=model, messages=user("Say exactly: the quick brown fox"))
    assert "the quick brown fox" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@shows("stream")
def test_stream(client, model):
    stream = client.chat.completions.create(
        model=model, messages=user("Say exactly: one two three four five six seven eight nine ten"), stream=True, stream_options={"include_usage": True}
    )
    text, _, finish, usage, chunks = collect(stream)
    assert "one two three four five six seven eight nine ten" in text
    assert finish == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert usage is not None and usage.completion_tokens > 0
    assert chunks[-1].choices == [] and chunks[-1].usage is not None


@shows("text", "stream")
def test_stream_and_whole_answer_agree(client):
    messages = user("Say exactly: grüße, 世界, \"quotes\" and \\ backslashes 🎉")
    whole = client.chat.completions.create(model="claude-sonnet-4-6", messages=messages)
    text, *_ = collect(client.chat.completions.create(model="claude-sonnet-4-6", messages=messages, stream=True))
    assert text == whole.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
@shows("tools")
def test_tool_round_trip(client, stream):
    for model in ["claude-sonnet-4-6", "amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"]:
        messages = user("What is the weather in Paris? Use get_weather.")
        if stream:
            _, calls, finish, _, _ = collect(client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], stream=True))
            call = calls[0]
        else:
            answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
            finish = answer.choices[0].finish_reason
            first = answer.choices[0].message.tool_calls[0]
            call = {"id": first.id, "name": first.function.name, "arguments": first.function.arguments}
        assert finish == "tool_calls", model
        assert call["name"] == "get_weather"
        assert "city" in json.loads(call["arguments"])
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [{"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["arguments"]}}]},
            {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees and sunny"},
        ]
        final = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
        assert final.choices[0].finish_reason == "stop"
        assert "21 degrees" in final.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
@shows("tools")
def test_parallel_tools(client, stream):
    messages = user("What is the weather in Paris, in London and in Tokyo? Call get_weather for each of the three cities in parallel.")
    if stream:
        _, calls, finish, _, _ = collect(client.chat.completions.create(model="claude-sonnet-4-6", messages=messages, tools=[WEATHER], stream=True))
        assert sorted(calls) == list(range(len(calls))), "indexes are contiguous from 0"
        calls = list(calls.values())
    else:
        answer = client.chat.completions.create(model="claude-sonnet-4-6", messages=messages, tools=[WEATHER])
        finish = answer.choices[0].finish_reason
        calls = [{"id": c.id, "name": c.function.name, "arguments": c.function.arguments} for c in answer.choices[0].message.tool_calls]
    assert finish == "tool_calls"
    assert len(calls) >= 2
    assert len({call["id"] for call in calls}) == len(calls)
    messages.append({"role": "assistant", "content": "", "tool_calls": [{"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}} for c in calls]})
    messages += [{"role": "tool", "tool_call_id": c["id"], "content": f"{n} degrees"} for n, c in enumerate(calls)]
    final = client.chat.completions.create(model="claude-sonnet-4-6", messages=messages, tools=[WEATHER])
    assert final.choices[0].finish_reason == "stop"


@shows("tools")
def test_forced_tool_and_none(client):
    forced = client.chat.completions.create(
        model="claude-sonnet-4-6", messages=user("Hello"), tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "get_weather"}}
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "get_weather"
    none = client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Weather in Paris?"), tools=[WEATHER], tool_choice="none")
    assert not none.choices[0].message.tool_calls


@shows("tools")
def test_long_tool_names_come_back_unchanged(client):
    name = "mcp__a_server_with_a_long_name__" + "x" * 60
    tool = {"type": "function", "function": {**WEATHER["function"], "name": name}}
    answer = client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Weather?"), tools=[tool], tool_choice="required")
    assert answer.choices[0].message.tool_calls[0].function.name == name


@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-sonnet-4-5", "amazon.nova-lite-v1:0", "claude-opus-5-5"])
@pytest.mark.parametrize("stream", [False, True])
@shows("structured")
def test_structured_output(client, model, stream):
    response_format = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON_SCHEMA, "strict": True}}
    request = dict(model=model, messages=user("Make up a person called Ada."), response_format=response_format)
    if stream:
        text, calls, finish, _, _ = collect(client.chat.completions.create(**request, stream=True))
        assert not calls, "the schema tool never leaks"
    else:
        answer = client.chat.completions.create(**request)
        text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert not answer.choices[0].message.tool_calls, "the schema tool never leaks"
    assert finish == "stop"
    person = json.loads(text)
    assert set(person) == {"name", "age", "tags", "address"}
    assert isinstance(person["age"], int) and len(person["tags"]) >= 1


@shows("structured")
def test_parse_helper(client):
    from pydantic import BaseModel

    class Person(BaseModel):
        name: str
        age: int

    parsed = client.chat.completions.parse(model="claude-sonnet-4-6", messages=user("Make up a person."), response_format=Person)
    assert isinstance(parsed.choices[0].message.parsed, Person)


PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@shows("images")
def test_vision(client):
    content = [{"type": "text", "text": "What is in this image?"}, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]
    answer = client.chat.completions.create(model="claude-sonnet-4-6", messages=[{"role": "user", "content": content}])
    assert "image" in answer.choices[0].message.content.lower()


@shows("images")
def test_document(client):
    pdf = "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyCjw8Pj4KJSVFT0YK"
    content = [{"type": "text", "text": "Summarise"}, {"type": "file", "file": {"filename": "my report.v2.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}}]
    answer = client.chat.completions.create(model="claude-sonnet-4-6", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-sonnet-4-6"])
@shows("thinking")
def test_reasoning_over_two_turns(client, model):
    messages = user("What is the weather in Paris? Use get_weather.")
    answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], reasoning_effort="low", max_completion_tokens=4000)
    message = answer.choices[0].message
    assert message.reasoning_content
    assert message.tool_calls
    # A stock client appends the message it was given.
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "21 degrees"})
    second = client.chat.completions.with_raw_response.create(model=model, messages=messages, tools=[WEATHER], reasoning_effort="low", max_completion_tokens=4000)
    assert "reasoning" not in second.headers.get("x-outcrop-adjusted", ""), "signed reasoning was replayed, not dropped"
    assert second.parse().choices[0].message.content


@shows("thinking")
def test_reasoning_without_its_signature_is_dropped_and_reported(client):
    messages = user("Weather in Paris?")
    messages += [
        {"role": "assistant", "content": "", "reasoning_content": "unsigned thoughts", "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21"},
    ]
    answer = client.chat.completions.with_raw_response.create(model="claude-sonnet-4-5", messages=messages, tools=[WEATHER], reasoning_effort="low", max_tokens=4000)
    assert "reasoning" in answer.headers["x-outcrop-adjusted"]
    assert answer.parse().choices[0].message.content


@shows("text", "stream")
def test_several_choices(client):
    whole = client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Say exactly: pick me"), n=3)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    texts = {0: "", 1: "", 2: ""}
    finishes = {}
    for chunk in client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Say exactly: pick me"), n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                finishes[choice.index] = choice.finish_reason
    assert all("pick me" in text for text in texts.values())
    assert finishes == {0: "stop", 1: "stop", 2: "stop"}


@shows("text")
def test_limits_and_stop(client):
    cut = client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Write a long story about the sea."), max_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    stopped = client.chat.completions.create(model="claude-sonnet-4-6", messages=user("Say exactly: alpha STOP omega"), stop=["STOP"])
    assert "omega" not in stopped.choices[0].message.content
    assert stopped.choices[0].finish_reason == "stop"


@shows("caching")
def test_prompt_cache_shows_in_usage(client):
    system = [{"type": "text", "text": "You are a careful librarian. " * 1200, "cache_control": {"type": "ephemeral"}}]
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "Say exactly: hi"}]
    first = client.chat.completions.create(model="claude-sonnet-4-6", messages=messages)
    second = client.chat.completions.create(model="claude-sonnet-4-6", messages=messages)
    assert first.usage.prompt_tokens == second.usage.prompt_tokens
    assert second.usage.prompt_tokens_details.cached_tokens > 1000


@shows("models")
def test_models(client):
    models = {model.id: model for model in client.models.list()}
    assert len(models) > 20
    one = client.models.retrieve("claude-sonnet-4-6")
    assert one.object == "model"


@shows("errors")
def test_errors(client, base_url):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="no-such-model", messages=user("hi"))
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as empty:
        client.chat.completions.create(model="claude-sonnet-4-6", messages=[])
    assert empty.value.param == "messages"
    with pytest.raises(openai.AuthenticationError) as wrong:
        openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).models.list()
    assert wrong.value.code == "invalid_api_key"
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="claude-sonnet-4-6", messages=user("hi"), temperature=3)
    with pytest.raises(openai.BadRequestError) as image:
        bad = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,bm90IGFuIGltYWdl"}}]
        client.chat.completions.create(model="claude-sonnet-4-6", messages=[{"role": "user", "content": bad}])
    assert "image_url" in image.value.param


@shows("errors")
def test_context_overflow_has_its_code(client):
    with pytest.raises(openai.BadRequestError) as overflow:
        client.chat.completions.create(model="amazon.nova-micro-v1:0", messages=user("word " * 400_000))
    assert overflow.value.code == "context_length_exceeded"


@shows("models")
def test_retired_model_names_its_replacement(client):
    answer = client.chat.completions.with_raw_response.create(model="anthropic.claude-3-opus-20240229-v1:0", messages=user("Say exactly: still here"))
    assert answer.parse().choices[0].message.content
    assert "x-outcrop-replaced" in answer.headers


@shows("text")
def test_async_client_with_many_requests_at_once(aclient):
    async def ask(number: int) -> str:
        answer = await aclient.chat.completions.create(model="claude-sonnet-4-6", messages=user(f"Say exactly: number {number}"))
        return answer.choices[0].message.content

    async def all_of_them():
        return await asyncio.gather(*(ask(number) for number in range(50)))

    for number, text in enumerate(asyncio.run(all_of_them())):
        assert f"number {number}" in text
