"""Imagery of every source: the same pixels from each, in any window; what cannot serve is refused.

The scene is 3 x 3 tiles of zoom 16 near Zhoukou, 768 x 768 pixels of 2.39 m of web mercator (2.0 m
on the ground).
"""

import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from scipy import ndimage

from geogrid import store
from geogrid.errors import ImageryError, UsageError
from geogrid.parallel import Engine
from geogrid.partition.imagery import ImagerySource, Window, open_imagery, outline
from geogrid.partition.imagery.tiles import tiles_over
from geogrid.partition.pipeline import Request, partition

CRS = "EPSG:4547"
ZOOM, X, Y, SIDE = 16, 53_645, 26_275, 256
N = 3 * SIDE
HALF_WORLD = np.pi * 6_378_137
PIXEL = 2 * HALF_WORLD / SIDE / (1 << ZOOM)
PLACE = Affine(PIXEL, 0, X * SIDE * PIXEL - HALF_WORLD, 0, -PIXEL, HALF_WORLD - Y * SIDE * PIXEL)
TO_METRES = pyproj.Transformer.from_crs("EPSG:3857", CRS, always_xy=True)


def picture(seed: int = 5) -> np.ndarray:
    """Crops and noise; one pixel of 16 is black, one white, so the stretch is 0 to 255 anywhere."""
    rng = np.random.default_rng(seed)
    fields = rng.integers(60, 190, (24, 32, 3)).astype(np.uint8)
    image = cv2.resize(fields, (N, N), interpolation=cv2.INTER_NEAREST).astype(float)
    image = np.clip(image + rng.normal(0, 5, image.shape), 1, 254).astype(np.uint8)
    extreme = rng.integers(0, 16, (N, N))
    image[extreme == 0] = 0
    image[extreme == 1] = 255
    return image


def write_tif(path: Path, image: np.ndarray, **changes: object) -> Path:
    """Write `(height, width, bands)` as a GeoTIFF at the scene's place."""
    profile = {
        "driver": "GTiff", "height": image.shape[0], "width": image.shape[1],
        "count": image.shape[2], "dtype": image.dtype, "crs": "EPSG:3857", "transform": PLACE,
    } | changes  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(np.moveaxis(image, -1, 0))
    return path


def encoded(rgb: np.ndarray, suffix: str = ".png") -> bytes:
    lossless = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    return cv2.imencode(
        suffix, np.ascontiguousarray(rgb[..., [2, 1, 0, 3][: rgb.shape[2]]]), lossless
    )[1].tobytes()


def cut(image: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    return {
        (X + i, Y + j): image[j * SIDE : (j + 1) * SIDE, i * SIDE : (i + 1) * SIDE]
        for i in range(3)
        for j in range(3)
    }


def write_folder(root: Path, image: np.ndarray, suffix: str = ".png", *, tms: bool = False) -> Path:
    for (x, y), tile in cut(image).items():
        row = (1 << ZOOM) - 1 - y if tms else y
        file = root / str(ZOOM) / str(x) / f"{row}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encoded(tile, suffix))
    return root


def write_mbtiles(path: Path, image: np.ndarray, suffix: str = ".png", **metadata: str) -> Path:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE metadata (name text, value text)")
        file.execute(
            "CREATE TABLE tiles (zoom_level int, tile_column int, tile_row int, tile_data blob)"
        )
        said = {"format": suffix[1:]} | metadata
        file.executemany("INSERT INTO metadata VALUES (?, ?)", said.items())
        rows = [
            (ZOOM, x, (1 << ZOOM) - 1 - y, encoded(tile, suffix))
            for (x, y), tile in cut(image).items()
        ]
        file.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
    file.close()
    return path


def write_halves(folder: Path, image: np.ndarray) -> Path:
    """Write the west and the east half as two files."""
    folder.mkdir()
    write_tif(folder / "a.tif", image[:, : N // 2])
    write_tif(folder / "b.tif", image[:, N // 2 :], transform=PLACE @ Affine.translation(N // 2, 0))
    return folder


def write_vrt(path: Path, *parts: tuple[str, int, int]) -> Path:
    """Write a mosaic of (file name, first column, columns)."""
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>'
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            f"<SourceBand>{band}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="{wide}" ySize="{N}"/>'
            f'<DstRect xOff="{left}" yOff="0" xSize="{wide}" ySize="{N}"/></SimpleSource>'
            for name, left, wide in parts
        )
        + "</VRTRasterBand>"
        for band, colour in enumerate(("Red", "Green", "Blue"), start=1)
    )
    place = ", ".join(str(v) for v in PLACE.to_gdal())
    path.write_text(
        f'<VRTDataset rasterXSize="{N}" rasterYSize="{N}"><SRS>EPSG:3857</SRS>'
        f"<GeoTransform>{place}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def whole_window(imagery: object) -> Window:
    return imagery.lattice.window(outline(imagery).bounds, halo=3)


def area() -> np.ndarray:
    """Return a square inside the scene, metres of the working CRS."""
    corners = np.array([[20, 20], [N - 20, 20], [N - 20, N - 20], [20, N - 20]], float)
    x, y = PLACE @ (corners[:, 0], corners[:, 1])
    return np.array([shapely.Polygon(np.column_stack(TO_METRES.transform(x, y)))])


# ---- the same pixels -------------------------------------------------------------------------


def as_files(tmp: Path) -> ImagerySource:
    folder = write_halves(tmp / "halves", picture())
    return ImagerySource((str(folder / "a.tif"), str(folder / "b.tif")))


def as_folder_of_files(tmp: Path) -> Path:
    return write_halves(tmp / "halves", picture())


def as_pattern(tmp: Path) -> str:
    return str(write_halves(tmp / "halves", picture()) / "?.tif")


def as_vrt(tmp: Path) -> Path:
    write_halves(tmp / "halves", picture())
    return write_vrt(
        tmp / "mosaic.vrt", ("halves/a.tif", 0, N // 2), ("halves/b.tif", N // 2, N // 2)
    )


def as_xyz(tmp: Path) -> Path:
    return write_folder(tmp / "xyz", picture())


def as_webp(tmp: Path) -> Path:
    return write_folder(tmp / "webp", picture(), ".webp")


def as_tms(tmp: Path) -> ImagerySource:
    return ImagerySource((str(write_folder(tmp / "tms", picture(), tms=True)),), tms=True)


def as_mbtiles(tmp: Path) -> Path:
    return write_mbtiles(tmp / "city.mbtiles", picture())


def as_bgr(tmp: Path) -> Path:
    path = write_tif(tmp / "bgr.tif", picture()[..., ::-1])
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    return path


def as_described(tmp: Path) -> Path:
    """Near infrared first, as some exports have it, and described."""
    image = np.dstack([picture()[..., :1] // 2, picture()[..., ::-1]])
    path = write_tif(tmp / "nir.tif", image, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("NIR", "Blue", "Green", "Red")
    return path


def as_bgr_by_option(tmp: Path) -> ImagerySource:
    path = write_tif(tmp / "bgr.tif", picture()[..., ::-1])
    return ImagerySource((str(path),), bands=(3, 2, 1))


def as_tiles_by_option(tmp: Path) -> ImagerySource:
    return ImagerySource((str(write_folder(tmp / "bgr", picture()[..., ::-1])),), bands=(3, 2, 1))


def with_alpha(tmp: Path) -> Path:
    image = np.dstack([picture(), np.full((N, N), 255, np.uint8)])
    return write_folder(tmp / "rgba", image)


@pytest.mark.parametrize(
    "make",
    [
        as_files, as_folder_of_files, as_pattern, as_vrt, as_xyz, as_webp, as_tms, as_mbtiles,
        as_bgr, as_described, as_bgr_by_option, as_tiles_by_option, with_alpha,
    ],
)  # fmt: skip
def test_every_source_gives_the_pixels_of_the_image_it_was_made_of(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    whole = open_imagery(write_tif(tmp_path / "whole.tif", picture()), CRS, resolution=2.0)
    made = open_imagery(make(tmp_path), CRS, resolution=2.0, area=area())
    assert made.lattice == whole.lattice
    window = whole_window(whole)
    rgb, valid = whole.read(window)
    found, there = made.read(window)
    # Two halves meet inside a pixel: there the interpolation sees one of them only.
    close = np.abs(found.astype(int) - rgb).max(axis=2) <= 2
    np.testing.assert_array_equal(there, valid)
    assert valid.mean() > 0.9
    assert close[valid].mean() > 0.997
    if make not in (as_files, as_folder_of_files, as_pattern):
        np.testing.assert_array_equal(found, rgb)


def test_lossy_tiles_are_as_close_as_their_compression(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(picture(), (0, 0), 6)
    whole = open_imagery(write_tif(tmp_path / "whole.tif", smooth), CRS, resolution=2.0)
    made = open_imagery(write_folder(tmp_path / "jpg", smooth, ".jpg"), CRS, resolution=2.0)
    window = whole_window(whole)
    difference = np.abs(made.read(window)[0].astype(int) - whole.read(window)[0])
    assert difference.mean() < 3


def test_places_are_those_of_an_exact_projection(tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(picture(), (0, 0), 3)
    imagery = open_imagery(write_tif(tmp_path / "a.tif", smooth), CRS, resolution=2.0)
    lattice, window = imagery.lattice, whole_window(imagery)
    x = lattice.x0 + (window.col + np.arange(window.width) + 0.5) * lattice.step
    y = lattice.y0 - (window.row + np.arange(window.height) + 0.5) * lattice.step
    to_mercator = pyproj.Transformer.from_crs(CRS, "EPSG:3857", always_xy=True)
    u, v = ~PLACE @ to_mercator.transform(*np.meshgrid(x, y))
    rgb, valid = imagery.read(window)
    stretched = imagery.layers[0].stretch.applied(smooth).astype(float)
    inside = (u > 1) & (u < N - 1) & (v > 1) & (v < N - 1)
    for band in range(3):
        exact = ndimage.map_coordinates(stretched[..., band], [v - 0.5, u - 0.5], order=1)
        # Places are rounded to 1/32 pixel.
        assert np.abs(rgb[..., band] - exact)[inside].max() <= 2
    assert valid[inside].all()
    assert not valid[(u < -0.1) | (u > N + 0.1) | (v < -0.1) | (v > N + 0.1)].any()


def in_degrees(tmp: Path) -> Path:
    return write_tif(tmp / "a.tif", picture(), crs="EPSG:4490",
                     transform=Affine(2e-5, 0, 114.68, 0, -2e-5, 33.62))  # fmt: skip


def rotated(tmp: Path) -> Path:
    turned = Affine(1.94, 0.43, 560_000, 0.43, -1.94, 3_720_000)
    return write_tif(tmp / "a.tif", picture(), crs=CRS, transform=turned)


def finer_with_holes(tmp: Path) -> Path:
    image = picture()
    image[100:300, 200:420] = 0
    fine = Affine(0.6, 0, 560_000.3, 0, -0.6, 3_720_000.7)
    return write_tif(tmp / "a.tif", image, crs=CRS, transform=fine, nodata=0)


@pytest.mark.parametrize("make", [in_degrees, rotated, finer_with_holes, as_xyz, as_files])
def test_a_pixel_is_the_same_in_every_window_and_in_another_process(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    imagery = open_imagery(make(tmp_path), CRS, resolution=2.0)
    whole = whole_window(imagery)
    rgb, valid = imagery.read(whole)
    assert 0.1 < valid.mean() < 1
    copied = pickle.loads(pickle.dumps(imagery))
    for row, col, height, width in [(0, 0, 90, 70), (31, 17, 100, 140), (50, 60, 64, 33)]:
        part = copied.read(Window(whole.row + row, whole.col + col, height, width))
        place = np.s_[row : row + height, col : col + width]
        np.testing.assert_array_equal(part[0], rgb[place])
        np.testing.assert_array_equal(part[1], valid[place])


# ---- resolution ------------------------------------------------------------------------------


def test_half_metre_imagery_is_not_read_at_half_a_metre(tmp_path: Path) -> None:
    """The full image is red and its overviews are green: what is read tells where it came from."""
    fine = Affine(0.5, 0, 560_000, 0, -0.5, 3_720_000)
    green = np.zeros((1024, 1024, 3), np.uint8)
    green[..., 1] = 200
    path = write_tif(tmp_path / "a.tif", green, crs=CRS, transform=fine, tiled=True)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.average)
    with rasterio.open(path, "r+") as file:
        file.write(np.moveaxis(green[..., [1, 0, 2]], -1, 0))
    imagery = open_imagery(path, CRS)
    assert imagery.lattice.step == 2.0
    rgb, valid = imagery.read(Window(0, 0, 256, 256))
    assert valid.all()
    assert (rgb[..., 1] > rgb[..., 0]).all()


def test_a_vrt_is_read_from_the_overviews_of_its_files_and_between_them_is_nothing(
    tmp_path: Path,
) -> None:
    """Black in full, grey in the overviews; between the two files there is none."""
    rng = np.random.default_rng(2)
    fine = Affine(0.5, 0, 560_000, 0, -0.5, 3_720_000)
    grey = rng.integers(60, 190, (512, 512, 3)).astype(np.uint8)
    bands = ""
    for name, left in (("a.tif", 0), ("b.tif", 1024)):
        path = write_tif(tmp_path / name, grey, crs=CRS, transform=fine, tiled=True)
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4], Resampling.average)
        with rasterio.open(path, "r+") as file:
            file.write(np.zeros((3, 512, 512), np.uint8))
        bands += (
            f'<SimpleSource><SourceFilename relativeToVRT="1">{name}</SourceFilename>'
            f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="512" ySize="512"/>'
            f'<DstRect xOff="{left}" yOff="0" xSize="512" ySize="512"/></SimpleSource>'
        )
    (tmp_path / "m.vrt").write_text(
        f'<VRTDataset rasterXSize="1536" rasterYSize="512"><SRS>{CRS}</SRS>'
        "<GeoTransform>560000, 0.5, 0, 3720000, 0, -0.5</GeoTransform>"
        f'<VRTRasterBand dataType="Byte" band="1">{bands}</VRTRasterBand></VRTDataset>'
    )
    imagery = open_imagery(tmp_path / "m.vrt", CRS)
    assert imagery.lattice.step == 2.0
    rgb, valid = imagery.read(Window(0, 0, 128, 384))
    assert valid[:, :128].all()
    assert valid[:, 256:].all()
    assert not valid[:, 128:256].any()
    assert np.median(rgb[:, :128]) > 60
    part = imagery.read(Window(5, 90, 60, 200))
    np.testing.assert_array_equal(part[0], rgb[5:65, 90:290])


def test_without_overviews_all_pixels_are_averaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (512, 512, 3)).astype(np.uint8)
    fine = Affine(0.5, 0, 560_000, 0, -0.5, 3_720_000)
    imagery = open_imagery(write_tif(tmp_path / "a.tif", image, crs=CRS, transform=fine), CRS)
    rgb, _ = imagery.read(Window(0, 0, 128, 128))
    stretched = imagery.layers[0].stretch.applied(image).astype(float)
    mean = stretched.reshape(128, 4, 128, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(rgb, mean, atol=0.51)


def test_finer_tiles_are_averaged_to_the_working_resolution(tmp_path: Path) -> None:
    imagery = open_imagery(as_xyz(tmp_path), CRS, resolution=8.0, area=area())
    assert imagery.layers[0].shrink == 4
    rgb, valid = imagery.read(whole_window(imagery))
    assert rgb[valid].std() < 45  # single pixels reach from 0 to 255
    assert imagery.lattice.step == 8.0


def test_the_zoom_is_the_coarsest_that_serves(tmp_path: Path) -> None:
    root = as_xyz(tmp_path)
    for zoom, shift in ((17, 1), (18, 2)):
        for x in range(X << shift, (X + 3) << shift):
            for y in range(Y << shift, (Y + 3) << shift):
                file = root / str(zoom) / str(x) / f"{y}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encoded(np.zeros((SIDE, SIDE, 3), np.uint8)))
    imagery = open_imagery(root, CRS, area=area())
    assert imagery.layers[0].zoom == 16
    assert imagery.lattice.step == pytest.approx(2.0)
    assert imagery.source == "xyz (zoom 16), 2 m"
    finer = open_imagery(ImagerySource((str(root),), zoom=17), CRS, area=area())
    assert finer.layers[0].zoom == 17


# ---- mosaics ---------------------------------------------------------------------------------


def test_where_files_overlap_the_first_wins_whatever_their_make(tmp_path: Path) -> None:
    one = np.full((200, 200, 3), 90, np.uint8)
    one[:10] = (10, 250, 10)
    other = np.full((60, 60, 3), 180, np.uint8)
    other[:10] = (10, 250, 10)
    fine = Affine(2, 0, 560_000, 0, -2, 3_720_000)
    first = write_tif(tmp_path / "1.tif", one, crs=CRS, transform=fine)
    x, y = pyproj.Transformer.from_crs(CRS, "EPSG:4490", always_xy=True).transform(
        560_200, 3_719_900
    )
    second = write_tif(tmp_path / "2.tif", other, crs="EPSG:4490",
                       transform=Affine(1e-4, 0, x, 0, -1e-4, y))  # fmt: skip
    for places, at_both in (((first, second), 90), ((second, first), 180)):
        imagery = open_imagery(ImagerySource(tuple(map(str, places))), CRS, resolution=2.0)
        row = round((imagery.lattice.y0 - 3_719_700) / 2)
        col = round((560_300 - imagery.lattice.x0) / 2)
        rgb, valid = imagery.read(Window(row, col, 4, 4))
        assert valid.all()
        expected = imagery.layers[0].stretch.applied(np.full((1, 1, 3), at_both, np.uint8))
        np.testing.assert_array_equal(rgb, np.broadcast_to(expected, rgb.shape))


def test_files_of_one_mosaic_meet_without_a_seam(tmp_path: Path) -> None:
    """A ramp cut in two: with a stretch of its own each half would start again at black."""
    ramp = np.repeat(np.linspace(40, 160, N)[None, :, None], N, axis=0).repeat(3, axis=2)
    image = ramp.astype(np.uint8)
    imagery = open_imagery(write_halves(tmp_path / "halves", image), CRS, resolution=2.0)
    rgb, _ = imagery.read(whole_window(imagery))
    line = rgb[rgb.shape[0] // 2, 20:-20, 0].astype(int)
    assert np.abs(np.diff(line)).max() <= 4
    assert line.max() - line.min() > 200


def test_files_of_different_depth_have_each_their_stretch(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    write_tif(folder / "a.tif", picture()[:, : N // 2])
    deep = picture()[:, N // 2 :].astype(np.uint16) * 16 + 300
    write_tif(folder / "b.tif", deep, transform=PLACE @ Affine.translation(N // 2, 0))
    whole = open_imagery(write_tif(tmp_path / "whole.tif", picture()), CRS, resolution=2.0)
    mixed = open_imagery(folder, CRS, resolution=2.0)
    window = whole_window(whole)
    difference = np.abs(mixed.read(window)[0].astype(int) - whole.read(window)[0]).max(axis=2)
    assert (difference <= 2).mean() > 0.997


def test_the_edition_hears_of_source_resolution_and_date(tmp_path: Path) -> None:
    folder = write_halves(tmp_path / "halves", picture())
    for name, day in (("a.tif", "2024:03:01 10:00:00"), ("b.tif", "2024:03:08 10:00:00")):
        with rasterio.open(folder / name, "r+") as file:
            file.update_tags(TIFFTAG_DATETIME=day)
    imagery = open_imagery(folder, CRS, resolution=2.5)
    assert imagery.source == "a.tif; b.tif, 2.5 m"
    assert imagery.date == "2024-03-01/2024-03-08"
    dated = ImagerySource((str(as_xyz(tmp_path)),), date="2025-05-05")
    assert open_imagery(dated, CRS).date == "2025-05-05"


def pixels_of(source: object) -> np.ndarray:
    imagery = open_imagery(source, CRS, area=area())
    return imagery.read(whole_window(imagery))[0]


# ---- what cannot serve -----------------------------------------------------------------------


def no_images(tmp: Path) -> Path:
    (tmp / "empty").mkdir()
    (tmp / "empty" / "readme.txt").write_text("nothing")
    return tmp / "empty"


def no_match(tmp: Path) -> str:
    return str(tmp / "*.tif")


def lacking_tiles(tmp: Path) -> Path:
    root = as_xyz(tmp)
    (root / str(ZOOM) / str(X + 1) / f"{Y + 2}.png").unlink()
    return root


def counted_from_the_south(tmp: Path) -> Path:
    # Beside the mirrored tiles, one that is where it is looked for.
    root = write_folder(tmp / "tms", picture(), tms=True)
    (root / str(ZOOM) / str(X) / f"{Y}.png").write_bytes(encoded(cut(picture())[X, Y]))
    return root


def vector_mbtiles(tmp: Path) -> Path:
    return write_mbtiles(tmp / "v.mbtiles", picture(), format="pbf")


def gzip_inside(tmp: Path) -> Path:
    path = write_mbtiles(tmp / "v.mbtiles", picture())
    with sqlite3.connect(path) as file:
        file.execute("UPDATE tiles SET tile_data = x'1f8b0800'")
    file.close()
    return path


def no_database(tmp: Path) -> Path:
    (tmp / "a.mbtiles").write_bytes(b"not a database at all, but long enough to be read as one")
    return tmp / "a.mbtiles"


def wrong_zoom(tmp: Path) -> ImagerySource:
    return ImagerySource((str(as_xyz(tmp)),), zoom=15)


def too_coarse(tmp: Path) -> Path:
    (tmp / "xyz" / "9" / "419").mkdir(parents=True)
    (tmp / "xyz" / "9" / "419" / "205.png").write_bytes(encoded(picture()[:SIDE, :SIDE]))
    return tmp / "xyz"


def truncated_tile(tmp: Path) -> Path:
    root = as_xyz(tmp)
    file = root / str(ZOOM) / str(X + 1) / f"{Y + 1}.png"
    file.write_bytes(file.read_bytes()[:4000])
    return root


def absent_bands(tmp: Path) -> ImagerySource:
    return ImagerySource((str(write_tif(tmp / "a.tif", picture())),), bands=(5, 2, 1))


OUTSIDE = '<SourceFilename relativeToVRT="1">../outside.tif</SourceFilename>'
ABSOLUTE = "<SourceFilename>TMP/outside.tif</SourceFilename>"
HOST = "<SourceFilename>/vsicurl/http://127.0.0.1/a.tif</SourceFilename>"
UNPLACED = '<SourceFilename relativeToVRT="0">a.tif</SourceFilename>'


def vrt_of(text: str) -> Callable[[Path], Path]:
    def make(tmp: Path) -> Path:
        write_tif(tmp / "outside.tif", picture())
        (tmp / "inner").mkdir()
        write_tif(tmp / "inner" / "a.tif", picture())
        path = write_vrt(tmp / "inner" / "m.vrt", ("a.tif", 0, N))
        found = '<SourceFilename relativeToVRT="1">a.tif</SourceFilename>'
        path.write_text(path.read_text().replace(found, text.replace("TMP", str(tmp))))
        return path

    return make


def a_vrt_of_a_service(tmp: Path) -> Path:
    """A source below the folder that GDAL would follow to a host."""
    (tmp / "wms.tif").write_text("<GDAL_WMS><Service name='TMS'/></GDAL_WMS>")
    return write_vrt(tmp / "m.vrt", ("wms.tif", 0, N))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_images, r"empty holds no imagery: .* It holds readme\.txt"),
        (no_match, r"no file fits the pattern"),
        (lacking_tiles, rf"lacks 1 of the 9 tiles .*: 16/{X + 1}/{Y + 2} near 114\.\d+, 33"),
        (counted_from_the_south, "add --tms"),
        (vector_mbtiles, "holds vector tiles"),
        (gzip_inside, "holds vector tiles"),
        (no_database, "not a readable MBTiles"),
        (wrong_zoom, "has no zoom 15; it has 16"),
        (too_coarse, r"zoom 9 of xyz is 255 m a pixel"),
        (truncated_tile, rf"tile 16/{X + 1}/{Y + 1} of xyz is no whole"),
        (absent_bands, r"bands 5,2,1 of .*: it has 3 \(1 red, 2 green, 3 blue\)"),
        (vrt_of(OUTSIDE), "only from files below"),
        (vrt_of(ABSOLUTE), "only from files below"),
        (vrt_of(HOST), "never from other hosts"),
        (vrt_of(UNPLACED), "only from files below"),
        (vrt_of("<PixelFunctionType>x</PixelFunctionType>"), "only plain mosaics"),
        (a_vrt_of_a_service, r"wms\.tif is not a readable GeoTIFF"),
    ],
)  # fmt: skip
def test_sources_that_cannot_serve_are_refused_with_the_reason(
    make: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    source = make(tmp_path)
    with pytest.raises(ImageryError, match=said):
        pixels_of(source)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("ftp://host/{z}/{x}/{y}.png", "imagery comes from files and folders"),
        ("/vsicurl/http://host/a.tif", "imagery comes from files and folders"),
        ("https://host/tiles", "has not the places"),
        ("https://host/{z}/{x}/{y}.png?k={secret}", "is not known"),
        ("https://me:mine@host/{z}/{x}/{y}.png", "a user name"),
        ("tianditu:cva", "tianditu:img or tianditu:vec"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(place: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refusal:
        open_imagery(place, CRS, area=area())
    assert "mine" not in str(refusal.value)


# ---- the division ----------------------------------------------------------------------------


def test_tiles_of_a_folder_and_of_a_database_give_the_same_division(tmp_path: Path) -> None:
    west, south, east, north = area()[0].bounds
    middle = (west + east) / 2
    villages = gpd.GeoDataFrame(
        {"code": ["411602001201", "411602001202"], "name": ["东", "西"],
         "parent": ["411602001"] * 2, "kind": ["村委会"] * 2},
        geometry=[shapely.box(west + 30, south + 30, middle, north - 30),
                  shapely.box(middle, south + 30, east - 30, north - 30)],
        crs=CRS,
    )  # fmt: skip
    store.write_layers(tmp_path / "boundaries.gpkg", {"village": villages})
    made = []
    for name, imagery in (("xyz", as_xyz(tmp_path)), ("mbtiles", as_mbtiles(tmp_path))):
        (tmp_path / f"work-{name}").mkdir()
        request = Request(tmp_path / "boundaries.gpkg", imagery, 4, 20, "2026-01-01")
        division = partition(request, tmp_path / f"work-{name}", engine=Engine(1))
        assert division.findings.ok
        made.append(division.edition)
    assert [edition.info.imagery_source for edition in made] == [
        "xyz (zoom 16), 2 m", "city.mbtiles (zoom 16), 2 m",
    ]  # fmt: skip
    for level, table in made[0].units.items():
        assert table.equals(made[1].units[level]), level


def test_a_changed_tile_makes_another_request(tmp_path: Path) -> None:
    root = as_xyz(tmp_path)
    before = Request(tmp_path / "b.gpkg", root, 4, 20, "2026-01-01").key()
    assert Request(tmp_path / "b.gpkg", root, 4, 20, "2026-01-01").key() == before
    (root / str(ZOOM) / str(X) / f"{Y}.png").write_bytes(encoded(picture(6)[:SIDE, :SIDE]))
    assert Request(tmp_path / "b.gpkg", root, 4, 20, "2026-01-01").key() != before


def test_tiles_over_an_area_are_those_whose_squares_meet_it() -> None:
    found = tiles_over(area(), CRS, ZOOM)
    assert sorted(map(tuple, found.tolist())) == sorted(cut(picture()))
    corner = shapely.box(*shapely.total_bounds(shapely.centroid(area()))).buffer(1)
    assert tiles_over(np.array([corner]), CRS, ZOOM).tolist() == [[X + 1, Y + 1]]


def test_four_images_that_meet_in_a_point_leave_no_hole(tmp_path: Path) -> None:
    for j in range(2):
        for i in range(2):
            place = PLACE @ Affine.translation(i * N // 2, j * N // 2)
            part = picture()[j * N // 2 : (j + 1) * N // 2, i * N // 2 : (i + 1) * N // 2]
            write_tif(tmp_path / f"{j}{i}.tif", part, transform=place)
    imagery = open_imagery(tmp_path, CRS, resolution=2.0)
    west, south, east, north = area()[0].bounds
    x, y = (west + east) / 2, (south + north) / 2
    middle = imagery.lattice.window((x - 60, y - 60, x + 60, y + 60))
    assert imagery.read(middle)[1].all()
