"""Tools that the provider runs, through the official clients: web search and code interpreter of Nova 2, and refusals elsewhere."""

import anthropic
import openai
import pytest

from responses_events import checked

NOVA = "amazon.nova-2-lite-v1:0"
WITHOUT = ["claude-sonnet-4-6", "amazon.nova-lite-v1:0"]

QUESTION = "Who invented the zipper?"
FOUND = "According to a recent page, invented zipper is well documented"
PAGE = "https://www.example.com/invented-zipper"
SUM = "What is the average of 10, 24, 2 and 13?"
PRINTED = "The program printed 12.25."

SEARCH = {"type": "web_search_20250305", "name": "web_search"}
EXECUTION = {"type": "code_execution_20250825", "name": "code_execution"}


def responses(*more: str):
    return pytest.mark.shows("openai (Python): responses", "hosted tools", *more)


def messages(*more: str):
    return pytest.mark.shows("anthropic (Python): messages", "hosted tools", *more)


def chat(*more: str):
    return pytest.mark.shows("openai (Python): chat", "hosted tools", *more)


def respond(client, stream, **request):
    """The response, and the kinds of its events, whose order and contents were checked."""
    if not stream:
        return client.responses.create(model=NOVA, **request), []
    final, events = checked(list(client.responses.create(model=NOVA, stream=True, **request)))
    return final, [event.type for event in events]


@responses("stream")
@pytest.mark.parametrize("stream", [False, True])
def test_web_search(client, stream):
    answer, kinds = respond(client, stream, input=QUESTION, tools=[{"type": "web_search"}])
    search, message = answer.output
    assert (search.type, search.status, search.action.query) == ("web_search_call", "completed", "invented zipper")
    (part,) = message.content
    (source,) = part.annotations
    assert (source.type, source.url) == ("url_citation", PAGE)
    assert part.text[source.start_index : source.end_index] == FOUND
    life = [kind for kind in kinds if "web_search" in kind or "annotation" in kind]
    told = ["in_progress", "searching", "completed"]
    assert life == ([f"response.web_search_call.{word}" for word in told] + ["response.output_text.annotation.added"] if stream else [])


@responses("stream")
@pytest.mark.parametrize("stream", [False, True])
def test_code_interpreter(client, stream):
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    answer, kinds = respond(client, stream, input=SUM, tools=tools, include=["code_interpreter_call.outputs"])
    call = answer.output[0]
    assert (call.type, call.status, answer.output_text) == ("code_interpreter_call", "completed", PRINTED)
    assert "sum(numbers) / len(numbers)" in call.code and call.container_id
    assert [(output.type, output.logs) for output in call.outputs] == [("logs", "12.25")]
    steps = [kind.removeprefix("response.code_interpreter_call") for kind in dict.fromkeys(kinds) if "code_interpreter" in kind]
    assert steps == ([".in_progress", "_code.delta", "_code.done", ".interpreting", ".completed"] if stream else [])


@responses("stored")
@pytest.mark.parametrize("tool,question", [({"type": "web_search"}, QUESTION), ({"type": "code_interpreter", "container": {"type": "auto"}}, SUM)])
def test_a_conversation_goes_on_after_a_hosted_tool(client, tool, question):
    first = client.responses.create(model=NOVA, input=question, tools=[tool])
    chained = client.responses.create(model=NOVA, input="Say exactly: go on", previous_response_id=first.id)
    assert chained.output_text == "go on"
    history = [{"role": "user", "content": question}, *first.output, {"role": "user", "content": "Say exactly: and on"}]
    assert client.responses.create(model=NOVA, input=history, store=False).output_text == "and on"


@responses("errors")
@pytest.mark.parametrize("model", WITHOUT)
@pytest.mark.parametrize("tool", ["web_search", "code_interpreter", "image_generation"])
def test_a_tool_that_the_model_lacks_is_named(client, model, tool):
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=model, input="Hello", tools=[{"type": tool, "container": {"type": "auto"}} if tool == "code_interpreter" else {"type": tool}])
    assert refused.value.param == "tools[0].type" and f"'{tool}'" in refused.value.message


@chat()
def test_chat_searches(client):
    message = client.chat.completions.create(model=NOVA, messages=[{"role": "user", "content": QUESTION}], web_search_options={}).choices[0].message
    (annotation,) = message.annotations
    source = annotation.url_citation
    assert (annotation.type, source.url, message.content[source.start_index : source.end_index]) == ("url_citation", PAGE, FOUND)


@chat("errors")
@pytest.mark.parametrize("model", WITHOUT)
def test_a_search_that_chat_cannot_make_is_named(client, model):
    with pytest.raises(openai.BadRequestError, match="web search"):
        client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}], web_search_options={})


def message_of(claude, stream, **request):
    if not stream:
        return claude.messages.create(max_tokens=300, **request)
    with claude.messages.stream(max_tokens=300, **request) as answer:
        return answer.get_final_message()


@messages("stream")
@pytest.mark.parametrize("stream", [False, True])
def test_messages_search(claude, stream):
    asked = [{"role": "user", "content": QUESTION}]
    message = message_of(claude, stream, model=NOVA, messages=asked, tools=[SEARCH])
    cited, rest = message.content
    (source,) = cited.citations
    assert (cited.text, source.type, source.url) == (FOUND, "web_search_result_location", PAGE)
    assert not rest.citations and message.stop_reason == "end_turn"
    asked += [{"role": "assistant", "content": message.content}, {"role": "user", "content": "Say exactly: go on"}]
    assert message_of(claude, stream, model=NOVA, messages=asked).content[0].text == "go on"


@messages("stream")
@pytest.mark.parametrize("stream", [False, True])
def test_messages_run_code(claude, stream):
    message = message_of(claude, stream, model=NOVA, messages=[{"role": "user", "content": SUM}], tools=[EXECUTION])
    assert (message.content[0].text, message.stop_reason) == (PRINTED, "end_turn")


@messages("errors")
@pytest.mark.parametrize("model", WITHOUT)
@pytest.mark.parametrize("tool", [SEARCH, EXECUTION, {"type": "image_generation", "name": "image_generation"}], ids=lambda tool: tool["name"])
def test_a_tool_that_messages_lack_is_named(claude, model, tool):
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model=model, max_tokens=300, messages=[{"role": "user", "content": "Hello"}], tools=[tool])
    assert tool["type"] in refused.value.body["error"]["message"]
