"""From a name on the command line to a feed: ``fast``, ``fast:explore_slots=1``, ``chain``, ``http://…``."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from feedmill.core.config import convert, nearest, override
from feedmill.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from feedmill.core.workspace import Workspace
    from feedmill.sim.feed import Feed
    from feedmill.sim.world import World

OTHERS = ("fast", "chain", "oracle")  # feeds that need more than a config and a seed
LEARNER = "learner."  # before the settings of what the fast feed learns


class Policy(NamedTuple):
    """A feed as it is named.

    Attributes:
        label: how it is called in tables: as it was given.
        kind: of ``names``, or ``http``.
        settings: dotted paths -> values.
    """

    label: str
    kind: str
    settings: Mapping[str, Any]

    def changed(self, settings: Mapping[str, Any]) -> Policy:
        """The same with further settings."""
        return self._replace(label=f"{self.label} treated", settings={**self.settings, **settings})


def parse(text: str) -> Policy:
    """``NAME``, ``NAME:path=value,path=value`` or a URL.

    Raises:
        ConfigError: no such policy, or a setting that it has not or that is out of range.
        DataError: a service that does not answer.
    """
    if text.startswith(("http://", "https://")):
        _answers(text)
        return Policy(text, "http", {})
    kind, _, given = text.partition(":")
    if kind not in names():
        near = nearest(kind, names()) or "a service is named by its address, http://…"
        raise ConfigError(f'policy "{text}"', f"one of {', '.join(names())}, or the address of a service", near)
    policy = Policy(text, kind, pairs(given, text))
    check(policy)
    return policy


def names() -> list[str]:
    """Feeds that can be named; those of other packages (entry points of the group ``feedmill.feed``) among them."""
    from feedmill.sim.feeds import FEEDS

    return [*FEEDS, *OTHERS]


def pairs(text: str, of: str) -> dict[str, Any]:
    """``path=value,path=value`` -> values read as TOML. A comma inside brackets is part of a value.

    Raises:
        ConfigError: something without ``=``.
    """
    out, depth, start = {}, 0, 0
    for at, letter in enumerate(f"{text},"):
        depth += (letter in "[{(") - (letter in "]})")
        if letter != "," or depth > 0:
            continue
        part, start = text[start:at].strip(), at + 1
        path, sign, value = part.partition("=")
        if part and (not sign or not path.strip()):
            raise ConfigError(f'"{part}" of "{of}"', "path=value", "for example fast:explore_slots=1")
        if part:
            out[path.strip()] = _value(value.strip())
    return out


def check(policy: Policy) -> None:
    """Whether its settings are there and in range.

    Raises:
        ConfigError: one that is not.
    """
    if policy.kind == "http":
        raise ConfigError("settings for a service", "none: it has its own config", "try the policy chain")
    if policy.kind == "chain":
        _chain_workspace(policy, Path())
    else:
        _configs(policy, 10)


@contextmanager
def opened(policy: Policy, world: World, folder: Path, slate: int, seed: int) -> Iterator[Feed]:
    """The feed, until the block ends.

    Args:
        folder: where a chain makes its workspace; one that is there is begun anew.

    Raises:
        WorkspaceError: a folder that cannot be written, or in use.
    """
    if policy.kind == "chain":
        with _chain(policy, folder, slate, seed) as feed:
            yield feed
    elif policy.kind == "http":
        from feedmill.sim.feeds.http import HttpConfig, HttpFeed

        with HttpFeed(policy.label, HttpConfig(slate=slate)) as service:
            yield service
    else:
        yield _in_process(policy, world, slate, seed)


def _answers(url: str) -> None:
    import httpx

    try:
        answer = httpx.get(f"{url.rstrip('/')}/readyz", timeout=10, trust_env=False)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as e:
        raise DataError(
            f"{url} does not answer: {e}", "a running feedmill",
            'feedmill serve --dir DIR -s serve.clock=newest, so that days pass as fast as their events',
        ) from None  # fmt: skip


def ablated(chain: Policy) -> list[Policy]:
    """The chain without each of its parts."""
    from feedmill.sim.ablation import WHOLE, variants

    found = variants(_chain_workspace(chain, Path()).raw)
    return [
        chain._replace(label=f"{chain.label}, {words}", settings={**chain.settings, **overrides})
        for words, overrides in found.items()
        if words != WHOLE
    ]


def _chain_workspace(policy: Policy, folder: Path) -> Workspace:
    """The workspace of a simulated audience, with settings."""
    from feedmill.cli.start import parameters
    from feedmill.core.workspace import Workspace
    from feedmill.sim.settings import template

    at = Workspace(folder, override(tomllib.loads(template()), policy.settings))
    parameters(at)
    return at


@contextmanager
def _chain(policy: Policy, folder: Path, slate: int, seed: int) -> Iterator[Feed]:
    from feedmill.serve.engine import Engine
    from feedmill.sim.feeds.chain import ChainFeed
    from feedmill.sim.feeds.chain_learning import Nights
    from feedmill.sim.settings import make

    if (folder / "feedmill.toml").exists():
        shutil.rmtree(folder)
    make(folder)
    at = _chain_workspace(policy, folder)
    engine = Engine.open(at, exclusive=True)
    try:
        yield ChainFeed(engine, Nights(at), slate=slate, seed=seed)
    finally:
        engine.close()


def _in_process(policy: Policy, world: World, slate: int, seed: int) -> Feed:
    from feedmill.sim.feeds import FEEDS
    from feedmill.sim.feeds.fast.feed import FastFeed
    from feedmill.sim.feeds.fast.learner import Learner
    from feedmill.sim.feeds.oracle import OracleFeed

    if policy.kind == "oracle":
        return OracleFeed(world, slate)
    config, learns = _configs(policy, slate)
    if policy.kind == "fast":
        return FastFeed(config, Learner(learns, seed), seed)
    cls: Any = FEEDS[policy.kind]
    feed: Feed = cls(config, seed)
    return feed


def _configs(policy: Policy, slate: int) -> tuple[Any, Any]:
    """What an in-process feed is made of, and what its learner is, if it has one of its own."""
    from feedmill.sim.feeds import FEEDS
    from feedmill.sim.feeds.fast.config import FastConfig, LearnerConfig

    def config(kind: Any, settings: Mapping[str, Any]) -> Any:
        own = kind.__struct_fields__
        given = {"slots": slate} if "slots" in own else {"popular": {"slots": slate}} if "popular" in own else {}
        return convert(override(given, settings), kind, policy.kind)

    settings = policy.settings
    if policy.kind == "oracle":
        if settings:
            raise ConfigError(f'policy "{policy.label}"', '"oracle", which has nothing to set')
        return None, None
    if policy.kind == "fast":
        learner = {k.removeprefix(LEARNER): v for k, v in settings.items() if k.startswith(LEARNER)}
        ranking = {k: v for k, v in settings.items() if not k.startswith(LEARNER)}
        return config(FastConfig, ranking), config(LearnerConfig, learner)
    cls: Any = FEEDS[policy.kind]
    return config(cls.Config, settings), None


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
