"""Plant faults of known place and kind into a city, and compare findings with the answer key.

The key is complete before anything is checked. Every fault has units of its own, whose neighbours
have none, so that no two faults can be taken for one another.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from geogrid.codes import LEVELS
from geogrid.coverage import Findings
from geogrid.edition import Edition, to_degrees, to_integers

METRE = 1 / 111_320  # degrees of latitude, good enough to aim
WIDTH = 0.05 * METRE
GAPS = ("gap", "edge_gap", "sliver", "hole")
OVERLAPS = ("overlap", "sliver", "outside")

FULL = {
    "moved vertex": 100, "deleted unit": 50, "duplicated unit": 50, "gap sliver": 50,
    "overlap sliver": 50, "wrong parent": 20, "wrong code": 20, "bow-tie": 10,
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """One fault: what it is, which findings name it, at which units, where (degrees)."""

    kind: str
    rules: tuple[str, ...]
    codes: tuple[str, ...]
    place: shapely.Geometry


def plant(
    edition: Edition, numbers: dict[str, int], seed: int
) -> tuple[dict[str, gpd.GeoDataFrame], list[Planted]]:
    """Return the layers of a city with faults in its micro-grids, and the answer key."""
    rng = np.random.default_rng(seed)
    layers = {level: edition[level] for level in LEVELS}
    town = _Town(layers["microgrid"], rng)
    key: list[Planted] = []
    for kind, number in numbers.items():
        key += [_KINDS[kind](town) for _ in range(number)]
    return layers | {"microgrid": town.frame()}, key


def unfound(key: list[Planted], findings: Findings) -> list[Planted]:
    """Return the faults that no finding names with its rule, its units and its place to 1 m."""
    return [fault for fault in key if not any(_names(each, fault) for each in findings)]


def false_alarms(key: list[Planted], findings: Findings) -> list[object]:
    """Return the findings that lie at no fault."""
    tree = shapely.STRtree([fault.place for fault in key])
    return [
        each
        for each in findings
        if each.severity == "error" and not len(tree.query(_shape(each), "dwithin", METRE))
    ]


def _names(each, fault: Planted) -> bool:
    return (
        each.rule in fault.rules
        and set(fault.codes) <= set(each.codes)
        and shapely.dwithin(_shape(each), fault.place, METRE)
    )


def _shape(each) -> shapely.Geometry:
    return each.shape if each.shape is not None else shapely.Point(each.point)


class _Town:
    """The micro-grids while faults are planted."""

    def __init__(self, frame: gpd.GeoDataFrame, rng: np.random.Generator) -> None:
        self.rng = rng
        self.before = frame
        self.shapes = frame.geometry.to_numpy().copy()
        self.codes = frame["code"].to_numpy(object).copy()
        self.parents = frame["parent"].to_numpy(object).copy()
        self.kept = np.ones(len(frame), bool)
        self.again: list[int] = []
        self.tree = shapely.STRtree(frame.geometry.to_numpy())
        self.free = np.ones(len(frame), bool)
        self.order = iter(rng.permutation(len(frame)).tolist())
        siblings = frame.groupby("parent")["code"].transform("size").to_numpy()
        self.alone = siblings < 3

    def frame(self) -> gpd.GeoDataFrame:
        """Return the table with the faults; duplicates stand at its end."""
        changed = self.before.assign(code=self.codes, parent=self.parents)
        changed = changed.set_geometry(gpd.GeoSeries(self.shapes, crs=self.before.crs))
        rows = np.concatenate([np.flatnonzero(self.kept), np.array(self.again, int)])
        return changed.iloc[rows].reset_index(drop=True)

    def unit(self, fits: Callable[[int], bool] = lambda _row: True) -> int:
        """Return a unit away from all others that were asked for, and take it."""
        for row in self.order:
            around = self.tree.query(self.shapes[row], "dwithin", 2 * METRE)
            if self.alone[row] or not self.free[around].all() or not fits(row):
                continue
            wider = self.tree.query(shapely.union_all(self.shapes[around]).envelope)
            self.free[wider] = False
            return row
        raise AssertionError("the city is too small for so many faults")

    def neighbours(self, row: int) -> Iterator[int]:
        """Yield the units that share an edge with a unit."""
        for other in self.tree.query(self.shapes[row], "intersects").tolist():
            shared = self.shapes[row].intersection(self.shapes[other])
            if other != row and shared.length > 0:
                yield other


def _ring(shape: shapely.Polygon) -> np.ndarray:
    return shapely.get_coordinates(shape.exterior)[:-1]


def _with_ring(shape: shapely.Polygon, ring: np.ndarray) -> shapely.Polygon:
    return shapely.Polygon(to_degrees(to_integers(ring)), [h.coords for h in shape.interiors])


def _moved_vertex(town: _Town) -> Planted:
    def shifted(row: int) -> tuple[shapely.Polygon, shapely.Point] | None:
        ring = _ring(town.shapes[row])
        k = int(town.rng.integers(len(ring)))
        reach = min(
            np.hypot(*(ring[k] - ring[k - 1])), np.hypot(*(ring[(k + 1) % len(ring)] - ring[k]))
        )
        # From two steps of the grid (2 mm) to three metres, evenly by magnitude.
        size = 10 ** town.rng.uniform(np.log10(3e-8), np.log10(3 * METRE))
        angle = town.rng.uniform(0, 2 * np.pi)
        if size > reach / 3:
            return None
        place = shapely.Point(ring[k])
        ring[k] += size * np.array([np.cos(angle), np.sin(angle)])
        moved = _with_ring(town.shapes[row], ring)
        changed = shapely.symmetric_difference(moved, town.shapes[row]).area
        return (moved, place) if moved.is_valid and changed > 1e-15 else None

    found: dict[int, tuple[shapely.Polygon, shapely.Point]] = {}

    def fits(row: int) -> bool:
        moved = shifted(row)
        if moved is not None:
            found[row] = moved
        return moved is not None

    row = town.unit(fits)
    before = town.shapes[row]
    town.shapes[row], vertex = found[row]
    place = shapely.union(vertex, shapely.symmetric_difference(town.shapes[row], before))
    return Planted("moved vertex", (*GAPS, *OVERLAPS), (town.codes[row],), place)


def _deleted_unit(town: _Town) -> Planted:
    row = town.unit()
    town.kept[row] = False
    codes = tuple(town.codes[list(town.neighbours(row))])
    inside = town.shapes[row].buffer(-METRE)
    place = town.shapes[row].representative_point() if inside.is_empty else inside
    return Planted("deleted unit", GAPS, codes, place)


def _duplicated_unit(town: _Town) -> Planted:
    row = town.unit()
    town.again.append(row)
    rules = ("duplicate_geometry", "duplicate_code", "overlap")
    return Planted("duplicated unit", rules, (town.codes[row],), town.shapes[row])


def _sliver(town: _Town, way: int) -> tuple[int, int, shapely.Polygon]:
    """Move the middle third of a long edge by 5 cm, inwards or out into the one neighbour there."""
    chosen: dict[int, tuple[int, shapely.Polygon, shapely.Polygon]] = {}

    def fits(row: int) -> bool:
        shape = town.shapes[row]
        ring = _ring(shapely.orient_polygons(shape))
        run = np.roll(ring, -1, axis=0) - ring
        k = int(np.hypot(*run.T).argmax())
        length = np.hypot(*run[k])
        if length < 9 * METRE:
            return False
        inward = np.array([-run[k, 1], run[k, 0]]) / length * WIDTH * way
        a, b = ring[k] + run[k] / 3, ring[k] + run[k] * 2 / 3
        middle = shapely.Point((a + b) / 2)
        there = [n for n in town.neighbours(row) if town.shapes[n].distance(middle) < 1e-10]
        bent = np.insert(ring, k + 1, [a, a + inward, b + inward, b], axis=0)
        changed = _with_ring(shape, bent)
        if len(there) != 1 or not changed.is_valid:
            return False
        strip = shapely.Polygon([a, a + inward, b + inward, b])
        chosen[row] = (there[0], changed, strip)
        return True

    row = town.unit(fits)
    other, town.shapes[row], strip = chosen[row]
    return row, other, strip


def _gap_sliver(town: _Town) -> Planted:
    row, other, strip = _sliver(town, 1)
    return Planted("gap sliver", ("sliver",), (town.codes[row], town.codes[other]), strip)


def _overlap_sliver(town: _Town) -> Planted:
    row, other, strip = _sliver(town, -1)
    return Planted("overlap sliver", ("sliver",), (town.codes[row], town.codes[other]), strip)


def _wrong_parent(town: _Town) -> Planted:
    row = town.unit(
        lambda row: any(town.parents[n] != town.parents[row] for n in town.neighbours(row))
    )
    others = [town.parents[n] for n in town.neighbours(row) if town.parents[n] != town.parents[row]]
    town.parents[row] = others[0]
    place = town.shapes[row]
    return Planted("wrong parent", ("outside_parent",), (town.codes[row],), place)


def _wrong_code(town: _Town) -> Planted:
    row = town.unit()
    code = town.codes[row]
    kind = int(town.rng.integers(5))
    wrong = (
        code[:-1], code[:-3] + "000", f"{float(code):.14E}", code[:5] + "O" + code[6:],
        ("5" if code[0] == "4" else "4") + code[1:],
    )[kind]  # fmt: skip
    town.codes[row] = wrong
    rules = ("malformed_code", "code_became_number", "foreign_code")
    return Planted("wrong code", rules, (wrong,), town.shapes[row])


def _bow_tie(town: _Town) -> Planted:
    def crossed(row: int) -> shapely.Polygon:
        ring = _ring(town.shapes[row])
        k = len(ring) // 2
        ring[[k, k - 1]] = ring[[k - 1, k]]
        return _with_ring(town.shapes[row], ring)

    row = town.unit(lambda row: len(_ring(town.shapes[row])) >= 4 and not crossed(row).is_valid)
    broken = crossed(row)
    ring = _ring(town.shapes[row])
    k = len(ring) // 2
    near = shapely.convex_hull(shapely.multipoints(ring[k - 2 : k + 2]))
    town.shapes[row] = broken
    return Planted("bow-tie", ("invalid_geometry",), (town.codes[row],), near)


_KINDS: dict[str, Callable[[_Town], Planted]] = {
    "moved vertex": _moved_vertex,
    "deleted unit": _deleted_unit,
    "duplicated unit": _duplicated_unit,
    "gap sliver": _gap_sliver,
    "overlap sliver": _overlap_sliver,
    "wrong parent": _wrong_parent,
    "wrong code": _wrong_code,
    "bow-tie": _bow_tie,
}
