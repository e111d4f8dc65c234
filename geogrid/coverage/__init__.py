"""Coverages: polygons that fill an area without gaps and without overlaps.

Words used here
---------------
coverage
    Polygons of one level of which any two share nothing but edges and vertices, and that together
    fill the *container*. Neighbours store a shared edge with equal vertices on both sides.
container
    What a level has to fill: the city, or a boundary given from outside.
half-edge
    An edge of a polygon with a direction; the polygon lies on its left. In a coverage every
    half-edge has exactly one *twin*: the same two vertices, the other way round, in the neighbour.
    Only the outline of the container is left without one.
residual
    The half-edges without a twin, once the container's outline, turned round, has been added. They
    form closed loops around the faults; no residual, no fault. This is the whole proof: crossing
    an edge with a twin one leaves one polygon and enters one, so a point's number of polygons is
    the same everywhere, namely one.
gap, overlap
    A face of the residual that no polygon covers, or more than one. A *hole* is a gap inside one
    polygon; an *edge gap* lies at the container's outline.
unmatched vertex
    A vertex of one polygon in the middle of its neighbour's edge (a T-junction). Nothing is open
    there until somebody moves or transforms one side.
nesting
    The half-edges of a unit's children, with their twins taken away, are the unit's own half-edges,
    one for one.
width
    Of a gap or overlap: the diameter of the largest circle inside it.

All of this is decided on integer coordinates (steps of 1e-8 degree), so "equal" means equal.
"""

from geogrid.coverage.check import check
from geogrid.coverage.checklist import Checklist, KnownFault, read_exceptions
from geogrid.coverage.clean import Repair, clean_villages
from geogrid.coverage.files import check_file, repair_file
from geogrid.coverage.findings import Finding, Findings
from geogrid.coverage.log import Change, RepairLog
from geogrid.coverage.repair import repair
from geogrid.coverage.report import as_text, write
from geogrid.coverage.topology import Topology

__all__ = [
    "Change",
    "Checklist",
    "Finding",
    "Findings",
    "KnownFault",
    "Repair",
    "RepairLog",
    "Topology",
    "as_text",
    "check",
    "check_file",
    "clean_villages",
    "read_exceptions",
    "repair",
    "repair_file",
    "write",
]
