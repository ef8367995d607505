"""How experiments look in a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from feedmill.cli.show import out
from feedmill.experiments import Action, Experiment, Plan
from feedmill.experiments.lifecycle import consistent
from feedmill.experiments.ranges import size
from feedmill.experiments.record import Moment, Step
from feedmill.experiments.why import why

WIDTH = 50  # cells of a layer's map
INKS = ("█", "▓", "▒", "░", "#", "%", "=", "+", "~", "o")
FREE = "·"


def overview(plan: Plan) -> None:
    """Layers as maps of their users, then experiments and launches."""
    out.print(_holdout(plan))
    layers = Table("layer", box=None, header_style="bold", padding=(0, 1))
    layers.add_column("its users", min_width=WIDTH, no_wrap=True)
    layers.add_column()
    for name, layer in plan.config.layers.items():
        layers.add_row(escape(name), *_map(plan, name, layer.n_buckets))
    if plan.config.layers:
        out.print(layers)
    else:
        out.print("no layers: put \\[experiments.layers.NAME] into feedmill.toml")
    if plan.experiments:
        out.print(_experiments(plan))
    for name in plan.config.defined.keys() - plan.experiments.keys():
        out.print(f"[dim]defined, not created: {escape(name)}; feedmill experiment create {escape(name)}[/]")
    for note in consistent(plan, plan.config):
        out.print(f"[yellow]note: {escape(note)}[/]")


def one(plan: Plan, name: str) -> None:
    """An experiment with its arms and its history."""
    e = plan.experiment(name)
    out.print(f"[bold]{escape(e.name)}[/] is {e.status}; layer {escape(e.definition.layer)}")
    if e.definition.why:
        out.print(escape(e.definition.why))
    arms = Table("arm", "share", "buckets", "sets", box=None, header_style="bold", padding=(0, 1))
    for arm, ranges in e.buckets.items():
        sets = "\n".join(f"{path} = {value!r}" for path, value in e.definition.arms[arm].set.items())
        label = f"{arm} (control)" if arm == e.definition.control and arm != "control" else arm
        arms.add_row(escape(label), _share(e, arm), f"{size(ranges):,}", escape(sets) or "[dim]as is[/]")
    out.print(arms)
    if e.launch and e.status == "launched":
        out.print(escape(_launch(plan, e)))
    _steps(plan, [step for step in plan.history if step.action.name == name])
    _refused(plan, name)


def history(plan: Plan) -> None:
    """Everything that was done, and what was not allowed."""
    _steps(plan, list(plan.history))
    _refused(plan)


def assignment(plan: Plan, user: str) -> None:
    """What a user gets and why."""
    arms, key = plan.assign(user)
    table = Table("looked at", "bucket", "of", "is of", "arm", "", box=None, header_style="bold", padding=(0, 1))
    for look in why(plan, user):
        words = (escape(w) for w in (look.owner or "-", look.arm or "-", look.why))
        table.add_row(escape(look.where), f"{look.bucket:,}", f"{look.n:,}", *words)
    out.print(f"[bold]user {escape(user)}[/]")
    out.print(table)
    said = ", ".join(f"{name}: {arm}" for name, arm in arms.items()) or "no experiment"
    out.print(f"gets {escape(said)}")
    for path, value in plan.overrides(key).items():
        out.print(escape(f"  {path} = {value!r}"))


def done(plan: Plan, e: Experiment | None) -> None:
    """A sentence on the step that was taken last."""
    action = plan.history[-1].action
    if e is None:
        held = f"{_percent(plan.holdout.share)} of the users"
        out.print(f"the holdout period is over: its users get the launches; period {plan.holdout.period} has {held}")
    else:
        out.print(escape(_said(plan, e, action)))


def _said(plan: Plan, e: Experiment, action: Action) -> str:
    arms = _arms(e)
    if action.action == "create":
        return f"created {e.name} in layer {e.definition.layer}: {arms}. Next: feedmill experiment start {e.name}"
    if action.action == "start":
        return f"{e.name} runs: {arms}. Is it better? feedmill report experiment {e.name}"
    if action.action == "stop" and e.taken_back:
        return f"{e.name} is taken back: everyone gets the feed as it is without it"
    if action.action == "stop":
        return f"{e.name} is stopped; its buckets are free. Next: roll-out or close"
    if e.status == "launched":
        return _launch(plan, e)
    return f"{e.name} is closed"


def _launch(plan: Plan, e: Experiment) -> str:
    assert e.launch is not None
    kept = [f"the holdout of period {plan.holdout.period}"] if plan.holdout.share else []
    kept = kept if e.launch.period == plan.holdout.period else []
    if e.launch.share:
        kept.append(f"{_percent(e.launch.share)} of the users, who keep what {e.definition.control} had")
    return f"{e.name} is launched: {e.launch.arm} for everyone" + (f" but {' and '.join(kept)}" if kept else "")


def _holdout(plan: Plan) -> str:
    held = plan.holdout
    if not held.share:
        return "[bold]holdout[/] none"
    since = f" since {_when(held.since)}" if held.since else ""
    return f"[bold]holdout[/] {_percent(held.share)} of the users, period {held.period}{since}"


def _map(plan: Plan, layer: str, n: int) -> tuple[str, str]:
    """A layer's users as a bar, a kind of ink for each experiment, and what the inks mean."""
    bar, legend, taken = "", [], 0
    for ink, e in zip(INKS * n, plan.holding(layer), strict=False):
        buckets = sum(size(ranges) for ranges in e.buckets.values())
        bar, taken = bar + ink * max(1, round(buckets / n * WIDTH)), taken + buckets
        legend.append(f"{ink} {e.name} {_percent(buckets / n)}" + ("" if e.status == "running" else f" ({e.status})"))
    legend.append(f"{FREE} free {_percent((n - taken) / n)} of {n:,} buckets")
    return escape(bar[:WIDTH].ljust(WIDTH, FREE)), escape(", ".join(legend))


def _experiments(plan: Plan) -> Table:
    table = Table("experiment", "is", "since", "layer", "arms", box=None, header_style="bold", padding=(0, 1))
    for e in plan.experiments.values():
        last = [step for step in plan.history if step.action.name == e.name][-1]
        what = _launch(plan, e).partition(": ")[2] if e.status == "launched" else _arms(e)
        since = _when(Moment(last.time_ms, last.offset))
        table.add_row(*(escape(w) for w in (e.name, e.status, since, e.definition.layer, what)))
    return table


def _arms(e: Experiment) -> str:
    return ", ".join(f"{arm} {_share(e, arm)}" for arm in e.buckets)


def _share(e: Experiment, arm: str) -> str:
    return _percent(size(e.buckets[arm]) / e.layer.n_buckets)


def _percent(share: float) -> str:
    return f"{share * 100:.4g} %"


def _steps(plan: Plan, steps: list[Step]) -> None:
    table = Table("when", "event", "step", "", "by", "note", box=None, header_style="bold", padding=(0, 1))
    for step in steps:
        action, when = step.action, _when(Moment(step.time_ms, step.offset))
        words = (when, f"{step.offset:,}", action.action, _about(action), action.by, action.note)
        table.add_row(*(escape(w) for w in words))
    out.print(table if steps else "nothing has happened yet")


def _about(action: Action) -> str:
    """What a step was told: its experiment, arm and share."""
    told = [action.name, action.arm, "" if action.share is None else _percent(action.share)]
    if action.action == "end_holdout" and action.holdout:
        told = [f"next {_percent(action.holdout.share)}"]
    return " ".join(t for t in told if t)


def _refused(plan: Plan, name: str | None = None) -> None:
    for r in plan.refused:
        if name is None or (r.action and r.action.name == name):
            what = f"{r.action.action} {r.action.name} by {r.action.by or 'nobody'}" if r.action else "unreadable"
            out.print(f"[yellow]refused[/] event {r.offset:,}: {escape(f'{what}: {r.reason}')}")


def _when(moment: Moment) -> str:
    return datetime.fromtimestamp(moment.time_ms / 1e3, UTC).strftime("%Y-%m-%d %H:%M UTC")
