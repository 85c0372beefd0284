"""Embeddings by the official `openai` and `ollama` packages, against the server at the first argument."""

import asyncio
import json
import math
import sys

import ollama
import openai

BASE, MODEL = sys.argv[1], sys.argv[2]
TEXTS = ["a b c", "größer 你好", "words and more words"]
new = openai.OpenAI(base_url=f"{BASE}/v1", api_key="not-needed", max_retries=0, timeout=120)
old = ollama.Client(host=BASE, timeout=120)


def length(vector):
    return math.sqrt(sum(x * x for x in vector))


def near(a, b):
    return len(a) == len(b) and all(abs(x - y) < 1e-6 for x, y in zip(a, b))


def openai_packed():
    # Without a word the client asks for base64 and unpacks it.
    packed = new.embeddings.create(model=MODEL, input=TEXTS)
    plain = new.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    assert [one.index for one in packed.data] == [0, 1, 2], packed
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 9, packed.usage
    assert packed.model == MODEL, packed.model
    for a, b in zip(packed.data, plain.data):
        assert near(a.embedding, b.embedding) and abs(length(a.embedding) - 1) < 1e-5


def openai_dimensions():
    short = new.embeddings.create(model=MODEL, input=TEXTS[0], dimensions=7).data[0].embedding
    assert len(short) == 7 and abs(length(short) - 1) < 1e-5, short


def openai_errors():
    try:
        new.embeddings.create(model=MODEL, input=[])
    except openai.BadRequestError as error:
        assert error.param == "input", error
    else:
        raise AssertionError("no text is no error")


async def openai_together():
    many = openai.AsyncOpenAI(base_url=f"{BASE}/v1", api_key="x", max_retries=0, timeout=120)
    found = await asyncio.gather(
        *(many.embeddings.create(model=MODEL, input=f"text {i}") for i in range(16))
    )
    assert all(len(one.data) == 1 for one in found)
    await many.close()


def ollama_embed():
    found = old.embed(model=MODEL, input=TEXTS)
    same = new.embeddings.create(model=MODEL, input=TEXTS)
    for a, b in zip(found.embeddings, same.data):
        assert near(a, b.embedding)
    assert found.prompt_eval_count == same.usage.total_tokens and found.total_duration > 0, found
    assert len(old.embed(model=MODEL, input=TEXTS[0], dimensions=5).embeddings[0]) == 5


def ollama_older():
    vector = old.embeddings(model=MODEL, prompt=TEXTS[0]).embedding
    want = old.embed(model=MODEL, input=TEXTS[0]).embeddings[0]
    assert near([x / length(vector) for x in vector], want)


def ollama_show():
    assert old.show(MODEL).capabilities == ["embedding"]


def ollama_errors():
    for call in (lambda: old.embed(MODEL, "x " * 500, truncate=False), lambda: old.generate(MODEL, "x")):
        try:
            call()
        except ollama.ResponseError as error:
            assert error.status_code == 400 and error.error, error
        else:
            raise AssertionError("no error")


for step in [
    openai_packed,
    openai_dimensions,
    openai_errors,
    openai_together,
    ollama_embed,
    ollama_older,
    ollama_show,
    ollama_errors,
]:
    result = step()
    if asyncio.iscoroutine(result):
        asyncio.run(result)
    print(json.dumps({"passed": step.__name__}))
