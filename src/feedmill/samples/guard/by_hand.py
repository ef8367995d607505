"""What people tell the guard: events of the log, so that a replay hears the same at the same place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec
import numpy as np

from feedmill.core.events import EventBatch, Kind


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of a GUARD event.

    Attributes:
        action: "resume": learn on, what comes is the new normal; "quarantine": leave ``from_ms`` to ``to_ms`` out.
        who, why: for whoever asks later.
    """

    action: Literal["resume", "quarantine"]
    who: str = ""
    why: str = ""
    from_ms: int = 0
    to_ms: int = 0


def event(order: Order, now_ms: int) -> EventBatch:
    """The event to append."""
    payload = msgspec.json.encode(order).decode()
    return EventBatch.of({"time_ms": now_ms, "kind": int(Kind.GUARD), "payload": [payload]})


def orders(events: EventBatch) -> Iterator[tuple[int, Order]]:
    """(place in the batch, order) of each; what cannot be read is passed over."""
    for at in np.flatnonzero(events.numpy("kind") == Kind.GUARD).tolist():
        try:
            yield at, msgspec.json.decode(events.table.column("payload")[at].as_py(), type=Order)
        except msgspec.DecodeError:
            continue
