"""Contiguous zones of about equal weight: bisection of spanning trees, then annealed moves.

A graph is given as rows: the neighbours of node `v` are `neighbour[row[v]:row[v + 1]]`, with the
length of the shared border and its cost (the length discounted where the border shows).
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TRIES = 10


@njit(cache=True)
def bisect(
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    cost: NDArray[np.float64],
    show: NDArray[np.float64],
    weight: NDArray[np.float64],
    n_zones: int,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Divide a connected graph into exactly `n_zones` connected zones of about equal weight.

    Any tree that spans a connected group of at least k nodes can be cut at k - 1 edges into k
    connected parts: exact counts and contiguity hold whatever the weights are. At each step the
    best cut of several random spanning trees is taken, by balance and by the cost of the new
    border. `show` in 0..1 says how well a border is seen; trees avoid crossing such borders.
    """
    n = len(weight)
    zone = np.zeros(n, np.int32)
    stack_zone = np.empty(n_zones, np.int32)
    stack_parts = np.empty(n_zones, np.int32)
    stack_zone[0] = 0
    stack_parts[0] = n_zones
    depth = 1
    next_zone = 1
    local = np.full(n, -1, np.int32)
    while depth > 0:
        depth -= 1
        current, parts = stack_zone[depth], stack_parts[depth]
        if parts == 1:
            continue
        nodes = np.flatnonzero(zone == current).astype(np.int32)
        for k in range(len(nodes)):
            local[nodes[k]] = k
        side, parts_inside = _best_cut(nodes, local, row, neighbour, cost, show, weight, parts, rng)
        for k in range(len(nodes)):
            local[nodes[k]] = -1
            if side[k]:
                zone[nodes[k]] = next_zone
        stack_zone[depth] = current
        stack_parts[depth] = parts - parts_inside
        stack_zone[depth + 1] = next_zone
        stack_parts[depth + 1] = parts_inside
        depth += 2
        next_zone += 1
    return zone


@njit(cache=True)
def _best_cut(
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    cost: NDArray[np.float64],
    show: NDArray[np.float64],
    weight: NDArray[np.float64],
    parts: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], int]:
    """Return which of `nodes` leave, and into how many zones they are to be divided."""
    n = len(nodes)
    total = 0.0
    girth = 0.0
    for v in nodes:
        total += weight[v]
        for k in range(row[v], row[v + 1]):
            if local[neighbour[k]] >= 0:
                girth += cost[k]
    mean = total / parts
    # A cut right across costs about the square root of the number of nodes times a mean border.
    girth = girth / max(n, 1) * np.sqrt(n) + 1e-9
    best_score = np.inf
    best_side = np.zeros(n, np.bool_)
    best_parts = 1
    for _ in range(_TRIES):
        order, parent = _random_tree(nodes, local, row, neighbour, show, rng)
        below, count, border = _subtree_sums(
            nodes, local, order, parent, row, neighbour, cost, weight
        )
        for position in range(1, n):
            v = order[position]
            inside = round(below[v] / mean)
            inside = max(inside, 1, parts - (n - count[v]))
            inside = min(inside, parts - 1, count[v])
            if inside < 1 or parts - inside > n - count[v]:
                continue
            fewer = min(inside, parts - inside)
            miss = abs(below[v] - inside * mean) / mean / fewer
            lopsided = abs(parts - 2 * inside) / parts
            score = 4.0 * miss + border[v] / girth + 0.25 * lopsided
            if score < best_score:
                best_score = score
                best_parts = inside
                best_side[:] = False
                best_side[v] = True
                for later in range(position + 1, n):
                    u = order[later]
                    best_side[u] = u == v or best_side[parent[u]]
    return best_side, best_parts


@njit(cache=True)
def _random_tree(
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    show: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return a random spanning tree: nodes in an order with parents first, and the parents."""
    n = len(nodes)
    best = np.full(n, np.inf)
    parent = np.full(n, -1, np.int32)
    done = np.zeros(n, np.bool_)
    order = np.empty(n, np.int32)
    # Prim with a binary heap kept by hand: (key, node) pairs may be out of date and are skipped.
    heap_key = np.empty(n * 12 + 16)
    heap_node = np.empty(n * 12 + 16, np.int32)
    size = 1
    start = rng.integers(0, n)
    heap_key[0] = 0.0
    heap_node[0] = start
    best[start] = 0.0
    filled = 0
    while size > 0:
        v = heap_node[0]
        size -= 1
        last_key, last_node = heap_key[size], heap_node[size]
        hole = 0
        while True:
            child = 2 * hole + 1
            if child >= size:
                break
            if child + 1 < size and heap_key[child + 1] < heap_key[child]:
                child += 1
            if heap_key[child] >= last_key:
                break
            heap_key[hole], heap_node[hole] = heap_key[child], heap_node[child]
            hole = child
        heap_key[hole], heap_node[hole] = last_key, last_node
        if done[v]:
            continue
        done[v] = True
        order[filled] = v
        filled += 1
        for k in range(row[nodes[v]], row[nodes[v] + 1]):
            u = local[neighbour[k]]
            if u < 0 or done[u]:
                continue
            key = rng.random() + show[k]
            if key < best[u]:
                best[u] = key
                parent[u] = v
                if size == len(heap_key):
                    heap_key = np.concatenate((heap_key, np.empty(size)))
                    heap_node = np.concatenate((heap_node, np.empty(size, np.int32)))
                hole = size
                size += 1
                while hole > 0 and heap_key[(hole - 1) // 2] > key:
                    up = (hole - 1) // 2
                    heap_key[hole], heap_node[hole] = heap_key[up], heap_node[up]
                    hole = up
                heap_key[hole], heap_node[hole] = key, u
    return order, parent


@njit(cache=True)
def _subtree_sums(
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    order: NDArray[np.int32],
    parent: NDArray[np.int32],
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    cost: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return for each node the weight, the size and the border cost of the subtree below it.

    A border between u and v counts for every subtree that holds exactly one of them: it is added
    at both ends and taken off twice where their paths to the root meet. These meeting points come
    from one pass of Tarjan's union-find over the nodes in post-order, so a deep tree costs no more
    than a flat one.
    """
    n = len(nodes)
    below = np.empty(n)
    count = np.ones(n, np.int64)
    border = np.zeros(n)
    for k in range(n):
        below[k] = weight[nodes[k]]
    post = _post_order(order, parent)
    group = np.arange(n)
    finished = np.zeros(n, np.bool_)
    for v in post:
        for k in range(row[nodes[v]], row[nodes[v] + 1]):
            u = local[neighbour[k]]
            if u < 0:
                continue
            border[v] += cost[k]
            if finished[u]:
                meet = u
                while group[meet] != meet:
                    group[meet] = group[group[meet]]
                    meet = group[meet]
                border[meet] -= 2 * cost[k]
        finished[v] = True
        if parent[v] >= 0:
            group[v] = parent[v]
    for v in post:
        if parent[v] >= 0:
            below[parent[v]] += below[v]
            count[parent[v]] += count[v]
            border[parent[v]] += border[v]
    return below, count, border


@njit(cache=True)
def _post_order(order: NDArray[np.int32], parent: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the nodes of a tree so that every subtree is one run that ends with its root."""
    n = len(order)
    child = np.full(n, -1, np.int32)
    sibling = np.full(n, -1, np.int32)
    for position in range(n - 1, 0, -1):
        v = order[position]
        sibling[v] = child[parent[v]]
        child[parent[v]] = v
    post = np.empty(n, np.int32)
    filled = 0
    v = order[0]
    while True:
        while child[v] >= 0:
            v = child[v]
        post[filled] = v
        filled += 1
        while sibling[v] < 0:
            v = parent[v]
            if v < 0:
                return post
            post[filled] = v
            filled += 1
        v = sibling[v]


@njit(cache=True)
def anneal(
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    cost: NDArray[np.float64],
    weight: NDArray[np.float64],
    area: NDArray[np.float64],
    outer: NDArray[np.float64],
    zone: NDArray[np.int32],
    n_zones: int,
    *,
    sweeps: int,
    evenness: float,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Move single nodes between zones to better balance and shape; zones stay connected.

    The energy of a zone is evenness * ((weight - mean) / mean)² + rim² / (4 pi area), where `rim`
    counts discounted borders (`cost`) plus the node's part of the outline (`outer`); a zone below
    half the mean pays ten times for balance. A node moves only if the zone it leaves stays
    connected and keeps at least one node.
    """
    n = len(weight)
    zone = zone.copy()
    if n_zones < 2:
        return zone
    load = np.zeros(n_zones)
    land = np.zeros(n_zones)
    rim = np.zeros(n_zones)
    members = np.zeros(n_zones, np.int64)
    for v in range(n):
        z = zone[v]
        load[z] += weight[v]
        land[z] += area[v]
        rim[z] += outer[v]
        members[z] += 1
        for k in range(row[v], row[v + 1]):
            if zone[neighbour[k]] != z:
                rim[z] += cost[k]
    mean = load.sum() / n_zones
    stamp = np.zeros(n, np.int64)
    queue = np.empty(n, np.int32)
    clock = 0
    for sweep in range(sweeps):
        heat = 0.3 * (1 - sweep / sweeps) ** 2
        moved = False
        for _ in range(n):
            v = int(rng.integers(0, n))
            here = zone[v]
            degree = row[v + 1] - row[v]
            if degree == 0 or members[here] == 1:
                continue
            there = zone[neighbour[row[v] + rng.integers(0, degree)]]
            if there == here:
                continue
            to_here = 0.0
            to_there = 0.0
            around = outer[v]
            for k in range(row[v], row[v + 1]):
                around += cost[k]
                if zone[neighbour[k]] == here:
                    to_here += cost[k]
                elif zone[neighbour[k]] == there:
                    to_there += cost[k]
            rim_here = rim[here] - around + 2 * to_here
            rim_there = rim[there] + around - 2 * to_there
            change = (
                _energy(load[here] - weight[v], land[here] - area[v], rim_here, mean, evenness)
                + _energy(load[there] + weight[v], land[there] + area[v], rim_there, mean, evenness)
                - _energy(load[here], land[here], rim[here], mean, evenness)
                - _energy(load[there], land[there], rim[there], mean, evenness)
            )
            if change > 0 and (heat <= 0 or rng.random() >= np.exp(-change / heat)):
                continue
            clock += 1
            if not _stays_connected(v, row, neighbour, zone, stamp, clock, queue):
                continue
            zone[v] = there
            load[here] -= weight[v]
            load[there] += weight[v]
            land[here] -= area[v]
            land[there] += area[v]
            rim[here] = rim_here
            rim[there] = rim_there
            members[here] -= 1
            members[there] += 1
            moved = True
        if not moved and heat < 0.01:
            break
    return zone


@njit(cache=True, inline="always")
def _energy(load: float, land: float, rim: float, mean: float, evenness: float) -> float:
    off = (load - mean) / mean
    scale = 10.0 if off < -0.5 else 1.0
    return scale * evenness * off * off + rim * rim / (4 * np.pi * max(land, 1e-9))


@njit(cache=True)
def _stays_connected(
    v: int,
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    zone: NDArray[np.int32],
    stamp: NDArray[np.int64],
    clock: int,
    queue: NDArray[np.int32],
) -> bool:
    """Tell whether the neighbours of `v` in its own zone reach one another without it."""
    wanted = 0
    start = -1
    for k in range(row[v], row[v + 1]):
        u = neighbour[k]
        if zone[u] == zone[v]:
            wanted += 1
            start = u
    if wanted <= 1:
        return wanted == 1
    stamp[v] = clock
    stamp[start] = clock
    queue[0] = start
    head = 0
    tail = 1
    found = 0
    while head < tail:
        u = queue[head]
        head += 1
        for k in range(row[u], row[u + 1]):
            t = neighbour[k]
            if t == v:
                found += 1
                if found == wanted:
                    return True
            elif zone[t] == zone[v] and stamp[t] != clock:
                stamp[t] = clock
                queue[tail] = t
                tail += 1
    return False


@njit(cache=True)
def split_by_share(
    row: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    cost: NDArray[np.float64],
    weight: NDArray[np.float64],
    share: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Return one side of a cut of a connected graph: connected, and of about `share` of the weight.

    The other side is connected too. The best cut of several random spanning trees is taken, by the
    miss and by the cost of the border.
    """
    n = len(weight)
    nodes = np.arange(n).astype(np.int32)
    show = np.zeros(len(neighbour))
    total = weight.sum()
    girth = cost.sum() / n * np.sqrt(n)
    best = np.inf
    side = np.zeros(n, np.bool_)
    for _ in range(_TRIES):
        order, parent = _random_tree(nodes, nodes, row, neighbour, show, rng)
        below, _, border = _subtree_sums(nodes, nodes, order, parent, row, neighbour, cost, weight)
        for position in range(1, n):
            v = order[position]
            part = below[v] / total
            for inside in (True, False):
                miss = abs((part if inside else 1 - part) - share) / min(share, 1 - share)
                score = 4.0 * miss + border[v] / girth
                if score < best:
                    best = score
                    side[:] = False
                    side[v] = True
                    for later in range(position + 1, n):
                        u = order[later]
                        side[u] = side[parent[u]] or u == v
                    if not inside:
                        side = ~side
    return side
