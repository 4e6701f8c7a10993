"""What OpenAI promises of the events of a response stream, checked event by event."""

from typing import Any

ENDS = ("response.completed", "response.incomplete", "response.failed")
# The delta events of each kind of part, the event that ends the part, and the member of it that holds the whole.
WHOLES = {
    "response.output_text.delta": ("response.output_text.done", "text"),
    "response.refusal.delta": ("response.refusal.done", "refusal"),
    "response.function_call_arguments.delta": ("response.function_call_arguments.done", "arguments"),
    "response.custom_tool_call_input.delta": ("response.custom_tool_call_input.done", "input"),
    "response.code_interpreter_call_code.delta": ("response.code_interpreter_call_code.done", "code"),
    "response.reasoning_text.delta": ("response.reasoning_text.done", "text"),
    "response.reasoning_summary_text.delta": ("response.reasoning_summary_text.done", "text"),
}
PAIRS = {
    "response.output_item.added": "response.output_item.done",
    "response.content_part.added": "response.content_part.done",
    "response.reasoning_summary_part.added": "response.reasoning_summary_part.done",
}


def checked(events: list[Any]) -> tuple[Any, list[Any]]:
    """The final response and the events.

    The numbers rise by one; the response has one id; what begins ends, innermost first and in order of the output index; deltas
    belong to what is open and add up to what their part says at its end; the items are those of the final response.
    """
    kinds = [event.type for event in events]
    assert [event.sequence_number for event in events] == list(range(len(events))), kinds
    assert kinds[0] == "response.created" and kinds[1] in ("response.queued", "response.in_progress"), kinds[:3]
    assert kinds[-1] in ENDS and not set(kinds[:-1]) & set(ENDS), kinds
    final = events[-1].response
    assert {event.response.id for event in events if getattr(event, "response", None)} == {final.id}

    open_parts: list[tuple[str, int]] = []
    items: list[Any] = []
    collected: dict[tuple, str] = {}
    for event in events:
        kind = event.type
        index = getattr(event, "output_index", None)
        if kind in PAIRS:
            if kind == "response.output_item.added":
                assert index == len(items) and not open_parts, kind
                items.append(None)
            open_parts.append((PAIRS[kind], index))
        elif kind in PAIRS.values():
            assert open_parts and open_parts.pop() == (kind, index), (kind, open_parts)
            if kind == "response.output_item.done":
                items[index] = event.item
        elif kind in WHOLES:
            assert open_parts and open_parts[-1][1] == index, kind
            collected[place(event, WHOLES[kind][0])] = collected.get(place(event, WHOLES[kind][0]), "") + event.delta
        else:
            for done, member in WHOLES.values():
                if kind == done:
                    assert collected.get(place(event, done), "") == getattr(event, member), kind
    assert not open_parts, open_parts
    assert [item.model_dump() for item in items] == [item.model_dump() for item in final.output]
    return final, events


def place(event: Any, done: str) -> tuple:
    """Which part a delta belongs to."""
    part = getattr(event, "content_index", getattr(event, "summary_index", None))
    return done, event.item_id, event.output_index, part
