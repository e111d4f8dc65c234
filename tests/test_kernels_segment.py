"""Watershed, region graph and merging, against slow and independent ways."""

from collections import Counter

import numpy as np
import pytest
from scipy import ndimage

from geogrid._kernels import lines, segment, trace


@pytest.fixture
def relief() -> np.ndarray:
    rng = np.random.default_rng(5)
    rough = ndimage.gaussian_filter(rng.normal(size=(60, 70)), 2)
    return ((rough - rough.min()) * 3000).astype(np.uint16)


def nothing(image: np.ndarray) -> np.ndarray:
    return np.full(image.shape, np.int32(-1))


def compiled_and_plain(kernel):
    return [kernel, kernel.py_func]


@pytest.mark.parametrize("toboggan", compiled_and_plain(segment.toboggan))
def test_every_pixel_slides_downhill_to_the_lowest_pixel_of_its_basin(relief, toboggan) -> None:
    inside = np.ones(relief.shape, bool)
    inside[:10, :10] = False
    labels = toboggan(relief, inside, nothing(relief))
    assert (labels[~inside] == -1).all()
    order = relief.astype(np.int64) * relief.size + np.arange(relief.size).reshape(relief.shape)
    for label in range(labels.max() + 1):
        basin = labels == label
        assert ndimage.label(basin)[1] == 1
        lowest = np.unravel_index(np.argmin(np.where(basin, order, order.max())), basin.shape)
        around = ndimage.binary_dilation(
            np.arange(relief.size).reshape(relief.shape)
            == np.ravel_multi_index(lowest, basin.shape)
        )
        assert order[around & inside].min() == order[lowest]


@pytest.mark.parametrize("toboggan", compiled_and_plain(segment.toboggan))
def test_a_building_is_one_basin_and_neighbours_keep_apart(relief, toboggan) -> None:
    whole = nothing(relief)
    whole[10:14, 10:20], whole[14:18, 10:20], whole[30:40, 30:33] = 0, 1, 2
    whole[50, 50], whole[50, 52] = 3, 3
    lowered = np.where(whole >= 0, np.uint16(0), relief)
    labels = toboggan(lowered, np.ones(relief.shape, bool), whole)
    basins = [set(labels[whole == number]) for number in range(4)]
    assert [len(basin) for basin in basins] == [1, 1, 1, 2]
    assert len(set.union(*basins)) == 5
    for label in set.union(*basins):
        assert ndimage.label(labels == label)[1] == 1


@pytest.mark.parametrize("merge", compiled_and_plain(segment.merge))
def test_two_loads_share_a_region_only_up_to_one(merge) -> None:
    # A chain of four equal pieces: the first border shows least, yet its two sides are too heavy.
    first, second = np.arange(3, dtype=np.int32), np.arange(1, 4, dtype=np.int32)
    ones = np.ones(4)
    joined = merge(first, second, ones[:3], np.array([1.0, 9.0, 1.0]), ones, np.zeros((4, 3)),
                   4 * ones, np.array([0.6, 0.6, 0.0, 0.0]),
                   target=2, power=0.7, tint=0.0, grip=0.0, most=1e9)  # fmt: skip
    assert joined.tolist() == [0, 1, 1, 1]


def test_basins_of_a_part_are_those_of_the_whole_away_from_the_cut(relief) -> None:
    inside = np.ones(relief.shape, bool)
    whole = segment.toboggan(relief, inside, nothing(relief))
    part = segment.toboggan(relief[:, :50], inside[:, :50], nothing(relief)[:, :50])
    near_cut = np.unique(whole[:, 34:51])
    pairs = {
        (a, b)
        for a, b in zip(whole[:, :34].ravel(), part[:, :34].ravel(), strict=True)
        if a not in near_cut
    }
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@pytest.mark.parametrize("graph", compiled_and_plain(segment.region_graph))
def test_region_graph_counts_shared_pixel_edges(graph) -> None:
    labels = np.array([[0, 0, 1], [0, 2, 1], [-1, 2, 2]], np.int32)
    relief = np.arange(9, dtype=np.uint16).reshape(3, 3)
    first, second, length, climb, rim = graph(labels, relief)
    assert list(zip(first, second, length, strict=True)) == [(0, 1, 1), (0, 2, 2), (1, 2, 2)]
    assert climb.tolist() == [2.0, 4.0 + 4.0, 5.0 + 8.0]
    assert rim.tolist() == [8.0, 6.0, 8.0]


@pytest.mark.parametrize("graph", compiled_and_plain(segment.region_graph))
def test_region_graph_agrees_with_a_table_of_all_pixel_edges(relief, graph) -> None:
    labels = segment.toboggan(relief[:25, :30], np.ones((25, 30), bool), nothing(relief))
    labels[labels == labels.max()] = -1
    first, second, length, climb, rim = graph(labels, relief[:25, :30])
    shared, climbs, around = Counter(), Counter(), Counter()
    framed = np.pad(labels, 1, constant_values=-1)
    heights = np.pad(relief[:25, :30], 1).astype(int)
    for row, col in np.ndindex(26, 31):
        for r, c in ((row + 1, col), (row, col + 1)):
            a, b = sorted((framed[row, col], framed[r, c]))
            if a != b:
                around[a] += 1
                around[b] += 1
                shared[a, b] += 1
                climbs[a, b] += max(heights[row, col], heights[r, c])
    pairs = sorted(pair for pair in shared if pair[0] >= 0)
    assert list(zip(first, second, strict=True)) == pairs
    assert length.tolist() == [shared[pair] for pair in pairs]
    assert climb.tolist() == [climbs[pair] for pair in pairs]
    assert rim.tolist() == [around[label] for label in range(len(rim))]


@pytest.mark.parametrize("merge", compiled_and_plain(segment.merge))
def test_merging_reaches_the_number_asked_for_and_keeps_regions_connected(relief, merge) -> None:
    labels = segment.toboggan(relief, np.ones(relief.shape, bool), nothing(relief))
    n = labels.max() + 1
    *edges, rim = segment.region_graph(labels, relief)
    size = np.bincount(labels.ravel()).astype(float)
    joined = merge(*edges, size / size.mean(), np.zeros((n, 3)), rim, np.zeros(n),
                   target=12, power=0.7, tint=0.0, grip=0.5, most=1e9)  # fmt: skip
    assert sorted(set(joined)) == list(range(12))
    for region in range(12):
        assert ndimage.label(joined[labels] == region)[1] == 1


def test_flood_gives_the_nearest_label_by_steps() -> None:
    labels = np.full((7, 9), -1, np.int32)
    labels[3, 1], labels[3, 7] = 0, 1
    flooded = segment.flood(labels)
    rows, cols = np.indices(labels.shape)
    steps = [abs(rows - 3) + abs(cols - c) for c in (1, 7)]
    clear = steps[0] != steps[1]
    assert (flooded[clear] == np.argmin(steps, axis=0)[clear]).all()


def test_largest_component_agrees_with_scipy() -> None:
    mask = np.random.default_rng(2).random((40, 40)) < 0.55
    labels, n = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    assert segment.largest_component(mask).sum() == sizes.max()
    assert n > 1


def test_sums_by_label_agree_with_scipy() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 5, (20, 30)).astype(np.int32)
    values = rng.random((20, 30)).astype(np.float32)
    expected = ndimage.sum_labels(values.astype(float), labels, range(5))
    np.testing.assert_allclose(segment.sums_by_label(labels, values, 5), expected, rtol=1e-6)


@pytest.mark.parametrize("gradient", compiled_and_plain(lines.gradient))
def test_gradient_agrees_with_sobel_and_eigenvalues(gradient) -> None:
    image = np.random.default_rng(4).normal(size=(8, 9, 3)).astype(np.float32)
    bands = [image[..., band].astype(float) for band in range(3)]
    dx = np.dstack([ndimage.sobel(band, axis=1, mode="mirror") / 8 for band in bands])
    dy = np.dstack([ndimage.sobel(band, axis=0, mode="mirror") / 8 for band in bands])
    tensor = np.empty((8, 9, 2, 2))
    tensor[..., 0, 0], tensor[..., 1, 1] = (dx * dx).sum(-1), (dy * dy).sum(-1)
    tensor[..., 0, 1] = tensor[..., 1, 0] = (dx * dy).sum(-1)
    expected = np.sqrt(np.linalg.eigvalsh(tensor)[..., 1])
    np.testing.assert_allclose(gradient(image), expected, rtol=1e-4)


def test_blend_takes_streets_where_built_up_and_stays_below_given_lines() -> None:
    gradient, street = np.float32([[2, 2, 900]]), np.float32([[3, 3, 0]])
    relief = lines.blend(gradient, street, np.float32([[0, 1, 0]]))
    assert relief.tolist() == [[round(3.5 * 256), int(3.4 * 256), lines.HIGHEST - 1]]


def test_oriented_bar_answers_on_a_street_and_not_in_a_plain_field() -> None:
    lab = np.full((80, 80, 3), 50, np.float32)
    lab[39:41] = 90
    response = lines.oriented_bar(lab, np.ones((80, 80), bool), 11, 1.8, 3.0, 1.0)
    assert response[39:41, 10:70].min() > 60
    assert response[:20].max() == 0


def test_oriented_bar_agrees_with_sums_along_each_bar_and_keeps_to_where() -> None:
    rng = np.random.default_rng(6)
    height, width, taps, spacing, side, weight = 105, 120, 5, 1.7, 2.0, 0.8
    lab = ndimage.gaussian_filter(rng.normal(50, 30, (height, width, 3)), (2, 2, 0))
    lab = lab.astype(np.float32)
    where = rng.random((height, width)) < 0.3
    where[:60, :40] = False
    rows, cols = np.indices((height, width))

    def at(row, col):
        return lab[np.clip(row, 0, height - 1), np.clip(col, 0, width - 1)].astype(float)

    def bar(row, col, angle):
        ways = (np.arange(taps) - taps // 2) * spacing
        taken = [at(row + round(w * np.sin(angle)), col + round(w * np.cos(angle))) for w in ways]
        return np.mean(taken, axis=0), np.mean([(t**2).sum(-1) for t in taken], axis=0)

    best = np.zeros((height, width))
    for angle in np.pi * np.arange(16) / 16:
        mean, square = bar(rows, cols, angle)
        dr, dc = round(side * np.cos(angle)), round(-side * np.sin(angle))
        sides = [
            np.linalg.norm(mean - bar(rows + way * dr, cols + way * dc, angle)[0], axis=-1)
            for way in (1, -1)
        ]
        spread = np.sqrt(np.maximum(square - (mean**2).sum(-1), 0))
        best = np.maximum(best, np.minimum(*sides) - weight * spread)
    response = lines.oriented_bar(lab, where, taps, spacing, side, weight)
    np.testing.assert_allclose(response, np.where(where, best, 0), atol=2e-3)


@pytest.mark.parametrize("outlines", compiled_and_plain(trace.outlines))
def test_outlines_hold_the_area_and_share_every_point(outlines) -> None:
    rng = np.random.default_rng(8)
    rough = rng.integers(0, 999, (12, 14)).astype(np.uint16)
    labels = segment.toboggan(rough, np.ones((12, 14), bool), nothing(rough))
    xy, starts, owners = outlines(labels)
    edges = set()
    area = np.zeros(labels.max() + 1)
    for k, owner in enumerate(owners):
        ring = xy[starts[k] : starts[k + 1]]
        after = np.roll(ring, -1, axis=0)
        area[owner] += (ring[:, 0] * after[:, 1] - after[:, 0] * ring[:, 1]).sum() / 8
        edges |= set(map(tuple, np.hstack([ring, after]).tolist()))
    # What one label walks, its neighbour walks the other way; only the frame is walked once.
    alone = [e for e in edges if (e[2], e[3], e[0], e[1]) not in edges]
    frame = 2 * np.array([14, 12])
    assert all(
        {e[0], e[2]} & {0, frame[0], 1, frame[0] - 1}
        or {e[1], e[3]} & {0, frame[1], 1, frame[1] - 1}
        for e in alone
    )
    np.testing.assert_allclose(area.sum(), labels.size, rtol=0.02)
