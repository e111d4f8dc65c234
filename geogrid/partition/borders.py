"""What borders follow: edges seen in the imagery, given lines, short links, or nothing.

Measured on pixel edges while the relief is at hand, kept by pairs of atoms, and summed for pairs of
zones. A link (the line-of-sight extension of census blocks) is a stretch on which nothing shows,
straight and short, that joins two places from which something visible leads on.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geogrid._kernels import segment
from geogrid._kernels.lines import HIGHEST
from geogrid.partition.atoms import Atoms
from geogrid.partition.zones import SEEN

# Metres; the US Census Bureau lets a road that ends go on for 300 feet to the next visible feature
# (Geographic Areas Reference Manual, chapter 11).
_LONGEST_LINK = 91.0
# A stretch is straight when it is no wider than this share of its length, or than these pixels: the
# stairs of a slanting line in a raster.
_STRAIGHT = 0.1
_STAIRS = 2.0
# Nothing that the image shows comes near the relief of a given line; half of it tells them apart.
_LINED = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows along the borders between the atoms of one village.

    Attributes
    ----------
    lined : (m,) float64
        Pixel edges on given lines, for each pair of atoms.
    contrast : (m,) float64
        Mean relief along the other pixel edges, in Lab units; 0 where there are none.
    chance : (2,) float64
        Shares seen in the imagery and on given lines of straight lines drawn blindly.
    """

    lined: NDArray[np.float64]
    contrast: NDArray[np.float64]
    chance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ZoneBorders:
    """The borders between the zones of one village.

    Attributes
    ----------
    zones : (k, 2) int32
        Zones that touch, the lower first, sorted.
    length, seen, lined, link : (k,) float64
        Pixel edges in all; on edges seen in the imagery; on given lines; on links.
    contrast : (k,) float64
        Mean relief off given lines, in Lab units; 0 where all of it is on lines.
    """

    zones: NDArray[np.int32]
    length: NDArray[np.float64]
    seen: NDArray[np.float64]
    lined: NDArray[np.float64]
    link: NDArray[np.float64]
    contrast: NDArray[np.float64]


def evidence(atoms: Atoms, relief: NDArray[np.uint16], inside: NDArray[np.bool_]) -> Evidence:
    """Return what the relief (1/256 Lab units) shows along the borders between atoms."""
    lines = relief == HIGHEST
    lined = np.zeros(len(atoms.length))
    if lines.any():
        lined = segment.region_graph(atoms.labels, lines.astype(np.uint16))[3]
    climb = atoms.strength * atoms.length - lined * (HIGHEST / 256)
    off = atoms.length - lined
    contrast = np.divide(climb, off, out=np.zeros_like(off), where=off > 0)
    # Rounding may leave a trace below zero.
    contrast = np.maximum(contrast, 0.0)
    stretch = max(round(float(atoms.length.mean())), 1) if len(atoms.length) else 1
    return Evidence(lined, contrast, _by_chance(relief, inside, stretch))


def zone_borders(
    atoms: Atoms, zone: NDArray[np.int32], shown: Evidence, *, step: float
) -> ZoneBorders:
    """Sum the evidence along the borders between zones.

    A border between two atoms that belong to different zones counts as seen, off given lines, when
    its mean relief reaches `SEEN`.

    Parameters
    ----------
    zone : (n_atoms,) int32
        Zone of each atom.
    step : float
        Metres a pixel, for the length of links.
    """
    between = np.flatnonzero(zone[atoms.first] != zone[atoms.second])
    pair = np.sort(np.column_stack([zone[atoms.first], zone[atoms.second]])[between], axis=1)
    n = int(zone.max()) + 1
    key, number = np.unique(pair[:, 0].astype(np.int64) * n + pair[:, 1], return_inverse=True)
    off = (atoms.length - shown.lined)[between]
    seen = shown.contrast[between] >= SEEN
    link = _links(atoms, zone, shown, step)[between]

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(number, values, len(key)).astype(np.float64)

    whole = total(off)
    return ZoneBorders(
        zones=np.column_stack([key // n, key % n]).astype(np.int32),
        length=total(atoms.length[between]),
        seen=total(off * seen),
        lined=total(shown.lined[between]),
        link=total(off * (link & ~seen)),
        contrast=np.divide(
            total(off * shown.contrast[between]), whole, out=np.zeros_like(whole), where=whole > 0
        ),
    )


def _by_chance(
    relief: NDArray[np.uint16], inside: NDArray[np.bool_], stretch: int
) -> NDArray[np.float64]:
    """Return the shares seen and on given lines of all rows and columns of pixel edges.

    They are judged like borders: over stretches as long as the mean border between two atoms.
    """
    counts = np.zeros(3)
    for down, right in ((1, 0), (0, 1)):
        near = np.s_[: relief.shape[0] - down, : relief.shape[1] - right]
        far = np.s_[down:, right:]
        size = (stretch, 1) if down else (1, stretch)
        climb = np.maximum(relief[near], relief[far])
        land = (inside[near] & inside[far]).astype(np.uint8)
        whole = cv2.erode(land, np.ones(size[::-1], np.uint8), borderValue=0) > 0
        on_line = climb == HIGHEST
        if not on_line.any():
            mean = cv2.blur(climb.astype(np.float32), size)[whole]
            counts += ((mean >= SEEN * 256).sum(), 0, len(mean))
            continue
        off = np.where(on_line, np.float32(0), climb.astype(np.float32))
        lined = cv2.blur(on_line.astype(np.float32), size)[whole]
        seen = cv2.blur(off, size)[whole] >= SEEN * 256 * (1 - lined)
        counts += ((1 - lined)[seen & (lined < 1)].sum(), lined.sum(), len(lined))
    shares: NDArray[np.float64] = counts[:2] / max(counts[2], 1.0)
    return shares


def _links(
    atoms: Atoms, zone: NDArray[np.int32], shown: Evidence, step: float
) -> NDArray[np.bool_]:
    """Return which borders between atoms of different zones are links.

    A run of several such borders counts only where something visible leads on from each joint, so
    that links are rather missed than invented.
    """
    visible = (shown.contrast >= SEEN) | (shown.lined > _LINED * atoms.length)
    hidden = ~visible & (zone[atoms.first] != zone[atoms.second])
    pair, middle, corners = _pixel_edges(atoms, zone)
    kept = hidden[pair]
    pair, middle, corners = pair[kept], middle[kept], corners[kept]
    m = len(atoms.length)
    width, length = _extent(pair, middle, m)
    straight = width <= np.maximum(_STAIRS, _STRAIGHT * length)
    height, width_ = atoms.labels.shape[0] + 1, atoms.labels.shape[1] + 1
    place = corners[..., 0] * width_ + corners[..., 1]
    ends = np.unique((pair[:, None] * (height * width_) + place).ravel())
    of, place = np.divmod(ends, height * width_)
    leads = _leads_on(atoms, visible, np.column_stack(np.divmod(place, width_)))
    joined = np.bincount(of[leads], minlength=m) >= 2
    short = length * step <= _LONGEST_LINK
    link: NDArray[np.bool_] = hidden & straight & short & joined
    return link


def _pixel_edges(
    atoms: Atoms, zone: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the pixel edges between zones: pair of atoms, middle (row, col), both corners."""
    labels = atoms.labels
    zones = np.append(zone, np.int32(-1)).take(labels, mode="wrap")
    found = []
    for down, right in ((1, 0), (0, 1)):
        near = zones[: labels.shape[0] - down, : labels.shape[1] - right]
        # Few pixels lie at a border of zones: all else is asked of them only.
        place = np.flatnonzero(near != zones[down:, right:])
        row, col = np.divmod(place, near.shape[1])
        one, other = labels[row, col], labels[row + down, col + right]
        between = (one >= 0) & (other >= 0)
        last = np.column_stack([row, col])[between] + 1
        corners = np.stack([last - [right, down], last], axis=1)
        found.append((_pair_of(atoms, one[between], other[between]), corners))
    pair = np.concatenate([some for some, _ in found])
    corners = np.concatenate([some for _, some in found])
    return pair, corners.mean(axis=1), corners


def _pair_of(atoms: Atoms, one: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the row of each pair of atoms that touch; pairs are sorted."""
    n = len(atoms)
    keys = atoms.first.astype(np.int64) * n + atoms.second
    wanted = np.minimum(one, other).astype(np.int64) * n + np.maximum(one, other)
    return np.searchsorted(keys, wanted)


def _extent(
    pair: NDArray[np.int64], middle: NDArray[np.float64], m: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return width and length, in pixels, of the even bar that spreads as each pair's edges do."""
    count = np.maximum(np.bincount(pair, minlength=m), 1)
    mean = np.column_stack([np.bincount(pair, axis, m) for axis in middle.T]) / count[:, None]
    row, col = (middle - mean[pair]).T
    rr, cc, rc = (np.bincount(pair, some, m) / count for some in (row**2, col**2, row * col))
    half, root = (rr + cc) / 2, np.hypot((rr - cc) / 2, rc)
    # Middles of n edges in a row spread by (n² - 1) / 12; the edges themselves reach further.
    spread = np.sqrt(12 * np.maximum(np.column_stack([half - root, half + root + 1 / 12]), 0))
    return spread[:, 0], spread[:, 1]


def _leads_on(
    atoms: Atoms, visible: NDArray[np.bool_], corners: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return from which corners (row, col) something visible leads on, an outline included."""
    padded = np.pad(atoms.labels, 1, constant_values=-1)
    row, col = corners.T
    around = [
        padded[row, col],
        padded[row, col + 1],
        padded[row + 1, col + 1],
        padded[row + 1, col],
    ]
    leads = np.zeros(len(corners), bool)
    for one, other in zip(around, [*around[1:], around[0]], strict=True):
        apart = one != other
        outline = apart & ((one < 0) | (other < 0))
        inner = np.flatnonzero(apart & ~outline)
        leads |= outline
        leads[inner] |= visible[_pair_of(atoms, one[inner], other[inner])]
    return leads
