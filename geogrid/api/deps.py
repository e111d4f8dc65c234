"""What the service is started with and what it holds in memory while it runs."""

from collections import Counter
from functools import cached_property
from typing import Annotated, cast

import numpy as np
from fastapi import Depends, Request
from starlette.types import Scope

from geogrid import __version__, store
from geogrid.api.answers import Answers
from geogrid.api.collections import Collections
from geogrid.api.directory import Directory
from geogrid.api.imagery import Imagery
from geogrid.api.metrics import Metrics
from geogrid.api.problems import Problem, status_of_invalid
from geogrid.api.settings import Settings
from geogrid.datums import Datum
from geogrid.edition import Edition, to_world
from geogrid.locate import Locator
from geogrid.tiles import MIN_ZOOMS, TileSet


class Dataset:
    """An edition and everything that answers from it; never changed while it is served."""

    def __init__(self, edition: Edition, imagery: Imagery | None = None) -> None:
        """Index the edition, and compile what would delay the first answer."""
        self.edition, self.imagery = edition, imagery
        self.revision = edition.info.digest
        self.version = f"{self.revision[:16]}-{__version__}"
        self.directory = Directory(edition)
        self.locator = Locator(edition)
        self.answers = Answers(edition, self.locator.index)
        self.tiles = TileSet(edition)
        self.collections = Collections(edition)
        self._warm_up()

    @cached_property
    def breaks(self) -> dict[str, list[int]]:
        """Households that divide the units of each level into five classes about equally large."""
        shares = [0.2, 0.4, 0.6, 0.8]
        tables = {level: self.edition.units[level] for level in MIN_ZOOMS}
        return {
            level: [int(value) for value in table["households"].quantile(shares)]
            for level, table in tables.items()
        }

    def _warm_up(self) -> None:
        west, south, east, north = self.tiles.bounds
        middle = np.array([[(west + east) / 2, (south + north) / 2]])
        self.locator.locate(middle, datum=Datum.BD09, edges=True)
        self.answers.to_query(b"lon=%.7f&lat=%.7f&datum=bd09" % tuple(middle[0].tolist()))
        x, y = (to_world(middle)[0] * (1 << 12)).astype(int).tolist()
        self.tiles.encode(12, x, y)


def load(settings: Settings) -> Dataset:
    """Read the edition and open the imagery.

    Raises
    ------
    DataError
        A file cannot be used.
    """
    imagery = None if settings.imagery is None else Imagery(settings.imagery)
    return Dataset(store.read_edition(settings.edition), imagery)


class Served:
    """The dataset that answers now; replaced by one assignment, so nobody sees half of one.

    A request is bound to the dataset of its beginning (`guard`): `scope["state"]["dataset"]`. What
    it is answered from does not change while it is worked on.
    """

    dataset: Dataset


def dataset_of(scope: Scope) -> Dataset:
    """Return the dataset that a request is bound to."""
    return cast(Dataset, scope["state"]["dataset"])


async def _dataset(request: Request) -> Dataset:
    return dataset_of(request.scope)


def metrics_of(scope: Scope) -> Metrics:
    """Return where look-ups are counted."""
    return cast(Metrics, scope["state"]["metrics"])


async def _metrics(request: Request) -> Metrics:
    return metrics_of(request.scope)


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


async def each_once(request: Request) -> None:
    """Call `refuse_repeated` before a route; a plain function would be called in a thread."""
    refuse_repeated(request)


def refuse_repeated(request: Request) -> None:
    """Refuse a query that gives a parameter twice: which of them is meant cannot be known."""
    names = Counter(name for name, _ in request.query_params.multi_items())
    ((name, n),) = names.most_common(1) or [("", 0)]
    if n > 1:
        raise Problem(
            status_of_invalid(request.scope["path"]), "repeated",
            f"{name}: given {n} times, expected once",
            f"{name}：参数重复", field=name,
        )  # fmt: skip


Data = Annotated[Dataset, Depends(_dataset)]
"""Parameter of a route: what the service held in memory when the request began."""

Config = Annotated[Settings, Depends(_settings)]
"""Parameter of a route: what the service was started with."""

Counters = Annotated[Metrics, Depends(_metrics)]
"""Parameter of a route: where look-ups are counted."""
