"""Legacy completions through the official OpenAI client."""

import functools

import openai
import pytest

shows = functools.partial(pytest.mark.shows, "openai (Python): completions")
CLAUDE = "claude-sonnet-4-6"



@shows("text")
def test_text(client, model):
    answer = client.completions.create(model=model, prompt="Say exactly: the quick brown fox", max_tokens=300)
    (choice,) = answer.choices
    assert "the quick brown fox" in choice.text
    assert (answer.object, choice.index, choice.finish_reason) == ("text_completion", 0, "stop")
    assert answer.usage.prompt_tokens > 0 and answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@shows("stream")
def test_stream(lenient, model):
    # The chunks of OpenAI say `"finish_reason": null` until the last, which the client's type does not know.
    chunks = list(
        lenient.completions.create(
            model=model, prompt="Say exactly: one two three four five six", max_tokens=300, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "one two three four five six" in "".join(choice.text for chunk in chunks for choice in chunk.choices)
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.object for chunk in chunks} == {"text_completion"}
    assert chunks[-1].usage.completion_tokens > 0 and chunks[-1].choices == []


@shows("text")
def test_several_prompts_and_several_choices(client):
    answer = client.completions.create(model=CLAUDE, prompt=["Say exactly: left", "Say exactly: right"], n=2, max_tokens=50)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text.strip() for choice in answer.choices] == ["left", "left", "right", "right"]


@shows("stream")
def test_several_prompts_in_one_stream(lenient):
    texts: dict[int, str] = {}
    for chunk in lenient.completions.create(model=CLAUDE, prompt=["Say exactly: left", "Say exactly: right"], max_tokens=50, stream=True):
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + choice.text
    assert {index: text.strip() for index, text in texts.items()} == {0: "left", 1: "right"}


@shows("text")
def test_echo_limit_and_stop(client):
    echoed = client.completions.create(model=CLAUDE, prompt="Say exactly: hello", echo=True, max_tokens=50)
    assert echoed.choices[0].text.startswith("Say exactly: hello") and len(echoed.choices[0].text) > len("Say exactly: hello")
    cut = client.completions.create(model=CLAUDE, prompt="Write a long story about the sea.", max_tokens=5)
    assert cut.choices[0].finish_reason == "length"
    stopped = client.completions.create(model=CLAUDE, prompt="Say exactly: alpha STOP omega", stop="STOP", max_tokens=50)
    assert "omega" not in stopped.choices[0].text and stopped.choices[0].finish_reason == "stop"


@shows("errors")
def test_errors(client, base_url):
    with pytest.raises(openai.NotFoundError) as unknown:
        client.completions.create(model="no-such-model", prompt="hi")
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as tokens:
        client.completions.create(model=CLAUDE, prompt=[1, 2, 3])
    assert "prompt" in str(tokens.value)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=base_url, api_key="wrong", max_retries=0).completions.create(model=CLAUDE, prompt="hi")
