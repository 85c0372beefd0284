"""Writes `CASE/gguf.json`: how llama.cpp's converter turns a case's checkpoint into GGUF.

    python make_gguf.py LLAMA_CPP [--keep FOLDER] [CASE…]

LLAMA_CPP is a checkout of llama.cpp. Its converter runs on the tiny checkpoint; each tensor of the
result is then recognised as a transformation of the checkpoint's tensors, so that the recipe holds
names, shapes and transformations only. `--keep` leaves the checkpoints and GGUF files there.
"""

import argparse
import json
import pathlib
import re
import shutil
import sys
import tempfile

import numpy as np

import cases
import make_golden
import weights

HERE = pathlib.Path(__file__).parent

# Tensors that the converter computes from the configuration are stored; they are this small.
MOST_VALUES = 64

# What the recipe keeps of the keys that tell of the model as a whole.
KEPT = ("general.architecture", "general.file_type", "general.quantization_version")


def checkpoint(case, folder):
    """Writes the checkpoint with a tokenizer; returns its tensors."""
    make_golden.write_config(folder, case.config)
    tensors = json.loads((HERE / case.name / "tensors.json").read_text())
    tokenizer = HERE / ("tokenizer_words" if case.embedder else "tokenizer_bytes")
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)
    if case.embedder:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}')
        (folder / "modules.json").write_text(
            '[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]'
        )
    return make_golden.write_weights(folder / "model.safetensors", tensors)


def convert(case, folder, target):
    from conversion import get_model_class
    from conversion.base import TextModel, gguf

    model = get_model_class(case.config["architectures"][0])
    # The tiny tokenizers are not among those that the converter knows by a checksum.
    TextModel.get_vocab_base_pre = lambda self, tokenizer: "bert-bge" if case.embedder else "gpt-2"
    if not case.embedder:
        model.set_vocab = TextModel._set_vocab_gpt2
    # The model is named neutrally: llama.cpp goes by the name to expect tokens of Phi-3.
    model(folder, gguf.LlamaFileType.ALL_F32, target, model_name="tiny").write()


def permuted(values, heads):
    """Rows of half-split rotary pairs as adjacent pairs, head by head."""
    shape = (heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return values.reshape(shape).swapaxes(1, 2).reshape(values.shape)


def candidates(case, data):
    """Every transformation of every tensor: `(values, recipe)`."""
    heads = [case.config.get(key) for key in ("num_attention_heads", "num_key_value_heads")]
    for name, values in data.items():
        yield values, {"from": name, "how": "same"}
        yield values + np.float32(1), {"from": name, "how": "add_one"}
        if values.ndim == 2:
            yield values.T, {"from": name, "how": "transpose"}
        for count in sorted({count for count in heads if count}):
            if values.shape[0] % (2 * count) == 0:
                yield permuted(values, count), {"from": name, "how": "permute", "heads": count}
    for name in sorted({re.sub(r"\.experts\.\d+\.", ".experts.*.", name) for name in data}):
        if "*" in name:
            parts, count = [], 0
            while (part := name.replace("*", str(count))) in data:
                parts.append(data[part])
                count += 1
            yield np.stack(parts), {"from": name, "how": "stack", "count": count}


def key(values):
    return values.shape, np.ascontiguousarray(values, dtype="<f4").tobytes()


def recipe(case, data, path):
    """The recipe, and nothing left over but what the converter drops."""
    from gguf import GGUFReader, GGUFValueType

    known = {}
    for values, how in candidates(case, data):
        # The first that fits: the plain one before the others.
        known.setdefault(key(values), how)
    reader = GGUFReader(path)
    tensors = []
    for tensor in reader.tensors:
        shape = [int(length) for length in reversed(tensor.shape)]
        values = np.array(tensor.data, dtype=np.float32).reshape(shape)
        how = known.get(key(values))
        if how is None:
            assert values.size <= MOST_VALUES, f"{case.name}: {tensor.name} is of no known making"
            how = {"how": "values", "values": [float(value) for value in values.flat]}
        tensors.append({"name": tensor.name, "shape": shape, **how})
    metadata = []
    for field in reader.fields.values():
        # The tokenizer's arrays come from its own file; the rest describes the conversion.
        kinds = [GGUFValueType(kind).name.lower() for kind in field.types]
        described = field.name.startswith("general.") and field.name not in KEPT
        listed = field.name.startswith("tokenizer.") and kinds[0] == "array"
        if field.name.startswith("GGUF.") or described or listed:
            continue
        metadata.append({"key": field.name, "type": "_".join(kinds), "value": field.contents()})
    return {"metadata": metadata, "tensors": tensors}


def write(path, found):
    parts = [f'"{part}": {make_golden.lines(found[part]).rstrip()}' for part in found]
    path.write_text("{" + ",\n".join(parts) + "}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("llama_cpp", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    sys.path[:0] = [str(arguments.llama_cpp), str(arguments.llama_cpp / "gguf-py")]
    with tempfile.TemporaryDirectory() as scratch:
        root = arguments.keep or pathlib.Path(scratch)
        for case in cases.CASES:
            if arguments.cases and case.name not in arguments.cases:
                continue
            folder = root / case.name
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            data = checkpoint(case, folder)
            convert(case, folder, root / f"{case.name}.gguf")
            found = recipe(case, data, root / f"{case.name}.gguf")
            write(HERE / case.name / "gguf.json", found)
            print(f"{case.name:14} {len(found['tensors'])} tensors, {len(found['metadata'])} keys")


if __name__ == "__main__":
    main()
