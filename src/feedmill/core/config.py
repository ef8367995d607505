"""Typed configuration: a frozen struct beside each component declares its parameters once.

A struct is a ``msgspec.Struct`` whose fields carry range and description in ``Annotated[..., Meta(...)]``;
``explain`` prints them, ``convert`` checks them, and an unknown key is an error that names the nearest.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from feedmill.core.errors import ConfigError

S = TypeVar("S")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every parameter struct derives from."""


def nearest(name: str, known: Iterable[str]) -> str:
    """'did you mean …?' for a mistyped name, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f'did you mean "{close[0]}"?' if close else ""


def convert(raw: Mapping[str, Any], kind: type[S], at: str = "") -> S:
    """Raw TOML values -> a checked struct.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a wrong type, or a value out of range.
    """
    _refuse_unknown(raw, kind, at)
    try:
        return msgspec.convert(dict(raw), kind)
    except msgspec.ValidationError as e:
        what, _, where = str(e).partition(" - at `$")
        path = ".".join(p for p in (at, where.strip("`").lstrip(".")) if p)
        value = _value_at(raw, where.strip("`").lstrip("."))
        choices = _choices(kind, where.strip("`").lstrip("."))
        if choices:
            fix = nearest(str(value), map(str, choices))
            raise ConfigError(f"{path} = {value!r}", f"one of {list(choices)}", fix) from None
        raise ConfigError(f"{path or 'config'} = {value!r}", what, "run `feedmill config --explain`") from None


def _choices(kind: Any, where: str) -> tuple[Any, ...]:
    """The values that the field at ``where`` may have, if they are a list; else none."""
    for key in where.split("."):
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            return ()
        kind = get_type_hints(kind).get(key)
    return get_args(kind) if get_origin(kind) is Literal else ()


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict.

    Raises:
        ConfigError: the file is missing or is not TOML; the message has the line.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"no file {path}", "a feedmill workspace with a feedmill.toml", "run `feedmill init DIR` to make one"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} is not TOML: {e}", "TOML, see https://toml.io", f"mend {path}") from None


def override(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``raw`` with dotted paths set: ``{"rerank.fusion.like": 0.8, "rerank.rules.0.theta": 0.7}``.

    Raises:
        ConfigError: a path leads through what is no section, or to a block of a list that is not there.
    """
    out: dict[str, Any] = _copy(raw)
    for path, value in changes.items():
        *folders, last = path.split(".")
        node: Any = out
        for name in folders:
            node = node[_block(node, name, path)] if isinstance(node, list) else node.setdefault(name, {})
            if not isinstance(node, dict | list):
                raise ConfigError(f"override {path}", f'"{name}" to be a section, not {node!r}')
        node[_block(node, last, path) if isinstance(node, list) else last] = value
    return out


def _block(blocks: list[Any], name: str, path: str) -> int:
    """Which of a list's blocks a part of a path names."""
    if not name.isdecimal() or int(name) >= len(blocks):
        there = f"0 to {len(blocks) - 1}, one of the blocks there are" if blocks else "a list that has blocks"
        raise ConfigError(f'override {path}: "{name}"', there, "blocks are counted from 0 in the order of the file")
    return int(name)


def explain(config: msgspec.Struct, at: str = "") -> Iterator[tuple[str, Any, str]]:
    """Every parameter as (dotted path, value, description with its range)."""
    for field in msgspec.inspect.type_info(type(config)).fields:  # type: ignore[attr-defined]
        value, path = getattr(config, field.name), f"{at}.{field.name}" if at else field.name
        if isinstance(value, msgspec.Struct):
            yield from explain(value, path)
        elif isinstance(value, dict) and any(isinstance(v, msgspec.Struct) for v in value.values()):
            for k, v in value.items():
                yield from explain(v, f"{path}.{k}")
        else:
            yield path, value, _describe(field.type)


def _describe(info: Any) -> str:
    words: list[str] = []
    while isinstance(info, msgspec.inspect.Metadata):
        words.append((info.extra_json_schema or {}).get("description", ""))
        info = info.type
    bounds = [f"{sign} {getattr(info, k)}" for k, sign in _BOUNDS if getattr(info, k, None) is not None]
    if bounds:
        words.append(f"({', '.join(bounds)})")
    return " ".join(w for w in words if w)


_BOUNDS = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))


def _refuse_unknown(raw: Mapping[str, Any], kind: Any, at: str) -> None:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return
    known = {f.encode_name: f for f in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        path = f"{at}.{key}" if at else key
        if key not in known:
            raise ConfigError(f'unknown key "{path}"', f"one of {sorted(known)}", nearest(key, known))
        if isinstance(value, Mapping):
            _refuse_unknown(value, known[key].type, path)
            _convert_named(value, known[key].type, path)


def _convert_named(blocks: Mapping[str, Any], kind: Any, at: str) -> None:
    """Check blocks by name, ``dict[str, S]``, one after the other, so that a mistake is told with its block's name."""
    kind = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    of = get_args(kind)[1] if get_origin(kind) is dict else None
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        for name, block in blocks.items():
            if isinstance(block, Mapping):
                convert(block, of, f"{at}.{name}")


def _value_at(raw: Any, path: str) -> Any:
    for part in filter(None, re.split(r"[.\[\]]+", path)):
        try:
            raw = raw[int(part)] if isinstance(raw, list) else raw[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return raw


def _copy(raw: Any) -> Any:
    if isinstance(raw, list):
        return [_copy(v) for v in raw]
    return {k: _copy(v) for k, v in raw.items()} if isinstance(raw, Mapping) else raw
