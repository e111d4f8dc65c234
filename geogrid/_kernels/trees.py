"""Cut a connected graph into connected parts of about equal load, along spanning trees.

Any tree that spans a connected group of at least k nodes can be cut at k - 1 edges into k connected
parts: exact counts and contiguity hold whatever the loads are.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray


class Graph(NamedTuple):
    """Pieces of land and their borders; the neighbours of `v` are `neighbour[row[v]:row[v + 1]]`.

    Each border is listed from both ends. `length` is in the unit whose square `area` has; `cost` is
    the length, less where the border is seen; `show` in 0..1 says how well it is; `shut` that it
    must not lie inside a zone. `outer` is the length of the node's part of the outline.
    """

    row: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    cost: NDArray[np.float64]
    show: NDArray[np.float64]
    shut: NDArray[np.bool_]
    load: NDArray[np.float64]
    area: NDArray[np.float64]
    outer: NDArray[np.float64]


@njit(cache=True)
def bisect(graph: Graph, n_zones: int, tries: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """Divide a connected graph into exactly `n_zones` connected zones of about equal load.

    At each step the best cut of `tries` random spanning trees is taken, by balance and by the cost
    of the new border. Trees avoid borders that are seen, so that these are cut.
    """
    n = len(graph.load)
    zone = np.zeros(n, np.int32)
    nodes = np.arange(n).astype(np.int32)
    buffer = np.empty(n, np.int32)
    local = np.full(n, -1, np.int32)
    # Groups still to be cut: their run of `nodes` and their number of zones.
    first = np.empty(n_zones, np.int64)
    last = np.empty(n_zones, np.int64)
    parts = np.empty(n_zones, np.int64)
    first[0], last[0], parts[0] = 0, n, n_zones
    depth = 1
    done = 0
    while depth > 0:
        depth -= 1
        start, end, wanted = first[depth], last[depth], parts[depth]
        group = nodes[start:end]
        if wanted == 1:
            zone[group] = done
            done += 1
            continue
        for k in range(len(group)):
            local[group[k]] = k
        side, inside = _best_cut(graph, group, local, wanted, tries, rng)
        for k in range(len(group)):
            local[group[k]] = -1
        middle = _partition(group, side, buffer)
        first[depth], last[depth], parts[depth] = start, start + middle, wanted - inside
        depth += 1
        first[depth], last[depth], parts[depth] = start + middle, end, inside
        depth += 1
    return zone


@njit(cache=True)
def split_by_share(
    graph: Graph, share: float, tries: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return one side of a cut of a connected graph: connected, and of about `share` of the load.

    The other side is connected too. The best cut of several random spanning trees is taken, by the
    miss and by the cost of the border.
    """
    n = len(graph.load)
    nodes = np.arange(n).astype(np.int32)
    total = graph.load.sum()
    girth = graph.cost.sum() / n * np.sqrt(n)
    best = np.inf
    side = np.zeros(n, np.bool_)
    for _ in range(tries):
        order, parent = random_tree(graph, nodes, nodes, rng)
        below, _, border = subtree_sums(graph, nodes, nodes, order, parent)
        found = -1
        turned = False
        for position in range(1, n):
            v = order[position]
            part = below[v] / total
            for inside in (True, False):
                miss = abs((part if inside else 1 - part) - share) / min(share, 1 - share)
                score = 4.0 * miss + border[v] / girth
                if score < best:
                    best = score
                    found = position
                    turned = not inside
        if found >= 0:
            side = _side(order, parent, found)
            if turned:
                side = ~side
    return side


@njit(cache=True)
def _best_cut(
    graph: Graph,
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    parts: int,
    tries: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], int]:
    """Return which of `nodes` leave, and into how many zones they are to be divided."""
    n = len(nodes)
    total = 0.0
    girth = 0.0
    for v in nodes:
        total += graph.load[v]
        for k in range(graph.row[v], graph.row[v + 1]):
            if local[graph.neighbour[k]] >= 0:
                girth += graph.cost[k]
    mean = total / parts
    # A cut right across costs about the square root of the number of nodes times a mean border.
    girth = girth / max(n, 1) * np.sqrt(n) + 1e-9
    best_score = np.inf
    best_side = np.zeros(n, np.bool_)
    best_parts = 1
    for _ in range(tries):
        order, parent = random_tree(graph, nodes, local, rng)
        below, count, border = subtree_sums(graph, nodes, local, order, parent)
        found = -1
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
                found = position
        if found >= 0:
            best_side = _side(order, parent, found)
    return best_side, best_parts


@njit(cache=True)
def _side(order: NDArray[np.int32], parent: NDArray[np.int32], position: int) -> NDArray[np.bool_]:
    """Return the nodes of the subtree below the one at `position` of the order."""
    side = np.zeros(len(order), np.bool_)
    side[order[position]] = True
    for later in range(position + 1, len(order)):
        u = order[later]
        side[u] = side[parent[u]]
    return side


@njit(cache=True)
def _partition(group: NDArray[np.int32], side: NDArray[np.bool_], buffer: NDArray[np.int32]) -> int:
    """Put the nodes of one side behind the others, both in their order; return where they begin."""
    kept = 0
    moved = 0
    for k in range(len(group)):
        if side[k]:
            buffer[moved] = group[k]
            moved += 1
        else:
            group[kept] = group[k]
            kept += 1
    group[kept:] = buffer[:moved]
    return kept


@njit(cache=True)
def random_tree(
    graph: Graph,
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return a random spanning tree: nodes in an order with parents first, and the parents.

    `local` is the place of a node in `nodes`, -1 for others.
    """
    n = len(nodes)
    best = np.full(n, np.inf)
    parent = np.full(n, -1, np.int32)
    done = np.zeros(n, np.bool_)
    order = np.empty(n, np.int32)
    # Prim with a binary heap kept by hand: (key, node) pairs may be out of date and are skipped.
    heap_key = np.empty(n * 12 + 16)
    heap_node = np.empty(n * 12 + 16, np.int32)
    size = 1
    start = int(rng.random() * n)
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
        for k in range(graph.row[nodes[v]], graph.row[nodes[v] + 1]):
            u = local[graph.neighbour[k]]
            if u < 0 or done[u]:
                continue
            # A shut border is crossed only where there is no other way to the rest.
            key = rng.random() + graph.show[k] + (8.0 if graph.shut[k] else 0.0)
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
def subtree_sums(
    graph: Graph,
    nodes: NDArray[np.int32],
    local: NDArray[np.int32],
    order: NDArray[np.int32],
    parent: NDArray[np.int32],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return for each node the load, the size and the border cost of the subtree below it.

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
        below[k] = graph.load[nodes[k]]
    post = _post_order(order, parent)
    group = np.arange(n)
    finished = np.zeros(n, np.bool_)
    for v in post:
        for k in range(graph.row[nodes[v]], graph.row[nodes[v] + 1]):
            u = local[graph.neighbour[k]]
            if u < 0:
                continue
            border[v] += graph.cost[k]
            if finished[u]:
                meet = u
                while group[meet] != meet:
                    group[meet] = group[group[meet]]
                    meet = group[meet]
                border[meet] -= 2 * graph.cost[k]
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
