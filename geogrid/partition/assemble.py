"""Put the townships' polygons together: one topology, codes, names, areas, all levels."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geogrid.codes import LEVELS, CodeScheme, issue, kind_of
from geogrid.coverage.clean import clean_villages
from geogrid.datums import Datum
from geogrid.edition import Edition, EditionInfo, to_degrees, to_metres, uid_of
from geogrid.locate import Locator
from geogrid.partition.boundaries import Boundaries
from geogrid.partition.townships import Township
from geogrid.partition.vectorise import node_shared
from geogrid.schema import EXCHANGE_CRS

_SAVED = (
    *("xy", "grid", "weight", "inserted", "along", "chance", "atom_weight"),
    *("held", "held_grid"),
)
_log = logging.getLogger(__name__)
_DIGITS = "零一二三四五六七八九"


@dataclass(frozen=True, slots=True)
class Pieces:
    """The micro-grids of the whole city before they have codes.

    Attributes
    ----------
    polygons : (n,) polygons
        In EPSG:4490, on the integer grid, neighbours sharing every vertex.
    tract, village : (n,) text
        Key of the tract, and code of its village.
    site : (n,) object
        Name of the dedicated site, perhaps empty; None on land of basic grids.
    grid : (n,) int
        Number of the grid inside its tract.
    weight : (n,) float
        What was balanced: households, or built-up area in pixels.
    pairs : (k, 2) int64
        Pieces of one tract that touch, the lower first.
    along : (k, 4) float
        Of their border: the shares of its length on edges seen in the imagery, on given lines and
        on links, and its mean relief off given lines in Lab units.
    chance : (tracts, 3) float
        Pixels of each tract: those that borders drawn blindly would see, those on given lines,
        all.
    atom_weight : (a,) float
        What was balanced, of every atom.
    atom_tract : (a,) text
        Key of the tract of every atom.
    held, held_grid : (n,) text
        Codes that the piece and its grid keep from an earlier edition, else empty.
    """

    polygons: NDArray[np.object_]
    tract: NDArray[np.str_]
    village: NDArray[np.str_]
    site: NDArray[np.object_]
    grid: NDArray[np.int64]
    weight: NDArray[np.float64]
    pairs: NDArray[np.int64]
    along: NDArray[np.float64]
    chance: NDArray[np.float64]
    atom_weight: NDArray[np.float64]
    atom_tract: NDArray[np.str_]
    held: NDArray[np.str_]
    held_grid: NDArray[np.str_]


def gather(townships: Sequence[Township]) -> Pieces:
    """Read what the townships saved and node the borders between villages from both sides."""
    columns: dict[str, list[NDArray[Any]]] = defaultdict(list)
    n = 0
    for township in townships:
        with np.load(township.zones_file) as saved:
            tracts = township.tracts
            keys, codes = (np.array([getattr(t, of) for t in tracts]) for of in ("key", "village"))
            sites = np.array([tract.site for tract in tracts], object)
            columns["sizes"].append(np.diff(saved["starts"]))
            columns["owners"].append(saved["owners"] + n)
            columns["pairs"].append(saved["pairs"] + n)
            for name, values in (("tract", keys), ("village", codes), ("site", sites)):
                columns[name].append(values[saved["tract"]])
            columns["atom_tract"].append(np.repeat(keys, saved["atoms"]))
            for name in _SAVED:
                columns[name].append(saved[name])
        n += len(columns["grid"][-1])
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    starts = np.concatenate([[0], np.cumsum(whole["sizes"])])
    rings, starts = node_shared(whole["xy"], starts, whole["inserted"])
    polygons = shapely.from_ragged_array(
        shapely.GeometryType.POLYGON,
        to_degrees(rings),
        (starts, np.searchsorted(whole["owners"], np.arange(n + 1))),
    )
    return Pieces(
        polygons=shapely.normalize(_without_crossings(polygons)),
        tract=whole["tract"],
        village=whole["village"],
        site=whole["site"],
        grid=whole["grid"].astype(np.int64),
        weight=whole["weight"],
        pairs=whole["pairs"].astype(np.int64),
        along=whole["along"],
        chance=whole["chance"],
        atom_weight=whole["atom_weight"],
        atom_tract=whole["atom_tract"],
        held=whole["held"],
        held_grid=whole["held_grid"],
    )


def _without_crossings(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return a coverage in which no border crosses an outline that a neighbour's vertex bent.

    An inserted vertex lies up to a millimetre beside its segment. A border that leaves the segment
    from the other side at a millimetre's distance, or at a grazing angle, may then cross it: about
    once in a city. The neighbourhood is noded again; all other polygons stay as they are.
    """
    if shapely.is_valid(polygons).all():
        return polygons
    numbers = [str(number) for number in range(len(polygons))]
    frame = gpd.GeoDataFrame({"code": numbers}, geometry=polygons, crs=EXCHANGE_CRS)
    mended, repairs = clean_villages(frame.assign(name="", parent="", kind=""))
    for repair in repairs:
        _log.info("noded again: %s", repair.message_en)
    settled: NDArray[np.object_] = mended.geometry.to_numpy()
    return settled


def assemble(
    pieces: Pieces,
    boundaries: Boundaries,
    info: EditionInfo,
    houses: NDArray[np.float64],
    previous: Edition | None = None,
) -> tuple[Edition, NDArray[np.str_]]:
    """Build the edition: dissolve the levels, issue codes, count households.

    Parameters
    ----------
    houses : (h, 3) float64
        Longitude, latitude (CGCS2000) and households of buildings; none when h is 0.
    previous : Edition, optional
        Where units with the same code and polygon keep their first day.

    Returns
    -------
    Edition
        With the six levels, dissolved from the pieces upwards.
    (n,) text
        The micro-grid code issued to each piece.
    """
    table = gpd.GeoDataFrame(
        {
            "tract": pieces.tract,
            "number": pieces.grid,
            "village": pieces.village,
            "site": [name or "" for name in pieces.site],
            "dedicated": [name is not None for name in pieces.site],
            "held": pieces.held,
            "held_grid": pieces.held_grid,
        },
        geometry=pieces.polygons,
        crs=EXCHANGE_CRS,
    )
    kept = dict.fromkeys(("village", "dedicated", "held_grid"), "first")
    grids = _dissolve(table, ["tract", "number"], **kept).reset_index()
    grids = grids.rename(columns={"held_grid": "held", "village": "parent"})
    used = {
        level: None if previous is None else previous.units[level]["code"].to_numpy(str)
        for level in ("grid", "microgrid")
    }
    special = grids["dedicated"].to_numpy(bool)
    grids["code"] = _issue(grids, info.working_crs, used["grid"], dedicated=special)
    keys = table.merge(grids[["tract", "number", "code"]], on=["tract", "number"], how="left")
    table["parent"] = keys["code"].to_numpy()
    table["code"] = _issue(table, info.working_crs, used["microgrid"])
    units = _levels(table, boundaries)
    dated = {level: _completed(frame, level, info) for level, frame in units.items()}
    if previous is not None:
        for level, frame in dated.items():
            _keep_first_days(frame, previous.units[level])
    edition = Edition.of(info, dated)
    codes = table["code"].to_numpy(str)
    return (edition if not len(houses) else _with_households(edition, houses)), codes


def _levels(table: gpd.GeoDataFrame, boundaries: Boundaries) -> dict[str, gpd.GeoDataFrame]:
    """Return a frame of code, name, parent, kind and polygon for every level."""
    villages = boundaries.villages.set_index("code")
    micro = table[["code", "parent", "geometry"]].copy()
    basic = [kind_of(code) for code in table["village"]]
    micro["kind"] = np.where(table["dedicated"], "dedicated", basic)
    of_grid = table.drop_duplicates("parent").set_index("parent")
    grid = _dissolve(micro, ["parent"], kind="first").rename_axis("code").reset_index()
    grid["parent"] = of_grid["village"].reindex(grid["code"]).to_numpy()
    grid["site"] = of_grid["site"].reindex(grid["code"]).to_numpy()
    _name_grids(grid, micro, villages["name"])
    grid = grid.drop(columns="site")
    units = {"microgrid": micro, "grid": grid}
    below = grid
    for level in ("village", "township", "county", "city"):
        given = villages if level == "village" else boundaries.above[level].set_index("code")
        frame = _dissolve(below, ["parent"]).rename_axis("code")
        below = frame.join(given[["name", "parent", "kind"]]).reset_index()
        units[level] = below
    return units


def _name_grids(
    grid: gpd.GeoDataFrame, micro: gpd.GeoDataFrame, village_names: Mapping[str, str]
) -> None:
    """Fill in names such as 陈州社区第三网格 and 陈州社区第三网格12号微网格."""
    villages = pd.Series(village_names)
    serial = [
        f"{site}专属网格" if site else _serial_name(int(code[-3:]))
        for code, site in zip(grid["code"], grid["site"], strict=True)
    ]
    grid["name"] = villages.reindex(grid["parent"]).to_numpy() + np.array(serial, object)
    names = grid.set_index("code")["name"].reindex(micro["parent"]).to_numpy()
    micro["name"] = names + np.array(
        [f"{int(code[-3:])}号微网格" for code in micro["code"]], object
    )


def _serial_name(serial: int) -> str:
    """Return 第三网格 or, for a site without a name, 专属第一网格.

    >>> _serial_name(3), _serial_name(901)
    ('第三网格', '专属第一网格')
    """
    first = CodeScheme().dedicated[0]
    if serial >= first:
        return f"专属第{_in_words(serial - first + 1)}网格"
    return f"第{_in_words(serial)}网格"


def _in_words(number: int) -> str:
    """Return a number below 1000 as it is read in a name.

    >>> [_in_words(n) for n in (3, 10, 12, 20, 105, 110, 321)]
    ['三', '十', '十二', '二十', '一百零五', '一百一十', '三百二十一']
    """
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    words = f"{_DIGITS[hundreds]}百" if hundreds else ""
    if tens:
        words += ("" if tens == 1 and not hundreds else _DIGITS[tens]) + "十"
    elif hundreds and ones:
        words += "零"
    return words + (_DIGITS[ones] if ones else "")


def _dissolve(frame: gpd.GeoDataFrame, keys: list[str], **kept: str) -> gpd.GeoDataFrame:
    columns = frame[[*keys, *kept, frame.geometry.name]]
    joined = columns.dissolve(keys, aggfunc=kept or "first", method="coverage", sort=True)
    joined[joined.geometry.name] = shapely.normalize(joined.geometry.to_numpy())
    return joined


def _issue(
    frame: gpd.GeoDataFrame,
    crs: str,
    used: NDArray[np.str_] | None,
    *,
    dedicated: NDArray[np.bool_] | None = None,
) -> NDArray[np.str_]:
    metric = to_metres(frame.geometry.to_numpy(), crs)
    points = shapely.get_coordinates(shapely.point_on_surface(metric))
    # A tenth of a metre: the order must not hang on the last bit of a projection.
    return issue(
        frame["parent"].to_numpy(str), np.round(points, 1), np.round(shapely.area(metric), 1),
        dedicated=dedicated, held=frame["held"].to_numpy(str), used=used,
    )  # fmt: skip


def _keep_first_days(frame: gpd.GeoDataFrame, before: gpd.GeoDataFrame) -> None:
    """Fill in the first day of units that are what they were."""
    place = pd.Index(before["code"]).get_indexer(frame["code"])
    known = np.flatnonzero(place >= 0)
    old = before.geometry.to_numpy()[place[known]]
    same = known[shapely.equals_exact(shapely.normalize(old), frame.geometry.to_numpy()[known])]
    days = frame["valid_from"].to_numpy(object)
    days[same] = before["valid_from"].to_numpy(object)[place[same]]
    frame["valid_from"] = days


def _completed(frame: gpd.GeoDataFrame, level: str, info: EditionInfo) -> gpd.GeoDataFrame:
    table = frame.copy()
    table["area_m2"] = np.round(
        shapely.area(to_metres(table.geometry.to_numpy(), info.working_crs)), 3
    )
    table["uid"] = [uid_of(code) for code in table["code"]]
    table["households"] = 0
    table["valid_from"] = info.created
    if level == LEVELS[0]:
        table["parent"] = ""
    return table


def _with_households(edition: Edition, houses: NDArray[np.float64]) -> Edition:
    """Count each building's households where its point lies, then sum them upwards."""
    found = Locator(edition).locate(houses[:, :2], datum=Datum.CGCS2000)
    units = {level: edition[level] for level in LEVELS}
    codes = found.microgrid_code
    sums = pd.Series(houses[:, 2]).groupby(codes).sum()
    for level in reversed(LEVELS):
        units[level]["households"] = (
            sums.reindex(units[level]["code"]).fillna(0).round().astype("int64").to_numpy()
        )
        if level != LEVELS[0]:
            sums = units[level].groupby("parent")["households"].sum()
    return Edition.of(edition.info, units)
