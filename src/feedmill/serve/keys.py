"""API keys: made once, kept as digests in the workspace, checked in constant time.

A key is ``fm_ID_SECRET``. The id is no secret: it finds the entry and names the key in lists. The secret is 256 bits of
chance, so a plain SHA-256 is what to keep: bcrypt and Argon2 slow down the guessing of passwords, here there is nothing
that could be guessed, and they would make every request slow instead, wrong ones included.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import logging
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from feedmill.core.clock import Clock, WallClock
from feedmill.core.errors import ConfigError, NotFoundError, WorkspaceError
from feedmill.publish import disk
from feedmill.serve.problems import Unauthorized

Role = Literal["feed", "events", "metrics", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
MAX_NAME = 80
logger = logging.getLogger("feedmill.serve")
_TOKEN = re.compile(r"fm_([0-9a-f]{10})_[A-Za-z0-9_-]{43}")
_NO_DIGEST = "0" * 64  # what an id that nobody has is compared with, so that it takes as long
_MAKE = "ask whoever runs the service for one: `feedmill keys create --role feed`"
_SENT = "the header `Authorization: Bearer KEY` with a key of this service"


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One key as it is kept; times by the machine's clock.

    Attributes:
        sha256: of the whole key, in hex.
        rate_per_s: requests; None = ``serve.rate_per_s``.
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{10}$")]
    roles: tuple[Role, ...]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    created_ms: int
    name: str = ""
    expires_ms: int | None = None
    revoked_ms: int | None = None
    rate_per_s: float | None = None

    def state(self, now_ms: int) -> Literal["valid", "expired", "revoked"]:
        """What it is worth now."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and now_ms >= self.expires_ms else "valid"


ANYBODY = Key(id="", roles=("admin",), sha256="", created_ms=0)  # who asks a service that has no keys
NOBODY = Key(id="", roles=(), sha256="", created_ms=0)


def stored(path: Path) -> list[Key]:
    """Every key that was ever made, revoked ones too, in order; none where there is no file.

    Raises:
        ConfigError: the file cannot be read, or is something else.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Key])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeError) as e:
        fix = "restore it from a copy; deleting it opens the service to everybody on this machine at its next start"
        raise ConfigError(f"{path}: {e}", "the keys that `feedmill keys` wrote", fix) from None


def create(
    path: Path,
    roles: Sequence[str],
    now_ms: int,
    *,
    name: str = "",
    expires_ms: int | None = None,
    rate_per_s: float | None = None,
) -> tuple[Key, str]:
    """Make a key: what is kept of it, and the key itself, which nothing keeps.

    Raises:
        ConfigError: no role, a role that does not exist, a name that is too long, an expiry that is over, or a rate
            below 0.
        WorkspaceError: the file cannot be written.
    """
    known = tuple(role for role in ROLES if role in roles)
    _check(roles, now_ms, name, expires_ms, rate_per_s)
    with _written(path) as keys:
        ident = _new_id(keys)
        token = f"fm_{ident}_{secrets.token_urlsafe(32)}"
        key = Key(
            id=ident, roles=known, sha256=_digest(token), created_ms=now_ms, name=name,
            expires_ms=expires_ms, rate_per_s=rate_per_s,
        )  # fmt: skip
        keys.append(key)
    return key, token


def revoke(path: Path, ident: str, now_ms: int) -> Key:
    """End a key, at once and for good. Its entry stays: it keeps the service closed, and says when that was.

    Raises:
        NotFoundError: no key has this id.
        WorkspaceError: the file cannot be written.
    """
    with _written(path) as keys:
        at = next((i for i, key in enumerate(keys) if key.id == ident), None)
        if at is None:
            raise NotFoundError(f'no key "{ident[:20]}"', "the id of a key", "`feedmill keys list` has them")
        if keys[at].revoked_ms is None:
            keys[at] = msgspec.structs.replace(keys[at], revoked_ms=now_ms)
        return keys[at]


class KeyRing:
    """The keys of a workspace as a running service knows them: a change of the file holds from the next request on.

    Without a file there are no keys, and anybody may ask. Once there has been one, this process never opens again: a
    file that vanishes or cannot be read leaves the keys as they were last read.

    Args:
        path: the file.
        clock: the machine's; expiry has nothing to do with the time that a feed believes it is.
        problems: where to say under "keys" what is wrong with the file.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, path: Path, clock: Clock | None = None, problems: dict[str, str] | None = None) -> None:
        self._path, self._clock = path, clock or WallClock()
        self._problems = {} if problems is None else problems
        self._seen = self._signature()
        self._keys = {key.id: key for key in stored(path)}
        self._is_open = not self._keys

    @property
    def is_open(self) -> bool:
        """Whether anybody may ask: no key was ever made."""
        signature = self._signature()
        if signature != self._seen:
            self._read(signature)
        return self._is_open

    def find(self, authorization: str) -> Key:
        """Who bears the value of a header ``Authorization``.

        Raises:
            Unauthorized: nobody: it is missing, no key of this service, expired or revoked.
        """
        if self.is_open:
            return ANYBODY
        scheme, _, token = authorization.partition(" ")
        if not authorization or scheme.lower() != "bearer":
            raise Unauthorized("no key", _SENT, _MAKE)
        match = _TOKEN.fullmatch(token := token.strip())
        key = self._keys.get(match[1]) if match else None
        is_right = hmac.compare_digest(_digest(token), key.sha256 if key else _NO_DIGEST)
        if key is None or not is_right:
            raise Unauthorized("a key that this service does not know", _SENT, _MAKE)
        if (state := key.state(self._clock.now_ms())) != "valid":
            raise Unauthorized(f"key {key.id} is {state}", "a valid key", _MAKE)
        return key

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self, signature: tuple[int, int, int] | None) -> None:
        self._seen, problem = signature, ""
        try:
            keys = {key.id: key for key in stored(self._path)}
            if keys or self._is_open:
                self._keys = keys
            else:
                problem = f"{self._path.name} has no keys any more: those of before hold"
        except ConfigError as error:
            problem = f"those of before hold: {error.given}"
        self._is_open = self._is_open and not self._keys and not problem
        if problem:
            self._problems["keys"] = problem
            logger.warning("keys: %s", problem)
        else:
            self._problems.pop("keys", None)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _new_id(keys: Sequence[Key]) -> str:
    taken = {key.id for key in keys}
    while (ident := secrets.token_hex(5)) in taken:
        pass
    return ident


def _check(roles: Sequence[str], now_ms: int, name: str, expires_ms: int | None, rate_per_s: float | None) -> None:
    if not roles or not set(roles) <= set(ROLES):
        wrong = sorted(set(roles) - set(ROLES)) or "no role"
        raise ConfigError(f"role: {wrong}", f"one or more of {list(ROLES)}", "--role feed --role events")
    if len(name) > MAX_NAME or not name.isprintable():
        raise ConfigError(f"name = {name[:MAX_NAME]!r}…", f"a line of at most {MAX_NAME} characters")
    if expires_ms is not None and expires_ms <= now_ms:
        raise ConfigError("an expiry that is over", "a moment to come", "--expires 90d")
    if rate_per_s is not None and not rate_per_s >= 0:
        raise ConfigError(f"rate = {rate_per_s}", "requests per second, 0 = no limit")


@contextmanager
def _written(path: Path) -> Iterator[list[Key]]:
    """The keys, to be changed; written when the block ends well, by one process at a time, for its owner to read."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            keys = stored(path)
            yield keys
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(keys), indent=1) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            disk.sync(path.parent)
        finally:
            os.close(folder)
    except OSError as e:
        raise WorkspaceError(f"{path}: {e.strerror}", "a folder that can be written to") from None
