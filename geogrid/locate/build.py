"""Make the look-up index of an edition: each border once, in the cells that it enters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import cells as cell_kernels
from geogrid._kernels import locate as kernels
from geogrid._kernels.edges import pair
from geogrid.codes import LEVELS, parent_level
from geogrid.edition import Edition, Rings
from geogrid.errors import DataError
from geogrid.locate.index import NAMED_LEVELS, Index

_SHIFT = 15
"""A cell is 2**15 steps wide, 30 m. Measured on 100,622 micro-grids: with 2**16, 40 % slower; with
2**14, twice the size."""

_MOST_CELLS = 1 << 26
"""Cells are doubled in width until there are no more: 19 million in Zhoukou."""

_WIDEST = 10 * 10**8
"""Steps: differences up to 10 degrees in half steps fit into int32, sums of their products into
int64."""

_COARSE = 1 << 21
"""Steps: cells of the outline are wider than `REACH` everywhere south of 61 degrees."""


def build(edition: Edition, source: Mapping[str, int] | None = None) -> Index:
    """Index the micro-grids of an edition.

    Raises
    ------
    DataError
        The micro-grids are no coverage, or span more than 10 degrees.
    """
    rings = edition.rings("microgrid")
    low, high = rings.xy.min(axis=0), rings.xy.max(axis=0)
    if (high - low).max() > _WIDEST:
        raise DataError(
            f"the micro-grids span {(high - low).max() / 1e8:.1f} degrees; more than 10 cannot be "
            "decided exactly. Look for a vertex far away with `geogrid check`."
        )
    ends, sides, beyond = _edges(rings)
    n = int(rings.owners[-1]) + 1
    numbers, found = _cells(ends - np.tile(low, 2), sides, (low, high), n)
    rim = sides[:, 1] == n
    outline = ends[rim] - np.tile(low, 2)
    shape = (high - low) // _COARSE + 1
    boxes = np.hstack(
        [np.minimum(outline[:, :2], outline[:, 2:]), np.maximum(outline[:, :2], outline[:, 2:])]
    )
    starts, items = kernels.index_boxes(boxes, np.zeros(2, np.int64), _COARSE, shape)
    arrays = (
        found
        | {
            "ring_xy": (rings.xy - low).astype(np.int32),
            "ring_starts": rings.starts,
            "ring_firsts": np.searchsorted(rings.owners, np.arange(n + 1)).astype(np.int64),
            "ring_beyond": beyond,
            "outline": outline.astype(np.int32),
            "outline_inner": sides[rim, 0].copy(),
            "outline_starts": starts,
            "outline_items": items,
        }
        | _levels(edition)
    )
    for array in arrays.values():
        array.setflags(write=False)  # as in a mapped file: kernels are compiled once for both
    bounds = (float(low[0]) / 1e8, float(low[1]) / 1e8, float(high[0]) / 1e8, float(high[1]) / 1e8)
    numbers |= {
        "outline_columns": int(shape[0]), "outline_rows": int(shape[1]), "outline_cell": _COARSE,
    }  # fmt: skip
    return Index(edition.info.digest, edition.info.id, source or {}, numbers, bounds, arrays)


def _levels(edition: Edition) -> dict[str, NDArray[Any]]:
    """Return codes and names of each level's units, and the row of each unit's parent."""
    arrays = {}
    for level in LEVELS:
        table = edition.units[level]
        arrays[f"{level}_codes"] = table["code"].to_numpy(str).astype("S")
        if level != LEVELS[0]:
            above = edition.units[parent_level(level)]["code"].to_numpy(str)
            parents = np.searchsorted(above, table["parent"].to_numpy(str))
            arrays[f"{level}_parents"] = parents.astype(np.int32)
        if level in NAMED_LEVELS:
            arrays[f"{level}_names"] = np.char.encode(table["name"].to_numpy(str), "utf-8")
    return arrays


def _edges(
    rings: Rings,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Return each edge once, the polygons on its two sides, and the one beyond each vertex's edge.

    The first side is a polygon; the second may be `n`, which stands for none.
    """
    edges, owners = rings.half_edges()
    n = int(rings.owners[-1]) + 1
    twin, _ = pair(edges, np.zeros(len(edges), np.int64))
    across = np.where(twin >= 0, owners[twin], n)
    once = (twin < 0) | (np.arange(len(twin)) < twin)
    sides = np.column_stack([owners[once], across[once]]).astype(np.int32)
    beyond = np.full(len(rings.xy), -1, np.int32)
    last = np.zeros(len(rings.xy), bool)
    last[rings.starts[1:] - 1] = True
    beyond[~last] = np.where(twin >= 0, across, -1)
    return edges[once], sides, beyond


def _cells(
    ends: NDArray[np.int64],
    sides: NDArray[np.int32],
    box: tuple[NDArray[np.int64], NDArray[np.int64]],
    n: int,
) -> tuple[dict[str, int], dict[str, NDArray[Any]]]:
    low, high = box
    shift = _SHIFT
    while np.prod(((high - low) >> shift) + 1) > _MOST_CELLS:
        shift += 1
    columns, rows = (int(k) for k in ((high - low) >> (shift + 1)) + 1)
    faces = np.zeros((2 * rows, 2 * columns), np.int32)
    edges = cell_kernels.list_edges(ends, sides, shift, faces)
    if not cell_kernels.spread_faces(faces, edges, shift, n):
        raise DataError(
            "the micro-grids are no coverage: borders on both sides do not fit together. "
            "Find the place with `geogrid check`."
        )
    blocks, quarters = cell_kernels.fold(faces)
    numbers = {
        "west": int(low[0]), "south": int(low[1]), "shift": shift,
        "columns": columns, "rows": rows, "outside": n,
    }  # fmt: skip
    return numbers, {"blocks": blocks, "quarters": quarters, "edges": edges}
