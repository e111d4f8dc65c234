"""What is counted, for Prometheus; every application counts for itself."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_POSITIONS = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000)

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Metrics(Collector):
    """Counters of one application, told by its event loop alone.

    They are plain numbers, which Prometheus' client writes: its own, safe in threads, cost a
    look-up a tenth.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self._requests: dict[tuple[str, str, int], _Spread] = {}
        self._refused = Counter[str]()
        self._positions = Counter[str]()
        self._n_on_edge = 0
        self._batches = _Spread(_POSITIONS)
        self._revision: tuple[str, str] | None = None
        self._swaps = Counter[str]()

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        spread = self._requests.get((method, route, status))
        if spread is None:
            spread = self._requests[method, route, status] = _Spread(_SECONDS)
        spread.add(seconds)

    def refused(self, code: str) -> None:
        """Count a request that was refused before any route saw it."""
        self._refused[code] += 1

    def position(self, status: str, *, on_edge: bool) -> None:
        """Count one position looked up."""
        self._positions[status] += 1
        self._n_on_edge += on_edge

    def batch(self, statuses: Mapping[str, int], n_on_edge: int) -> None:
        """Count the positions of a batch, given how many have each status."""
        self._batches.add(sum(statuses.values()))
        self._positions.update({status: n for status, n in statuses.items() if n})
        self._n_on_edge += n_on_edge

    def serving(self, edition: str, revision: str) -> None:
        """Note the edition that is served from now on."""
        self._revision = edition, revision

    def reloaded(self, result: str) -> None:
        """Count an attempt to load another edition."""
        self._swaps[result] += 1

    def collect(self) -> Iterator[Metric]:
        """Yield all of it, as Prometheus' client asks for it."""
        requests = HistogramMetricFamily(
            "geogrid_request_seconds", "Time until the end of the answer.",
            labels=("method", "route", "status"),
        )  # fmt: skip
        for (method, route, status), spread in self._requests.items():
            requests.add_metric((method, route, str(status)), *spread.cumulated())
        yield requests
        yield _counted(
            "geogrid_refused", "Requests refused before any route saw them.", "code", self._refused
        )
        yield _counted(
            "geogrid_positions", "Positions looked up, by what became of them.", "status",
            self._positions,
        )  # fmt: skip
        yield CounterMetricFamily(
            "geogrid_positions_on_edge", "Positions exactly on an edge.", value=self._n_on_edge
        )
        batches = HistogramMetricFamily("geogrid_batch_positions", "Positions of a batch.")
        batches.add_metric((), *self._batches.cumulated())
        yield batches
        revision = GaugeMetricFamily(
            "geogrid_revision_info", "1 for the edition that is served.",
            labels=("edition", "revision"),
        )  # fmt: skip
        if self._revision is not None:
            revision.add_metric(self._revision, 1)
        yield revision
        yield _counted(
            "geogrid_reloads", "Attempts to load another edition, by result.", "result", self._swaps
        )

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


class _Spread:
    """How many values lie up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.counts, self.total = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> tuple[list[tuple[str, float]], float]:
        """Return buckets and sum as a family of histograms takes them."""
        names = (*map(floatToGoString, self.bounds), "+Inf")
        return list(zip(names, accumulate(self.counts), strict=True)), self.total


def _counted(name: str, said: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, said, labels=(label,))
    for value, n in counts.items():
        family.add_metric((value,), n)
    return family
