"""Answers of look-ups as bytes, put together from parts that were made when the edition was loaded.

A model of `models` gives the same bytes; making one takes longer than the look-up itself.
"""

import math

import orjson

from geogrid.codes import LEVELS
from geogrid.datums import Datum
from geogrid.edition import Edition
from geogrid.locate import Status
from geogrid.locate.index import Index

_NULL = b"null"


class Answers:
    """Writes what was found in one edition; made once, asked often, safe in threads.

    Attributes
    ----------
    headers : list of (name, value)
        Of each answer: what it is, what it was found in, and that nobody may keep it.
    """

    def __init__(self, edition: Edition, index: Index) -> None:
        """Write the chain of every grid, and the name of every micro-grid."""
        self._codes = [code.encode() for code in index.unit_codes("microgrid").tolist()]
        self._names = [orjson.dumps(name) for name in edition.units["microgrid"]["name"].tolist()]
        self._parents = index.arrays["microgrid_parents"].tolist()
        self._grids = [code.encode() for code in index.unit_codes("grid").tolist()]
        self._chains = _chains(edition, index)
        self.headers = [
            (b"content-type", b"application/json"),
            (b"x-dataset-revision", edition.info.digest.encode()),
            (b"cache-control", b"no-store"),
        ]
        info = orjson.dumps({"edition": edition.info.id, "revision": edition.info.digest})
        self._tails = {
            datum: b',"datum":"%s",%s' % (datum.value.encode(), info[1:]) for datum in Datum
        }

    def place(self, found: tuple[int, Status, bool, float, int], datum: Datum) -> bytes:
        """Return what `Locator.place` found, a `models.Place`, as JSON."""
        row, status, on_edge, metres, beside = found
        grid, code, chain = _NULL, _NULL, b""
        if row >= 0:
            parent, code = self._parents[row], b'"%s"' % self._codes[row]
            grid = b'"%s"' % self._grids[parent]
            own = b',{"level":"microgrid","code":%s,"name":%s}' % (code, self._names[row])
            chain = self._chains[parent] + own
        return b"".join(
            (
                b'{"status":"', status.value.encode(),
                b'","grid_code":', grid,
                b',"microgrid_code":', code,
                b',"chain":[', chain,
                b'],"on_edge":', b"true" if on_edge else b"false",
                b',"edge_m":', _NULL if math.isnan(metres) else b"%r" % round(metres, 2),
                b',"neighbour_code":', b'"%s"' % self._codes[beside] if beside >= 0 else _NULL,
                b',"neighbour_name":', self._names[beside] if beside >= 0 else _NULL,
                self._tails[datum],
            )
        )  # fmt: skip


def _chains(edition: Edition, index: Index) -> list[bytes]:
    """Return the units from the city down to each grid, as members of a JSON list."""
    above = [b""]
    for level in LEVELS[:-1]:
        rows = index.arrays[f"{level}_parents"].tolist() if level != "city" else [0]
        table = edition.units[level]
        links = (
            orjson.dumps({"level": level, "code": code, "name": name})
            for code, name in zip(table["code"], table["name"], strict=True)
        )
        above = [
            above[row] + (b"," if above[row] else b"") + link
            for row, link in zip(rows, links, strict=True)
        ]
    return above
