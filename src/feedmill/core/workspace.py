"""A workspace: the folder that holds one feed, with its config, log, state, artifacts and traces.

``train`` and ``serve`` do not know each other, yet read one file: the workspace hands each of them its own
sections, checked against the struct that the section's owner declares.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from feedmill.core.config import convert, nearest, override, read_toml
from feedmill.core.errors import ConfigError, WorkspaceError
from feedmill.core.hold import hold
from feedmill.core.registry import Registry

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

CONFIG = "feedmill.toml"
SECTIONS = (
    "log", "state", "data", "samples", "features", "retrieval", "filters", "prerank", "rank", "rerank",
    "serve", "train", "evaluate", "publish", "experiments", "update", "run",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component(Generic[T]):
    """One block of config made ready: which class, with which parameters, under which name.

    ``own`` holds the keys that belong to the stage around the component (a channel's ``limit``).
    """

    name: str
    kind: str
    cls: type[T]
    config: Any
    own: Mapping[str, Any]


class Workspace:
    """A folder with a ``feedmill.toml``.

    Args:
        path: the folder.
        raw: the config as read, overrides applied.

    Raises:
        ConfigError: a section nobody reads; the message names the nearest.
    """

    def __init__(self, path: Path, raw: Mapping[str, Any]) -> None:
        self.path, self.raw = path, dict(raw)
        for name, value in raw.items():
            if name not in SECTIONS:
                raise ConfigError(f'unknown section "{name}"', f"one of {list(SECTIONS)}", nearest(name, SECTIONS))
            if not isinstance(value, Mapping):
                raise ConfigError(f"{name} = {value!r}", f"a section [{name}]", f"put it under its section in {CONFIG}")

    @classmethod
    def open(cls, path: Path | str, overrides: Mapping[str, Any] | None = None) -> Workspace:
        """The workspace in a folder; ``overrides`` maps dotted paths to values.

        Raises:
            ConfigError: no config there, or one that cannot be read.
        """
        folder = Path(path)
        return cls(folder, override(read_toml(folder / CONFIG), overrides or {}))

    @classmethod
    def create(cls, path: Path | str, toml_text: str) -> Workspace:
        """Make the folder with the given config.

        Raises:
            WorkspaceError: there is a workspace already, or the folder cannot be made.
            ConfigError: the text is not TOML or has an unknown section; nothing was written.
        """
        folder = Path(path)
        if (folder / CONFIG).exists():
            raise WorkspaceError(f"{folder / CONFIG} exists", "a folder without a workspace", "choose another folder")
        try:
            workspace = cls(folder, tomllib.loads(toml_text))
            folder.mkdir(parents=True, exist_ok=True)
            (folder / CONFIG).write_text(toml_text, "utf-8")
        except tomllib.TOMLDecodeError as e:
            raise ConfigError(f"the new {CONFIG} is not TOML: {e}", "TOML, see https://toml.io") from None
        except OSError as e:
            raise WorkspaceError(f"{folder}: {e.strerror}", "a folder that can be written") from None
        return workspace

    @property
    def log(self) -> Path:
        return self.path / "log.sqlite"

    @property
    def state(self) -> Path:
        return self.path / "state"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def rejects(self) -> Path:
        return self.path / "rejects"

    @property
    def experiments(self) -> Path:
        return self.path / "experiments.json"

    @property
    def learner(self) -> Path:
        return self.path / "learner"

    @property
    def rollups(self) -> Path:
        return self.path / "rollups"

    @property
    def traces(self) -> Path:
        return self.path / "traces.sqlite"

    @property
    def keys(self) -> Path:
        return self.path / "keys.json"

    @property
    def status(self) -> Path:
        return self.path / "status"

    def section(self, name: str, kind: type[S], drop: Sequence[str] = ()) -> S:
        """One section (dotted for a section in a section) as its struct; a missing one has the defaults.

        Args:
            drop: keys that somebody else reads.

        Raises:
            ConfigError: see ``core.config.convert``.
        """
        raw = self._node(name)
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{name} = {raw!r}", f"a section [{name}]")
        return convert({k: v for k, v in raw.items() if k not in drop}, kind, name)

    def components(self, name: str, registry: Registry[T], own: Sequence[str] = ()) -> list[Component[T]]:
        """The components of a section, in file order: a table by name, or a list of tables.

        ``{"seen": true}`` is the component of that kind with its defaults, ``false`` leaves it out; in a
        table ``kind`` defaults to the name.

        Args:
            own: keys of each block that belong to the stage and not to the component.

        Raises:
            ConfigError: an unknown kind or key (with the nearest), a wrong type, or a value out of range.
        """
        raw = self._node(name)
        if isinstance(raw, Mapping):
            blocks = [(key, f"{name}.{key}", block) for key, block in raw.items() if block is not False]
        elif isinstance(raw, list):
            blocks = [("", f"{name}.{i}", block) for i, block in enumerate(raw)]
        else:
            raise ConfigError(f"{name} = {raw!r}", f"a section [{name}], or tables [[{name}]]")
        return [component(block, registry, at, key, own) for key, at, block in blocks]

    def _node(self, name: str) -> Any:
        node: Any = self.raw
        for part in name.split("."):
            node = node.get(part, {}) if isinstance(node, Mapping) else {}
        return node

    def hold(self) -> AbstractContextManager[None]:
        """Be the one process that serves this workspace; the lock goes with the process, however it ends.

        Raises:
            WorkspaceError: another process serves it; the message has its pid.
        """
        return hold(self.path / "serve.lock", f"{self.path} is being served", "one server on a workspace")


def component(block: Any, registry: Registry[T], at: str, name: str = "", own: Sequence[str] = ()) -> Component[T]:
    """``{"kind": "swing", **parameters}`` -> its class and checked parameters.

    Args:
        at: dotted path of the block, for messages.
        name: what the block is called; also its kind where it has none.
        own: keys that belong to the stage around the component.

    Raises:
        ConfigError: an unknown kind or key (with the nearest), a wrong type, or a value out of range.
    """
    block = {} if block is True and name else block
    if not isinstance(block, Mapping) or not (block.get("kind") or name):
        raise ConfigError(f"{at} = {block!r}", f"a table with kind = one of {list(registry)}")
    kind = block.get("kind", name)
    if not isinstance(kind, str):
        raise ConfigError(f"{at}.kind = {kind!r}", f"one of {list(registry)}")
    try:
        cls = registry[kind]
    except ConfigError as e:
        raise ConfigError(f"{at}: {e.given}", e.expected, e.fix) from None
    of_component: Any = cls
    known = {*of_component.Config.__struct_encode_fields__, *own, "kind"}
    for key in block:
        if key not in known:
            raise ConfigError(
                f'unknown key "{at}.{key}" for kind = "{kind}"',
                f"one of {sorted(known)}",
                nearest(key, known) or "remove it, or choose the kind that has it",
            )
    config = convert({k: v for k, v in block.items() if k != "kind" and k not in own}, of_component.Config, at)
    return Component(name or kind, kind, cls, config, {k: block[k] for k in own if k in block})
