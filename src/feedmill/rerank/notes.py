"""The words in which rules say what they did."""

from __future__ import annotations


def moved(now: int, was: int) -> str:
    """Where a rule put what it was given; places count from 0."""
    return f"moved it {'up' if now < was else 'down'} from {was + 1} to {now + 1}"
