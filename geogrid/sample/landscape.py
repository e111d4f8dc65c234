"""The invented landscape: a crooked lattice of roads, canals, tree lines and the land between.

Cells of about 280 m are the field blocks, settlements and town blocks; their edges are what one
sees from the air: rivers, canals, roads by class, tree lines, ditches and paths. Everything hangs
on place and seed only, so a county looks the same whether it is drawn alone or with the city.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geogrid.sample.noise import chance, waves

CELL = 280.0
"""Metres between lattice lines; a block of about 8 ha."""

_X0, _Y0 = 470_000.0, 3_600_000.0
_WARPS = ((24_000.0, 1_000.0), (2_600.0, 95.0), (800.0, 22.0))
"""Wave length and height, in metres, of the bends of the lattice lines."""

PATH, TREES, DITCH, ROAD, CANAL, MAIN_ROAD, EXPRESSWAY, RIVER = range(8)
WIDTHS = np.array([4.0, 7.0, 5.0, 7.0, 16.0, 15.0, 28.0, 70.0])
"""Metres by class of edge."""

CLASS_NAMES = ("path", "trees", "ditch", "road", "canal", "main road", "expressway", "river")

_RIVERS = (268, 330, 433, 515, 603)
"""Lattice rows that are rivers, from west to east."""
_BEND, _BEND_ROWS = 2_200.0, 26.0
"""Metres that a river winds to either side, and rows over which the land follows it."""


@dataclass(frozen=True, slots=True)
class Lattice:
    """A window of lattice nodes: columns `i0 ..`, rows `j0 ..` (rows count northwards).

    Attributes
    ----------
    nodes : (ni, nj, 2) float64
        Metres in EPSG:4547.
    across : (ni - 1, nj) uint8
        Class of the edge from node (i, j) to (i + 1, j).
    along : (ni, nj - 1) uint8
        Class of the edge from node (i, j) to (i, j + 1).
    """

    i0: int
    j0: int
    nodes: NDArray[np.float64]
    across: NDArray[np.uint8]
    along: NDArray[np.uint8]
    seed: int

    def corners(self) -> NDArray[np.float64]:
        """Return the corners of all cells, `(ni - 1, nj - 1, 4, 2)`, counter-clockwise."""
        n = self.nodes
        return np.stack([n[:-1, :-1], n[1:, :-1], n[1:, 1:], n[:-1, 1:]], axis=2)

    def cell_keys(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the column and row numbers of the cells, each `(ni - 1, nj - 1)`."""
        ni, nj = self.across.shape[0], self.along.shape[1]
        i, j = np.meshgrid(np.arange(ni) + self.i0, np.arange(nj) + self.j0, indexing="ij")
        return i, j


def lattice_over(bounds: tuple[float, float, float, float], seed: int) -> Lattice:
    """Return the part of the lattice that covers `bounds` (metres) with a margin."""
    reach = 2 * sum(height for _, height in _WARPS) + 2 * _BEND + CELL
    west, south, east, north = bounds
    i0, i1 = int((west - reach - _X0) // CELL), int((east + reach - _X0) // CELL) + 1
    j0, j1 = int((south - reach - _Y0) // CELL), int((north + reach - _Y0) // CELL) + 1
    i, j = np.meshgrid(np.arange(i0, i1 + 1), np.arange(j0, j1 + 1), indexing="ij")
    flat = np.stack([_X0 + i * CELL, _Y0 + j * CELL], axis=-1).reshape(-1, 2)
    bent = flat.copy()
    for number, (length, height) in enumerate(_WARPS):
        for axis in (0, 1):
            bent[:, axis] += height * waves(flat, length, seed * 101 + 10 * number + axis)
    bent[:, 1] += _meander(flat, j, seed)
    across = _classes(j[:-1], i[:-1], seed * 7 + 1, (31, 62))
    along = _classes(i[:, :-1], j[:, :-1], seed * 7 + 2, (17, 48))
    across[:, np.isin(j[0], _RIVERS)] = RIVER
    return Lattice(i0, j0, bent.reshape(*i.shape, 2), across, along, seed)


def _classes(
    line: NDArray[np.int64], step: NDArray[np.int64], key: int, offsets: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the class of edges on lattice line `line` at position `step` along it."""
    draw = chance(key, line, step // 5)
    small = np.select([draw < 0.45, draw < 0.8], [PATH, TREES], DITCH)
    rules = [
        (line % 88 == offsets[1], EXPRESSWAY),
        (line % 29 == offsets[0] % 29, MAIN_ROAD),
        ((line % 12 == 5) & (chance(key + 9, line, step // 60) < 0.8), CANAL),
        (line % 4 == 2, ROAD),
    ]
    chosen = np.select([rule for rule, _ in rules], [kind for _, kind in rules], small)
    return chosen.astype(np.uint8)


def _meander(base: NDArray[np.float64], row: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return how far north the land is pushed so that the lattice flows along its rivers."""
    pushed = np.zeros(len(base))
    for number, river in enumerate(_RIVERS):
        place = np.column_stack([base[:, 0], np.full(len(base), number * 1e7)])
        bend = _BEND * waves(place, 26_000, seed * 31 + number) + 500 * waves(
            place, 5_000, seed + 77
        )
        pushed += bend * np.exp(-(((row.ravel() - river) / _BEND_ROWS) ** 2))
    return pushed


def edges_of(
    lattice: Lattice,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return all edges as segments `(n, 2, 2)` in metres, with their classes."""
    n = lattice.nodes
    segments = [
        np.stack([n[:-1], n[1:]], axis=2).reshape(-1, 2, 2),
        np.stack([n[:, :-1], n[:, 1:]], axis=2).reshape(-1, 2, 2),
    ]
    return np.concatenate(segments), np.concatenate([lattice.across.ravel(), lattice.along.ravel()])
