"""Find the grid and micro-grid of positions: one, columns of them, or files."""

from geogrid.locate.files import locate_file
from geogrid.locate.job import ADDED_COLUMNS, LocateSummary
from geogrid.locate.locator import Located, Locator, Status, chain

__all__ = ["ADDED_COLUMNS", "LocateSummary", "Located", "Locator", "Status", "chain", "locate_file"]
