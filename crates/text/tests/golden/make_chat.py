"""Renders chats with transformers (Jinja2) for tests/templates.rs.

    pip install transformers==5.23.0 jinja2==3.1.6
    python make_chat.py

The templates are those of SmolLM2-135M-Instruct, Qwen2.5-Coder-0.5B-Instruct and Qwen3 (all
Apache-2.0), as their files carry them: smollm2.jinja, qwen2_5.jinja, qwen3.jinja beside this script.
"""

import json
from pathlib import Path

from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = Path(__file__).parent


def say(role, content, **fields):
    return {"role": role, "content": content, **fields}


def call(name, arguments):
    return {"type": "function", "id": "call_1", "function": {"name": name, "arguments": arguments}}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Weather's <now> & \"then\" in Zürich 日本",
            "parameters": {
                "type": "object",
                "properties": {
                    "zone": {"type": "string"},
                    "at": {"type": "array", "default": [True, None, 2.0, 1e20, -1e-7]},
                },
                "required": ["zone"],
            },
        },
    }
]

CHATS = {
    "one": [say("user", "Hi <there> & 'you'")],
    "system": [say("system", "  Be brief. "), say("user", "Hello\n\nworld  ")],
    "turns": [say("user", "a"), say("assistant", "<think>\nhm\n</think>\n\nb"), say("user", "é日本🦙")],
    "reasons": [say("user", "a"), say("assistant", "b", reasoning_content="because"), say("user", "c")],
    "tools": [
        say("system", "x"),
        say("user", "weather?"),
        say("assistant", "asking", tool_calls=[call("get_weather", {"zone": "Bern"})]),
        say("tool", '{"t": 3}', tool_call_id="call_1"),
        say("tool", "B"),
    ],
}

cases = []
for template in ("smollm2", "qwen2_5", "qwen3"):
    compiled = _compile_jinja_template((HERE / f"{template}.jinja").read_text())
    for name, messages in CHATS.items():
        for tools in (None, TOOLS):
            for prompt in (True, False):
                extra = {"enable_thinking": False} if prompt and name == "one" else {}
                text = compiled.render(
                    messages=messages,
                    tools=tools,
                    documents=None,
                    add_generation_prompt=prompt,
                    bos_token="<s>",
                    eos_token="</s>",
                    **extra,
                )
                cases.append(
                    {
                        "template": template,
                        "chat": name,
                        "messages": messages,
                        "tools": tools or [],
                        "add_generation_prompt": prompt,
                        "extra": extra,
                        "text": text,
                    }
                )
(HERE / "chat.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
