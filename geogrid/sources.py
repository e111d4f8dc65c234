"""Layers of polygons as offices send them: GeoPackage, shapefile, GeoJSON, geodatabase, GeoParquet.

Which layer is which level, and which column is the code, is said or guessed from their names; every
guess is told. A GeoJSON file says nothing of its datum (files from Amap and DataV are GCJ-02 and
call it 4326), so the datum has to be declared.
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

from geogrid import store
from geogrid.codes import LEVELS
from geogrid.datums import Datum, convert
from geogrid.errors import DataError
from geogrid.schema import EXCHANGE_CRS

MOST_VERTICES = 1_000_000
"""Of one polygon: more are a raster's outline or an attack, not a border."""

_LEVEL_NAMES = {
    "city": ("city", "市", "市界", "地级市"),
    "county": ("county", "counties", "县", "区县", "县界", "县区", "县(市、区)"),
    "township": ("township", "townships", "乡镇", "乡镇街道", "街道", "镇界", "乡镇界"),
    "village": ("village", "villages", "村", "村界", "社区", "村社区", "行政村", "村居"),
    "grid": ("grid", "grids", "网格", "基础网格"),
    "microgrid": ("microgrid", "microgrids", "micro_grid", "微网格"),
}
_COLUMN_NAMES = {
    "code": ("code", "编码", "代码", "网格编码", "微网格编码", "区划代码", "村代码", "bm", "dm"),
    "name": ("name", "名称", "网格名称", "村名", "mc"),
    "parent": ("parent", "parent_code", "上级编码", "上级代码", "所属网格", "sjbm"),
    "enclave": ("enclave", "飞地"),
    "kind": ("kind", "类型", "网格类型"),
    "households": ("households", "户数"),
}
_SHAPEFILE = b"\x00\x00\x27\x0a"
_FILES = (".gpkg", ".shp", ".geojson", ".json", ".gdb", ".parquet", ".geoparquet")


@dataclass(frozen=True, slots=True)
class Reading:
    """How files of polygons are to be read.

    Attributes
    ----------
    levels : mapping of text to level
        Names of layers (or of files with one layer) and the level of each.
    columns : mapping of text to text
        Our names of columns (`code`, `name`, `parent`, `enclave`, …) and theirs.
    datum : Datum, optional
        Of GeoJSON files.
    encoding : str
        Of shapefiles without a `.cpg`, such as `gbk`.
    crs : str
        Of files that do not say theirs, such as `EPSG:4547`.
    """

    levels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    datum: Datum | None = None
    encoding: str = ""
    crs: str = ""


def read_layers(
    paths: Sequence[Path], how: Reading
) -> tuple[dict[str, gpd.GeoDataFrame], list[tuple[str, str]]]:
    """Read the layers of one file or several, by level.

    Returns
    -------
    dict of level to GeoDataFrame
        With the columns `code`, `name`, `parent`, `enclave` where they are known.
    list of (Chinese, English)
        What was guessed: which layer is taken for which level, and which column for which.

    Raises
    ------
    DataError
        A file cannot be read, is empty or damaged, holds no polygons or coordinates that are no
        numbers, does not say its reference system, or no level can be told; the cause is named.
    """
    found: dict[str, gpd.GeoDataFrame] = {}
    told: list[tuple[str, str]] = []
    for path in paths:
        for layer in _layers(path):
            level = _level(path, layer, how, told)
            if level is None:
                continue
            if level in found:
                raise DataError(f"{path}: layer {layer} is a second one of level {level}.")
            what = f"{path}, layer {layer}"
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                frame = _located(_read(path, layer, how, told), what, path, how)
            _require_polygons(frame, what)
            told += [(f"{what}: {each.message}",) * 2 for each in heard]
            found[level] = _renamed(frame, what, how, told)
    if not found:
        listed = "; ".join(f"{path.name}: {', '.join(_layers(path))}" for path in paths)
        raise DataError(
            f"no layer is named after a level ({', '.join(LEVELS)} or 市, 县, 乡镇, 村, 网格, "
            f"微网格); there are {listed}. Say which is which with --level NAME=LEVEL."
        )
    return {level: found[level] for level in LEVELS if level in found}, told


def _layers(path: Path) -> list[str]:
    """Return the names of the layers of a file, after a look at its first bytes."""
    suffix = path.suffix.lower()
    if suffix not in _FILES:
        raise DataError(f"{path}: polygons are read from {', '.join(_FILES)} files.")
    if suffix == ".gpkg":
        return store.layer_names(path)
    if suffix == ".gdb":
        if not (path / "a00000001.gdbtable").is_file():
            raise DataError(f"{path} is not a file geodatabase: it has no a00000001.gdbtable.")
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    expected = {
        ".shp": head[:4] == _SHAPEFILE,
        ".geojson": text[:1] == b"{",
        ".json": text[:1] == b"{",
    }
    if not expected.get(suffix, head[:4] == b"PAR1"):
        what = "is empty" if not head else f"is not what its name says: it starts with {head[:8]!r}"
        raise DataError(f"{path} {what}.")
    return [path.stem]


def _level(path: Path, layer: str, how: Reading, told: list[tuple[str, str]]) -> str | None:
    for name in (layer, path.name, path.stem):
        if name in how.levels:
            return how.levels[name]
    if layer in LEVELS or how.levels:
        return layer if layer in LEVELS else None
    for level, names in _LEVEL_NAMES.items():
        if layer.lower() in names:
            told.append((f"图层 {layer} 视为 {level}", f"layer {layer} is taken for level {level}"))
            return level
    return None


def _read(path: Path, layer: str, how: Reading, told: list[tuple[str, str]]) -> gpd.GeoDataFrame:
    suffix = path.suffix.lower()
    if suffix == ".gpkg":
        _tell_curves(path, layer, told)
        return store.read_layer(path, layer)
    if suffix == ".shp":
        _require_parts(path, how)
    try:
        if suffix in (".parquet", ".geoparquet"):
            return gpd.read_parquet(path)
        if suffix == ".shp":
            return _shapefile(path, how, told)
        return pyogrio.read_dataframe(path, layer=layer if suffix == ".gdb" else None)
    except shapely.errors.GEOSException as error:
        raise DataError(f"cannot read {path}: {_broken_feature(path, error)}") from error
    except (*store.UNREADABLE, ValueError, OSError) as error:
        raise DataError(f"cannot read {path}: {store.damage(path, error)}") from error


def _broken_feature(path: Path, error: Exception) -> str:
    """Name the feature whose geometry cannot be built at all, such as a ring that is not closed."""
    reason = " ".join(str(error).removeprefix("IllegalArgumentException: ").split())
    built = pyogrio.read_dataframe(path, on_invalid="ignore").geometry.isna().to_numpy()
    given = pyogrio.read_dataframe(path, read_geometry=False)
    row = int(np.flatnonzero(built)[0]) if built.any() else 0
    return (
        f"feature {row + 1} of {len(given)} has a ring that is not closed or has too few vertices "
        f"({reason}). Draw it again."
    )


def _tell_curves(path: Path, layer: str, told: list[tuple[str, str]]) -> None:
    """Tell that a layer of curves is read as straight edges."""
    table = pyogrio.read_dataframe(
        path, sql="SELECT table_name, geometry_type_name FROM gpkg_geometry_columns"
    )
    kind = dict(zip(table["table_name"], table["geometry_type_name"], strict=True)).get(layer, "")
    if kind in ("CURVEPOLYGON", "MULTISURFACE"):
        told.append((f"{path.name} 图层 {layer} 为曲线（{kind}），按短直线读取",
                     f"{path.name}, layer {layer} holds curves ({kind}), read as short straight "
                     "edges"))  # fmt: skip


def _require_parts(path: Path, how: Reading) -> None:
    """Refuse a shapefile that came without its other parts."""
    parts = {".dbf": "the codes", ".shx": "the places of the features"}
    if not how.crs:
        parts[".prj"] = "the reference system (or say it with --crs)"
    for suffix, holds in parts.items():
        if not any(path.with_suffix(each).is_file() for each in (suffix, suffix.upper())):
            raise DataError(
                f"{path} has no {path.stem}{suffix} beside it, which holds {holds}. Copy all files "
                "of the shapefile together."
            )


def _shapefile(path: Path, how: Reading, told: list[tuple[str, str]]) -> gpd.GeoDataFrame:
    """Read a shapefile in the encoding that its .cpg or its user names, else UTF-8, else GBK."""
    if how.encoding or path.with_suffix(".cpg").exists():
        return pyogrio.read_dataframe(path, encoding=how.encoding or None)
    raw = path.with_suffix(".dbf").read_bytes()
    raw = raw[int.from_bytes(raw[8:10], "little") :]  # the records, after the header
    try:
        raw.decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "gb18030"
    if not raw.isascii():
        told.append((f"{path.name} 没有 .cpg，按 {encoding} 读取",
                     f"{path.name} has no .cpg, read as {encoding}"))  # fmt: skip
    return pyogrio.read_dataframe(path, encoding=encoding)


def _located(frame: gpd.GeoDataFrame, what: str, path: Path, how: Reading) -> gpd.GeoDataFrame:
    """Return the frame in a system that is really its own."""
    if not isinstance(frame, gpd.GeoDataFrame) or frame.empty:
        raise DataError(f"{what} holds no features.")
    if frame.crs is None and how.crs:
        frame = frame.set_crs(how.crs)
    if frame.crs is None:
        raise DataError(
            f"{what} has no coordinate reference system. Say it with --crs (CGCS2000 degrees are "
            "EPSG:4490, 3-degree zone 114E is EPSG:4547)."
        )
    if path.suffix.lower() not in (".geojson", ".json"):
        return frame
    if how.datum is None:
        raise DataError(
            f"{what}: a GeoJSON file does not tell its datum; files from Amap and DataV are GCJ-02 "
            "and 300 to 600 m off. Say it with --datum wgs84, cgcs2000, gcj02 or bd09."
        )
    datum = how.datum
    moved = shapely.transform(
        frame.geometry.to_numpy(), lambda xy: convert(xy, datum, Datum.CGCS2000)
    )
    return frame.set_geometry(gpd.GeoSeries(moved, index=frame.index)).set_crs(
        EXCHANGE_CRS, allow_override=True
    )


def _require_polygons(frame: gpd.GeoDataFrame, what: str) -> None:
    """Refuse what is no layer of polygons: other geometries, no numbers, too many vertices."""
    shapes = frame.geometry.to_numpy()
    kinds = shapely.get_type_id(shapes)
    other = np.flatnonzero(~np.isin(kinds, (-1, 3, 6)))
    if len(other):
        row = int(other[0])
        raise DataError(
            f"{what}: {len(other)} of {len(shapes)} features are no polygons; feature {row + 1} is "
            f"a {shapes[row].geom_type}. Give the polygons as a layer of their own."
        )
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    bad = np.flatnonzero(~np.isfinite(xy).all(axis=1))
    if len(bad):
        raise DataError(
            f"{what}: feature {int(row[bad[0]]) + 1} has coordinates that are no numbers "
            f"({xy[bad[0], 0]}, {xy[bad[0], 1]}). Draw it again."
        )
    sizes = np.bincount(row, minlength=1)
    if sizes.max() >= MOST_VERTICES:
        raise DataError(
            f"{what}: feature {int(sizes.argmax()) + 1} has {sizes.max():,} vertices; "
            f"{MOST_VERTICES:,} are no border. Simplify it first."
        )


def _renamed(
    frame: gpd.GeoDataFrame, what: str, how: Reading, told: list[tuple[str, str]]
) -> gpd.GeoDataFrame:
    """Return the frame with our names for the columns that are known."""
    names = {}
    for ours, known in _COLUMN_NAMES.items():
        theirs = how.columns.get(ours)
        if theirs is not None and theirs not in frame.columns:
            raise DataError(f"{what} has no column {theirs}; it has {', '.join(frame.columns)}.")
        if theirs is None and ours not in frame.columns:
            theirs = next((c for c in frame.columns if c.strip().lower() in known), None)
            if theirs is not None:
                told.append((f"{what}:列 {theirs} 视为 {ours}",
                             f"{what}: column {theirs} is taken for {ours}"))  # fmt: skip
        if theirs is not None and theirs != ours:
            names[theirs] = ours
    clash = [ours for ours in names.values() if ours in frame.columns]
    return frame.drop(columns=clash).rename(columns=names)


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """Return the pairs of options such as `--level 村界=village`.

    Raises
    ------
    DataError
        A text is no pair.
    """
    pairs = {}
    for text in texts:
        found = re.fullmatch(r"([^=]+)=([^=]+)", text.strip())
        if found is None:
            raise DataError(f"{option} {text!r}: write NAME=VALUE.")
        pairs[found[1].strip()] = found[2].strip()
    return pairs
