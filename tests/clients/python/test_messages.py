"""Messages through the official Anthropic client."""

import functools
import json
import uuid

import anthropic
import pytest

shows = functools.partial(pytest.mark.shows, "anthropic (Python): messages")

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def words(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@shows("text")
def test_text(claude, model):
    message = claude.messages.create(model=model, max_tokens=300, messages=user("Say exactly: the quick brown fox"))
    assert "the quick brown fox" in words(message)
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message._request_id.startswith("req_")


@shows("stream")
def test_stream(claude, model):
    with claude.messages.stream(model=model, max_tokens=300, messages=user("Say exactly: one two three four five six")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "one two three four five six" in text and text == words(final)
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0 and final.usage.input_tokens > 0


@shows("tools", "stream", "caching")
def test_tools_for_thirty_turns(claude):
    """An agent that calls its tool every other turn, streamed, with cached instructions."""
    system = [{"type": "text", "text": "You are a weather agent. " * 300, "cache_control": {"type": "ephemeral"}}]
    messages, cached = [], 0
    for turn in range(30):
        wish = "Call get_weather for Rome." if turn % 2 == 0 else f"Say exactly: turn {turn} done"
        messages.append({"role": "user", "content": wish})
        while True:
            with claude.messages.stream(
                model="claude-sonnet-4-6", max_tokens=500, system=system, tools=[WEATHER], messages=messages
            ) as stream:
                answer = stream.get_final_message()
            cached += answer.usage.cache_read_input_tokens or 0
            messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
            if answer.stop_reason != "tool_use":
                break
            calls = [block for block in answer.content if block.type == "tool_use"]
            assert calls and all(call.name == "get_weather" and isinstance(call.input, dict) for call in calls)
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"} for call in calls]
            messages.append({"role": "user", "content": results})
        if turn % 2 == 1:
            assert f"turn {turn} done" in words(answer)
    assert cached > 0, "the instructions are read from the cache"


@shows("thinking")
def test_thinking_round_trip(claude):
    asked = user("Say exactly: thought through")
    wishes = {"model": "claude-sonnet-4-6", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    first = claude.messages.create(messages=asked, **wishes)
    assert first.content[0].type == "thinking" and first.content[0].signature
    history = [*asked, {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}]
    second = claude.messages.create(messages=[*history, *user("Say exactly: and again")], **wishes)
    assert "and again" in words(second)


@shows("models")
def test_models(claude):
    listed = [model.id for model in claude.models.list(limit=5)]
    assert "claude-sonnet-4-6" in listed and len(listed) == len(set(listed))
    assert claude.models.retrieve("claude-sonnet-4-6").display_name


@shows("errors")
def test_errors(claude, base_url):
    with pytest.raises(anthropic.NotFoundError) as unknown:
        claude.messages.create(model="no-such-model", max_tokens=9, messages=user("x"))
    assert unknown.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as empty:
        claude.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=[])
    assert empty.value.body["error"]["type"] == "invalid_request_error"
    stranger = claude.with_options(api_key="wrong")
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="claude-sonnet-4-6", max_tokens=9, messages=user("x"))


@shows("counting")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "us.anthropic.claude-sonnet-4-6", "claude-haiku-4-5"])
def test_tokens_are_counted_as_they_are_billed(claude, model):
    request = {"model": model, "messages": user("Say exactly: counted " * 50), "tools": [WEATHER], "system": "Be brief."}
    counted = claude.messages.count_tokens(**request)
    assert counted.input_tokens == claude.messages.create(max_tokens=300, **request).usage.input_tokens


@shows("counting", "errors")
def test_where_no_exact_count_can_be_had_there_is_none(claude):
    for model in ["amazon.nova-lite-v1:0", "meta.llama3-1-8b-instruct-v1:0", "no-such-model"]:
        with pytest.raises(anthropic.NotFoundError):
            claude.messages.count_tokens(model=model, messages=user("Hello"))


@shows("tools")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "amazon.nova-lite-v1:0"])
def test_parallel_tools_and_one_that_fails(claude, model):
    asked = user("What is the weather in Paris and in London? Call get_weather for both cities in parallel.")
    first = claude.messages.create(model=model, max_tokens=500, tools=[WEATHER], messages=asked)
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use" and len(calls) == 2
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "no such city", "is_error": n == 1} for n, call in enumerate(calls)]
    history = [*asked, {"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    assert "failed: no such city" in words(claude.messages.create(model=model, max_tokens=500, tools=[WEATHER], messages=history))


@shows("tools")
@pytest.mark.parametrize("thread", [{}, {"thread": False}], ids=["threaded", "unthreaded"])
def test_tool_runner_helper(claude, thread):
    """By itself it asks for a conversation that the server keeps; told that there is none, it goes on without."""
    asked = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tells the weather of a city"""
        asked.append(city)
        return "18 degrees"

    runner = claude.beta.messages.tool_runner(
        model="claude-sonnet-4-6", max_tokens=500, tools=[get_weather], messages=user("What is the weather in Rome? Use get_weather."), **thread
    )
    assert "18 degrees" in words(runner.until_done()) and len(asked) == 1


@shows("structured")
def test_structured_output(claude):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"], "additionalProperties": False}
    message = claude.messages.create(
        model="claude-sonnet-4-6", max_tokens=300, messages=user("Make up a person."), output_config={"format": {"type": "json_schema", "schema": schema}}
    )
    assert set(json.loads(words(message))) == {"name"}


@shows("images")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "amazon.nova-lite-v1:0"])
def test_image_and_document(claude, model):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    message = claude.messages.create(model=model, max_tokens=300, messages=[{"role": "user", "content": [{"type": "text", "text": "What is this?"}, image]}])
    assert "image" in words(message).lower()
    paper = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Bees dance to tell the way."}, "title": "Bees"}
    message = claude.messages.create(model=model, max_tokens=300, messages=[{"role": "user", "content": [paper, {"type": "text", "text": "Summarise"}]}])
    assert message.stop_reason == "end_turn"


@shows("text")
def test_citations(claude):
    text = {"type": "text", "media_type": "text/plain", "data": "Bees dance to tell the way. They do so in the dark."}
    paper = {"type": "document", "source": text, "title": "Bees", "citations": {"enabled": True}}
    asked = [{"role": "user", "content": [paper, {"type": "text", "text": "Why do bees dance?"}]}]
    message = claude.messages.create(model="claude-sonnet-4-6", max_tokens=300, messages=asked)
    assert any(block.citations for block in message.content if block.type == "text")


@shows("caching")
@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_cache_writes_and_reads_are_told_apart(claude, ttl):
    system = [{"type": "text", "text": f"You are librarian {uuid.uuid4()}. " * 400, "cache_control": {"type": "ephemeral", "ttl": ttl}}]
    ask = lambda: claude.messages.create(model="claude-sonnet-4-6", max_tokens=50, system=system, messages=user("Say exactly: hi")).usage  # noqa: E731
    first, second = ask(), ask()
    written = first.cache_creation.ephemeral_1h_input_tokens if ttl == "1h" else first.cache_creation.ephemeral_5m_input_tokens
    assert written > 1000 and written == first.cache_creation_input_tokens == second.cache_read_input_tokens


@shows("thinking")
def test_redacted_thinking_goes_back_as_it_came(claude):
    wishes = {"model": "claude-sonnet-4-5", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    asked = user("REDACTED_THINKING Say exactly: behind a curtain")
    first = claude.messages.create(messages=asked, **wishes)
    assert any(block.type == "redacted_thinking" for block in first.content)
    second = claude.messages.create(messages=[*asked, {"role": "assistant", "content": first.content}, *user("Say exactly: again")], **wishes)
    assert "again" in words(second)


@shows("text")
def test_beta_flags_that_the_model_does_not_know_do_no_harm(claude):
    message = claude.beta.messages.create(
        model="claude-sonnet-4-6",
        max_tokens=300,
        messages=user("Say exactly: flags and all"),
        betas=["context-management-2025-06-27", "prompt-caching-scope-2026-01-05", "files-api-2025-04-14"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert "flags and all" in words(message)


@shows("errors")
def test_the_words_of_refusals_are_the_models_own(claude):
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model="claude-sonnet-4-5", max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 10}, messages=user("hi"))
    assert "1024" in refused.value.body["error"]["message"]


@shows("errors", "stream")
@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", "claude-haiku-4-5"])
def test_a_stream_that_breaks_ends_with_an_error_event(claude, weather, model):
    weather.add(kind="exception_frame", type="modelStreamErrorException", after_events=4, text="The model stumbled.")
    with pytest.raises(anthropic.APIStatusError) as broken:
        with claude.messages.stream(model=model, max_tokens=2000, messages=user("Write a long story about the sea.")) as stream:
            stream.until_done()
    assert "The model stumbled." in str(broken.value)


@shows("compaction")
@pytest.mark.parametrize("stream", [False, True])
def test_a_long_conversation_is_compacted_by_the_model_itself(claude, stream):
    edit = {"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 50_000}}
    wishes = {"model": "claude-opus-4-8", "max_tokens": 2000, "betas": ["compact-2026-01-12"], "context_management": {"edits": [edit]}}

    def ask(messages):
        if not stream:
            return claude.beta.messages.create(messages=messages, **wishes)
        with claude.beta.messages.stream(messages=messages, **wishes) as answering:
            return answering.get_final_message()

    history = [*user("bees and their hives " * 20_000), {"role": "assistant", "content": "I see."}, *user("Say exactly: on we go")]
    first = ask(history)
    assert first.content[0].type == "compaction" and "bees" in first.content[0].content
    history += [{"role": "assistant", "content": first.content}, *user("Say exactly: and on")]
    second = ask(history)
    assert words(second) == "and on" and second.usage.input_tokens < 500
