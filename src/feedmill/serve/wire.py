"""The first bytes of a request, from whomever: bounded in size and time before anybody is asked for a key.

uvicorn's parser in C has neither limit: a head without an end fills the memory, and connections on which nothing comes
stay for good.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10  # bytes of request line and headers
HEAD_S = 10.0


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol with an end to both: after ``HEAD_S`` without a whole head, or more than ``MAX_HEAD`` bytes of
    it, the connection is closed."""

    _n_head = 0
    _is_head = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there, and now has to ask."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more."""
        self._enough()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request; what comes while none is worked on must become a head in time."""
        if self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()
        super().data_received(data)
        if self._is_head:
            self._n_head += len(data)
            if self._n_head > MAX_HEAD and not self.transport.is_closing():
                self.send_400_response(f"A request line and headers of more than {MAX_HEAD} bytes.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._n_head, self._is_head = 0, True

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_head = False
        self._enough()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._enough()
        self._timer = self.loop.call_later(HEAD_S, self._too_late)

    def _enough(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        self.transport.close()
