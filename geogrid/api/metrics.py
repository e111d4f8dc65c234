"""What is counted, for Prometheus; every application counts for itself."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_POSITIONS = (1, 10, 100, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000)

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one application; safe in threads."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = registry = CollectorRegistry()
        self._requests = Histogram(
            "geogrid_request_seconds", "Time until the end of the answer.",
            ("method", "route", "status"), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "geogrid_refused_total", "Requests refused before any route saw them.",
            ("code",), registry=registry,
        )  # fmt: skip
        self._positions = Counter(
            "geogrid_positions_total", "Positions looked up, by what became of them.",
            ("status",), registry=registry,
        )  # fmt: skip
        self._edges = Counter(
            "geogrid_positions_on_edge_total", "Positions exactly on an edge.", registry=registry
        )
        self._batches = Histogram(
            "geogrid_batch_positions", "Positions of a batch.", buckets=_POSITIONS,
            registry=registry,
        )  # fmt: skip
        self._revision = Gauge(
            "geogrid_revision_info", "1 for the edition that is served.",
            ("edition", "revision"), registry=registry,
        )  # fmt: skip
        self._swaps = Counter(
            "geogrid_reloads_total", "Attempts to load another edition, by result.",
            ("result",), registry=registry,
        )  # fmt: skip
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._statuses: dict[str, Counter] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(method, route, str(status))
        child.observe(seconds)

    def refused(self, code: str) -> None:
        """Count a request that was refused before any route saw it."""
        self._refused.labels(code).inc()

    def position(self, status: str, *, on_edge: bool) -> None:
        """Count one position looked up."""
        child = self._statuses.get(status)
        if child is None:
            child = self._statuses[status] = self._positions.labels(status)
        child.inc()
        if on_edge:
            self._edges.inc()

    def batch(self, statuses: Mapping[str, int], n_on_edge: int) -> None:
        """Count the positions of a batch, given how many have each status."""
        self._batches.observe(sum(statuses.values()))
        for status, n in statuses.items():
            if n:
                self._positions.labels(status).inc(n)
        self._edges.inc(n_on_edge)

    def serving(self, edition: str, revision: str) -> None:
        """Note the edition that is served from now on."""
        self._revision.clear()
        self._revision.labels(edition, revision).set(1)

    def reloaded(self, result: str) -> None:
        """Count an attempt to load another edition."""
        self._swaps.labels(result).inc()

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
