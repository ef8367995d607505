"""A key for request id and item id: 128 bits that are the same on every machine and in every version.

Two lanes of 64 bits, FNV-1a and a rotate-multiply hash, each finished with the mixer of SplitMix64 (Steele et al.
2014). What is joined must agree in both: among 10 million waiting impressions the chance that any two share a key is
about 1e-25. The hash is no secret: request ids are the service's own, and who knows one may report on it anyway.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

_FNV, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_LANE, _LANE_PRIME = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_BOUNDARY = np.uint64(0x1FF)  # no byte: "ab" + "c" is not "a" + "bc"


class Keys(NamedTuple):
    """int64[n] twice: the two lanes of n keys."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]


def keys(requests: pa.StringArray, items: pa.StringArray) -> Keys:
    """The keys of n events."""
    out = Keys(np.empty(len(requests), np.int64), np.empty(len(requests), np.int64))
    _hash(*_buffers(requests), *_buffers(items), out.first.view(np.uint64), out.second.view(np.uint64))
    return out


def lengths(texts: pa.StringArray) -> NDArray[np.int32]:
    """int32[n] bytes of n texts."""
    return np.diff(_buffers(texts)[0])


def _buffers(texts: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    _, offsets, data = texts.buffers()
    n, start = len(texts), texts.offset
    if offsets is None or not n:
        return np.zeros(n + 1, np.int32), np.zeros(0, np.uint8)
    at = np.frombuffer(offsets, np.int32)[start : start + n + 1]
    return at, np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)


@njit(cache=True, nogil=True)
def _hash(r_at: Any, r_data: Any, i_at: Any, i_data: Any, first: Any, second: Any) -> None:
    for n in range(len(first)):
        a, b = _FNV, _LANE
        for j in range(r_at[n], r_at[n + 1]):
            a, b = _eat(a, b, np.uint64(r_data[j]))
        a, b = _eat(a, b, _BOUNDARY)
        for j in range(i_at[n], i_at[n + 1]):
            a, b = _eat(a, b, np.uint64(i_data[j]))
        first[n], second[n] = _mix(a), _mix(b)


@njit(cache=True, nogil=True)
def _eat(a: Any, b: Any, byte: Any) -> Any:
    b = (b << np.uint64(23)) | (b >> np.uint64(41))
    return (a ^ byte) * _FNV_PRIME, (b ^ byte) * _LANE_PRIME


@njit(cache=True, nogil=True)
def _mix(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))
