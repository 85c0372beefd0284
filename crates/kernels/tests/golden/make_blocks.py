#!/usr/bin/env python3
"""Writes blocks/FORMAT.bin: random blocks, then the f32 values that gguf-py reads from them.

Needs `pip install gguf==0.19.0` (numpy comes with it). All is little-endian. Scales are finite;
the rest of each block is random, the last block has every other bit set. Q1_0 and Q2_0, which
gguf-py does not know, are computed here from their definition.
"""

from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize

VALUES = 1024

# Where the f16 fields of a block lie.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ1_S": [0], "IQ1_M": [], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0],
    "IQ3_XXS": [0], "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0],
    "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [], "NVFP4": [],
    "Q1_0": [0], "Q2_0": [0],
}

# Of the formats that gguf-py does not know: values and bytes of a block.
UNKNOWN = {"Q1_0": (128, 18), "Q2_0": (64, 18)}


def one_bit(blocks):
    """`d` where the bit is set, `-d` where it is not."""
    bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little").astype(np.float32)
    return blocks[:, :2].copy().view(np.float16).astype(np.float32) * (2 * bits - 1)


def two_bits(blocks):
    """`d * (q - 1)`, four values to a byte from the low bits up."""
    q = (blocks[:, 2:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
    q = q.reshape(len(blocks), 64).astype(np.float32)
    return blocks[:, :2].copy().view(np.float16).astype(np.float32) * (q - 1)


def blocks_of(name, length, size, rng):
    count = VALUES // length
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    blocks[-1] = 0xAA
    for at in HALVES[name]:
        scale = (rng.uniform(0.001, 0.1, count) * rng.choice([-1, 1], count)).astype(np.float16)
        scale[1] = np.float16(3e-6)  # subnormal
        blocks[:, at : at + 2] = scale.view(np.uint8).reshape(count, 2)
    if name == "MXFP4":  # the subnormal exponents, and the largest that no value overflows
        blocks[:, 0] %= 252
        blocks[:4, 0] = [0, 1, 2, 251]
    if name == "NVFP4":  # subnormals, the largest scale, NaN
        blocks[0, :4] = [0, 1, 0x7E, 0x7F]
    if name == "IQ1_M":  # the upper nibbles of four u16, the last of them sign and exponent
        blocks[:, 55] = (blocks[:, 55] & 15) | 0x20
    return blocks


def main():
    out = Path(__file__).parent / "blocks"
    out.mkdir(exist_ok=True)
    for number, name in enumerate(HALVES):
        rng = np.random.default_rng(number)
        if name in UNKNOWN:
            blocks = blocks_of(name, *UNKNOWN[name], rng)
            values = {"Q1_0": one_bit, "Q2_0": two_bits}[name](blocks)
        else:
            blocks = blocks_of(name, *GGML_QUANT_SIZES[Type[name]], rng)
            values = dequantize(blocks, Type[name])
        values = values.astype("<f4")
        assert np.isfinite(values).all(), name
        (out / f"{name}.bin").write_bytes(blocks.tobytes() + values.tobytes())


if __name__ == "__main__":
    main()
