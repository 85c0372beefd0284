"""The usual calls of the official `openai` package, against the server at the first argument."""

import asyncio
import json
import sys

import openai
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

BASE, MODEL = sys.argv[1], sys.argv[2]
client = OpenAI(base_url=f"{BASE}/v1", api_key="not-needed", max_retries=0, timeout=120)
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def models():
    names = [model.id for model in client.models.list()]
    assert names == [MODEL], names
    assert client.models.retrieve(MODEL).id == MODEL


def chat():
    answer = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=32
    )
    choice = answer.choices[0]
    assert "Paris" in choice.message.content, choice
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant"), choice
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    again = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=32
    )
    assert again.choices == answer.choices
    # The last 16 tokens of a prompt are read again.
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached == answer.usage.prompt_tokens - 16, again.usage
    short = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_completion_tokens=3
    )
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 3, short


def stream():
    whole = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=32
    )
    pieces, finish, usage, roles = [], None, None, []
    for chunk in client.chat.completions.create(
        model=MODEL,
        messages=QUESTION,
        temperature=0,
        max_tokens=32,
        stream=True,
        stream_options={"include_usage": True},
    ):
        assert chunk.object == "chat.completion.chunk"
        if chunk.usage:
            usage = chunk.usage
        for choice in chunk.choices:
            roles += [choice.delta.role] if choice.delta.role else []
            pieces += [choice.delta.content] if choice.delta.content else []
            finish = choice.finish_reason or finish
    assert "".join(pieces) == whole.choices[0].message.content, pieces
    assert len(pieces) > 3 and finish == "stop" and roles == ["assistant"], (pieces, finish, roles)
    assert usage.completion_tokens == whole.usage.completion_tokens, usage
    with client.chat.completions.stream(
        model=MODEL, messages=QUESTION, temperature=0, max_tokens=32
    ) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content


def options():
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "system", "content": "You tell short stories."}]
        + [{"role": "user", "content": [{"type": "text", "text": "A story about a fox."}]}],
        temperature=0.9,
        top_p=0.9,
        seed=7,
        n=3,
        max_tokens=16,
        presence_penalty=0.2,
        frequency_penalty=0.1,
        logit_bias={"5": -100},
        logprobs=True,
        top_logprobs=2,
        user="someone",
        extra_body={"top_k": 40, "min_p": 0.02},
    )
    texts = [choice.message.content for choice in answer.choices]
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len(set(texts)) > 1, texts
    for choice in answer.choices:
        tokens = choice.logprobs.content
        assert len(tokens) == 16 and all(len(t.top_logprobs) == 2 for t in tokens), choice
        assert all(t.logprob <= 0 for t in tokens)
        joined = b"".join(bytes(t.bytes) for t in tokens).decode(errors="replace")
        assert joined.startswith(choice.message.content.rstrip("\ufffd")), choice
    same = [
        client.chat.completions.create(
            model=MODEL, messages=QUESTION, temperature=1, seed=3, max_tokens=12
        ).choices[0].message.content
        for _ in range(2)
    ]
    assert same[0] == same[1], same
    stopped = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, stop=[" of"], max_tokens=32
    )
    assert stopped.choices[0].message.content == "The capital", stopped


def completions():
    answer = client.completions.create(
        model=MODEL, prompt="Once upon a time", temperature=0, max_tokens=8, echo=True
    )
    choice = answer.choices[0]
    assert choice.text.startswith("Once upon a time") and choice.finish_reason == "length", choice
    likely = client.completions.create(
        model=MODEL, prompt="Once upon a time", temperature=0, max_tokens=8, logprobs=2
    ).choices[0]
    assert "Once upon a time" + "".join(likely.logprobs.tokens) == choice.text, likely
    assert len(likely.logprobs.token_logprobs) == 8, likely
    assert all(len(top) in (2, 3) for top in likely.logprobs.top_logprobs), likely
    many = client.completions.create(model=MODEL, prompt=["a", "b"], max_tokens=2, n=2)
    assert [choice.index for choice in many.choices] == [0, 1, 2, 3]
    pieces = client.completions.create(
        model=MODEL, prompt="Once upon a time", temperature=0, max_tokens=8, stream=True
    )
    text = "".join(chunk.choices[0].text for chunk in pieces if chunk.choices)
    assert "Once upon a time" + text == choice.text, text


class Person(BaseModel):
    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=150)
    hobbies: list[str] = Field(max_length=2)


def structured():
    answer = client.chat.completions.parse(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe Ada Lovelace."}],
        response_format=Person,
        temperature=0,
        max_tokens=200,
    )
    person = answer.choices[0].message.parsed
    assert isinstance(person, Person) and 0 <= person.age <= 150, answer
    anything = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Describe a cat as JSON."}],
        response_format={"type": "json_object"},
        temperature=0,
        max_tokens=300,
    )
    choice = anything.choices[0]
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def tools():
    weather = {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tells the weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 30}},
                "required": ["city"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
    messages = [{"role": "user", "content": "How is the weather in Rome?"}]
    call = {"model": MODEL, "messages": messages, "tools": [weather], "temperature": 0}
    answer = client.chat.completions.create(**call, tool_choice="required", max_tokens=100)
    message = answer.choices[0].message
    (first,) = message.tool_calls
    assert (answer.choices[0].finish_reason, first.function.name) == ("tool_calls", "weather")
    assert json.loads(first.function.arguments)["city"] == "Rome", first
    with client.chat.completions.stream(**call, tool_choice="required", max_tokens=100) as events:
        final = events.get_final_completion()
    (same,) = final.choices[0].message.tool_calls
    assert same.function.arguments == first.function.arguments, same
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": first.id, "content": "31 degrees, sunny"})
    client.chat.completions.create(**call, max_tokens=20)


def responses():
    """Answers that are gone on from by their names."""
    fields = {"model": MODEL, "temperature": 0, "max_output_tokens": 60}
    first = client.responses.create(input="Name the capital of France.", **fields)
    assert first.status == "completed" and "Paris" in first.output_text, first
    assert first.usage.total_tokens == first.usage.input_tokens + first.usage.output_tokens
    again = client.responses.retrieve(first.id)
    assert again.output_text == first.output_text, again
    items = client.responses.input_items.list(first.id).data
    assert items[0].content[0].text == "Name the capital of France.", items
    following = client.responses.create(
        input="And of Italy?", previous_response_id=first.id, **fields
    )
    assert following.usage.input_tokens > first.usage.input_tokens, following
    text = ""
    with client.responses.stream(input="Name the capital of France.", **fields) as events:
        for event in events:
            if event.type == "response.output_text.delta":
                text += event.delta
        whole = events.get_final_response()
    assert text == whole.output_text == first.output_text, (text, whole)
    tool = {
        "type": "function",
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}},
            "required": ["city"],
            "additionalProperties": False,
        },
    }
    called = client.responses.create(
        input="How is the weather in Rome?", tools=[tool], tool_choice="required", **fields
    )
    call = called.output[0]
    assert call.type == "function_call" and "city" in json.loads(call.arguments), called
    told = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    client.responses.create(input=[told], previous_response_id=called.id, tools=[tool], **fields)
    client.responses.delete(first.id)
    try:
        client.responses.retrieve(first.id)
        raise AssertionError("it is still there")
    except openai.NotFoundError:
        pass


def errors():
    def refused(kind, call):
        try:
            call()
        except kind as error:
            assert error.body["message"], error
            return error
        raise AssertionError(f"{kind.__name__} was expected")

    refused(openai.NotFoundError, lambda: client.models.retrieve("no-such-model"))
    refused(
        openai.NotFoundError,
        lambda: client.chat.completions.create(model="no-such-model", messages=QUESTION),
    )
    for wrong in [
        {"temperature": 9},
        {"n": 0},
        {"messages": []},
        {"max_tokens": -1},
        {"extra_body": {"temprature": 1}},
        {"logit_bias": {"x": 1}},
    ]:
        call = {"model": MODEL, "messages": QUESTION} | wrong
        refused(openai.BadRequestError, lambda: client.chat.completions.create(**call))
    long = [{"role": "user", "content": "word " * 20000}]
    error = refused(
        openai.BadRequestError, lambda: client.chat.completions.create(model=MODEL, messages=long)
    )
    assert error.code == "context_length_exceeded", error.body


async def together():
    """Many at once, some of whom leave."""
    many = AsyncOpenAI(base_url=f"{BASE}/v1", api_key="not-needed", max_retries=0, timeout=120)

    async def ask(i):
        stream = await many.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": f"Count to {i + 3}."}],
            temperature=0,
            max_tokens=24,
            stream=True,
        )
        count = 0
        async for _ in stream:
            count += 1
            if i % 4 == 3 and count == 4:
                await stream.close()
                return None
        return count

    counts = await asyncio.gather(*(ask(i) for i in range(16)))
    assert all(count is None or count > 3 for count in counts), counts
    await many.close()


STEPS = [models, chat, stream, options, completions, structured, tools, responses, errors, together]
for step in STEPS:
    result = step()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    print(json.dumps({"passed": step.__name__}))
