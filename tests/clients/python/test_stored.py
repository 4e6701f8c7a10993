"""What the Responses API keeps, through the official OpenAI client: responses, their items, conversations, background work."""

import functools
import time

import openai
import pytest

from responses_events import checked

shows = functools.partial(pytest.mark.shows, "openai (Python): responses")
CLAUDE = "claude-sonnet-4-6"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@shows("stored")
@pytest.mark.parametrize("stream", [False, True])
def test_retrieve_and_delete(client, stream):
    request = {"model": CLAUDE, "input": "Say exactly: keep me", "metadata": {"case": "kept"}}
    if stream:
        answer, _ = checked(list(client.responses.create(stream=True, **request)))
    else:
        answer = client.responses.create(**request)
    kept = client.responses.retrieve(answer.id)
    assert kept.model_dump() == answer.model_dump()
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


@shows("stored")
def test_what_is_not_to_be_stored_is_not(client):
    answer = client.responses.create(model=CLAUDE, input="Say exactly: gone", store=False)
    with pytest.raises(openai.NotFoundError) as gone:
        client.responses.retrieve(answer.id)
    assert answer.id in str(gone.value)
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
        client.responses.create(model=CLAUDE, input="go on", previous_response_id=answer.id)


@shows("stored", "errors")
def test_ids_that_are_unknown_or_malformed_are_not_found(client):
    for wrong in ["resp_00000000000000000000000000000000", "nonsense", "resp_'; drop table responses; --"]:
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(wrong)
        with pytest.raises(openai.NotFoundError):
            client.responses.delete(wrong)
        with pytest.raises(openai.NotFoundError):
            client.responses.cancel(wrong)
        with pytest.raises(openai.NotFoundError):
            client.responses.input_items.list(wrong)


@shows("stored")
def test_input_items_by_pages(client):
    words = ["first", "second", "third", "fourth", "fifth"]
    said = [{"role": role, "content": f"{word} thing"} for word, role in zip(words, ["user", "assistant"] * 2 + ["user"])]
    answer = client.responses.create(model=CLAUDE, input=said)
    listed = list(client.responses.input_items.list(answer.id, limit=2, order="asc"))
    texts = [item.content[0].text for item in listed]
    assert texts == [f"{word} thing" for word in words]
    assert len({item.id for item in listed}) == 5
    newest = client.responses.input_items.list(answer.id, limit=1).data[0]
    assert newest.id == listed[-1].id, "newest first unless told otherwise"
    after = client.responses.input_items.list(answer.id, order="asc", after=listed[3].id)
    assert [item.id for item in after.data] == [listed[4].id] and after.has_more is False


@shows("stored")
def test_previous_response_goes_on_with_what_was_said(client):
    first = client.responses.create(model=CLAUDE, input="My name is Grace and I keep bees.", instructions="Be brief.")
    second = client.responses.create(model=CLAUDE, input="What is the weather in Rome? Use get_weather.", tools=[WEATHER], previous_response_id=first.id)
    assert second.previous_response_id == first.id and second.instructions is None
    (call,) = [item for item in second.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    third = client.responses.create(model=CLAUDE, input=[result], tools=[WEATHER], previous_response_id=second.id)
    assert "18 degrees" in third.output_text
    assert third.usage.input_tokens > second.usage.input_tokens > first.usage.input_tokens


@shows("stored")
def test_previous_response_with_reasoning_and_streams(client):
    wishes = {"model": CLAUDE, "tools": [WEATHER], "reasoning": {"effort": "low"}, "stream": True}
    first, _ = checked(list(client.responses.create(input="What is the weather in Rome? Use get_weather.", **wishes)))
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}
    second, _ = checked(list(client.responses.create(input=[result], previous_response_id=first.id, **wishes)))
    assert "18 degrees" in second.output_text


@shows("stored")
def test_item_references(client):
    first = client.responses.create(model=CLAUDE, input="Say exactly: refer to me")
    reference = {"type": "item_reference", "id": first.output[-1].id}
    second = client.responses.create(model=CLAUDE, input=[{"role": "user", "content": "Hello"}, reference, {"role": "user", "content": "Say exactly: referred"}])
    assert "referred" in second.output_text


@shows("stored")
def test_conversations(client):
    conversation = client.conversations.create(metadata={"topic": "bees"}, items=[{"type": "message", "role": "user", "content": "I keep bees."}])
    assert conversation.object == "conversation" and conversation.id.startswith("conv_")
    assert client.conversations.retrieve(conversation.id).metadata == {"topic": "bees"}
    assert client.conversations.update(conversation.id, metadata={"topic": "honey"}).metadata == {"topic": "honey"}

    answer = client.responses.create(model=CLAUDE, input="Say exactly: noted", conversation=conversation.id)
    assert answer.conversation.id == conversation.id
    items = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.role for item in items] == ["user", "user", "assistant"]
    assert items[-1].content[0].text == answer.output_text

    added = client.conversations.items.create(conversation.id, items=[{"type": "message", "role": "user", "content": "One more thing."}])
    (item,) = added.data
    assert client.conversations.items.retrieve(item.id, conversation_id=conversation.id).id == item.id
    client.conversations.items.delete(item.id, conversation_id=conversation.id)
    with pytest.raises(openai.NotFoundError):
        client.conversations.items.retrieve(item.id, conversation_id=conversation.id)

    assert client.conversations.delete(conversation.id).deleted is True
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(conversation.id)


@shows("stored")
def test_a_conversation_remembers_tools_over_streams(client):
    conversation = client.conversations.create()
    wishes = {"model": CLAUDE, "tools": [WEATHER], "conversation": conversation.id, "stream": True}
    first, _ = checked(list(client.responses.create(input="What is the weather in Rome? Use get_weather.", **wishes)))
    (call,) = [item for item in first.output if item.type == "function_call"]
    second, _ = checked(list(client.responses.create(input=[{"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}], **wishes)))
    assert "18 degrees" in second.output_text
    kinds = [item.type for item in client.conversations.items.list(conversation.id, order="asc")]
    assert [kind for kind in kinds if kind != "reasoning"] == ["message", *(item.type for item in first.output), "function_call_output", "message"]


@shows("stored", "errors")
def test_conversation_and_previous_response_exclude_each_other(client):
    conversation, answer = client.conversations.create(), client.responses.create(model=CLAUDE, input="hi")
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=CLAUDE, input="hi", conversation=conversation.id, previous_response_id=answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model=CLAUDE, input="hi", conversation="conv_00000000000000000000000000000000")


def until_ended(client, response, seconds=20):
    deadline = time.monotonic() + seconds
    while response.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, response.status
        time.sleep(0.05)
        response = client.responses.retrieve(response.id)
    return response


@shows("background")
def test_background_and_poll(client):
    begun = client.responses.create(model=CLAUDE, input="Say exactly: done behind your back", background=True)
    assert begun.background is True and begun.status in ("queued", "in_progress", "completed")
    ended = until_ended(client, begun)
    assert ended.status == "completed" and "done behind your back" in ended.output_text
    assert client.responses.cancel(begun.id).status == "completed", "a cancel that comes too late changes nothing"


@shows("background")
def test_background_work_is_cancelled(client, weather):
    weather.add(kind="inter_token", p50="200ms", model="amazon.nova-pro-v1:0")
    begun = client.responses.create(model="amazon.nova-pro-v1:0", input="Write a long story about the sea.", background=True)
    assert begun.status in ("queued", "in_progress")
    assert client.responses.cancel(begun.id).status == "cancelled"
    assert client.responses.retrieve(begun.id).status == "cancelled"


@shows("background", "errors")
def test_only_background_work_is_cancelled(client):
    answer = client.responses.create(model=CLAUDE, input="hi")
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(answer.id)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model=CLAUDE, input="hi", background=True, store=False)


@shows("background", "stream")
def test_a_background_stream_is_taken_up_again(client):
    wish = {"model": CLAUDE, "input": "Say exactly: one two three four five six seven eight", "background": True}
    final, events = checked(list(client.responses.create(stream=True, **wish)))
    again = list(client.responses.retrieve(final.id, stream=True, starting_after=events[3].sequence_number))
    assert [event.model_dump() for event in again] == [event.model_dump() for event in events[4:]]


@shows("stored")
def test_a_stream_that_its_client_cuts_is_not_lost(client, weather):
    weather.add(kind="inter_token", p50="100ms", model="amazon.nova-pro-v1:0")
    stream = client.responses.create(model="amazon.nova-pro-v1:0", input="Write a long story about the sea.", stream=True)
    created = next(iter(stream))
    stream.close()
    ended = until_ended(client, client.responses.retrieve(created.response.id))
    assert ended.status == "cancelled"
