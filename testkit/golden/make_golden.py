"""Writes the golden vectors: tiny models by formula, run by transformers in f32.

    python make_golden.py [CASE…]

Writes `CASE/config.json`, `tensors.json`, `case.json`, `logits.f32` and, where the case asks for
them, `states.f32` and `pooled.f32` beside this file; see the
README for the versions that made the files here.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import cases
import weights

HERE = pathlib.Path(__file__).parent
LENGTH = 40
POSITIONS = [0, 7, 21, 38, 39]


def token_ids():
    """40 ids, fixed, spread over the vocabulary and with repeats."""
    return [int(x % cases.VOCAB) for x in weights.splitmix64(weights.fnv1a("ids"), LENGTH)]


def model_class(config):
    return getattr(transformers, config["architectures"][0])


def write_config(directory, config):
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (directory / "config.json").write_text(text)


def published_name(config, name):
    """GPT-2's checkpoint was saved from the bare model: its names have no `transformer.`."""
    return name.removeprefix("transformer.") if config["model_type"] == "gpt2" else name


def describe(config, directory):
    """Name, shape and law of every tensor that transformers saves for `config`."""
    torch.manual_seed(0)
    model = model_class(config)(transformers.AutoConfig.from_pretrained(directory))
    model.save_pretrained(directory / "shapes")
    gemma = config["model_type"].startswith("gemma")
    tensors = []
    with safe_open(directory / "shapes" / "model.safetensors", "numpy") as file:
        for saved in sorted(file.keys()):
            name = published_name(config, saved)
            shape = list(file.get_slice(saved).get_shape())
            base, spread = weights.law(name, shape, 0.0 if gemma else 1.0, "gpt2" == config["model_type"])
            tensors.append({"name": name, "shape": shape, "base": base, "spread": spread})
    return tensors


def write_weights(path, tensors):
    data = {
        tensor["name"]: weights.values(
            tensor["name"], tensor["shape"], tensor["base"], tensor["spread"]
        )
        for tensor in tensors
    }
    save_file(data, path, metadata={"format": "pt"})
    return data


def load(config, directory, dtype=torch.float32):
    write_config(directory, config)
    model = model_class(config).from_pretrained(
        directory, attn_implementation="eager", experts_implementation="eager", dtype=dtype
    )
    return model.eval()


def run(config, directory, dtype=torch.float32, states=False):
    """`(length, vocabulary)` logits, or `(length, width)` hidden states of an embedder, or where
    `states` are asked for."""
    model = load(config, directory, dtype)
    if states or is_classifier(config):
        model = model.base_model
    with torch.no_grad():
        output = model(torch.tensor([token_ids()]))
    rows = output.last_hidden_state if "last_hidden_state" in output else output.logits
    return rows[0].float().numpy()


def is_classifier(config):
    return config["architectures"][0].endswith("ForSequenceClassification")


def pairs(config, directory):
    """Scores of pairs, cut at several places of the ids: where segment 1 begins."""
    model = load(config, directory)
    out = []
    for first in (3, 17, 39):
        segments = [int(index >= first) for index in range(LENGTH)]
        with torch.no_grad():
            output = model(torch.tensor([token_ids()]), token_type_ids=torch.tensor([segments]))
        out.append({"first": first, "score": float(output.logits[0, 0])})
    return out


def checksum(data):
    """FNV-1a of all values as stored, in the order of their names."""
    value = weights.fnv1a("")
    for name in sorted(data):
        value = weights.fnv1a(data[name].astype("<f4").tobytes(), value)
    return f"{value:016x}"


def write_rows(path, rows):
    path.write_bytes(rows.astype("<f4").tobytes())


def make(case):
    target = HERE / case.name
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        write_config(scratch, case.config)
        tensors = describe(case.config, scratch)
        data = write_weights(scratch / "model.safetensors", tensors)
        rows = run(case.config, scratch)
        noise = np.abs(rows - run(case.config, scratch, torch.float64)).max()
        write_rows(target / "logits.f32", rows[POSITIONS])
        scores = pairs(case.config, scratch) if is_classifier(case.config) else None
        if case.states:
            states = run(case.config, scratch, states=True)
            write_rows(target / "states.f32", states[POSITIONS])
            write_rows(target / "pooled.f32", states.mean(axis=0))
        if case.gguf:
            write_rows(target / "logits_gguf.f32", run({**case.config, **case.gguf}, scratch)[POSITIONS])
    if case.embedder:
        write_rows(target / "pooled.f32", rows.mean(axis=0))
    write_config(target, case.config)
    (target / "tensors.json").write_text(lines(tensors))
    summary = {
        "output": "hidden" if case.embedder else "logits",
        "columns": rows.shape[1],
        "ids": token_ids(),
        "positions": POSITIONS,
        "weights_fnv1a": checksum(data),
        "largest": float(np.abs(rows).max()),
    }
    if scores:
        summary["pairs"] = scores
    (target / "case.json").write_text(json.dumps(summary) + "\n")
    print(f"{case.name:14} largest {np.abs(rows).max():8.4f}  std {rows.std():7.4f}  f32 noise {noise:.1e}")


def lines(entries):
    """A JSON array with one entry a line, so that a diff is readable."""
    return "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n"


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    chosen = sys.argv[1:]
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    for case in cases.CASES:
        if not chosen or case.name in chosen:
            make(case)


if __name__ == "__main__":
    main()
