#!/usr/bin/env python3
"""Writes the codebooks of the IQ formats, packed as in gguf-py (`pip install gguf==0.19.0`).

IQ1 and IQ2: an entry is eight values of two bits, first value in the low bits. IQ3: an entry is
four values of four bits. Each is an index into the format's short list of values (`grids.rs`).
"""

from pathlib import Path

from gguf import quants

for name in ["IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"]:
    packed = bytes.fromhex(getattr(quants, name).grid_hex.decode())
    (Path(__file__).parent / f"{name.lower()}.bin").write_bytes(packed)
