"""Messages through the official Anthropic client."""

import anthropic
import pytest

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def words(message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_text(claude, model):
    message = claude.messages.create(model=model, max_tokens=300, messages=user("Say exactly: the quick brown fox"))
    assert "the quick brown fox" in words(message)
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message._request_id.startswith("req_")


def test_stream(claude, model):
    with claude.messages.stream(model=model, max_tokens=300, messages=user("Say exactly: one two three four five six")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert "one two three four five six" in text and text == words(final)
    assert final.stop_reason == "end_turn" and final.usage.output_tokens > 0 and final.usage.input_tokens > 0


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


def test_thinking_round_trip(claude):
    asked = user("Say exactly: thought through")
    wishes = {"model": "claude-sonnet-4-6", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    first = claude.messages.create(messages=asked, **wishes)
    assert first.content[0].type == "thinking" and first.content[0].signature
    history = [*asked, {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]}]
    second = claude.messages.create(messages=[*history, *user("Say exactly: and again")], **wishes)
    assert "and again" in words(second)


def test_models(claude):
    listed = [model.id for model in claude.models.list(limit=5)]
    assert "claude-sonnet-4-6" in listed and len(listed) == len(set(listed))
    assert claude.models.retrieve("claude-sonnet-4-6").display_name


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
