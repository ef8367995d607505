"""Keys at rest and checked: what is kept, who is known, and what a change of the file does to a running ring."""

from __future__ import annotations

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.clock import FixedClock
from feedmill.core.errors import ConfigError, NotFoundError
from feedmill.serve.keys import ANYBODY, KeyRing, create, revoke, stored
from feedmill.serve.problems import Unauthorized


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def refused(ring: KeyRing, authorization: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        ring.find(authorization)
    assert caught.value.status == 401
    return caught.value.given


def test_a_key_is_known_by_its_digest_and_nothing_keeps_the_key(path: Path) -> None:
    key, token = create(path, ["events", "feed"], 5, name="shop")
    assert KeyRing(path).find(f"Bearer {token}") == key == stored(path)[0]
    assert KeyRing(path).find(f"bearer  {token} ").id == key.id
    assert (key.roles, key.name, key.created_ms) == (("feed", "events"), "shop", 5)
    assert key.sha256 == hashlib.sha256(token.encode()).hexdigest()
    secret = token.rpartition(f"{key.id}_")[2]
    assert len(secret) == 43, "32 bytes in base64"
    for file in path.parent.iterdir():
        assert secret not in file.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_keys_have_nothing_in_common(path: Path) -> None:
    made = [create(path, ["feed"], 0) for _ in range(20)]
    assert len({key.id for key, _ in made}) == len({token[14:] for _, token in made}) == 20
    ring = KeyRing(path)
    (a, of_a), (b, of_b) = made[:2]
    swapped = of_a.replace(a.id, b.id)
    assert "does not know" in refused(ring, f"Bearer {swapped}")
    assert ring.find(f"Bearer {of_b}").id == b.id


def test_keys_made_at_once_are_all_kept(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda i: create(path, ["feed"], i)[0], range(12)))
    assert {key.id for key in stored(path)} == {key.id for key in made}


@pytest.mark.parametrize(
    "given_", ["", "Bearer", "Bearer ", "Basic Zm06eA==", "fm_0123456789_x", "Bearer fm_", "twice"]
)
def test_what_is_no_key(path: Path, given_: str) -> None:
    create(path, ["feed"], 0)
    assert refused(KeyRing(path), given_)


def test_every_change_of_a_key_is_another_key(path: Path) -> None:
    _, token = create(path, ["admin"], 0)
    ring = KeyRing(path)
    for at in range(len(token)):
        wrong = token[:at] + ("0" if token[at] != "0" else "1") + token[at + 1 :]
        assert refused(ring, f"Bearer {wrong}") == "a key that this service does not know"
    for wrong in (token[:-1], f"{token}A", token.upper(), f"{token}\x00", "fm_" + "é" * 54):
        assert refused(ring, f"Bearer {wrong}")


@given(st.text(max_size=120))
def test_no_text_is_a_key_or_an_error_of_another_kind(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    if not path.exists():
        create(path, ["feed"], 0)
    assert refused(KeyRing(path), text)
    assert refused(KeyRing(path), f"Bearer {text}")


def test_a_key_ends_when_it_expires_and_when_it_is_revoked(path: Path) -> None:
    clock = FixedClock(1_000)
    short, of_short = create(path, ["feed"], 0, expires_ms=2_000)
    other, of_other = create(path, ["feed"], 0)
    ring = KeyRing(path, clock)
    assert ring.find(f"Bearer {of_short}") == short
    clock.time_ms = 1_999
    assert ring.find(f"Bearer {of_short}") == short
    clock.time_ms = 2_000
    assert "expired" in refused(ring, f"Bearer {of_short}")
    assert ring.find(f"Bearer {of_other}") == other
    assert revoke(path, other.id, 2_500).revoked_ms == 2_500
    assert "revoked" in refused(ring, f"Bearer {of_other}"), "at once"
    assert revoke(path, other.id, 9_000).revoked_ms == 2_500, "once is enough"
    with pytest.raises(NotFoundError, match="nobody"):
        revoke(path, "nobody", 0)


def test_a_foreign_key_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    _, token = create(tmp_path / "other" / "keys.json", ["admin"], 0)
    create(tmp_path / "keys.json", ["feed"], 0)
    assert "does not know" in refused(KeyRing(tmp_path / "keys.json"), f"Bearer {token}")


def test_without_keys_anybody_may_ask_until_the_first_is_made(path: Path) -> None:
    ring = KeyRing(path)
    assert ring.is_open
    assert ring.find("") is ANYBODY
    key, token = create(path, ["feed"], 0)
    assert not ring.is_open
    refused(ring, "")
    assert ring.find(f"Bearer {token}") == key


def test_revoking_the_last_key_opens_nothing(path: Path) -> None:
    key, _ = create(path, ["feed"], 0)
    revoke(path, key.id, 1)
    assert not KeyRing(path).is_open


@pytest.mark.parametrize("how", ["gone", "broken", "empty", "foreign", "no digest"])
def test_a_file_that_is_lost_under_a_running_service_leaves_the_keys_as_they_were(
    path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, token = create(path, ["feed"], 0)
    problems: dict[str, str] = {}
    ring = KeyRing(path, problems=problems)
    whole = path.read_bytes()
    no_digest = whole.replace(key.sha256.encode(), b"")
    broken = {"no digest": no_digest, "broken": whole[: len(whole) // 2], "empty": b"[]", "foreign": b'[{"id": 5}]'}
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(broken[how])
    assert not ring.is_open
    refused(ring, "")
    assert ring.find(f"Bearer {token}") == key
    assert "those of before hold" in problems["keys"]
    assert "keys" in caplog.text
    path.write_bytes(whole)
    assert ring.find(f"Bearer {token}") == key
    assert problems == {}


def test_a_file_that_is_broken_from_the_start_is_refused_and_closes_an_open_service(path: Path) -> None:
    ring = KeyRing(path)
    path.write_text("not keys")
    with pytest.raises(ConfigError, match=r"keys\.json"):
        KeyRing(path)
    assert not ring.is_open
    refused(ring, "")


def test_a_key_that_cannot_be_made(path: Path) -> None:
    for wrong in (
        lambda: create(path, [], 0),
        lambda: create(path, ["boss"], 0),
        lambda: create(path, ["feed"], 10, expires_ms=10),
        lambda: create(path, ["feed"], 0, name="a\nb"),
        lambda: create(path, ["feed"], 0, rate_per_s=-1.0),
        lambda: create(path, ["feed"], 0, rate_per_s=float("nan")),
    ):
        with pytest.raises(ConfigError):
            wrong()
    assert not path.exists()
