"""The part of a city that a static map shows: all of it, one unit, or a rectangle."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS
from geogrid.edition import Edition, to_metres
from geogrid.errors import UnknownCodeError, UsageError
from geogrid.maps.sheet import Box
from geogrid.schema import EXCHANGE_CRS


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a city.

    Attributes
    ----------
    level, code : str
        The unit, `city` for the whole and for a rectangle.
    title : str
        Names from the city down to the unit.
    degrees, metres : Box
        West, south, east, north.
    held : mapping of level to (n,) bool
        Units that are shown, for the part's level and those below.
    cut : bool
        A rectangle: units are shown as far as they lie in it.
    """

    level: str
    code: str
    title: str
    degrees: Box
    metres: Box
    held: Mapping[str, NDArray[np.bool_]]
    cut: bool = False

    @classmethod
    def of(cls, edition: Edition, part: str | Box) -> "Part":
        """Return the part that a code, a name or a rectangle (degrees) means; all of it for "".

        Raises
        ------
        UnknownCodeError
            There is no such unit, or several have this name.
        UsageError
            A rectangle without area, or one that misses the city.
        """
        if not isinstance(part, str):
            return cls._cut(edition, part)
        level, row = _unit(edition, part) if part else ("city", 0)
        shape = edition.units[level].geometry.iloc[[row]]
        chain = _names(edition, level, row)
        code = str(edition.units[level]["code"].iloc[row])
        return cls(
            level, code, " ".join(chain), _box(shape.total_bounds),
            _metres(edition, shape.to_numpy()), _below(edition, level, code),
        )  # fmt: skip

    @classmethod
    def _cut(cls, edition: Edition, degrees: Box) -> "Part":
        west, south, east, north = map(float, degrees)
        frame = shapely.box(west, south, east, north)
        city = edition.units["city"]
        if not (west < east and south < north) or not shapely.intersects(
            frame, city.geometry.iloc[0]
        ):
            raise UsageError(
                f"the rectangle {west:g}, {south:g}, {east:g}, {north:g} holds nothing of "
                f"{edition.info.city} ({', '.join(f'{x:.4f}' for x in city.total_bounds)}). Give "
                "west, south, east, north in degrees."
            )
        return cls(
            "city", str(city["code"].iloc[0]), edition.info.city, (west, south, east, north),
            _metres(edition, np.array([frame])), _meeting(edition, degrees), cut=True,
        )  # fmt: skip

    def widened(self, edition: Edition, metres: Box) -> "Part":
        """Return a rectangle as wide as the frame that it is shown in; a unit stays as it is."""
        if not self.cut:
            return self
        frame = shapely.segmentize(shapely.box(*metres), max(metres[2] - metres[0], 1.0) / 20)
        project = pyproj.Transformer.from_crs(
            edition.info.working_crs, EXCHANGE_CRS, always_xy=True
        )
        x, y = project.transform(*shapely.get_coordinates(frame).T)
        degrees = (float(min(x)), float(min(y)), float(max(x)), float(max(y)))
        return replace(self, degrees=degrees, held=_meeting(edition, degrees))


def ancestors(edition: Edition, level: str, above: str) -> NDArray[np.object_]:
    """Return the code of the unit of level `above` that holds each unit of `level`."""
    if level == above:
        codes: NDArray[np.object_] = edition.units[level]["code"].to_numpy(object)
        return codes
    found = edition.units[level]["parent"]
    for between in LEVELS[LEVELS.index(above) + 1 : LEVELS.index(level)][::-1]:
        found = found.map(edition.units[between].set_index("code")["parent"])
    held_by: NDArray[np.object_] = found.to_numpy(object)
    return held_by


def _below(edition: Edition, level: str, code: str) -> dict[str, NDArray[np.bool_]]:
    """Return the units of each level that a unit holds, by the columns `parent`."""
    held = {level: (edition.units[level]["code"] == code).to_numpy()}
    above = level
    for each in LEVELS[LEVELS.index(level) + 1 :]:
        parents = edition.units[above]["code"][held[above]]
        held[each] = edition.units[each]["parent"].isin(parents).to_numpy()
        above = each
    return held


def _meeting(edition: Edition, degrees: Box) -> dict[str, NDArray[np.bool_]]:
    frame = shapely.box(*degrees)
    return {
        level: shapely.intersects(table.geometry.to_numpy(), frame)
        for level, table in edition.units.items()
    }


def _unit(edition: Edition, part: str) -> tuple[str, int]:
    found = [
        (level, int(row))
        for level, table in edition.units.items()
        for row in np.flatnonzero((table["code"] == part) | (table["name"] == part))
    ]
    # A city of one county may share its name with it: the upper one holds the other.
    if len({level for level, _ in found}) == 1 and len(found) == 1:
        return found[0]
    if not found:
        raise UnknownCodeError(
            f"no unit with code or name {part!r} in edition {edition.info.id}. Give the code or "
            "the full name of a county, township, village or grid."
        )
    codes = [str(edition.units[level]["code"].iloc[row]) for level, row in found]
    raise UnknownCodeError(
        f"{len(found)} units are called {part!r}: give the code of one of them, "
        f"{', '.join(codes[:10])}."
    )


def _names(edition: Edition, level: str, row: int) -> list[str]:
    chain: list[str] = []
    code = str(edition.units[level]["code"].iloc[row])
    for each in LEVELS[LEVELS.index(level) :: -1]:
        table = edition.units[each].set_index("code")
        chain.insert(0, str(table["name"][code] or code))
        code = str(table["parent"][code])
    if not edition.units["city"]["name"].iloc[0]:
        chain[0] = edition.info.city
    # The last name is enough below the village: it repeats the others.
    return chain if level in LEVELS[:4] else chain[:3] + chain[-1:]


def _metres(edition: Edition, shapes: NDArray[np.object_]) -> Box:
    return _box(shapely.total_bounds(to_metres(shapes, edition.info.working_crs)))


def _box(bounds: NDArray[np.float64]) -> Box:
    west, south, east, north = map(float, bounds)
    return west, south, east, north
