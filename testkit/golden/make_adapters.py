"""Writes the golden adapters: low-rank additions to tiny models, run by PEFT in f32.

    python make_adapters.py LLAMA_CPP [CASE…]

LLAMA_CPP is a checkout of llama.cpp, whose converter makes the GGUF form. Writes
`adapters/CASE/adapter_config.json`, `tensors.json`, `logits.f32` and, where a GGUF file can say the
same, `gguf.json`; ids and positions are those of the model's own case.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import peft
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import save_file

import cases
import make_golden
import make_gguf
import weights

HERE = pathlib.Path(__file__).parent / "adapters"

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Adapter:
    """One golden adapter: its model's case, the keys of `LoraConfig`, and whether it has a GGUF form."""

    def __init__(self, case, gguf=True, **keys):
        self.case = next(known for known in cases.CASES if known.name == case)
        self.gguf, self.keys = gguf, {"r": 4, "lora_alpha": 8, **keys}


ADAPTERS = [
    # GGUF turns the rows of queries and keys, and the head is a matrix of its own.
    Adapter("llama2", target_modules=[*ALL, "lm_head"]),
    # The same where grouped heads are wider than the width says and a layer has no rotary embedding.
    Adapter("smollm3", target_modules=ALL),
    # Biases stay; ranks differ.
    Adapter(
        "qwen2",
        target_modules=ALL,
        rank_pattern={"q_proj": 8, "layers.1.mlp.down_proj": 2, r"layers\.[02]\.self_attn\.v.*": 3},
    ),
    # Factors that GGUF's one alpha cannot say.
    Adapter(
        "gemma3",
        gguf=False,
        target_modules=ALL,
        use_rslora=True,
        alpha_pattern={"k_proj": 3, "model.layers.2.mlp.up_proj": 16},
    ),
    # One matrix for queries, keys and values, one for gate and way in.
    Adapter("phi3_short", target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    # Matrices as (in, out); llama.cpp's converter mixes up A and B of these.
    Adapter("gpt2", gguf=False, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True),
]


def base_model(case, folder):
    make_golden.write_config(folder, case.config)
    tensors = json.loads((HERE.parent / case.name / "tensors.json").read_text())
    make_golden.write_weights(folder / "model.safetensors", tensors)
    model = make_golden.model_class(case.config).from_pretrained(
        folder, attn_implementation="eager", dtype=torch.float32
    )
    return model.eval()


def describe(case, folder):
    """Name, shape and law of every tensor that PEFT saves: `as` is the tensor whose values it has."""
    own = json.loads((HERE.parent / case.name / "tensors.json").read_text())
    tensors = []
    with safe_open(folder / "adapter_model.safetensors", "numpy") as file:
        for name in sorted(file.keys()):
            shape = list(file.get_slice(name).get_shape())
            bare = name.removeprefix("base_model.model.")
            if ".base_layer." in name:
                # Beside additions to the head PEFT saves the head itself.
                law = next(one for one in own if one["name"] == bare.replace(".base_layer", ""))
                tensors.append({**law, "name": name, "as": law["name"]})
                continue
            # Products of about half the size of the model's own.
            spread = 0.25 if ".lora_B." in name else float(np.float32((3.0 / shape[-1]) ** 0.5))
            tensors.append({"name": name, "shape": shape, "base": 0.0, "spread": spread})
    return tensors


def write_weights(path, tensors):
    data = {
        one["name"]: weights.values(one.get("as", one["name"]), one["shape"], one["base"], one["spread"])
        for one in tensors
    }
    save_file(data, path, metadata={"format": "pt"})
    return data


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([make_golden.token_ids()])).logits[0].float().numpy()


def recipe(adapter, data, path):
    """How each tensor of the GGUF file comes of one of PEFT's."""
    from gguf import GGUFReader

    known = {}
    for values, how in make_gguf.candidates(adapter.case, data):
        known.setdefault(make_gguf.key(values), how)
    reader = GGUFReader(path)
    tensors = []
    for tensor in reader.tensors:
        shape = [int(length) for length in reversed(tensor.shape)]
        values = np.array(tensor.data, dtype=np.float32).reshape(shape)
        tensors.append({"name": tensor.name, "shape": shape, **known[make_gguf.key(values)]})
    keys = ("general.architecture", "general.type", "adapter.type", "adapter.lora.alpha")
    metadata = [
        {"key": key, "type": field.types[0].name.lower(), "value": field.contents()}
        for key, field in reader.fields.items()
        if key in keys
    ]
    return {"metadata": metadata, "tensors": tensors}


def make(adapter, llama_cpp):
    target = HERE / adapter.case.name
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folder, saved = scratch / "model", scratch / "adapter"
        folder.mkdir()
        model = base_model(adapter.case, folder)
        before = logits(model)
        config = peft.LoraConfig(task_type="CAUSAL_LM", **adapter.keys)
        peft.get_peft_model(model, config).save_pretrained(saved)
        tensors = describe(adapter.case, saved)
        data = write_weights(saved / "adapter_model.safetensors", tensors)
        config = json.loads((saved / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "tiny"
        (saved / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        model = base_model(adapter.case, folder)
        adapted = peft.PeftModel.from_pretrained(model, saved).eval()
        rows = logits(adapted)
        merged = np.abs(rows - logits(adapted.merge_and_unload())).max()
        if adapter.gguf:
            script = [sys.executable, llama_cpp / "convert_lora_to_gguf.py", saved, "--base", folder]
            path = scratch / "adapter.gguf"
            subprocess.run([*script, "--outfile", path, "--outtype", "f32"], check=True)
            make_gguf.write(target / "gguf.json", recipe(adapter, data, path))
    make_golden.write_rows(target / "logits.f32", rows[make_golden.POSITIONS])
    (target / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    (target / "tensors.json").write_text(make_golden.lines(tensors))
    moved = np.abs(rows - before).max() / np.abs(rows).max()
    print(f"{adapter.case.name:14} largest {np.abs(rows).max():8.4f}  moved {moved:.2f}  merged {merged:.1e}")


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    llama_cpp = pathlib.Path(sys.argv[1])
    sys.path[:0] = [str(llama_cpp / "gguf-py")]
    print(f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    for adapter in ADAPTERS:
        if not sys.argv[2:] or adapter.case.name in sys.argv[2:]:
            make(adapter, llama_cpp)


if __name__ == "__main__":
    main()
