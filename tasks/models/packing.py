"""Vectors of unit length in bytes: a signed byte for each number and one scale, a quarter of what floats take.

Kept as bytes and not as lists of numbers: Parquet keeps a list's numbers one by one, which takes longer to read.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tasks.arrays import Array

LARGEST = 127
BLOCK = 1024  # vectors that lie in the processor's cache as floats


def packed(vectors: Array) -> tuple[list[bytes], list[float]]:
    """The bytes of each row of (vectors, size), and what they are to be multiplied by; its direction is off by about 0.3 %."""
    if not len(vectors):
        return [], []
    scales = np.abs(vectors).max(axis=1) / LARGEST
    numbers = np.rint(vectors / scales[:, None]).astype(np.int8)
    return [row.tobytes() for row in numbers], [float(scale) for scale in scales]


def unpacked(rows: pa.Array, scales: pa.Array) -> Array:
    """(vectors, size) float32 of what `packed` made, from the Arrow columns it was kept in: of bytes, without nulls and all of
    one length, and of floats."""
    if not len(rows):
        return np.zeros((0, 0), np.float32)
    made: Array = _numbers(rows).astype(np.float32) * _scales(scales)[:, None]
    return made


def products(rows: pa.Array, scales: pa.Array, wished: Array) -> Array:
    """`unpacked(rows, scales) @ wished`, without all of them as floats in memory: (vectors,) float32."""
    made = np.empty(len(rows), np.float32)
    if not len(rows):
        return made
    numbers, wished = _numbers(rows), wished.astype(np.float32, copy=False)
    floats = np.empty((min(BLOCK, len(rows)), numbers.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK):
        block = numbers[start : start + BLOCK]
        np.copyto(floats[: len(block)], block)
        np.dot(floats[: len(block)], wished, out=made[start : start + BLOCK])
    made *= _scales(scales)
    return made


def _numbers(rows: pa.Array) -> Array:
    """(vectors, size) int8, read where they lie: an object for each row would take longer than a comparison."""
    ends = np.frombuffer(rows.buffers()[1], np.int32)[rows.offset : rows.offset + len(rows) + 1]
    numbers: Array = np.frombuffer(rows.buffers()[2], np.int8)[ends[0] : ends[-1]].reshape(len(rows), -1)
    return numbers


def _scales(scales: pa.Array) -> Array:
    made: Array = scales.to_numpy(zero_copy_only=False)
    return made
