"""GET /metrics: an engine's counts, its log and state, and every part's status, in the Prometheus text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from feedmill.core.clock import WallClock
from feedmill.core.status import OK, statuses
from feedmill.core.workspace import Workspace
from feedmill.serve.engine import Engine
from feedmill.serve.metrics import Histogram


class Exposition:
    """The metrics of one engine, in a registry of their own."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (Served(engine), Live(engine), Parts(engine.workspace)):
            self._registry.register(collector)

    def text(self) -> bytes:
        """All of it, as of now."""
        return generate_latest(self._registry)


class Served(Collector):
    """What ``metrics.Metrics`` has counted."""

    def __init__(self, engine: Engine) -> None:
        self._counted = engine.metrics

    def collect(self) -> Iterator[Metric]:
        """Everything under one lock, so that sums agree."""
        with self._counted.lock:
            metrics = [*self._http(), *self._feeds()]
        yield from metrics

    def _http(self) -> Iterator[Metric]:
        m = self._counted
        yield counts("feedmill_http_requests", "HTTP requests answered.", ("route", "status"), m.requests.items())
        took = HistogramMetricFamily("feedmill_http_request_seconds", "Time to the answer.", labels=["route"])
        for route, histogram in m.seconds.items():
            fill(took, [route], histogram)
        yield took
        now = GaugeMetricFamily("feedmill_http_at_once", "Requests worked on or waiting.", labels=["kind"])
        for kind, n_now in m.at_once.items():
            now.add_metric([kind], n_now())
        yield now
        taken = (((of,), n) for of, n in m.events.items())
        yield counts("feedmill_events", "Events taken in, on the disk and in the state.", ("kind",), taken)

    def _feeds(self) -> Iterator[Metric]:
        m = self._counted
        feeds = HistogramMetricFamily("feedmill_feed_seconds", "Time to choose a feed, logging it not counted.")
        fill(feeds, [], m.feeds)
        yield feeds
        yield counts("feedmill_items_shown", "Items of all feeds.", (), [((), m.shown)])
        took = HistogramMetricFamily("feedmill_feed_stage_seconds", "Time of a stage.", labels=["stage"])
        flow = CounterMetricFamily("feedmill_feed_candidates", "Candidates of a stage.", labels=["stage", "way"])
        for name, stage in m.stages.items():
            fill(took, [name], stage.ms)
            flow.add_metric([name, "in"], stage.n_in)
            flow.add_metric([name, "out"], stage.n_out)
        yield took
        yield flow
        yield counts(
            "feedmill_degraded", "Feeds that had to do without something.", ("what", "reason"), m.degraded.items()
        )
        words = "Feeds in the log in which an experiment's stages ran."
        yield counts("feedmill_experiment_exposures", words, ("experiment", "arm"), m.exposures.items())


class Live(Collector):
    """The log, the state, the model."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """As of now."""
        engine = self._engine
        status, end = engine.status(), engine.live.log.end
        offset = int(status["offset"])
        yield gauge("feedmill_log_end", "Events in the log.", end)
        yield gauge("feedmill_state_offset", "Events in the state.", offset)
        yield gauge("feedmill_state_lag_events", "Events in the log that the state has not.", max(0, end - offset))
        yield gauge("feedmill_users", "Users that the log knows.", status["users"])
        yield gauge("feedmill_items", "Items that the log knows.", status["items"])
        yield gauge("feedmill_problems", "What /readyz says is wrong.", len(status["problems"]))
        model = GaugeMetricFamily("feedmill_model_info", "1 for the version served.", labels=["version"])
        model.add_metric([status["version"]], 1)
        yield model
        words = "Accounts of feeds that were not kept: the queue was full, or the file could not be written."
        yield counts("feedmill_traces_dropped", words, (), [((), engine.n_traces_dropped)])


class Parts(Collector):
    """Status files of all parts, whichever process wrote them."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._clock = workspace, WallClock()

    def collect(self) -> Iterator[Metric]:
        """As the files are now."""
        now_ms = self._clock.now_ms()
        age = GaugeMetricFamily("feedmill_part_age_seconds", "Since a part last said how it is.", labels=["part"])
        fine = GaugeMetricFamily("feedmill_part_ok", "1 where a part says that all is well.", labels=["part", "state"])
        offset = GaugeMetricFamily("feedmill_part_offset", "Events that a part has dealt with.", labels=["part"])
        figure = GaugeMetricFamily("feedmill_part_figure", "What a part says of itself.", labels=["part", "name"])
        for name, status in statuses(self._workspace).items():
            age.add_metric([name], status.age_s(now_ms))
            fine.add_metric([name, status.state], status.state == OK)
            offset.add_metric([name], status.offset)
            for what, value in status.figures.items():
                figure.add_metric([name, what], value)
        yield from (age, fine, offset, figure)


def counts(name: str, words: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    """A counter by labels."""
    metric = CounterMetricFamily(name, words, labels=labels)
    for of, value in values:
        metric.add_metric(of, value)
    return metric


def gauge(name: str, words: str, value: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, words, value=value)


def fill(metric: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    """Milliseconds counted -> cumulative buckets in seconds."""
    bounds = [*(f"{ms / 1e3:g}" for ms in histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
    metric.add_metric(labels, buckets, histogram.sum / 1e3)
