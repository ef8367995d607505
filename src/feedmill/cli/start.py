"""``feedmill init`` and ``feedmill config``."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from feedmill.cli.options import HERE, Dir, Set, workspace
from feedmill.core.config import explain
from feedmill.core.workspace import Workspace, component


def template() -> str:
    """The commented feedmill.toml that ``init`` writes."""
    return (resources.files("feedmill.cli") / "feedmill.toml").read_text("utf-8")


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]) -> None:
    """Make a workspace: a folder with a commented feedmill.toml."""
    Workspace.create(folder, template())
    typer.echo(f"made {folder / 'feedmill.toml'}")
    typer.echo(f"next: feedmill ingest events.parquet --map map.toml --dir {folder}")


def config(
    folder: Dir = HERE,
    settings: Set = None,
    explained: Annotated[bool, typer.Option("--explain", help="With what each parameter means.")] = False,
) -> None:
    """Check the config and print it, defaults merged in."""
    for path, value, meaning in parameters(workspace(folder, settings)):
        typer.echo(f"{path} = {value!r}" + (f"  # {meaning}" if explained and meaning else ""))


def parameters(at: Workspace) -> list[tuple[str, Any, str]]:
    """Every parameter the workspace runs with: (dotted path, value, description).

    Raises:
        ConfigError: any section that would be refused when used.
    """
    from feedmill.cli.group.config import RunConfig
    from feedmill.experiments import ExperimentsConfig
    from feedmill.features import FeaturesConfig
    from feedmill.log import LOGS
    from feedmill.publish import PublishConfig
    from feedmill.rerank import RULES, FusionConfig
    from feedmill.retrieval import CHANNELS
    from feedmill.samples import InterestConfig, SamplesConfig
    from feedmill.samples.guard import GuardConfig
    from feedmill.samples.joiner import JoinConfig
    from feedmill.samples.splits import EvaluateConfig
    from feedmill.serve.build import FILTERS_DEFAULT
    from feedmill.serve.config import ChannelOwn, PrerankConfig, RetrievalConfig, ServeConfig
    from feedmill.serve.filters import FILTERS
    from feedmill.state import StateConfig

    out: list[tuple[str, Any, str]] = []

    def section(name: str, kind: type[msgspec.Struct], drop: list[str] | None = None) -> None:
        out.extend(explain(at.section(name, kind, drop or []), name))

    log = component(at.raw.get("log", {}), LOGS, "log", "sqlite")
    out.append(("log.kind", log.kind, ""))
    out.extend(explain(log.config, "log"))
    section("serve", ServeConfig)
    section("state", StateConfig)
    section("samples", SamplesConfig, ["interest", "join", "guard"])
    section("samples.interest", InterestConfig)
    section("samples.join", JoinConfig)
    section("samples.guard", GuardConfig)
    section("features", FeaturesConfig)
    section("retrieval", RetrievalConfig, ["channels"])
    for c in at.components("retrieval.channels", CHANNELS, own=ChannelOwn.__struct_fields__):
        where = f"retrieval.channels.{c.name}"
        out.append((f"{where}.kind", c.kind, ""))
        out.extend(explain(msgspec.convert(c.own, ChannelOwn), where))
        out.extend(explain(c.config, where))
    at = Workspace(at.path, {**at.raw, "filters": {**FILTERS_DEFAULT, **at.raw.get("filters", {})}})
    for c in at.components("filters", FILTERS):
        out.append((f"filters.{c.name}", True, ""))
        out.extend(explain(c.config, f"filters.{c.name}"))
    section("prerank", PrerankConfig)
    out.extend(_trained(at))
    section("rerank.fusion", FusionConfig)
    for i, c in enumerate(at.components("rerank.rules", RULES)):
        out.append((f"rerank.rules.{i}.kind", c.kind, ""))
        out.extend(explain(c.config, f"rerank.rules.{i}"))
    section("experiments", ExperimentsConfig)
    section("evaluate", EvaluateConfig)
    section("publish", PublishConfig)
    section("run", RunConfig)
    return out


def _trained(at: Workspace) -> list[tuple[str, Any, str]]:
    """[train] and the models' own parameters, where torch is installed."""
    try:
        from feedmill.train.config import TrainConfig
        from feedmill.train.plans import Plans
        from feedmill.train.update.config import UpdateConfig
    except ModuleNotFoundError:
        return [("train", "not installed", "pip install 'feedmill[train]'")]
    towers = [k for k, v in at.raw.get("train", {}).items() if isinstance(v, dict)]
    out = list(explain(at.section("train", TrainConfig, towers), "train"))
    out.extend(explain(at.section("update", UpdateConfig), "update"))
    plans = Plans.of(at)
    for name, plan in plans.models.items():
        out.append((f"train.{name}.kind", plan.kind, ""))
        for where, part in plan.explained():
            out.extend(explain(part, where))
    if plans.rank is not None:
        out.append(("rank.kind", plans.rank.chosen.kind, ""))
        for where, part in plans.rank.explained():
            out.extend(explain(part, where))
    return out
