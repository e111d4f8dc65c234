"""Divide a city into governance grids, check them, and find the grid of a point."""

__version__ = "0.1.0"
