"""What borders follow, on drawings that can be counted by hand."""

import numpy as np
import pytest

from geogrid._kernels import segment
from geogrid._kernels.lines import HIGHEST
from geogrid.partition.atoms import Atoms
from geogrid.partition.borders import ZoneBorders, evidence, zone_borders

SEEN_RELIEF = 10 * 256
A, B, C, D = range(4)


def drawing() -> np.ndarray:
    """Four atoms; the numbers are pixels.

         10     30
       +----+----------+
    10 | A  |    B     |
       +----+----------+
    10 | C  |    D     |
       +----+----------+
    """
    labels = np.empty((20, 40), np.int32)
    labels[:10, :10], labels[:10, 10:], labels[10:, :10], labels[10:, 10:] = A, B, C, D
    return labels


def drawn_relief() -> np.ndarray:
    """Seen from the top down to the middle, a given line from there to the foot."""
    relief = np.zeros((20, 40), np.uint16)
    relief[:10, 9] = SEEN_RELIEF
    relief[10:, 9] = HIGHEST
    return relief


def atoms_of(labels: np.ndarray, relief: np.ndarray) -> Atoms:
    first, second, length, climb, rim = segment.region_graph(labels, relief)
    n = int(labels.max()) + 1
    shared = np.bincount(first, length, n) + np.bincount(second, length, n)
    area = np.bincount(labels[labels >= 0], minlength=n).astype(float)
    strength = climb / length / 256
    open_ = np.zeros(len(first), bool)
    return Atoms(labels, area, area, rim - shared, first, second, length, strength, open_)


def measured(
    labels: np.ndarray, relief: np.ndarray, zone: list[int] | None = None, step: float = 4.0
) -> ZoneBorders:
    atoms = atoms_of(labels, relief)
    shown = evidence(atoms, relief, labels >= 0)
    zones = np.arange(len(atoms)) if zone is None else np.array(zone)
    return zone_borders(atoms, zones.astype(np.int32), shown, step=step)


def test_each_border_of_the_drawing_follows_what_was_drawn_along_it() -> None:
    found = measured(drawing(), drawn_relief())
    assert found.zones.tolist() == [[A, B], [A, C], [B, D], [C, D]]
    assert found.length.tolist() == [10, 10, 30, 10]
    assert found.seen.tolist() == [10, 0, 0, 0]
    # The pixel of A|C beside the middle lies on the line that begins there.
    assert found.lined.tolist() == [0, 1, 0, 10]
    # A|C joins the outline to the middle, 36 m; B|D is 120 m long.
    assert found.link.tolist() == [0, 9, 0, 0]
    assert found.contrast.tolist() == [10, 0, 0, 0]


def test_the_border_of_two_zones_is_the_sum_of_their_atoms() -> None:
    found = measured(drawing(), drawn_relief(), [0, 1, 0, 1])
    assert found.zones.tolist() == [[0, 1]]
    assert (found.length[0], found.seen[0], found.lined[0], found.link[0]) == (20, 10, 10, 0)
    assert found.contrast[0] == 10


def test_one_zone_has_no_borders() -> None:
    found = measured(drawing(), drawn_relief(), [0, 0, 0, 0])
    assert found.zones.shape == (0, 2)
    assert len(found.length) == len(found.link) == 0


def test_a_border_that_ends_where_nothing_leads_on_is_no_link() -> None:
    assert measured(drawing(), np.zeros((20, 40), np.uint16)).link.tolist() == [0, 0, 0, 0]


def test_a_longer_step_makes_the_same_border_too_long_for_a_link() -> None:
    assert measured(drawing(), drawn_relief(), step=9.0).link[1] == 9
    assert measured(drawing(), drawn_relief(), step=9.2).link[1] == 0


def test_a_crooked_border_is_no_link() -> None:
    labels = drawing()
    labels[5:10, 3:7] = C
    assert measured(labels, drawn_relief()).link[1] == 0


def test_a_slanting_border_is_straight_in_spite_of_its_stairs() -> None:
    row, col = np.mgrid[:20, :20]
    labels = (row > col).astype(np.int32)
    found = measured(labels, np.zeros((20, 20), np.uint16), step=3.0)
    assert found.length[0] == found.link[0] == 38
    assert measured(labels, np.zeros((20, 20), np.uint16), step=4.0).link[0] == 0


def test_the_ends_of_a_border_at_a_given_line_do_not_make_it_visible() -> None:
    """Two pixels at a line would raise the mean relief of 30 from 2 to 19 Lab units."""
    relief = np.full((20, 40), 2 * 256, np.uint16)
    relief[:, 9] = HIGHEST
    relief[:, 39] = HIGHEST
    found = measured(drawing(), relief)
    assert found.lined[2] == 1
    assert found.contrast[2] == pytest.approx(2)
    assert found.seen[2] == 0


@pytest.mark.parametrize(
    ("left", "right", "seen", "lined"),
    [
        (0, 0, 0, 0),
        (SEEN_RELIEF, SEEN_RELIEF, 1, 0),
        (HIGHEST, HIGHEST, 0, 1),
        # Of 39 x 40 pairs side by side 20 x 40 climb, of 40 x 39 one above the other 20 x 39.
        (SEEN_RELIEF, 0, (20 * 40 + 20 * 39) / (2 * 39 * 40), 0),
    ],
)
def test_chance_is_the_share_of_blind_lines(
    left: int, right: int, seen: float, lined: float
) -> None:
    relief = np.full((42, 42), left, np.uint16)
    relief[:, 21:] = right
    labels = np.full((42, 42), -1, np.int32)
    labels[1:-1, 1:-1] = 0
    shown = evidence(atoms_of(labels, relief), relief, labels >= 0)
    assert shown.chance == pytest.approx([seen, lined])
