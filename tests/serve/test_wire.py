"""Requests that have no beginning or no end, over the real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from feedmill.serve import wire

GOOD = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"


@contextmanager
def connected(http: httpx.Client) -> Iterator[socket.socket]:
    url = http.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=20) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """What comes until the other side ends it."""
    said = b""
    try:
        while piece := connection.recv(1 << 16):
            said += piece
    except ConnectionError:
        pass
    return said


def send(connection: socket.socket, data: bytes, times: int = 1) -> None:
    """As much of it as the other side takes."""
    try:
        for _ in range(times):
            connection.sendall(data)
    except ConnectionError:
        pass


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"GET /", b"a" * 4096), (b"GET / HTTP/1.1\r\nx: ", b"a" * 4096), (b"GET / HTTP/1.1\r\n", b"x: y\r\n" * 500)],
)
def test_a_head_without_an_end_is_not_waited_for(http: httpx.Client, start: bytes, more: bytes) -> None:
    with connected(http) as connection:
        send(connection, start)
        send(connection, more, times=2_000)
        assert b"200 OK" not in rest(connection)
    assert http.get("/healthz").status_code == 200


def test_a_long_head_that_ends_is_read(http: httpx.Client) -> None:
    assert http.get("/healthz", headers={"x": "y" * 50_000}).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HT", b"\r\n", GOOD + b"GET /he", b"POST /v1/feed HTTP/1.1\r\n"])
def test_who_does_not_go_on_is_left(http: httpx.Client, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(wire, "HEAD_S", 0.1)
    with connected(http) as connection:
        send(connection, sent)
        said = rest(connection)
    assert said.count(b"200 OK") == sent.count(GOOD)


def test_several_requests_of_one_connection_and_a_pause_before_its_body(http: httpx.Client) -> None:
    with connected(http) as connection:
        for _ in range(3):
            connection.sendall(GOOD)
            assert b"200 OK" in connection.recv(4096)
        connection.sendall(GOOD + GOOD)
        said = b""
        while said.count(b"200 OK") < 2:
            said += connection.recv(4096)
        connection.sendall(b"POST /v1/feed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n")
        connection.sendall(b"{}")
        assert b"401 Unauthorized" in connection.recv(4096)
