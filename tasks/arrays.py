"""Names for NumPy arrays in signatures; their shapes and units stand in the docstrings."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
