"""From a relief of barriers to atoms: watershed, region graph, greedy merging."""

import heapq

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Contrast, 1/256 Lab units, from which borders are to be kept rather than shapes made compact.
_PLAIN = 4.0 * 256
# Mean climb of a border that lies on a given line, but for a pixel or two.
_LINE = 62000.0
# Mass of land between two given lines, such as both sides of a road, that joins one of its sides.
_SPECK = 0.1


@njit(cache=True)
def toboggan(
    relief: NDArray[np.uint16], inside: NDArray[np.bool_], whole: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Label the basins of `relief` inside a mask; outside it the label is -1.

    Every pixel slides to its lowest 4-neighbour, ties going by position, until none is lower. The
    order (value, position) is total, so the basins do not depend on how the image was cut up.

    Connected pixels that hold the same number of `whole` (a building) are one basin, and pixels
    that hold -1 slide as far as they get: the basin of a building is the land that slopes to it.
    Labels are numbered by the first of a basin's lowest pixels.
    """
    height, width = relief.shape
    labels = np.full((height, width), -1, np.int32)
    path = np.empty(height * width, np.int64)
    target = np.empty(height * width, np.int64)
    count = 0
    for row in range(height):
        for col in range(width):
            here = row * width + col
            target[here] = here
            if not inside[row, col] or labels[row, col] >= 0:
                continue
            if whole[row, col] >= 0:
                _fill_whole(labels, whole, inside, (row, col), count, path)
                count += 1
                continue
            best = np.int64(relief[row, col]) << 40 | here
            for dr, dc in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                r, c = row + dr, col + dc
                if 0 <= r < height and 0 <= c < width and inside[r, c]:
                    best = min(best, np.int64(relief[r, c]) << 40 | (r * width + c))
            lowest = best & 0xFFFFFFFFFF
            target[here] = lowest
            if lowest == here:
                labels[row, col] = count
                count += 1
    flat = labels.ravel()
    for start in range(height * width):
        if flat[start] >= 0 or not inside[start // width, start % width]:
            continue
        depth = 0
        here = start
        while flat[here] < 0:
            path[depth] = here
            depth += 1
            here = target[here]
        for k in range(depth):
            flat[path[k]] = flat[here]
    return labels


@njit(cache=True)
def _fill_whole(
    labels: NDArray[np.int32],
    whole: NDArray[np.int32],
    inside: NDArray[np.bool_],
    start: tuple[int, int],
    label: int,
    queue: NDArray[np.int64],
) -> None:
    """Label the connected pixels inside that hold the number of the first one."""
    height, width = labels.shape
    number = whole[start]
    labels[start] = label
    queue[0] = start[0] * width + start[1]
    head, tail = 0, 1
    while head < tail:
        row, col = queue[head] // width, queue[head] % width
        head += 1
        for dr, dc in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            r, c = row + dr, col + dc
            if not (0 <= r < height and 0 <= c < width and inside[r, c]):
                continue
            if labels[r, c] < 0 and whole[r, c] == number:
                labels[r, c] = label
                queue[tail] = r * width + c
                tail += 1


@njit(cache=True)
def region_graph(
    labels: NDArray[np.int32], relief: NDArray[np.uint16]
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int32],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
]:
    """Return the pairs `(a, b)` of labels that share pixel edges, a < b, sorted.

    With them: the number of shared pixel edges; the sum over these of the relief that has to be
    climbed to cross (the higher of the two pixels); and, by label, the number of all pixel edges
    around it.
    """
    height, width = labels.shape
    n_labels = labels.max() + 1
    n = 0
    before = np.zeros(n_labels + 1, np.int64)
    rim = np.zeros(n_labels, np.float64)
    for row in range(height + 1):
        for col in range(width + 1):
            a = labels[row, col] if row < height and col < width else -1
            for r, c in ((row - 1, col), (row, col - 1)):
                b = labels[r, c] if 0 <= r < height and 0 <= c < width else -1
                if a != b:
                    if a >= 0:
                        rim[a] += 1
                    if b >= 0:
                        rim[b] += 1
                    if a >= 0 and b >= 0:
                        before[min(a, b) + 1] += 1
                        n += 1
    # By the lower label first; few others touch each, so that they are found by looking.
    before = np.cumsum(before)
    place = before[:-1].copy()
    higher = np.empty(n, np.int32)
    climbs = np.empty(n, np.uint16)
    for row in range(height):
        for col in range(width):
            a = labels[row, col]
            if a < 0:
                continue
            for r, c in ((row - 1, col), (row, col - 1)):
                if r >= 0 and c >= 0 and labels[r, c] >= 0 and labels[r, c] != a:
                    k = place[min(a, labels[r, c])]
                    higher[k] = max(a, labels[r, c])
                    climbs[k] = max(relief[row, col], relief[r, c])
                    place[min(a, labels[r, c])] += 1
    first = np.empty(n, np.int32)
    second = np.empty(n, np.int32)
    length = np.zeros(n, np.float64)
    climb = np.zeros(n, np.float64)
    at = np.full(n_labels, -1, np.int64)
    m = 0
    for a in range(n_labels):
        found = m
        for k in range(before[a], before[a + 1]):
            if at[higher[k]] < found:
                at[higher[k]] = m
                first[m] = a
                second[m] = higher[k]
                m += 1
            length[at[higher[k]]] += 1
            climb[at[higher[k]]] += climbs[k]
        for k in range(found + 1, m):
            while k > found and second[k - 1] > second[k]:
                second[k - 1], second[k] = second[k], second[k - 1]
                length[k - 1], length[k] = length[k], length[k - 1]
                climb[k - 1], climb[k] = climb[k], climb[k - 1]
                k -= 1
    return first[:m], second[:m], length[:m], climb[:m], rim


@njit(cache=True)
def merge(
    first: NDArray[np.int32],
    second: NDArray[np.int32],
    length: NDArray[np.float64],
    climb: NDArray[np.float64],
    mass: NDArray[np.float64],
    colour: NDArray[np.float64],
    rim: NDArray[np.float64],
    load: NDArray[np.float64],
    *,
    target: int,
    power: float,
    tint: float,
    grip: float,
    most: float,
) -> NDArray[np.int32]:
    """Merge regions greedily until `target` are left; return the new label of each region.

    The cost of a pair is (mean climb + tint * colour distance) * (harmonic mean of mass) ** power
    * (shorter rim / shared length) ** grip, the last weaker where the border shows, so that small
    regions go first, edges that show stay, and where nothing shows the pieces stay compact. `rim`
    is the perimeter of each region. No region grows beyond `most` mass, no two that both carry a
    load join beyond a load of 1, and none but a speck joins another across a given line, while
    others can still merge. Labels are numbered by their lowest member.

    A cost in the queue may be out of date: masses grow, so it is too low rather than too high, and
    the pair is queued again at its present cost when it comes up.
    """
    n, m = len(mass), len(first)
    mass = mass.copy()
    colour = colour.copy()
    rim = rim.copy()
    load = load.copy()
    length = length.copy()
    climb = climb.copy()
    ends = np.empty((m, 2), np.int32)
    ends[:, 0] = first
    ends[:, 1] = second
    alive = np.ones(m, np.bool_)
    # Edges of a region: a linked list of (edge, end) slots, joined in O(1) when regions merge.
    head = np.full(n, -1, np.int64)
    tail = np.full(n, -1, np.int64)
    following = np.full(2 * m, -1, np.int64)
    for edge in range(m):
        for end in range(2):
            slot = 2 * edge + end
            region = ends[edge, end]
            if head[region] < 0:
                head[region] = slot
            else:
                following[tail[region]] = slot
            tail[region] = slot
    parent = np.arange(n)
    seen = np.full(n, -1, np.int64)
    heap = [
        (_cost(edge, ends, length, climb, mass, colour, rim, load, power, tint, grip, most), edge)
        for edge in range(m)
    ]
    heapq.heapify(heap)
    left = n
    while left > target and len(heap) > 0:
        stored, edge = heapq.heappop(heap)
        if not alive[edge]:
            continue
        present = _cost(edge, ends, length, climb, mass, colour, rim, load, power, tint, grip, most)
        if present > stored * 1.000001:
            heapq.heappush(heap, (present, edge))
            continue
        a, b = ends[edge, 0], ends[edge, 1]
        if a > b:
            a, b = b, a
        # b joins a
        alive[edge] = False
        total = mass[a] + mass[b]
        for band in range(3):
            colour[a, band] = (colour[a, band] * mass[a] + colour[b, band] * mass[b]) / total
        mass[a] = total
        load[a] += load[b]
        rim[a] += rim[b] - 2 * length[edge]
        parent[b] = a
        if head[a] < 0:
            head[a] = head[b]
            tail[a] = tail[b]
        elif head[b] >= 0:
            following[tail[a]] = head[b]
            tail[a] = tail[b]
        left -= 1
        # Walk the joined list once: drop dead slots, fold double edges into one.
        slot = head[a]
        last = np.int64(-1)
        while slot >= 0:
            e, end = slot // 2, slot % 2
            after = following[slot]
            drop = not alive[e]
            if not drop:
                ends[e, end] = a
                other = ends[e, 1 - end]
                twin = seen[other]
                if twin >= 0 and twin != e and alive[twin] and _joins(ends, twin, a, other):
                    length[twin] += length[e]
                    climb[twin] += climb[e]
                    alive[e] = False
                    drop = True
                    fresh = _cost(
                        twin, ends, length, climb, mass, colour, rim, load, power, tint, grip, most
                    )
                    heapq.heappush(heap, (fresh, twin))
                else:
                    seen[other] = e
            if drop:
                if last < 0:
                    head[a] = after
                else:
                    following[last] = after
                if after < 0:
                    tail[a] = last
            else:
                last = slot
            slot = after
    label = np.full(n, -1, np.int32)
    count = 0
    for region in range(n):
        root = region
        while parent[root] != root:
            root = parent[root]
        if label[root] < 0:
            label[root] = count
            count += 1
        label[region] = label[root]
    return label


@njit(cache=True, inline="always")
def _joins(ends: NDArray[np.int32], edge: int, a: int, b: int) -> bool:
    return (ends[edge, 0] == a and ends[edge, 1] == b) or (
        ends[edge, 0] == b and ends[edge, 1] == a
    )


@njit(cache=True)
def _cost(
    edge: int,
    ends: NDArray[np.int32],
    length: NDArray[np.float64],
    climb: NDArray[np.float64],
    mass: NDArray[np.float64],
    colour: NDArray[np.float64],
    rim: NDArray[np.float64],
    load: NDArray[np.float64],
    power: float,
    tint: float,
    grip: float,
    most: float,
) -> float:
    a, b = ends[edge, 0], ends[edge, 1]
    distance = 0.0
    for band in range(3):
        distance += (colour[a, band] - colour[b, band]) ** 2
    size = 2 * mass[a] * mass[b] / (mass[a] + mass[b])
    contrast = climb[edge] / length[edge] + tint * np.sqrt(distance) + 1.0
    cost = contrast * size**power
    cost *= (min(rim[a], rim[b]) / length[edge]) ** (grip / (1.0 + (contrast / _PLAIN) ** 2))
    # Far beyond every ordinary cost, yet still ordered: what a given line keeps apart merges late,
    # pairs that are too heavy last.
    if size > _SPECK and climb[edge] >= _LINE * length[edge]:
        cost *= 1e6
    too_heavy = load[a] > 0 and load[b] > 0 and load[a] + load[b] > 1
    return cost * 1e9 if too_heavy or mass[a] + mass[b] > most else cost


@njit(cache=True)
def sums_by_label(
    labels: NDArray[np.int32], values: NDArray[np.float32] | NDArray[np.int16], n: int
) -> NDArray[np.float64]:
    """Return the sums of `values` `(height, width)` over each label."""
    sums = np.zeros(n)
    height, width = labels.shape
    for row in range(height):
        for col in range(width):
            if labels[row, col] >= 0:
                sums[labels[row, col]] += values[row, col]
    return sums


@njit(cache=True)
def flood(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give every pixel without a label (-1) the label of the nearest one, breadth first."""
    height, width = labels.shape
    out = labels.copy()
    queue = np.empty(height * width, np.int64)
    head = 0
    tail = 0
    for row in range(height):
        for col in range(width):
            if out[row, col] >= 0:
                queue[tail] = row * width + col
                tail += 1
    while head < tail:
        row, col = queue[head] // width, queue[head] % width
        head += 1
        for dr, dc in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            r, c = row + dr, col + dc
            if 0 <= r < height and 0 <= c < width and out[r, c] < 0:
                out[r, c] = out[row, col]
                queue[tail] = r * width + c
                tail += 1
    return out


@njit(cache=True)
def largest_component(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest 4-connected part of a mask; of equal ones the first in reading order."""
    height, width = inside.shape
    part = np.full((height, width), -1, np.int32)
    queue = np.empty(height * width, np.int64)
    best = -1
    best_size = 0
    count = 0
    for row in range(height):
        for col in range(width):
            if not inside[row, col] or part[row, col] >= 0:
                continue
            part[row, col] = count
            queue[0] = row * width + col
            head = 0
            tail = 1
            while head < tail:
                y, x = queue[head] // width, queue[head] % width
                head += 1
                for dr, dc in ((-1, 0), (0, -1), (0, 1), (1, 0)):
                    r, c = y + dr, x + dc
                    if 0 <= r < height and 0 <= c < width and inside[r, c] and part[r, c] < 0:
                        part[r, c] = count
                        queue[tail] = r * width + c
                        tail += 1
            if tail > best_size:
                best = count
                best_size = tail
            count += 1
    return part == best
