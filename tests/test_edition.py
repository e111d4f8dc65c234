"""Editions: integer coordinates, digest, and what is refused."""

import hashlib
import pickle
import struct
from dataclasses import asdict, replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geogrid.codes import LEVELS
from geogrid.edition import Edition, integer_rings, snap, to_degrees, to_integers, uid_of
from geogrid.errors import DataError, UnknownCodeError
from geogrid.schema import UNIT_COLUMNS


@given(st.integers(-180 * 10**8, 180 * 10**8))
def test_degrees_and_steps_undo_each_other(steps):
    assert to_integers(to_degrees(np.array([steps])))[0] == steps


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_snapping_moves_half_a_step_at_most_and_only_once(lon, lat):
    once = snap(np.array([shapely.Point(lon, lat)], object))
    twice = snap(once)
    assert shapely.distance(once[0], shapely.Point(lon, lat)) <= 0.75e-8
    assert once[0].wkb == twice[0].wkb


def test_rings_run_shell_left_and_hole_right():
    shape = shapely.Polygon([(0, 0), (0, 3), (3, 3), (3, 0)], [[(1, 1), (2, 1), (2, 2), (1, 2)]])
    rings = integer_rings(np.array([shape], object))
    assert rings.owners.tolist() == [0, 0]
    assert rings.starts.tolist() == [0, 5, 10]
    for k, positive in enumerate((True, False)):
        xy = rings.xy[rings.starts[k] : rings.starts[k + 1]] / 1e8
        area = np.sum(xy[:-1, 0] * xy[1:, 1] - xy[1:, 0] * xy[:-1, 1])
        assert (area > 0) == positive


def test_half_edges_close_every_ring(toy_edition):
    ends, owners = toy_edition.rings("microgrid").half_edges()
    assert len(ends) == 256 * 4
    np.testing.assert_array_equal(np.bincount(owners), np.full(256, 4))
    for row in (0, 100):
        mine = ends[owners == row]
        np.testing.assert_array_equal(mine[:, 2:], np.roll(mine[:, :2], -1, axis=0))


@pytest.mark.parametrize(
    "shape", [None, shapely.Polygon(), shapely.Point(0, 0), shapely.MultiPolygon()]
)
def test_rows_that_are_no_polygon_are_named(shape):
    with pytest.raises(DataError, match="row 1"):
        integer_rings(np.array([shapely.box(0, 0, 1, 1), shape], object))


def test_tables_are_sorted_and_copied(toy_edition):
    shuffled = {level: toy_edition[level].sample(frac=1, random_state=1) for level in LEVELS}
    again = Edition.of(toy_edition.info, shuffled)
    assert again.info.digest == toy_edition.info.digest
    taken = toy_edition["grid"]
    taken["name"] = "x"
    assert (toy_edition["grid"].name != "x").all()


def test_digest_follows_geometry_attributes_and_information(toy_edition):
    tables = {level: toy_edition[level] for level in LEVELS}
    grid = tables["grid"].copy()
    grid.loc[0, "name"] = "别名"
    microgrid = tables["microgrid"].copy()
    shapes = microgrid.geometry.to_numpy().copy()
    shapes[0] = shapely.transform(shapes[0], lambda xy: xy + 1e-8)
    digests = {
        toy_edition.info.digest,
        Edition.of(toy_edition.info, tables | {"grid": grid}).info.digest,
        Edition.of(
            toy_edition.info, tables | {"microgrid": microgrid.set_geometry(shapes)}
        ).info.digest,
        Edition.of(replace(toy_edition.info, seed=8), tables).info.digest,
    }
    assert len(digests) == 4


def test_digest_is_the_one_that_the_format_describes(toy_edition):
    """Written from docs/data-format.md alone, feature by feature."""
    info = sorted((asdict(toy_edition.info) | {"digest": ""}).items())
    content = repr(info).encode()
    for level in LEVELS:
        table = toy_edition[level]
        for column in list(UNIT_COLUMNS):
            content += f"\n{level} {column}\n".encode()
            values = table[column].tolist()
            if isinstance(values[0], str):
                content += b"".join(len(text).to_bytes(8, "little") for text in values)
                content += "".join(values).encode()
            else:
                kind = "<d" if isinstance(values[0], float) else "<q"
                content += b"".join(struct.pack(kind, value) for value in values)
        xy, starts, owners = [], [0], []
        for row, shape in enumerate(table.geometry):
            for number, ring in enumerate([shape.exterior, *shape.interiors]):
                points = list(ring.coords)
                xy += points if ring.is_ccw == (number == 0) else points[::-1]
                starts.append(len(xy))
                owners.append(row)
        steps = [round(degrees * 1e8) for point in xy for degrees in point]
        content += b"".join(struct.pack("<q", number) for number in (*steps, *starts, *owners))
    assert toy_edition.info.digest == hashlib.sha256(content).hexdigest()


def test_digest_follows_every_kind_of_change(toy_edition):
    """Texts that change places, a row less, another first vertex, rings in another order."""
    tables = {level: toy_edition[level] for level in LEVELS}
    grid = tables["grid"]
    shape = grid.geometry[0]
    x, y = shape.centroid.coords[0]
    holes = [[(x + k, y), (x + k + 1e-4, y), (x + k, y + 1e-4), (x + k, y)] for k in (0, 2e-4)]
    moved = [*shape.exterior.coords[1:], shape.exterior.coords[1]]
    changes = [
        grid,
        grid.assign(name=grid["name"] + grid["parent"], parent=""),
        grid.assign(name=["ab", "c", *grid["name"][2:]]),
        grid.assign(name=["a", "bc", *grid["name"][2:]]),
        grid.assign(area_m2=np.nextafter(grid["area_m2"], 0)),
        grid.iloc[1:],
        *(
            grid.set_geometry([other, *grid.geometry[1:]], crs=grid.crs)
            for other in (
                shapely.Polygon(moved),
                shapely.Polygon(shape.exterior, holes),
                shapely.Polygon(shape.exterior, holes[::-1]),
            )
        ),
    ]
    made = [Edition.of(toy_edition.info, tables | {"grid": each}) for each in changes]
    assert len({edition.info.digest for edition in made}) == len(changes)
    assert made[0].info.digest == toy_edition.info.digest


def test_missing_level_and_column_are_named(toy_edition):
    tables = {level: toy_edition[level] for level in LEVELS}
    with pytest.raises(DataError, match="grid"):
        Edition.of(toy_edition.info, {k: v for k, v in tables.items() if k != "grid"})
    with pytest.raises(DataError, match="households"):
        Edition.of(toy_edition.info, tables | {"grid": tables["grid"].drop(columns="households")})
    with pytest.raises(UnknownCodeError, match="hamlet"):
        toy_edition["hamlet"]


def test_uid_depends_on_the_code_only():
    assert uid_of("411602001001003") == uid_of("411602001001003")
    assert uid_of("411602001001003") != uid_of("411602001001004")


def test_rings_are_those_of_the_polygons_part_by_part(toy_edition):
    """An exclave, a hole, and shells that run the wrong way."""
    tables = {level: toy_edition[level] for level in LEVELS}
    shell = shapely.box(114, 33, 115, 34)
    shapes = tables["county"].geometry.to_numpy().copy()
    shapes[1] = shapely.union(shapely.reverse(shell), shapely.box(116, 33, 117, 34))
    shapes[2] = shapely.difference(shell, shapely.box(114.25, 33.25, 114.5, 33.5))
    edition = Edition.of(
        toy_edition.info, tables | {"county": tables["county"].set_geometry(shapes)}
    )
    rings = edition.rings("county")
    assert rings.owners.tolist() == [0, 1, 1, 2, 2, 3]
    assert rings.shells().tolist() == [True, True, True, True, False, True]
    again = shapely.linearrings(
        to_degrees(rings.xy), indices=np.repeat(np.arange(6), np.diff(rings.starts))
    )
    expected = shapely.get_rings(shapely.orient_polygons(shapely.get_parts(shapes)))
    assert shapely.equals_exact(again, expected).all()


def test_rings_are_made_once_and_cannot_be_written_to(toy_edition):
    rings = toy_edition.rings("grid")
    assert toy_edition.rings("grid") is rings
    with pytest.raises(ValueError, match="read-only"):
        rings.xy[0] = 0
    other = replace(toy_edition, units={**toy_edition.units, "grid": toy_edition["grid"].head(3)})
    assert other.rings("grid").owners[-1] == 2


def test_edition_is_pickled_with_its_rings(toy_edition):
    again = pickle.loads(
        pickle.dumps(replace(toy_edition, units=dict(toy_edition.units)))  # a view is not pickled
    )
    assert again.info == toy_edition.info
    np.testing.assert_array_equal(again.rings("village").xy, toy_edition.rings("village").xy)
