"""A learner that heeds the guard: leaves out what is in quarantine, undoes what it had learned of it, judges steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feedmill.core.workspace import Workspace
from feedmill.publish.delta import Delta
from feedmill.samples import SamplesConfig
from feedmill.samples.guard import GuardConfig, Stretch, Verdict, quarantined
from feedmill.samples.guard.by_hand import orders
from feedmill.samples.guard.verdict import tell
from feedmill.samples.positives import PositivesConfig
from feedmill.state import Replay, State
from feedmill.train.learned import Learned
from feedmill.train.update.config import NightlyConfig
from feedmill.train.update.guarded import Guarded, is_clean
from feedmill.train.update.incremental import Incremental
from feedmill.train.update.nightly import Continued
from train.update.test_incremental import same, stretch
from train.update_world import RAW, UpdateWorld

STEPS = GuardConfig(baseline=48, least=5.0, z=3.0)


@pytest.fixture(scope="module")
def world() -> UpdateWorld:
    return UpdateWorld()


def guarded(
    world: UpdateWorld, last: Delta | None = None, verdict: Verdict | None = None, config: GuardConfig = STEPS
) -> Guarded:
    raw = {**RAW, "update": {"incremental": {"alpha": 0.1, "batch_size": 8, "min_rows": 20}}}
    return Guarded(Incremental(Workspace(Path(), raw), world.artifact, last), last, verdict, config)


def step(on: Guarded, world: UpdateWorld, low: int, high: int) -> Delta:
    delta, order = on.step(*stretch(world, low, high), world.state, world.offset + high)
    assert order is None
    return delta


def quarantine(*stretches: tuple[int, int], resumes: int = 0) -> Verdict:
    return Verdict(0, 2**52, any(not b for _, b in stretches), [Stretch(a, b) for a, b in stretches], resumes)


def of(found: list[Delta]) -> Callable[[Callable[[Delta], bool]], Delta | None]:
    """The newest of these that fits."""
    return lambda fits: next((d for d in reversed(found) if fits(d)), None)


def test_what_was_learned_from_a_stretch_is_undone_and_learned_again_without_it(world: UpdateWorld) -> None:
    time_ms = world.samples.probe.time_ms
    on = guarded(world)
    found = [step(on, world, low, low + 5) for low in (0, 5, 10)]
    assert on.undo(of(found)) is None
    broken = quarantine((int(time_ms[7]), 0))
    on = guarded(world, found[-1], broken)
    back = on.undo(of(found))
    assert back is not None
    assert back.seq == 4
    for key in ("embedding", "online"):
        old, new = (d.changes["rank"][key] for d in (found[0], back))
        np.testing.assert_array_equal(new.values[np.isin(new.rows, old.rows)], old.values)
    assert on.offset(0) == found[0].about["offset"]
    assert "the guard is open since" in on.words
    rest = stretch(world, 5, 7)
    assert on.may_learn(time_ms[5:12]).tolist() == [True, True] + [False] * 5
    after = on.step(*rest, world.state, world.offset + 7)[0]
    healed = quarantine((int(time_ms[7]), int(time_ms[12])))
    for verdict in (broken, healed):
        assert is_clean(after, verdict.stretches)
        assert guarded(world, after, verdict).undo(of([*found, after])) is None
    plain = guarded(world)
    step(plain, world, 0, 5)
    same(plain.step(*rest, world.state, 0)[0], replace(after, changes=_moved(plain, after)))


def _moved(plain: Guarded, after: Delta) -> Any:
    """Rows that are as in the base were moved and put back."""
    own = plain.learner.delta().changes["rank"]
    rows = {k: np.isin(after.changes["rank"][k].rows, own[k].rows) for k in own}
    return {"rank": {k: c._replace(rows=c.rows[rows[k]], values=c.values[rows[k]])
                     for k, c in after.changes["rank"].items()}}  # fmt: skip


def test_nothing_is_judged_before_the_guard_has_looked(world: UpdateWorld) -> None:
    assert guarded(world).judged == 0
    assert guarded(world, verdict=Verdict(77, None, False, [])).judged == 77


def test_a_later_step_of_older_rows_does_not_hide_what_the_newest_was(world: UpdateWorld) -> None:
    """A like of an hour ago closes after the click of ten minutes ago; the click is what a break may have taken."""
    time_ms = world.samples.probe.time_ms
    on = guarded(world)
    step(on, world, 10, 15)
    last = step(on, world, 0, 5)
    assert last.about["until_ms"] == time_ms[14]
    assert not is_clean(last, [Stretch(int(time_ms[12]), 0)])


def test_without_a_clean_delta_it_begins_anew(world: UpdateWorld) -> None:
    on = guarded(world)
    found = [step(on, world, 0, 20)]
    on = guarded(world, found[-1], quarantine((int(world.samples.probe.time_ms[3]), 0)))
    back = on.undo(of(found))
    assert back is not None
    change = back.changes["rank"]["embedding"]
    np.testing.assert_array_equal(change.values, world.part.arrays["embedding"][change.rows])
    assert on.offset(77) == 77


@pytest.mark.parametrize(
    ("left_out", "found", "clean"),
    [
        ([], (50, 60), False),
        ([[50, 60]], (50, 60), True),
        ([[50, 0]], (50, 60), True),  # it went on, so all after it was left out
        ([[50, 55]], (50, 60), False),  # somebody made it longer
        ([[50, 60]], (50, 0), False),
        ([], (101, 0), True),  # nothing that late has been learned
        ([], (100, 0), False),
    ],
)
def test_clean_is_what_has_left_it_out(left_out: list[Any], found: tuple[int, int], clean: bool) -> None:
    delta = Delta("0" * 12, 1, {}, {"until_ms": 100, "left_out": left_out})
    assert is_clean(delta, [Stretch(*found)]) == clean
    assert is_clean(replace(delta, about={}), [Stretch(*found)])


def test_a_step_whose_predictions_are_off_is_not_kept_until_they_are_right_again(world: UpdateWorld) -> None:
    """The state travels in the deltas: each step is of another process."""
    last: Delta | None = None
    for low in range(0, 200, 20):
        last = step(guarded(world, last, quarantine()), world, low, low + 20)
    assert last is not None
    samples, probed = stretch(world, 200, 260)
    silent = replace(samples, labels=np.zeros_like(samples.labels))
    on = guarded(world, last, quarantine())
    kept, order = on.step(silent, probed, world.state, world.offset + 260)
    same(last, kept)
    assert (kept.seq, kept.about["offset"]) == (last.seq + 2, world.offset + 260)
    assert order is not None
    ((_, said),) = orders(order)
    times = samples.probe.time_ms
    assert (said.action, said.who, said.from_ms) == ("quarantine", "update --incremental", times.min())
    assert said.to_ms == times.max() + 1
    assert "rank.click over predicted: 0 where" in said.why
    assert "predictions and what came of them part" in on.words
    assert is_clean(kept, [Stretch(said.from_ms, said.to_ms)])
    again = guarded(world, kept, quarantine())
    assert again.step(samples, probed, world.state, world.offset + 260)[1] is None, "well again, so it is kept"
    resumed = guarded(world, kept, quarantine(resumes=1))
    assert resumed.step(silent, probed, world.state, 0)[1] is None, "by hand: what comes is the new normal"


def test_of_a_step_that_is_off_only_what_tells_of_it_is_put_in_quarantine(world: UpdateWorld) -> None:
    """Its likes are of an hour ago, and well: that hour is not left out because the clicks of the last minutes are."""
    last: Delta | None = None
    for low in range(0, 200, 20):
        last = step(guarded(world, last, quarantine()), world, low, low + 20)
    samples, probed = stretch(world, 200, 260)
    is_late, click = samples.probe.request_of >= 30, samples.heads.index("click")
    mask, labels = samples.mask.copy(), samples.labels.copy()
    mask[:, click] &= is_late
    labels[:, click] = 0
    silent = replace(samples, mask=mask, labels=labels)
    _, order = guarded(world, last, quarantine()).step(silent, probed, world.state, 0)
    assert order is not None
    ((_, said),) = orders(order)
    assert "rank.click over predicted" in said.why
    assert (said.from_ms, said.to_ms) == (samples.probe.time_ms[30], samples.probe.time_ms[-1] + 1)


def test_a_night_leaves_a_stretch_out(world: UpdateWorld, tmp_path: Path) -> None:
    """Of samples and positives, and says how many rows that is."""
    time_ms = world.samples.probe.time_ms
    stretches = [Stretch(int(time_ms[40]), int(time_ms[90]))]
    (tmp_path / "well" / "samples").mkdir(parents=True)
    (tmp_path / "ill" / "samples").mkdir(parents=True)
    for name, verdict in (("well", quarantine()), ("ill", Verdict(0, None, False, stretches))):
        tell(tmp_path / name, verdict, None)
    said = (world.artifact.parts, world.offset, NightlyConfig(), 0)
    nights = [
        Continued(Workspace(tmp_path / name, RAW), Replay(world.events, State()), *said) for name in ("well", "ill")
    ]
    every, some = (night.samples(SamplesConfig())[0] for night in nights)
    inside = quarantined(stretches, every.probe.time_ms)
    assert inside.sum() == nights[1].n_left_out == 50
    assert nights[0].n_left_out == 0
    assert not quarantined(stretches, some.probe.time_ms).any()
    assert len(every.probe) - len(some.probe) in (50, 47, 48, 49), "the held-out share is of fewer rows"
    chosen = [night.positives(PositivesConfig()).probe.time_ms for night in nights]
    np.testing.assert_array_equal(chosen[1], chosen[0][~quarantined(stretches, chosen[0])])


def test_training_from_nothing_leaves_it_out_too(world: UpdateWorld, tmp_path: Path) -> None:
    stretch = Stretch(int(world.samples.probe.time_ms[0]), 0)
    (tmp_path / "samples").mkdir()
    plain = Learned(Workspace(tmp_path, RAW), Replay(world.events, State()), world.events, 0)
    tell(tmp_path, Verdict(0, None, True, [stretch]), None)
    careful = Learned(Workspace(tmp_path, RAW), Replay(world.events, State()), world.events, 0)
    for every, some in (
        [of.samples(SamplesConfig(min_positives=1))[0].probe for of in (plain, careful)],
        [of.positives(PositivesConfig()).probe for of in (plain, careful)],
    ):
        assert (every.time_ms >= stretch.from_ms).any()
        np.testing.assert_array_equal(some.time_ms, every.time_ms[every.time_ms < stretch.from_ms])
