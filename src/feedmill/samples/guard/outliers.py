"""Which values of a baseline are like the rest, so that a break that got into it does not become the usual.

A break gets in where nothing is judged (the first windows, and those after a resume that came too early), or where it
was too short to be found. Windows that are far from the median, in median absolute deviations, do not count (Hampel
1974, "The influence curve and its role in robust estimation"); mean and variance are those of the others, so that a
baseline without a break is used whole. That is decided when the baseline is looked at, not when a window comes: a new
level becomes the usual as soon as most of the baseline is of it.
"""

from __future__ import annotations

from collections.abc import Sequence

SIGMA = 1.4826  # the standard deviation of a normal distribution over its median absolute deviation
FEWEST = 3  # of fewer nobody can say which are the rest


def are_usual(values: Sequence[float], least: float, sigmas: float) -> list[bool]:
    """Of each value, whether it is at most ``least``, or ``sigmas`` robust standard deviations, from the median."""
    if len(values) < FEWEST:
        return [True] * len(values)
    middle = median(values)
    far = [abs(v - middle) for v in values]
    limit = max(least, sigmas * SIGMA * median(far))
    return [f <= limit for f in far]


def median(values: Sequence[float]) -> float:
    """The upper one of two; a guard asks for it hundreds of times a window."""
    return sorted(values)[len(values) // 2]
