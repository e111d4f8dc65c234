"""Divide villages into grids and micro-grids along what the imagery shows.

The flow, one direction only::

    imagery -> barriers -> atoms -> quotas -> zones -> polygons -> Edition

*Imagery* is read on one **lattice** of square pixels in the working CRS, so that every window sees
the same pixels. A **barrier** is the cost of standing on a pixel: high on roads, banks, field and
block edges. An **atom** is a basin of that relief, grown by merging until it is about a twelfth of
a micro-grid: atoms are never cut afterwards. A **quota** says how many grids and micro-grids each
village gets, exactly. **Zones** are contiguous groups of atoms of about equal weight; a zone of
grids is divided again into micro-grids, so the two levels nest. Their outlines become **polygons**
once for both neighbours, cut at the exact village outline.

A village is the unit of work: its outline is a final border, so nothing has to be seamed, and a
change in one village redraws that village alone.
"""
