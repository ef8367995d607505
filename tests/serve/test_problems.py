"""Who hangs up is no fault of the service; what is one is told with a reference."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.responses import Response

from feedmill.serve.problems import Problems

SCOPE = {"type": "http", "method": "GET", "path": "/"}


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def drive(said: str) -> None:
    async def send(message: Any) -> None:
        raise RuntimeError(said)

    async def call() -> None:
        await Problems(Response(b"x"))(SCOPE, receive, send)

    anyio.run(call)


def test_a_client_that_hung_up_while_it_was_answered_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    drive("unable to perform operation on <TCPTransport closed=True reading=False 0x0>; the handler is closed")
    assert caplog.text == ""


def test_an_answer_that_cannot_be_sent_for_another_reason_is(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RuntimeError, match="too much"):
        drive("Response content is too much")
    assert "reference" in caplog.text
