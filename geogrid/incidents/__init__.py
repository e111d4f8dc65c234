"""Incidents: tables of reports, counted by unit, time and category, and warned of in four colours.

An incident is a report from the field. It belongs to one item of a list (55 categories and 338
items in the reference city; the list is an input), and goes through six stages of a closed loop.
"""

from geogrid.incidents.counts import PERIODS, breakdown, counts
from geogrid.incidents.report import Statistics, measured, warned, write
from geogrid.incidents.table import (
    STAGES,
    normalise,
    read,
    read_items,
    with_category,
    with_text_code,
)
from geogrid.incidents.warning import Thresholds, classify, found, given

__all__ = [
    "PERIODS", "STAGES", "Statistics", "Thresholds", "breakdown", "classify", "counts", "found",
    "given", "measured", "normalise", "read", "read_items", "warned", "with_category",
    "with_text_code", "write",
]  # fmt: skip
