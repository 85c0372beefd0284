"""The usual calls of the official `ollama` package, against the server at the first argument."""

import asyncio
import json
import sys
from typing import Annotated

import ollama
from ollama import AsyncClient, Client
from pydantic import BaseModel, Field

BASE, MODEL = sys.argv[1], sys.argv[2]
client = Client(host=BASE, timeout=120)
PROMPT = "What is the capital of France?"
QUESTION = [{"role": "user", "content": PROMPT}]
GREEDY = {"temperature": 0, "repeat_penalty": 1, "num_predict": 32}


def models():
    names = [model.model for model in client.list().models]
    assert names == [f"{MODEL}:latest"], names
    (entry,) = client.list().models
    assert entry.details.family == "llama" and entry.details.parameter_size == "134.52M", entry
    assert entry.size > 1_000_000 and len(entry.digest) == 64 and entry.modified_at, entry
    (running,) = client.ps().models
    assert running.model == f"{MODEL}:latest" and running.context_length > 0, running
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion"] and "messages" in shown.template, shown
    assert shown.modelinfo["general.architecture"] == "llama", shown.modelinfo
    assert shown.modelinfo["llama.context_length"] == 8192, shown.modelinfo


def chat():
    answer = client.chat(model=MODEL, messages=QUESTION, options=GREEDY)
    assert answer.message.role == "assistant" and "Paris" in answer.message.content, answer
    assert (answer.model, answer.done, answer.done_reason) == (MODEL, True, "stop"), answer
    assert answer.eval_count > 3 and answer.prompt_eval_count > 10, answer
    assert answer.total_duration >= answer.eval_duration > 0, answer
    again = client.chat(model=f"{MODEL}:latest", messages=QUESTION, options=GREEDY)
    assert again.message == answer.message
    follow = QUESTION + [answer.message, {"role": "user", "content": "And of Germany?"}]
    assert "Berlin" in client.chat(model=MODEL, messages=follow, options=GREEDY).message.content
    short = client.chat(model=MODEL, messages=QUESTION, options=GREEDY | {"num_predict": 3})
    assert (short.done_reason, short.eval_count) == ("length", 3), short
    quiet = client.chat(model=MODEL, messages=QUESTION, options=GREEDY, think=False, tools=[])
    assert quiet.message.content == answer.message.content, quiet
    pieces = list(client.chat(model=MODEL, messages=QUESTION, options=GREEDY, stream=True))
    assert "".join(piece.message.content for piece in pieces) == answer.message.content, pieces
    assert len(pieces) > 4 and [p.done for p in pieces].count(True) == 1, pieces
    assert pieces[-1].done and pieces[-1].eval_count == answer.eval_count, pieces[-1]


def generate():
    answer = client.generate(model=MODEL, prompt=PROMPT, options=GREEDY)
    assert "Paris" in answer.response and answer.done_reason == "stop", answer
    assert answer.context is None, answer
    pieces = list(client.generate(model=MODEL, prompt=PROMPT, options=GREEDY, stream=True))
    assert "".join(piece.response for piece in pieces) == answer.response, pieces
    longer = client.generate(model=MODEL, prompt=PROMPT, system="You tell.", options=GREEDY)
    assert longer.prompt_eval_count != answer.prompt_eval_count, longer
    raw = client.generate(model=MODEL, prompt="Once upon a time", raw=True, options=GREEDY)
    assert raw.prompt_eval_count < 8 and raw.response, raw


def options():
    drawn = {"temperature": 1, "seed": 3, "num_predict": 12, "num_ctx": 512, "num_thread": 2}
    same = [client.generate(model=MODEL, prompt=PROMPT, options=drawn).response for _ in range(2)]
    assert same[0] == same[1], same
    stopped = client.chat(model=MODEL, messages=QUESTION, options=GREEDY | {"stop": [" of"]})
    assert (stopped.message.content, stopped.done_reason) == ("The capital", "stop"), stopped
    # Ollama's own defaults.
    assert client.generate(model=MODEL, prompt=PROMPT, options={"num_predict": 4}).response


class Person(BaseModel):
    name: str = Field(max_length=30)
    age: int = Field(ge=0, le=150)
    hobbies: list[Annotated[str, Field(max_length=20)]] = Field(max_length=2)


def structured():
    prompt = "Describe Ada Lovelace."
    messages = [{"role": "user", "content": prompt}]
    usual = {"model": MODEL, "format": Person.model_json_schema()}
    usual["options"] = GREEDY | {"num_predict": 200}
    answer = client.chat(messages=messages, **usual)
    person = Person.model_validate_json(answer.message.content)
    pieces = client.chat(messages=messages, stream=True, **usual)
    assert "".join(piece.message.content for piece in pieces) == answer.message.content
    Person.model_validate_json(client.generate(prompt=prompt, **usual).response)
    assert person.name, answer
    anything = client.generate(**(usual | {"prompt": "Describe a cat.", "format": "json"}))
    assert anything.done_reason == "length" or isinstance(json.loads(anything.response), dict)


def weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
      city: The name of the city
    """
    return f"31 degrees and sunny in {city}"


def tools():
    def asked(city):
        return {"role": "user", "content": f"How is the weather in {city}?"}

    # The model is small and has to be shown once how it is done.
    call = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    calling = ollama.Message(role="assistant", tool_calls=[call])
    messages = [asked("Oslo"), calling, asked("Rome")]
    usual = {"model": MODEL, "tools": [weather], "options": GREEDY}
    answer = client.chat(messages=messages, **usual)
    (call,) = answer.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Rome"}), answer
    assert (answer.message.content, answer.done_reason) == ("", "stop"), answer
    pieces = list(client.chat(messages=messages, stream=True, **usual))
    told = [piece.message.tool_calls for piece in pieces if piece.message.tool_calls]
    assert told == [[call]] and not any(piece.message.content for piece in pieces), pieces
    # The call and what it gave go back.
    gave = weather(**call.function.arguments)
    messages = [asked("Rome"), answer.message]
    messages.append({"role": "tool", "tool_name": call.function.name, "content": gave})
    answer = client.chat(model=MODEL, messages=messages, options=GREEDY)
    assert "31" in answer.message.content, answer


def load():
    assert client.generate(model=MODEL).done_reason == "load"
    assert client.chat(model=MODEL, keep_alive="5m").done_reason == "load"


def errors():
    def refused(status, call):
        try:
            call()
        except ollama.ResponseError as error:
            assert error.status_code == status and error.error, error
            assert not error.error.startswith("{"), error
            return error
        raise AssertionError("an error was expected")

    for stream in [False, True]:

        def ask(**fields):
            usual = {"model": MODEL, "messages": QUESTION, "stream": stream}
            answer = client.chat(**(usual | fields))
            list(answer)

        refused(404, lambda: ask(model="no-such-model"))
        refused(400, lambda: ask(think=True))
        refused(400, lambda: ask(format={"type": "objekt"}))
        refused(400, lambda: ask(tools=[weather], format="json"))
        refused(400, lambda: ask(options={"temperature": -1}))
        refused(400, lambda: ask(options={"num_ctx": 10_000_000}))
        refused(400, lambda: ask(messages=[QUESTION[0] | {"images": [b"hi"]}]))
        error = refused(400, lambda: ask(messages=[{"role": "user", "content": "word " * 20000}]))
        assert "context" in error.error, error
    refused(404, lambda: client.show("no-such-model"))
    refused(404, lambda: client.pull(MODEL))
    refused(404, lambda: client.pull("other"))


async def together():
    """Many at once, some of whom leave."""
    many = AsyncClient(host=BASE, timeout=120)
    names = [model.model for model in (await many.list()).models]
    assert names == [f"{MODEL}:latest"], names

    async def ask(i):
        messages = [{"role": "user", "content": f"Count to {i + 3}."}]
        options = GREEDY | {"num_predict": 24}
        count = 0
        stream = await many.chat(model=MODEL, messages=messages, options=options, stream=True)
        async for _ in stream:
            count += 1
            if i % 4 == 3 and count == 4:
                await stream.aclose()
                return None
        return count

    counts = await asyncio.gather(*(ask(i) for i in range(16)))
    assert all(count is None or count > 3 for count in counts), counts


for step in [models, chat, generate, options, structured, tools, load, errors, together]:
    result = step()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    print(json.dumps({"passed": step.__name__}))
