"""How often an item is drawn, estimated from the stream itself (Yi et al., RecSys 2019, algorithm 2 and section 5.2).

A counter of all time lags behind a catalogue that changes. Here each hash slot holds the average gap between two sights
of its items, so p = 1 / gap follows what is drawn now, in memory that does not grow with the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from msgspec import Meta
from numba import njit
from numpy.typing import NDArray

from feedmill.core.batches import Floats
from feedmill.core.clock import rng
from feedmill.core.config import Config
from feedmill.core.errors import ArtifactError

Doubles = NDArray[np.float64]
Longs = NDArray[np.int64]


class FrequencyConfig(Config, frozen=True):
    """The estimator of the in-batch correction's p."""

    n_slots: Annotated[int, Meta(ge=1, description="H: slots of each hash function; 16 bytes each")] = 1 << 18
    n_hashes: Annotated[int, Meta(ge=1, le=16, description="m: hash functions; more undo collisions")] = 4
    alpha: Annotated[
        float,
        Meta(gt=0, lt=1, description="rate of the average gap: spread sqrt(alpha/2), memory about 1/alpha sights"),
    ] = 0.01
    initial_p: Annotated[
        float, Meta(gt=0, le=1, description="probability of an item that was seen fewer than twice")
    ] = 1e-4


class Frequency:
    """Streaming estimates of the probability with which each item is drawn.

    At step t, in the slot h(y) of the item y that was drawn and for each of m hash functions h:

        Bt[h(y)] <- (1 - alpha) Bt[h(y)] + alpha (t - A[h(y)]);   A[h(y)] <- t;   p = 1 / max_h Bt[h(y)]

    A step is one draw, a row of the stream: an item that a batch holds five times was seen at five steps. (Counting
    batches instead, p could not tell anything popular from 1.) So it does not matter how the stream is cut. The first
    sight of a slot sets A alone, and until the second Bt stands at 1 / ``initial_p``. A collision shortens the gap, so
    the largest is nearest the truth.

    Args:
        config: see FrequencyConfig.
        seed: of the hash functions; part of ``arrays``.
    """

    def __init__(self, config: FrequencyConfig, seed: int = 0) -> None:
        self.config = config
        shape = (config.n_hashes, config.n_slots)
        self._salt = rng(seed, "frequency").integers(0, 1 << 63, config.n_hashes, np.uint64)
        self._last = np.zeros(shape, np.int64)  # A: step of the last sight, 0 = never
        self._gap = np.full(shape, 1 / config.initial_p)  # Bt
        self._step = np.zeros(1, np.int64)  # rows seen so far

    def update(self, item: NDArray[np.integer[Any]]) -> None:
        """Count a batch, int[B] ids in the order in which they were drawn."""
        rows = np.ascontiguousarray(item, dtype=np.int64)
        _update(rows, self._salt, self._last, self._gap, self._step, self.config.alpha)

    def p(self, item: NDArray[np.integer[Any]]) -> Doubles:
        """float64[n] in (0, 1]: the estimates of int[n] ids as of the last update."""
        return _estimate(np.ascontiguousarray(item, dtype=np.int64), self._salt, self._gap)

    def log_p(self, item: NDArray[np.integer[Any]]) -> Floats:
        """float32[n]: the logarithm of ``p``, what the softmax subtracts."""
        return np.log(self.p(item)).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a checkpoint keeps: uint64[m] salts, int64[m, H] last sights, float64[m, H] gaps, int64[1] step."""
        return {
            "salt": self._salt.copy(),
            "last": self._last.copy(),
            "gap": self._gap.copy(),
            "step": self._step.copy(),
        }

    @classmethod
    def restore(cls, config: FrequencyConfig, arrays: Mapping[str, NDArray[Any]]) -> Frequency:
        """Go on from a checkpoint, to the last bit as if there had been none.

        Raises:
            ArtifactError: the arrays are of other sizes than the config has.
        """
        out = cls(config)
        for name, own in out.arrays().items():
            given = arrays.get(name)
            if given is None or given.shape != own.shape or given.dtype != own.dtype:
                found = "missing" if given is None else f"{given.dtype}{list(given.shape)}"
                raise ArtifactError(
                    f"frequency array {name!r}: {found}",
                    f"{own.dtype}{list(own.shape)}, as n_hashes and n_slots say",
                    "undo the change of the config, or train from scratch",
                )
            setattr(out, f"_{name}", np.array(given))
        return out


@njit(cache=True, nogil=True)
def _slot(item: np.int64, salt: np.uint64, n_slots: int) -> np.int64:
    """SplitMix64's finaliser (Steele et al., OOPSLA 2014): every bit of the id reaches every bit of the hash."""
    x = np.uint64(item) + salt
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((x ^ (x >> np.uint64(31))) % np.uint64(n_slots))


@njit(cache=True, nogil=True)
def _update(item: Longs, salt: NDArray[np.uint64], last: Longs, gap: Doubles, step: Longs, alpha: float) -> None:
    n_slots = last.shape[1]
    for i in range(len(item)):
        t = step[0] + 1
        step[0] = t
        for h in range(len(salt)):
            at = _slot(item[i], salt[h], n_slots)
            if last[h, at] > 0:
                gap[h, at] += alpha * (np.float64(t - last[h, at]) - gap[h, at])
            last[h, at] = t


@njit(cache=True, nogil=True)
def _estimate(item: Longs, salt: NDArray[np.uint64], gap: Doubles) -> Doubles:
    out = np.empty(len(item))
    for i in range(len(item)):
        longest = 1.0
        for h in range(len(salt)):
            longest = max(longest, gap[h, _slot(item[i], salt[h], gap.shape[1])])
        out[i] = 1.0 / longest
    return out
