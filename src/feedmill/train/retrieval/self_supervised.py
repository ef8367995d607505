"""The four feature transforms of the self-supervised item tower (Yao et al., CIKM 2021).

Each takes int32[C, W] ids of items, the offsets of their F fields in a row, and chance, and gives two views of the same
shape: what is left out is 0, the zero vector. No row knows the others, and there is no loop over rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from feedmill.core.batches import Mask, Rows

Doubles = NDArray[np.float64]
Pair = tuple[Rows, Rows]


def random_mask(ids: Rows, starts: Sequence[int], random: np.random.Generator, share: float = 0.5) -> Pair:
    """Whole fields are left out, each with probability ``share``, but one of them, drawn too, always stays."""
    n, n_fields = len(ids), len(starts) - 1

    def view() -> Rows:
        out = random.random((n, n_fields)) < share
        out[np.arange(n), random.integers(0, n_fields, n)] = False
        return _without(ids, starts, out)

    return view(), view()


def dropout(ids: Rows, starts: Sequence[int], random: np.random.Generator) -> Pair:
    """Every field of several values loses half of them, rounded down; single values stay."""

    def view() -> Rows:
        order = np.where(ids > 0, random.random(ids.shape), 2.0)  # what is empty stands last
        out = np.array(ids)
        for low, high in pairwise(starts):
            n_lost = (ids[:, low:high] > 0).sum(1) // 2
            place = order[:, low:high].argsort(1).argsort(1)
            out[:, low:high][place < n_lost[:, None]] = 0
        return out

    return view(), view()


def complementary(ids: Rows, starts: Sequence[int], random: np.random.Generator) -> Pair:
    """The fields are torn into two halves at random, anew for every item; each view has one."""
    n_fields = len(starts) - 1
    is_first = random.random((len(ids), n_fields)).argsort(1) < (n_fields + 1) // 2
    return _without(ids, starts, ~is_first), _without(ids, starts, is_first)


def related_mask(ids: Rows, starts: Sequence[int], random: np.random.Generator, relation: Doubles) -> Pair:
    """A field is drawn, and the half of all fields that is most related to it, itself first, is left out of one view.

    What goes together goes together ("female" and "cosmetics"), so what is left says little of what is gone. The other
    view is what the first left out: a field that both have, an id above all, would be enough to find its partner by,
    and nothing were learned of the rest.

    Args:
        relation: float64[F, F], as ``mutual_information`` gives it.
    """
    n_fields = len(starts) - 1
    near = np.array(relation, np.float64)
    np.fill_diagonal(near, np.inf)
    place = (-near).argsort(1, kind="stable").argsort(1)
    masks = place < (n_fields + 1) // 2  # bool[F, F]: what each field takes with it
    left_out = masks[random.integers(0, n_fields, len(ids))]
    return _without(ids, starts, left_out), _without(ids, starts, ~left_out)


def mutual_information(ids: Rows, starts: Sequence[int], max_values: int = 256) -> Doubles:
    """float64[F, F] in nats: MI(U, V) = sum_{u, v} p(u, v) log(p(u, v) / (p(u) p(v))) over items.

    A field of several values stands for one of them, drawn at random (the diagonal of such a field is below its
    entropy); an empty one is a value too. Of a field with more than ``max_values`` values the frequent ones are told
    apart and the rest count as one: else whatever is rare would look informed by chance, item ids by everything.

    Args:
        ids: int32[C, W].
        starts: F + 1 offsets of the fields.
    """
    fields = [_distributions(ids[:, low:high], max_values) for low, high in pairwise(starts)]
    out = np.zeros((len(fields), len(fields)))
    for a, (codes_a, weight_a, n_a) in enumerate(fields):
        for b, (codes_b, weight_b, n_b) in enumerate(fields[: a + 1]):
            joint = np.zeros(n_a * n_b)
            for i in range(codes_a.shape[1]):
                for j in range(codes_b.shape[1]):
                    both = weight_a[:, i] * weight_b[:, j]
                    joint += np.bincount(codes_a[:, i] * n_b + codes_b[:, j], both, n_a * n_b)
            out[a, b] = out[b, a] = _information(joint.reshape(n_a, n_b) / max(len(ids), 1))
    return out


def _information(joint: Doubles) -> float:
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    some = joint > 0
    return max(0.0, float((joint[some] * np.log(joint[some] / apart[some])).sum()))


def _distributions(values: Rows, max_values: int) -> tuple[NDArray[np.int64], Doubles, int]:
    """Codes int64[C, w] below n, their weights float64[C, w] that sum to 1 per item, and n."""
    found, code = np.unique(values, return_inverse=True)
    code = code.reshape(values.shape)
    filled = values > 0
    weight = np.where(filled, 1.0, 0.0) / np.maximum(filled.sum(1, keepdims=True), 1)
    weight[:, :1] += ~filled.any(1, keepdims=True)  # nothing is a value: its first cell has id 0
    if len(found) > max_values:
        frequency = np.bincount(code.ravel(), weight.ravel(), len(found))
        place = (-frequency).argsort(kind="stable").argsort()
        code, found = np.minimum(place, max_values - 1)[code], found[:max_values]
    return code, weight, len(found)


def _without(ids: Rows, starts: Sequence[int], left_out: Mask) -> Rows:
    """A copy in which the fields of bool[C, F] are 0."""
    return np.where(np.repeat(left_out, np.diff(starts), axis=1), np.int32(0), ids)
