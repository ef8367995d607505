from typing import Annotated, Literal

import pytest
from msgspec import Meta

from feedmill.core.config import Config, convert, explain, override, read_toml
from feedmill.core.errors import ConfigError
from feedmill.core.registry import Registry


class Inner(Config, frozen=True):
    theta: Annotated[float, Meta(ge=0, le=1, description="weight of value")] = 0.7


class Outer(Config, frozen=True):
    limit: Annotated[int, Meta(ge=1)] = 10
    inner: Inner = Inner()


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'unknown key "rerank.inner.thta"[\s\S]*did you mean "theta"'):
        convert({"inner": {"thta": 1}}, Outer, "rerank")


@pytest.mark.parametrize(("raw", "path"), [({"inner": {"theta": 2}}, "inner.theta"), ({"limit": "ten"}, "limit")])
def test_a_bad_value_is_shown_with_its_path(raw: dict[str, object], path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(raw, Outer)
    assert caught.value.given.startswith(f"{path} = ")
    assert caught.value.expected


class Named(Config, frozen=True):
    blocks: Annotated[dict[str, Inner], Meta(description="by name")] = {}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"thta": 1}, 'unknown key "x.blocks.first.thta"'),
        ({"theta": 2}, "x.blocks.first.theta = 2"),
        (3, r"x.blocks\[...\]"),
    ],
)
def test_a_mistake_in_a_named_block_is_told_with_its_name(raw: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        convert({"blocks": {"fine": {}, "first": raw}}, Named, "x")


class Schemes(Config, frozen=True):
    scheme: Literal[1, 2, 30] = 1


def test_choices_that_are_numbers_are_listed_too() -> None:
    with pytest.raises(ConfigError, match=r"scheme = 3[\s\S]*one of \[1, 2, 30\]"):
        convert({"scheme": 3}, Schemes)


def test_overrides_reach_dotted_paths_and_leave_the_original() -> None:
    raw = {"inner": {"theta": 0.5}}
    assert override(raw, {"inner.theta": 0.9, "limit": 3}) == {"inner": {"theta": 0.9}, "limit": 3}
    assert raw == {"inner": {"theta": 0.5}}
    with pytest.raises(ConfigError, match="limit"):
        override({"limit": 3}, {"limit.deeper": 1})


def test_explain_lists_every_parameter_with_its_range() -> None:
    told = {path: (value, words) for path, value, words in explain(Outer())}
    assert told["inner.theta"] == (0.7, "weight of value (>= 0, <= 1)")
    assert told["limit"][0] == 10


def test_toml_errors_have_the_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.toml").write_text("a = 1\nb = = 2\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_toml(tmp_path / "x.toml")
    with pytest.raises(ConfigError, match="feedmill init"):
        read_toml(tmp_path / "none.toml")


def test_a_registry_imports_lazily_and_names_the_nearest() -> None:
    registry: Registry[object] = Registry("thing", {"fraction": "fractions:Fraction", "broken": "no.such:Thing"})
    assert registry["fraction"].__name__ == "Fraction"
    with pytest.raises(ConfigError, match=r'no kind "fractoin"[\s\S]*did you mean "fraction"'):
        registry["fractoin"]
    assert list(registry) == ["broken", "fraction"]


def test_a_word_that_is_no_choice_is_answered_with_the_choices() -> None:
    class Inner(Config, frozen=True):
        way: Literal["up", "down"] = "up"

    class Outer(Config, frozen=True):
        inner: Inner = Inner()

    with pytest.raises(
        ConfigError, match=r"(?s)lift\.inner\.way = 'dwn'.*'up', 'down'.*did you mean \"down\""
    ) as caught:
        convert({"inner": {"way": "dwn"}}, Outer, "lift")
    assert "Invalid" not in str(caught.value)


def test_override_reaches_into_the_blocks_of_a_list_and_leaves_the_original_alone():
    raw = {"rerank": {"rules": [{"kind": "mmr", "theta": 0.9}, {"kind": "window"}]}}
    assert override(raw, {"rerank.rules.0.theta": 0.5})["rerank"]["rules"][0] == {"kind": "mmr", "theta": 0.5}
    assert raw["rerank"]["rules"][0]["theta"] == 0.9


@pytest.mark.parametrize("path", ["rerank.rules.2.theta", "rerank.rules.mmr.theta", "rerank.rules.-1.theta"])
def test_override_names_the_blocks_that_there_are(path):
    with pytest.raises(ConfigError) as error:
        override({"rerank": {"rules": [{"kind": "mmr"}, {"kind": "window"}]}}, {path: 0.5})
    assert path in str(error.value)
    assert "0 to 1" in str(error.value)
