"""The usual calls of the official `anthropic` package, against the server at the first argument."""

import asyncio
import json
import sys

import anthropic
from anthropic import Anthropic, AsyncAnthropic

BASE, MODEL = sys.argv[1], sys.argv[2]
client = Anthropic(base_url=BASE, api_key="not-needed", max_retries=0, timeout=120)
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
# The package no longer names how tokens are chosen; the API still takes it.
GREEDY = {"extra_body": {"temperature": 0}}


def ask(**fields):
    usual = {"model": MODEL, "messages": QUESTION, "max_tokens": 32} | GREEDY
    return client.messages.create(**(usual | fields))


def total(usage):
    return usage.input_tokens + usage.cache_read_input_tokens + usage.cache_creation_input_tokens


def models():
    names = [model.id for model in client.models.list()]
    assert names == [MODEL], names
    model = client.models.retrieve(MODEL)
    assert (model.type, model.display_name) == ("model", MODEL) and model.created_at, model
    try:
        client.models.retrieve("no-such-model")
    except anthropic.NotFoundError as error:
        assert error.type == "not_found_error", error.body
    else:
        raise AssertionError("an error was expected")


def message():
    answer = ask()
    assert answer.type == "message" and answer.role == "assistant", answer
    assert answer.id.startswith("msg_") and answer.model == MODEL, answer
    assert [block.type for block in answer.content] == ["text"], answer
    assert "Paris" in answer.content[0].text, answer
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None), answer
    assert answer._request_id.startswith("req_"), answer._request_id
    again = ask()
    assert again.content == answer.content
    assert total(again.usage) == total(answer.usage)
    # The last 16 tokens of a prompt are read again.
    assert again.usage.input_tokens == 16, again.usage
    short = ask(max_tokens=3)
    assert short.stop_reason == "max_tokens" and short.usage.output_tokens == 3, short


def turns():
    first = ask()
    blocks = [{"type": "text", "text": "And of Germany?", "cache_control": {"type": "ephemeral"}}]
    follow = QUESTION + [first.to_param(), {"role": "user", "content": blocks}]
    second = ask(messages=follow, system="You know capitals.")
    assert "Berlin" in second.content[0].text, second
    same = ask(messages=follow, system=[{"type": "text", "text": "You know capitals."}])
    assert same.content == second.content, (same, second)
    begun = QUESTION + [{"role": "assistant", "content": "The capital of France is"}]
    assert ask(messages=begun).content[0].text.startswith(" Paris"), ask(messages=begun)


def stops():
    answer = ask(stop_sequences=["never said", " of"])
    assert answer.content[0].text == "The capital", answer
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", " of"), answer


def stream():
    whole = ask()
    kinds, pieces = [], []
    for event in ask(stream=True):
        kinds += [] if kinds[-1:] == [event.type] else [event.type]
        if event.type == "content_block_delta":
            assert event.delta.type == "text_delta", event
            pieces.append(event.delta.text)
    assert kinds == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ], kinds
    assert "".join(pieces) == whole.content[0].text and len(pieces) > 3, pieces
    with client.messages.stream(
        model=MODEL, messages=QUESTION, max_tokens=32, stop_sequences=[" of"], **GREEDY
    ) as events:
        text = "".join(events.text_stream)
        final = events.get_final_message()
    assert text == final.content[0].text == "The capital", final
    assert (final.stop_reason, final.stop_sequence) == ("stop_sequence", " of"), final
    assert total(final.usage) == total(whole.usage) and final.usage.output_tokens > 1, final


def count():
    counted = client.messages.count_tokens(model=MODEL, messages=QUESTION)
    assert counted.input_tokens == total(ask(max_tokens=1).usage), counted
    longer = client.messages.count_tokens(model=MODEL, messages=QUESTION, system="Be short.")
    # The template has a system prompt of its own, which this one replaces.
    assert longer.input_tokens != counted.input_tokens, longer


def tools():
    weather = {
        "name": "weather",
        "description": "Tells the weather of a city.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 30}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    messages = [{"role": "user", "content": "How is the weather in Rome?"}]
    call = {"messages": messages, "tools": [weather], "max_tokens": 100}
    answer = ask(**call, tool_choice={"type": "any"})
    assert [block.type for block in answer.content] == ["tool_use"], answer
    (first,) = answer.content
    assert first.id.startswith("toolu_") and answer.stop_reason == "tool_use", answer
    assert (first.name, first.input) == ("weather", {"city": "Rome"}), answer
    named = ask(**call, tool_choice={"type": "tool", "name": "weather"})
    assert named.content[0].input == first.input, named
    with client.messages.stream(
        model=MODEL, tool_choice={"type": "any"}, **call, **GREEDY
    ) as events:
        parts = [event.partial_json for event in events if event.type == "input_json"]
        final = events.get_final_message()
    assert len(parts) > 1 and json.loads("".join(parts)) == first.input, parts
    assert final.content[0].input == first.input and final.stop_reason == "tool_use", final
    counted = client.messages.count_tokens(model=MODEL, messages=messages, tools=[weather])
    assert counted.input_tokens == total(answer.usage), counted
    # The call and what it gave go back.
    result = {"type": "tool_result", "tool_use_id": first.id, "content": "31 degrees, sunny"}
    messages += [answer.to_param(), {"role": "user", "content": [result]}]
    told = ask(**call, tool_choice={"type": "none"})
    assert told.content[0].type == "text" and "31" in told.content[0].text, told
    failed = result | {"content": [{"type": "text", "text": "no such city"}], "is_error": True}
    messages[-1] = {"role": "user", "content": [failed]}
    assert ask(**call, tool_choice={"type": "none"}).content != told.content


def options():
    answer = ask(
        metadata={"user_id": "someone"},
        service_tier="auto",
        thinking={"type": "disabled"},
        extra_body={"temperature": 0.9, "top_p": 0.9, "top_k": 40},
        extra_headers={"anthropic-beta": "something-2025-01-01"},
        max_tokens=8,
    )
    assert answer.usage.output_tokens <= 8, answer


def errors():
    def refused(kind, name, **fields):
        found = []
        for stream in [False, True]:
            try:
                ask(stream=stream, **fields)
            except kind as error:
                assert error.type == name and error.api_message, (fields, error.body)
                assert error.body["request_id"] == error.request_id, error.body
                found.append(error)
        assert len(found) == 2, f"{kind.__name__} was expected of {fields}"
        return found[0]

    refused(anthropic.NotFoundError, "not_found_error", model="no-such-model")
    image = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    tool = {"name": "f", "input_schema": {"type": "object"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    for wrong in [
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": image}]}]},
        {"tools": [tool | {"name": "no name"}]},
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        {"tool_choice": {"type": "any"}},
        {"tools": [tool], "messages": [{"role": "user", "content": [result]}]},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"extra_body": {"temperature": 2}},
        {"extra_body": {"temprature": 1}},
    ]:
        refused(anthropic.BadRequestError, "invalid_request_error", **wrong)
    long = [{"role": "user", "content": "word " * 20000}]
    error = refused(anthropic.BadRequestError, "invalid_request_error", messages=long)
    assert "context" in error.api_message, error.body
    # More than the server reads.
    huge = [{"role": "user", "content": "word " * 2_000_000}]
    try:
        ask(messages=huge)
    except anthropic.APIStatusError as error:
        assert (error.status_code, error.type) == (413, "request_too_large"), error.body
    except anthropic.APIConnectionError:
        # The server closes before the client has sent all.
        pass
    else:
        raise AssertionError("an error was expected")


async def together():
    """Many at once, some of whom leave."""
    many = AsyncAnthropic(base_url=BASE, api_key="not-needed", max_retries=0, timeout=120)

    async def ask(i):
        messages = [{"role": "user", "content": f"Count to {i + 3}."}]
        count = 0
        async with many.messages.stream(
            model=MODEL, messages=messages, max_tokens=24, **GREEDY
        ) as events:
            async for _ in events.text_stream:
                count += 1
                if i % 4 == 3 and count == 4:
                    return None
        return count

    counts = await asyncio.gather(*(ask(i) for i in range(16)))
    assert all(count is None or count > 1 for count in counts), counts
    await many.close()


for step in [models, message, turns, stops, stream, count, tools, options, errors, together]:
    result = step()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    print(json.dumps({"passed": step.__name__}))
