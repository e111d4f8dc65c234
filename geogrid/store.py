"""Files: GeoPackage in and out, whole or not at all.

A file is written beside its target, flushed to disk, read back, and only then renamed onto it: a
killed run, a full disk or Ctrl-C leaves the old file as it was. One process touches a GeoPackage
through one library only (pyogrio): a second copy of SQLite in the process corrupts it.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio
import pyogrio.raw
import pyproj
import shapely

from geogrid.codes import LEVELS
from geogrid.edition import Edition, EditionInfo
from geogrid.errors import DataError

_SQLITE_MAGIC = b"SQLite format 3\x00"
_PARQUET_MAGIC = b"PAR1"
# 1.4, GDAL's default, makes QGIS 3.22 warn at opening; nothing of ours needs more than 1.3.
_GEOPACKAGE_VERSION = "1.3"

# What comes of 400 single flipped bits in an edition: a text, a ring or a page that cannot be read.
UNREADABLE = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
    shapely.errors.GEOSException,
    pa.ArrowException,
    UnicodeDecodeError,
)


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; rename it onto `target` if all went well.

    Raises
    ------
    DataError
        The folder is missing or cannot be written, or the disk is full. `target` is unchanged.
    """
    if not target.parent.is_dir():
        raise DataError(
            f"cannot write {target}: there is no folder {target.parent}. Make it first."
        )
    draft = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        yield draft
        publish(draft, target)
    except OSError as error:
        raise DataError(
            f"cannot write {target}: {error}. The old file, if any, is whole."
        ) from error
    finally:
        for leftover in target.parent.glob(f"{draft.name}*"):
            leftover.unlink(missing_ok=True)


def publish(draft: Path, target: Path) -> None:
    """Rename a whole file onto its target, so that it is there after a loss of power too."""
    _flush(draft)
    draft.replace(target)
    _flush(target.parent)


def write_layers(
    path: Path, layers: Mapping[str, pd.DataFrame], *, date: str = "2000-01-01"
) -> None:
    """Write tables as the layers of one GeoPackage; the same tables give the same bytes.

    Parameters
    ----------
    path : Path
        Target; replaced as a whole.
    layers : mapping of name to frame
        A `GeoDataFrame` becomes a spatial layer with geometry column `geom`, a plain frame becomes
        an attribute table.
    date : str
        Day (YYYY-MM-DD) to note as the last change; a clock would make every file differ.
    """
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{date}T00:00:00.000Z"})
    with replacing(path) as draft:
        try:
            for name, frame in layers.items():
                _write_layer(draft, name, frame)
            _prove(draft, layers)
        except pyogrio.errors.DataSourceError as error:
            raise OSError(str(error)) from error
        except (pyogrio.errors.FeatureError, pyogrio.errors.DataLayerError) as error:
            raise OSError(f"{error} (is the disk full?)") from error


def read_layer(path: Path, layer: str) -> gpd.GeoDataFrame:
    """Read one layer of a GeoPackage.

    Raises
    ------
    DataError
        The file is missing, is not a GeoPackage, is damaged, or has no such layer.
    """
    names = layer_names(path)
    if layer not in names:
        raise DataError(f"{path} has no layer {layer!r}; it has {', '.join(names)}.")
    try:
        return pyogrio.read_dataframe(path, layer=layer)
    except UNREADABLE as error:
        raise DataError(f"cannot read layer {layer} of {path}: {damage(path, error)}") from error


def damage(path: Path, error: Exception) -> str:
    """Return in a few words why a file cannot be read, and what to do."""
    if any(path.with_name(path.name + end).exists() for end in ("-journal", "-wal")):
        return (
            "a program was stopped while it wrote to the file (its journal lies beside it). Open "
            "and close it in QGIS, which takes the unfinished change back, or fetch the file again."
        )
    # GDAL says the whole of its SQL statement before SQLite's reason.
    said = str(error).splitlines()[0].split(" failed: ")[-1].split("; ")[0]
    if "malformed" in said or "not a database" in said:
        return f"it is damaged or cut off ({said}). Fetch it again."
    if "locked" in said:
        return f"{said}: another program writes to it. Close it there and try again."
    return said


def layer_names(path: Path) -> list[str]:
    """Return the names of the layers of a GeoPackage, in the order of the file."""
    _require_magic(path, _SQLITE_MAGIC, "a GeoPackage")
    try:
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    except UNREADABLE as error:
        raise DataError(f"{path} is not a readable GeoPackage: {damage(path, error)}") from error


def read_vector(path: Path) -> gpd.GeoDataFrame:
    """Read the features of a GeoParquet file, or of all spatial layers of a GeoPackage.

    Layers of one GeoPackage are put one below the other; a column `layer` names the source.
    """
    if path.suffix.lower() in (".parquet", ".geoparquet"):
        _require_magic(path, _PARQUET_MAGIC, "a GeoParquet file")
        return gpd.read_parquet(path)
    frames = [read_layer(path, name).assign(layer=name) for name in layer_names(path)]
    spatial = [frame for frame in frames if isinstance(frame, gpd.GeoDataFrame)]
    if not spatial:
        raise DataError(f"{path} has no spatial layer.")
    return gpd.GeoDataFrame(pd.concat([frame.to_crs(spatial[0].crs) for frame in spatial]))


def point_layer(path: Path) -> tuple[str, tuple[int | None, bool], list[str]]:
    """Return the only spatial layer of a GeoPackage, its reference system, and its columns.

    The reference system is its EPSG code, if known, and whether it is projected.
    """
    layer_names(path)
    spatial = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    if len(spatial) != 1:
        raise DataError(
            f"{path} has {len(spatial)} spatial layers ({', '.join(spatial)}), expected one. "
            "Export the layer of points to a file of its own."
        )
    info = pyogrio.read_info(path, layer=spatial[0])
    system = pyproj.CRS.from_user_input(info["crs"]) if info["crs"] else None
    crs = (None, False) if system is None else (system.to_epsg(), system.is_projected)
    return spatial[0], crs, list(info["fields"])


def rewrite_points(
    source: Path,
    target: Path,
    layer: str,
    work: Callable[[Iterator[pa.RecordBatch], str], Iterator[pa.RecordBatch]],
    schema: Callable[[pa.Schema], pa.Schema],
) -> None:
    """Copy a layer of points with what `work` makes of its batches; whole or not at all.

    Parameters
    ----------
    work : callable
        Given the batches and the name of the geometry column (WKB); yields other batches.
    schema : callable
        Given the schema of the batches; returns that of the others.
    """
    try:
        with (
            replacing(target) as draft,
            pyogrio.raw.open_arrow(source, layer=layer, use_pyarrow=True) as (meta, reader),
        ):
            geometry = meta["geometry_name"] or "wkb_geometry"
            none = pa.RecordBatch.from_pylist([], schema(reader.schema))
            for batch in itertools.chain([none], work(iter(reader), geometry)):
                pyogrio.raw.write_arrow(
                    pa.Table.from_batches([batch]), draft, layer=layer, driver="GPKG",
                    geometry_name=geometry, geometry_type="Point", crs=meta["crs"],
                    append=batch is not none, dataset_options={"VERSION": _GEOPACKAGE_VERSION}
                    if batch is none else None,
                )  # fmt: skip
    except UNREADABLE as error:
        raise DataError(f"cannot rewrite {source} as {target}: {error}") from error


def write_edition(edition: Edition, path: Path, *, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write an edition as a GeoPackage, with further tables (reports, layers) beside it."""
    layers: dict[str, pd.DataFrame] = {level: edition.units[level] for level in LEVELS} | {
        "edition": pd.DataFrame([asdict(edition.info)])
    }
    write_layers(path, layers | dict(tables), date=edition.info.created)


def read_edition(path: Path | str) -> Edition:
    """Read an edition and prove that its content is what was written.

    Raises
    ------
    DataError
        The file is not an edition, or its content does not match its digest.
    """
    path = Path(path)
    names = layer_names(path)
    missing = [name for name in (*LEVELS, "edition") if name not in names]
    if missing:
        raise DataError(
            f"{path} is not an edition: no layer {', '.join(missing)}. "
            "Make one with `geogrid partition`, or check raw layers with `geogrid check`."
        )
    row = read_layer(path, "edition").iloc[0]
    values: dict[str, Any] = {field.name: row[field.name] or "" for field in fields(EditionInfo)}
    info = EditionInfo(**values | {"seed": int(row["seed"])})
    try:
        # By Arrow: a quarter of the time. It looks at texts only when they are used.
        layers = {
            level: pyogrio.read_dataframe(path, layer=level, use_arrow=True) for level in LEVELS
        }
        edition = Edition.of(info, layers)
    except (*UNREADABLE, OSError) as error:  # of a broken page Arrow makes an OSError
        raise DataError(f"cannot read {path}: {damage(path, error)}") from error
    if edition.info.digest != info.digest:
        raise DataError(
            f"{path} was changed after it was written (digest {info.digest[:12]} noted, "
            f"{edition.info.digest[:12]} found). Check it with `geogrid check` before using it."
        )
    return edition


def write_json(path: Path, content: object) -> None:
    """Write `content` as UTF-8 JSON, whole or not at all."""
    with replacing(path) as draft:
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


def _write_layer(path: Path, name: str, frame: pd.DataFrame) -> None:
    spatial = isinstance(frame, gpd.GeoDataFrame)
    pyogrio.write_dataframe(
        frame,
        path,
        layer=name,
        driver="GPKG",
        append=path.exists(),
        dataset_options=None if path.exists() else {"VERSION": _GEOPACKAGE_VERSION},
        layer_options={"GEOMETRY_NAME": "geom"} if spatial else None,
    )


def _prove(path: Path, layers: Mapping[str, pd.DataFrame]) -> None:
    """Raise when the file just written does not hold every row."""
    for name, frame in layers.items():
        found = pyogrio.read_info(path, layer=name)["features"]
        if found != len(frame):
            raise OSError(f"layer {name} holds {found} of {len(frame)} rows")


def _require_magic(path: Path, magic: bytes, what: str) -> None:
    """Refuse a file that is not what its name says: GDAL would follow it to other files."""
    try:
        with path.open("rb") as file:
            head = file.read(len(magic))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}.") from error
    if head != magic:
        raise DataError(f"{path} is not {what}.")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
