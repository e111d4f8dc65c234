"""Scores of a segmentation against drawn outlines, as the superpixel literature defines them.

Boundary recall and precision within a tolerance, achievable segmentation accuracy and the
under-segmentation error in the form of Neubert and Protzel (Stutz, Hermans, Leibe 2018), the best
intersection over union that a field can reach when each atom goes to one field, and the recall that
the same boundaries reach by chance: after eight shifts of a tenth to a third of the image.
Precision counts borders in and at the edge of drawn fields only, for not every field was drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

_SHIFTS = (
    *((97, 0), (0, 131), (211, 173), (-149, 229)),
    *((301, -113), (-241, -307), (157, 89), (83, -271)),
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one image; all between 0 and 1, and all but `error` better when higher."""

    atoms: int
    recall: float
    precision: float
    chance: float
    accuracy: float
    error: float
    overlap: float

    @property
    def lift(self) -> float:
        """Recall above chance, of what lies above chance."""
        return (self.recall - self.chance) / (1 - self.chance)


def score(atoms: NDArray[np.int32], truth: NDArray[np.int32], tolerance: float) -> Scores:
    """Compare atoms with drawn fields.

    Parameters
    ----------
    atoms : (height, width) int32
        Labels from 0.
    truth : (height, width) int32
        Number of the field from 1; 0 where none was drawn.
    tolerance : float
        Pixels.
    """
    found, drawn = borders(atoms), borders(truth)
    n_atoms, n_fields = int(atoms.max()) + 1, int(truth.max()) + 1
    shared = np.bincount(
        atoms.ravel().astype(np.int64) * n_fields + truth.ravel(), minlength=n_atoms * n_fields
    ).reshape(n_atoms, n_fields)
    size = shared.sum(axis=1)
    field = shared.argmax(axis=1)
    leak = np.minimum(shared, size[:, None] - shared)
    both = np.bincount(field, shared[np.arange(n_atoms), field], n_fields)
    taken = np.bincount(field, size, n_fields)
    overlap = both[1:] / (taken[1:] + shared.sum(axis=0)[1:] - both[1:])
    chance = [near(drawn, one, tolerance) for one in shifted(found)]
    return Scores(
        atoms=len(np.unique(atoms)),
        recall=near(drawn, found, tolerance),
        precision=near(found & _reached(truth > 0, tolerance), drawn, tolerance),
        chance=float(np.mean(chance)),
        accuracy=float(shared.max(axis=1).sum() / size.sum()),
        error=float(leak.sum() / size.sum()),
        overlap=float(overlap.mean()),
    )


def borders(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return the pixels whose right or lower neighbour has another label."""
    border = np.zeros(labels.shape, bool)
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    border[:-1] |= labels[:-1] != labels[1:]
    return border


def shifted(found: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Yield borders shifted by a tenth to a third of the image, around its edges."""
    for shift in _SHIFTS:
        yield np.roll(found, shift, (0, 1))


def _reached(mask: NDArray[np.bool_], tolerance: float) -> NDArray[np.bool_]:
    """Return the pixels within `tolerance` of the mask."""
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    reached: NDArray[np.bool_] = distance <= tolerance
    return reached


def near(these: NDArray[np.bool_], those: NDArray[np.bool_], tolerance: float) -> float:
    """Return the share of these pixels that lie within `tolerance` of any of those."""
    return float(_reached(those, tolerance)[these].mean())


def superpixels(rgb: NDArray[np.uint8], wanted: int) -> NDArray[np.int32]:
    """Return SLIC's superpixels, asked for again in the number that gives the one wanted."""
    asked = wanted
    for _ in range(3):
        labels: NDArray[np.int64] = slic(rgb, n_segments=asked, compactness=10, start_label=0)
        asked = round(asked * wanted / (int(labels.max()) + 1))
    return labels.astype(np.int32)


def squares(shape: tuple[int, ...], wanted: int) -> NDArray[np.int32]:
    """Return a grid of squares."""
    side = np.sqrt(shape[0] * shape[1] / wanted)
    rows, cols = (np.floor(np.arange(n) / side).astype(np.int32) for n in shape[:2])
    return rows[:, None] * (cols[-1] + 1) + cols
