"""uvicorn around the app: in the foreground for people, in a thread for tests and the demo."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from uvicorn.config import LOGGING_CONFIG

from feedmill.core.errors import ConfigError, WorkspaceError
from feedmill.core.workspace import Workspace
from feedmill.serve.access import is_loopback
from feedmill.serve.app import create_app
from feedmill.serve.engine import Engine
from feedmill.serve.keys import KeyRing
from feedmill.serve.wire import Bounded

_GRACE_S = 5
_START_S = 30.0


class _Announcing(uvicorn.Server):
    """Says so when it listens: not before, for only then does it take Ctrl-C for what it is."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announce: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.announce()


class Server:
    """One process serves one engine, which stays the caller's to close.

    The address is taken at once, so that a taken one is an error here and now.

    >>> with Server(engine, port=0) as server:  # doctest: +SKIP
    ...     print(server.url)

    Raises:
        WorkspaceError: the address cannot be had.
        ConfigError: others can reach it, and there are no keys; or the keys cannot be read.
    """

    def __init__(self, engine: Engine, host: str | None = None, port: int | None = None) -> None:
        config, keys = engine.config, KeyRing(engine.workspace.keys, problems=engine.problems)
        host, port = config.host if host is None else host, config.port if port is None else port
        self._socket = _bind(host, port, others=config.open or not keys.is_open)
        self.host, self.port = self._socket.getsockname()[:2]
        self._server = _Announcing(
            uvicorn.Config(
                create_app(engine, keys), log_level="warning", access_log=False, timeout_graceful_shutdown=_GRACE_S,
                http=Bounded, ws="none", server_header=False,
                log_config=LOGGING_CONFIG if config.log == "text" else None,  # None: as the root's
            )
        )  # fmt: skip
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self, ready: Callable[[str], None] | None = None) -> None:
        """Serve until Ctrl-C or SIGTERM; requests under way are finished.

        Args:
            ready: told the address as soon as it answers.
        """
        if ready is not None:
            self._server.announce = lambda: ready(self.url)
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._socket.close()

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self.run, name="feedmill-server", daemon=True)
        self._thread.start()
        until = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.005)
        if not self._server.started:
            raise WorkspaceError(f"the server at {self.url} did not start", "it to listen", "see the log above")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()


def serve(
    workspace: Workspace,
    *,
    host: str | None = None,
    port: int | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a workspace until Ctrl-C; the state is saved on the way out.

    Args:
        ready: told the address as soon as it listens; by default it is printed.

    Raises:
        WorkspaceError: another process serves this workspace, or the address is taken.
        FeedmillError: see ``Engine.open``.
    """
    with _interruptible(), Engine.open(workspace, exclusive=True) as engine:
        server = Server(engine, host, port)
        server.run(ready or _say)


@contextmanager
def running(workspace: Workspace, *, host: str | None = None, port: int | None = None) -> Iterator[str]:
    """Serve a workspace from a thread, warm; yields the address.

    Raises:
        FeedmillError: see ``serve``.
    """
    with Engine.open(workspace, exclusive=True) as engine:
        engine.warm()
        with Server(engine, host, port) as server:
            yield server.url


def _say(url: str) -> None:
    sys.stdout.write(f"serving at {url} (Ctrl-C ends it)\n")
    sys.stdout.flush()


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, like Ctrl-C, ends a block by the way out of its context managers, and is no error.

    uvicorn raises the signal that stopped it again once it has stopped; the default handler would then end
    the process before the state is saved.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if is_main else None
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def _bind(host: str, port: int, *, others: bool) -> socket.socket:
    """An address that is listened on; one that other machines can reach only if ``others`` may."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        if not others and not is_loopback(taken.getsockname()[0]):
            taken.close()
            raise ConfigError(
                f'serve.host = "{host}": other machines can reach it, and there are no keys',
                "keys, or an address of this machine alone, such as 127.0.0.1",
                "run `feedmill keys create --role feed`; or say serve.open = true, which lets everybody in",
            )
        taken.listen(512)  # from now on a client waits instead of being refused
    except OSError as error:
        taken.close()
        raise WorkspaceError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}",
            "an address of this machine that is free",
            "choose another: -s serve.port=0 takes any free one (or [serve] in feedmill.toml)",
        ) from None  # fmt: skip
    return taken
