"""Weights by formula: every value is a function of its tensor's name and its index.

`testkit/src/tiny/weights.rs` computes the same values, bit for bit: integers up to the last step,
then one exact conversion, one multiplication and one addition in f32.
"""

import numpy as np


def fnv1a(data, value=0xCBF29CE484222325):
    """FNV-1a, 64 bits, of bytes or of a text's UTF-8; `value` continues an earlier one."""
    for byte in data.encode() if isinstance(data, str) else data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def splitmix64(seed, count):
    """The first `count` outputs of splitmix64 (Steele, Lea, Flood 2014) from `seed`."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(name, shape, base, spread):
    """f32 of `shape`: `base + spread * u`, `u` even in [-1, 1) from the top 24 bits."""
    count = int(np.prod(shape))
    top = (splitmix64(fnv1a(name), count) >> np.uint64(40)).astype(np.int64) - 2**23
    unit = top.astype(np.float32) * np.float32(2.0**-23)
    return (np.float32(base) + np.float32(spread) * unit).reshape(shape)


def is_norm(name):
    return name.endswith(".weight") and any(
        mark in name.lower() for mark in ("norm.", "layernorm.", ".ln_1.", ".ln_2.", "ln_f.")
    )


def law(name, shape, norm_base, inputs_first):
    """`(base, spread)` of a tensor, so that every part of the network matters to the output.

    `norm_base` is 0 where the checkpoint stores norm weights less one; `inputs_first` where it
    stores matrices as (in, out).
    """
    if is_norm(name):
        return norm_base, 0.5
    if len(shape) == 1:
        return 0.0, 0.3
    if "embed" in name or "wte" in name or "wpe" in name:
        return 0.0, 0.5
    fan_in = shape[0] if inputs_first else shape[-1]
    gain = 2.0 if any(mark in name for mark in ("q_proj", "k_proj", "query", "key")) else 1.2
    return 0.0, float(np.float32(gain * (3.0 / fan_in) ** 0.5))
