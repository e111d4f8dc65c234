"""The sample city: real outlines, names and codes of Zhoukou, and an invented landscape.

It stands in for the imagery, village borders and household register that a city has and may not
publish. What is invented says so wherever it shows.
"""

from geogrid.sample.write import SampleSummary, write

__all__ = ["SampleSummary", "write"]
