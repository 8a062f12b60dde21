"""Vectors in bytes keep their direction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.models.packing import BLOCK, packed, products, unpacked


@pytest.mark.parametrize("size", [8, 512, 1152])
def test_a_vector_in_bytes_points_where_it_did(size):
    draw = np.random.default_rng(size)
    vectors = draw.standard_normal((200, size)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows, scales = packed(vectors)
    assert {len(row) for row in rows} == {size}
    back = unpacked(pa.array(rows), pa.array(scales, pa.float32()))
    assert np.abs(back @ vectors.T - vectors @ vectors.T).max() < 0.008
    assert (np.argsort(-(back @ vectors.T), axis=1)[:, 0] == np.arange(200)).all()


def test_the_largest_number_uses_the_whole_byte_and_none_leaves_it():
    rows, scales = packed(np.array([[0.6, -0.8], [-1.0, 0.0]], np.float32))
    assert np.frombuffer(b"".join(rows), np.int8).tolist() == [95, -127, -127, 0]
    assert scales == pytest.approx([0.8 / 127, 1 / 127])


def test_of_no_vectors_there_is_nothing():
    assert packed(np.zeros((0, 8), np.float32)) == ([], [])


def test_a_part_of_a_column_has_its_own_vectors():
    vectors = np.eye(4, dtype=np.float32)
    rows, scales = packed(vectors)
    part = unpacked(pa.array(rows).slice(1, 2), pa.array(scales, pa.float32()).slice(1, 2))
    assert part == pytest.approx(vectors[1:3])
    assert unpacked(pa.array([], pa.binary()), pa.array([], pa.float32())).size == 0


@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_products_are_those_of_the_vectors_whatever_their_number(count):
    rng = np.random.default_rng(count)
    rows, scales = packed(rng.standard_normal((count, 24)))
    columns = pa.array(rows), pa.array(scales, pa.float32())
    wished = rng.standard_normal(24)
    assert products(*columns, wished) == pytest.approx(unpacked(*columns) @ wished, abs=1e-4)
    part = [column.slice(count // 2) for column in columns]
    assert products(*part, wished) == pytest.approx(products(*columns, wished)[count // 2 :], abs=1e-6)
    assert products(pa.array([], pa.binary()), pa.array([], pa.float32()), wished).size == 0
