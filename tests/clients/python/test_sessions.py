"""One agent, thirty turns, in every dialect and against two families of models.

The agent keeps its own history as agents do: it streams, replays what it was given, thinking included, marks what is to be cached,
calls tools (some of which fail), and has its history summarised at half-time, once without naming its tools.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Iterator

import openai
import pytest

from responses_events import checked

INSTRUCTIONS = "You are a careful weather agent who looks things up before speaking. " * 120
DESCRIPTION = "Tells the weather of a city"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TURNS = 30
MODELS = ["claude-sonnet-4-6", "amazon.nova-2-lite-v1:0"]


@dataclass
class Call:
    id: str
    name: str
    arguments: dict


@dataclass
class Answer:
    text: str
    calls: list[Call]
    thought: bool
    cached: int


@dataclass
class Agent:
    """A client and a history; `said`, `results` and `replace` grow it, `ask` streams an answer and keeps it there."""

    client: Any
    model: str
    history: list = field(default_factory=list)

    def said(self, text: str) -> None:
        self.history.append({"role": "user", "content": text})

    def replace(self, summary: str) -> None:
        self.history = [{"role": "user", "content": f"What was said so far: {summary}"}, {"role": "assistant", "content": "I remember."}]


class Messages(Agent):
    def ask(self, tools: bool = True) -> Answer:
        request: dict = {"model": self.model, "max_tokens": 4000, "messages": self.marked()}
        request["system"] = [{"type": "text", "text": INSTRUCTIONS, "cache_control": {"type": "ephemeral"}}]
        request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
        if tools:
            request["tools"] = [{"name": "get_weather", "description": DESCRIPTION, "input_schema": SCHEMA}]
        with self.client.messages.stream(**request) as stream:
            final = stream.get_final_message()
        self.history.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in final.content]})
        calls = [Call(block.id, block.name, block.input) for block in final.content if block.type == "tool_use"]
        assert (final.stop_reason == "tool_use") == bool(calls)
        return Answer(
            "".join(block.text for block in final.content if block.type == "text"),
            calls,
            any(block.type in ("thinking", "redacted_thinking") for block in final.content),
            final.usage.cache_read_input_tokens or 0,
        )

    def marked(self) -> list:
        """The history with a cache marker at its end, as Claude Code sets it: it moves with every turn."""
        *before, last = self.history
        content = [{"type": "text", "text": last["content"]}] if isinstance(last["content"], str) else last["content"]
        return [*before, {**last, "content": [*content[:-1], {**content[-1], "cache_control": {"type": "ephemeral"}}]}]

    def results(self, results: list[tuple[Call, str, bool]]) -> None:
        blocks = [{"type": "tool_result", "tool_use_id": call.id, "content": text, "is_error": failed} for call, text, failed in results]
        self.history.append({"role": "user", "content": blocks})


class Chat(Agent):
    def ask(self, tools: bool = True) -> Answer:
        system = [{"type": "text", "text": INSTRUCTIONS, "cache_control": {"type": "ephemeral"}}]
        request: dict = {"model": self.model, "messages": [{"role": "system", "content": system}, *self.history], "reasoning_effort": "low"}
        if tools:
            request["tools"] = [{"type": "function", "function": {"name": "get_weather", "description": DESCRIPTION, "parameters": SCHEMA}}]
        with self.client.chat.completions.stream(**request, max_completion_tokens=4000, stream_options={"include_usage": True}) as stream:
            final = stream.until_done().get_final_completion()
        message = final.choices[0].message
        # A stock client appends the message it was given.
        self.history.append(message.model_dump(exclude_none=True, exclude={"parsed": True, "tool_calls": {"__all__": {"function": {"parsed_arguments"}}}}))
        calls = [Call(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]
        assert (final.choices[0].finish_reason == "tool_calls") == bool(calls)
        thought = bool(getattr(message, "reasoning_content", None))
        return Answer(message.content or "", calls, thought, final.usage.prompt_tokens_details.cached_tokens or 0)

    def results(self, results: list[tuple[Call, str, bool]]) -> None:
        self.history += [{"role": "tool", "tool_call_id": call.id, "content": f"error: {text}" if failed else text} for call, text, failed in results]


class Responses(Agent):
    def request(self, tools: bool) -> dict:
        request: dict = {"model": self.model, "instructions": INSTRUCTIONS, "reasoning": {"effort": "low"}, "prompt_cache_key": "system.tools.messages"}
        if tools:
            request["tools"] = [{"type": "function", "name": "get_weather", "description": DESCRIPTION, "parameters": SCHEMA, "strict": False}]
        return request

    def ask(self, tools: bool = True) -> Answer:
        stateless = {"input": self.history, "store": False, "include": ["reasoning.encrypted_content"]}
        final, _ = checked(list(self.client.responses.create(stream=True, **stateless, **self.request(tools))))
        self.history += final.output
        return self.answer(final)

    def answer(self, final: Any) -> Answer:
        calls = [Call(item.call_id, item.name, json.loads(item.arguments)) for item in final.output if item.type == "function_call"]
        thought = any(item.type == "reasoning" for item in final.output)
        return Answer(final.output_text, calls, thought, final.usage.input_tokens_details.cached_tokens)

    def results(self, results: list[tuple[Call, str, bool]]) -> None:
        self.history += [{"type": "function_call_output", "call_id": call.id, "output": text} for call, text, _ in results]

    def compact(self) -> None:
        """What the API itself makes of the history stands in its place. It holds user messages, which the client's type does not know."""
        lenient = openai.OpenAI(base_url=self.client.base_url, api_key=self.client.api_key)
        self.history = list(lenient.responses.compact(model=self.model, input=self.history, instructions=INSTRUCTIONS).output)


class StoredResponses(Responses):
    """The gateway keeps the history: only what is new is sent."""

    previous: str | None = None

    def ask(self, tools: bool = True) -> Answer:
        more = {"previous_response_id": self.previous} if self.previous else {}
        final, _ = checked(list(self.client.responses.create(stream=True, input=self.history, **more, **self.request(tools))))
        self.previous, self.history = final.id, []
        return self.answer(final)

    def replace(self, summary: str) -> None:
        super().replace(summary)
        self.previous = None


def agents() -> Iterator[Any]:
    rows = [
        (Messages, "claude", "anthropic (Python): messages"),
        (Chat, "client", "openai (Python): chat"),
        (Responses, "client", "openai (Python): responses"),
        (StoredResponses, "client", "openai (Python): responses"),
    ]
    for kind, fixture, row in rows:
        for model in MODELS:
            yield pytest.param(kind, fixture, model, id=f"{kind.__name__}-{model}", marks=pytest.mark.shows(row, "30 turns", "compaction"))


@pytest.mark.parametrize(("kind", "fixture", "model"), list(agents()))
def test_session_of_thirty_turns(request, kind, fixture, model):
    agent = kind(request.getfixturevalue(fixture), model)
    called = thought = cached = 0
    for turn in range(TURNS):
        if turn == TURNS // 2:
            compacted(agent)
        agent.said("Call get_weather for Rome." if turn % 2 == 0 else f"Say exactly: turn {turn} done")
        answer = agent.ask()
        steps = 0
        while answer.calls:
            assert turn % 2 == 0 and steps < 3, answer
            assert all(call.name == "get_weather" and "city" in call.arguments for call in answer.calls)
            failed = turn % 6 == 0
            agent.results([(call, "no such station" if failed else f"{turn} degrees", failed) for call in answer.calls])
            called, thought, cached = called + len(answer.calls), thought + answer.thought, cached + answer.cached
            answer = agent.ask()
            steps += 1
        thought, cached = thought + answer.thought, cached + answer.cached
        if turn % 2 == 1:
            assert f"turn {turn} done" in answer.text
        else:
            assert ("no such station" if turn % 6 == 0 else f"{turn} degrees") in answer.text
    assert called >= TURNS // 2, "a tool was called every other turn"
    assert thought > TURNS // 2, "it thinks, and goes on thinking after tools"
    assert cached > 1000, "the instructions are read from the cache"


def compacted(agent: Agent) -> None:
    """The history is summarised, the first time by a request that names no tools although the history is full of them."""
    agent.said("Say exactly: fifteen turns about Rome")
    summary = agent.ask(tools=False).text
    assert "fifteen turns about Rome" in summary
    if type(agent) is Responses:
        agent.compact()
        # All that the user ever said now stands in one turn; an answer ends it.
        agent.said("Say exactly: on we go")
        assert agent.ask(tools=False).text
    else:
        agent.replace(summary)
