"""``feedmill keys``: made, shown once, listed without the secret, revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from feedmill.cli.keys import expiry
from feedmill.core.errors import ConfigError, FeedmillError, NotFoundError
from feedmill.core.workspace import Workspace
from feedmill.serve.keys import KeyRing, stored

DAY_MS = 86_400_000


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "shop", "")


def test_a_key_is_printed_once_and_alone_so_that_a_script_can_take_it(run: Run, shop: Workspace) -> None:
    first = run("keys", "create", "--role", "feed", "--role", "events", "--name", "phones [x]", "--dir", shop.path)
    token = first.stdout.strip()
    key = KeyRing(shop.keys).find(f"Bearer {token}")
    assert (key.roles, key.name, key.expires_ms) == (("feed", "events"), "phones [x]", None)
    assert "the first key" in first.stderr
    assert token not in first.stderr
    second = run("keys", "create", "--role", "metrics", "--expires", "90d", "--rate", 5, "--dir", shop.path)
    assert "the first key" not in second.stderr
    newer = stored(shop.keys)[1]
    assert (newer.expires_ms or 0) - newer.created_ms == 90 * DAY_MS
    assert newer.rate_per_s == 5


def test_the_list_has_everything_but_the_secret(run: Run, shop: Workspace) -> None:
    assert "no keys" in run("keys", "list", "--dir", shop.path).output
    token = run("keys", "create", "--role", "feed", "--name", "phones [x]", "--dir", shop.path).stdout.strip()
    said = run("keys", "list", "--dir", shop.path).output
    assert token[3:13] in said
    assert "phones [x]" in said
    assert "valid" in said
    assert token[14:] not in said


def test_a_revoked_key_is_listed_as_such(run: Run, shop: Workspace) -> None:
    run("keys", "create", "--role", "feed", "--dir", shop.path)
    ident = stored(shop.keys)[0].id
    assert ident in run("keys", "revoke", ident, "--dir", shop.path).output
    assert "revoked" in run("keys", "list", "--dir", shop.path).output
    assert isinstance(run("keys", "revoke", "nobody", "--dir", shop.path).exception, NotFoundError)


@pytest.mark.parametrize(
    "options",
    [("--role", "boss"), ("--role", "feed", "--expires", "soon"), ("--role", "feed", "--expires", "2001-01-01")],
)
def test_what_cannot_be_a_key_is_refused_in_words(run: Run, shop: Workspace, options: tuple[str, ...]) -> None:
    refused = run("keys", "create", *options, "--dir", shop.path).exception
    assert isinstance(refused, ConfigError)
    assert refused.expected
    assert not shop.keys.exists()


def test_keys_belong_to_a_workspace(run: Run, tmp_path: Path) -> None:
    assert isinstance(run("keys", "create", "--role", "feed", "--dir", tmp_path).exception, FeedmillError)
    assert not (tmp_path / "keys.json").exists()


def test_an_expiry_is_a_span_or_a_day() -> None:
    assert expiry("90d", 1_000) == 1_000 + 90 * DAY_MS
    assert expiry("12h", 0) == DAY_MS // 2
    assert expiry("30m", 0) == 30 * 60_000
    assert expiry("1971-01-01", 0) == 365 * DAY_MS
    for wrong in ("90", "d", "-1d", "2027-13-01", "9999999d", "1.5d", ""):
        with pytest.raises(ConfigError):
            expiry(wrong, 0)
