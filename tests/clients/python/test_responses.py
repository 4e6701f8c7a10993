"""The Responses API through the official OpenAI client: answers, events, tools, reasoning. What is stored: test_stored.py."""

import functools
import json

import openai
import pydantic
import pytest

from responses_events import checked

shows = functools.partial(pytest.mark.shows, "openai (Python): responses")

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    "strict": True,
}
NOTE = {"type": "custom", "name": "take_note", "description": "Takes a note, as plain text"}
CLAUDE = "claude-sonnet-4-6"
NOVA = "amazon.nova-2-lite-v1:0"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def streamed(client: openai.OpenAI, **request):
    """The final response of a stream, and its events, whose order and contents were checked."""
    return checked(list(client.responses.create(stream=True, **request)))


@shows("text")
def test_text(client, model):
    answer = client.responses.create(model=model, input="Say exactly: the quick brown fox", instructions="Be brief.")
    assert "the quick brown fox" in answer.output_text
    assert (answer.object, answer.status, answer.error) == ("response", "completed", None)
    assert answer.id.startswith("resp_") and answer.instructions == "Be brief."
    assert answer.output[-1].type == "message" and answer.output[-1].role == "assistant" and answer.output[-1].status == "completed"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


@shows("text")
def test_a_request_is_echoed(client):
    wishes = {"metadata": {"team": "blue"}, "temperature": 0.5, "max_output_tokens": 300, "parallel_tool_calls": False, "store": False}
    answer = client.responses.create(model=CLAUDE, input=[{"role": "user", "content": "Say exactly: hi"}], tools=[WEATHER], **wishes)
    assert (answer.metadata, answer.temperature, answer.max_output_tokens) == ({"team": "blue"}, 0.5, 300)
    assert answer.parallel_tool_calls is False and answer.tool_choice == "auto"
    assert [tool.name for tool in answer.tools] == ["get_weather"]


@shows("stream")
def test_stream(client, model):
    final, events = streamed(client, model=model, input="Say exactly: one two three four five six seven eight nine ten")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "one two three four five six seven eight nine ten" in text and text == final.output_text
    assert final.status == "completed" and final.usage.output_tokens > 0


@shows("stream")
def test_stream_helper(client):
    with client.responses.stream(model=CLAUDE, input="Say exactly: a b c d e f g") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert "a b c d e f g" in final.output_text and "".join(texts) == final.output_text


@shows("text", "stream")
def test_stream_and_whole_answer_agree(client):
    request = {"model": CLAUDE, "input": 'Say exactly: grüße, 世界, "quotes" and \\ backslashes 🎉'}
    final, _ = streamed(client, **request)
    assert final.output_text == client.responses.create(**request).output_text


@shows("text")
def test_a_limit_makes_an_answer_incomplete(client):
    request = {"model": CLAUDE, "input": "Write a long story about the sea.", "max_output_tokens": 20}
    whole = client.responses.create(**request)
    final, events = streamed(client, **request)
    for answer in (whole, final):
        assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert events[-1].type == "response.incomplete"


def call_of(answer):
    (call,) = [item for item in answer.output if item.type == "function_call"]
    return call


@shows("tools")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, NOVA, "openai.gpt-oss-120b-1:0"])
def test_tool_round_trip(client, model, stream):
    asked = [{"role": "user", "content": "What is the weather in Paris? Use get_weather."}]
    request = {"model": model, "tools": [WEATHER], "store": False}
    answer = streamed(client, input=asked, **request)[0] if stream else client.responses.create(input=asked, **request)
    call = call_of(answer)
    assert call.name == "get_weather" and "city" in json.loads(call.arguments) and call.call_id
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees and sunny"}
    final = client.responses.create(input=[*asked, *answer.output, result], **request)
    assert "21 degrees" in final.output_text


@shows("tools")
def test_tool_choice(client):
    ask = functools.partial(client.responses.create, model=CLAUDE, input="Hello", tools=[WEATHER, NOTE])
    assert call_of(ask(tool_choice={"type": "function", "name": "get_weather"})).name == "get_weather"
    assert ask(tool_choice={"type": "custom", "name": "take_note"}).output[-1].type == "custom_tool_call"
    assert ask(tool_choice="required").output[-1].type in ("function_call", "custom_tool_call")
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "get_weather"}]}
    assert call_of(ask(tool_choice=allowed)).name == "get_weather"
    assert ask(tool_choice="none", input="What is the weather in Paris?").output[-1].type == "message"


@shows("tools")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_custom_tool_round_trip(client, model, stream):
    asked = [{"role": "user", "content": 'Take a note that says "buy milk". Use take_note.'}]
    request = {"model": model, "tools": [NOTE], "store": False}
    if stream:
        answer, events = streamed(client, input=asked, **request)
        typed = "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta")
    else:
        answer, typed = client.responses.create(input=asked, **request), None
    (call,) = [item for item in answer.output if item.type == "custom_tool_call"]
    assert call.name == "take_note" and call.input and not call.input.startswith("{"), "plain text, not our wrapping of it"
    assert typed in (None, call.input)
    result = {"type": "custom_tool_call_output", "call_id": call.call_id, "output": "noted as number 7"}
    final = client.responses.create(input=[*asked, *answer.output, result], **request)
    assert "noted as number 7" in final.output_text


@shows("tools")
def test_namespace_tools(client):
    tool = {key: value for key, value in WEATHER.items() if key != "strict"}
    tools = [{"type": "namespace", "name": "meteo", "description": "Weather services", "tools": [tool]}]
    asked = [{"role": "user", "content": "What is the weather in Rome? Use get_weather."}]
    answer = client.responses.create(model=CLAUDE, input=asked, tools=tools, store=False)
    call = call_of(answer)
    assert (call.name, call.namespace) == ("get_weather", "meteo")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "19 degrees"}
    assert "19 degrees" in client.responses.create(model=CLAUDE, input=[*asked, *answer.output, result], tools=tools, store=False).output_text


@shows("tools")
def test_parallel_tools_are_streamed_one_after_the_other(client):
    wish = "What is the weather in Paris, in London and in Tokyo? Call get_weather for each of the three cities in parallel."
    final, _ = streamed(client, model=CLAUDE, input=wish, tools=[WEATHER])
    calls = [item for item in final.output if item.type == "function_call"]
    assert len(calls) >= 2 and len({call.call_id for call in calls}) == len(calls)
    one = client.responses.create(model=CLAUDE, input=wish, tools=[WEATHER], parallel_tool_calls=False)
    assert len([item for item in one.output if item.type == "function_call"]) == 1


class Person(pydantic.BaseModel):
    name: str
    age: int
    tags: list[str]


@shows("structured")
@pytest.mark.parametrize("model", [CLAUDE, "claude-sonnet-4-5", NOVA])
def test_parse(client, model):
    answer = client.responses.parse(model=model, input="Make up a person called Ada.", text_format=Person)
    assert isinstance(answer.output_parsed, Person)
    assert not [item for item in answer.output if item.type == "function_call"], "the schema tool never leaks"


@shows("structured")
def test_parse_while_streaming(client):
    with client.responses.stream(model=CLAUDE, input="Make up a person called Ada.", text_format=Person) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_response().output_parsed, Person)


@shows("structured")
def test_json_object(client):
    answer = client.responses.create(model=CLAUDE, input="Answer in JSON with a name.", text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(answer.output_text), dict)


@shows("thinking")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", [CLAUDE, "claude-sonnet-4-5"])
def test_encrypted_reasoning_goes_there_and_back(client, model, stream):
    asked = [{"role": "user", "content": "What is the weather in Paris? Use get_weather."}]
    request = {"model": model, "tools": [WEATHER], "store": False, "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    answer = streamed(client, input=asked, **request)[0] if stream else client.responses.create(input=asked, **request)
    reasoning, *_ = answer.output
    assert reasoning.type == "reasoning" and reasoning.encrypted_content
    assert answer.usage.output_tokens_details.reasoning_tokens > 0
    result = {"type": "function_call_output", "call_id": call_of(answer).call_id, "output": "21 degrees"}
    second = client.responses.with_raw_response.create(input=[*asked, *answer.output, result], **request)
    assert "reasoning" not in second.headers.get("x-outcrop-adjusted", ""), "signed reasoning was replayed, not dropped"
    assert "21 degrees" in second.parse().output_text


@shows("thinking")
def test_encrypted_reasoning_is_in_every_answer_and_in_a_stored_one_for_who_asks(client):
    answer = client.responses.create(model=CLAUDE, input="Say exactly: hm", reasoning={"effort": "low"})
    sealed = [item.encrypted_content for item in answer.output if item.type == "reasoning"]
    assert sealed and all(sealed)
    again = client.responses.retrieve(answer.id)
    assert all(item.encrypted_content is None for item in again.output if item.type == "reasoning")
    whole = client.responses.retrieve(answer.id, include=["reasoning.encrypted_content"])
    assert [item.encrypted_content for item in whole.output if item.type == "reasoning"] == sealed


@shows("images")
def test_image_and_document(client):
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
    answer = client.responses.create(model=CLAUDE, input=[{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, image]}])
    assert "image" in answer.output_text.lower()
    pdf = "JVBERi0xLjQKJeLjz9MKMSAwIG9iago8PD4+CmVuZG9iagp0cmFpbGVyCjw8Pj4KJSVFT0YK"
    file = {"type": "input_file", "filename": "my report.v2.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}
    answer = client.responses.create(model=CLAUDE, input=[{"role": "user", "content": [{"type": "input_text", "text": "Summarise"}, file]}])
    assert answer.status == "completed"


@shows("caching")
def test_a_cached_prompt_shows_in_usage(client):
    instructions = "You are a careful librarian with a long memory. " * 1200
    first, second = (
        client.responses.create(model=CLAUDE, instructions=instructions, input="Say exactly: hi", prompt_cache_key="system.messages") for _ in range(2)
    )
    assert first.usage.input_tokens == second.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens > 1000


@shows("counting")
def test_input_tokens(client):
    few = client.responses.input_tokens.count(model=CLAUDE, input="Hello")
    many = client.responses.input_tokens.count(model=CLAUDE, input="Hello " * 500, tools=[WEATHER], instructions="Be kind.")
    assert few.object == "response.input_tokens" and 0 < few.input_tokens < many.input_tokens


@shows("errors")
def test_errors(client, base_url):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.responses.create(model="no-such-model", input="hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).responses.create(model=CLAUDE, input="hi")
    with pytest.raises(openai.BadRequestError) as hot:
        client.responses.create(model=CLAUDE, input="hi", temperature=3)
    assert hot.value.param == "temperature"
    with pytest.raises(openai.BadRequestError) as hosted:
        client.responses.create(model=CLAUDE, input="hi", tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}])
    assert "file_search" in str(hosted.value)
    with pytest.raises(openai.BadRequestError) as overflow:
        client.responses.create(model="amazon.nova-micro-v1:0", input="word " * 400_000)
    assert overflow.value.code == "context_length_exceeded"


@shows("errors")
def test_a_stream_that_breaks_ends_with_an_error_and_not_silently(client, weather):
    weather.add(kind="exception_frame", type="modelStreamErrorException", after_events=4, text="The model stumbled.", model="amazon.nova-pro-v1:0")
    events = list(client.responses.create(model="amazon.nova-pro-v1:0", input="Write a long story about the sea.", stream=True))
    assert "response.completed" not in [event.type for event in events]
    last = events[-1]
    told = last.message if last.type == "error" else last.response.error.message
    assert "The model stumbled." in told
    assert [event.sequence_number for event in events] == list(range(len(events)))


@shows("compaction")
@pytest.mark.parametrize("model", [CLAUDE, NOVA])
def test_compact(client, lenient, model):
    # What comes back is all user messages and the compaction; the client's type knows no user messages.
    history = [{"role": "user", "content": "The code word is heliotrope."}]
    history += client.responses.create(model=model, input=history, store=False).output
    compacted = lenient.responses.compact(model=model, input=history)
    assert compacted.object == "response.compaction" and compacted.output[-1].type == "compaction"
    assert compacted.usage.output_tokens > 0
    after = client.responses.create(model=model, input=[*compacted.output, {"role": "user", "content": "Say exactly: and on we go"}], store=False)
    assert "and on we go" in after.output_text
