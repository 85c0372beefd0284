#!/usr/bin/env python3
"""Writes quantized/input.f32 and, as gguf-py quantises it, quantized/FORMAT.bin.

Needs `pip install gguf==0.19.0` (numpy comes with it). All is little-endian.
"""

from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import quantize


def rows():
    """Blocks of 32: noise of several sizes, ties, and blocks without a scale."""
    rng = np.random.default_rng(0)
    yield from (rng.normal(0, size, 32) for size in [1, 1e-3, 300] + 20 * [0.02])
    yield np.zeros(32)
    yield -np.zeros(32)
    yield np.full(32, 0.7)
    yield np.full(32, -0.7)
    yield np.concatenate([[-127], np.arange(31) - 15.5])  # halves in units of Q8_0
    yield np.arange(32) / 2  # halves in units of Q4_1
    yield np.concatenate([[-8, 8], np.arange(30) / 2 - 7.5])  # halves in units of Q4_0
    yield rng.normal(0, 1e-6, 32)  # scales that are subnormal in f16


def main():
    out = Path(__file__).parent / "quantized"
    out.mkdir(exist_ok=True)
    x = np.concatenate(list(rows())).astype("<f4")
    (out / "input.f32").write_bytes(x.tobytes())
    for name in ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"]:
        length, size = GGML_QUANT_SIZES[Type[name]]
        data = quantize(x, Type[name]).tobytes()
        assert len(data) == len(x) // length * size, name
        (out / f"{name}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
