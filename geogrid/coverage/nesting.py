"""Findings between a level and the one above it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.coverage.edges import OUTLINE, HalfEdges, match
from geogrid.coverage.faults import covering, grouped, residual_faces, unmatched_vertices
from geogrid.coverage.findings import Finding, finding
from geogrid.coverage.layers import Layer
from geogrid.coverage.places import at_face
from geogrid.coverage.rows import at_unit
from geogrid.edition import to_degrees


def nesting_findings(
    layer: Layer, above: Layer, crs: str, *, explained: bool = False
) -> list[Finding]:
    """Report where the children of a unit are not, edge for edge, the unit.

    `explained` says that one of the levels has gaps or overlaps, which are not reported again.
    """
    if layer.parents is None:
        return [finding("no_parent_column", layer.level, ())]
    rows = pd.Series(np.arange(len(above.codes)), index=above.codes)
    rows = rows[~rows.index.duplicated()]
    parent = rows.reindex(layer.parents).fillna(-1).to_numpy(np.int64)
    found = [
        at_unit(layer, "unknown_parent", row, detail=_twice(repr(layer.parents[row])))
        for row in np.flatnonzero(parent < 0).tolist()
    ]
    childless = np.setdiff1d(np.arange(len(above.codes)), parent)
    found += [at_unit(above, "no_child", row) for row in childless.tolist()]
    foreign = _foreign(layer, parent)
    labels = np.concatenate([parent[layer.edges.owners], above.edges.owners])
    both = layer.edges.joined(above.edges.reversed())
    pairing = match(both, labels)
    if not pairing.unmatched.any():
        return found + foreign
    residual = both[pairing.unmatched]
    misfits = _misfits(layer, above, parent, residual, crs)
    if not (found or misfits or explained):
        misfits = [_loose_edge(layer, residual)]
    # A wrong parent is said once: where the unit lies tells more than its code.
    elsewhere = {each.codes[0] for each in misfits if each.rule == "outside_parent"}
    return found + [each for each in foreign if each.codes[0] not in elsewhere] + misfits


def _foreign(layer: Layer, parent: NDArray[np.int64]) -> list[Finding]:
    """Report codes that do not start with their parent's, as they do when they are issued."""
    assert layer.parents is not None
    issued = np.char.startswith(layer.codes.astype(str), layer.parents.astype(str))
    return [
        at_unit(layer, "foreign_code", row, detail=_twice(repr(layer.parents[row])))
        for row in np.flatnonzero(~issued & (parent >= 0)).tolist()
    ]


def _misfits(
    layer: Layer, above: Layer, parent: NDArray[np.int64], residual: HalfEdges, crs: str
) -> list[Finding]:
    """Place the breaches of nesting that are not a gap or an overlap of either level."""
    faces = residual_faces(residual, crs)
    lower, upper = layer.tree(), above.tree()
    children = grouped(*covering(lower, faces), len(faces))
    parents = grouped(*covering(upper, faces), len(faces))
    found = []
    for row, (child, unit) in enumerate(zip(children, parents, strict=True)):
        if len(child) == 1 and len(unit) == 1 and parent[child[0]] not in (-1, unit[0]):
            codes = (str(layer.codes[child[0]]), str(above.codes[unit[0]]))
            units = (layer.level, codes)
            found.append(at_face("outside_parent", units, faces, row))
    xy, edge_owner, vertex_owner = unmatched_vertices(residual, faces)
    for point, *owners in zip(to_degrees(xy), edge_owner, vertex_owner, strict=True):
        names = tuple(sorted({str(layer.codes[owner]) for owner in owners if owner != OUTLINE}))
        found.append(finding("union_differs", layer.level, names,
                             detail=("a vertex on one level only", "节点只存在于一个层级"),
                             point=(float(point[0]), float(point[1]))))  # fmt: skip
    return found


def _loose_edge(layer: Layer, residual: HalfEdges) -> Finding:
    """Report an edge that one level lacks where no face and no vertex explains it."""
    row = int(np.argmax(residual.owners))
    owner = int(residual.owners[row])
    lon, lat = to_degrees(residual.ends[row].reshape(2, 2)).mean(axis=0).tolist()
    codes = () if owner == OUTLINE else (str(layer.codes[owner]),)
    return finding("union_differs", layer.level, codes, point=(lon, lat))


def _twice(text: str) -> tuple[str, str]:
    return text, text
