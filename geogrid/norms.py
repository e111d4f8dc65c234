"""Norms of size: how many households a grid or a micro-grid of some kind should have.

A norm is what an office sets; none is built in. The exact counts always win over it: quotas of
kinds are in proportion to their norms, and the report says how far units are from them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from geogrid.errors import UsageError

KINDS = ("urban", "rural", "dedicated")
"""Kinds of grids that may have a norm."""

_TERM = re.compile(r"(\w+)=(?:([\d.]+)(?:-([\d.]+))?/)?([\d.]+)(?:-([\d.]+))?")


@dataclass(frozen=True, slots=True)
class Norm:
    """Households of one unit: at least and at most."""

    least: float
    most: float

    def __post_init__(self) -> None:
        """Refuse a range that nothing can be in."""
        if not 0 < self.least <= self.most:
            raise UsageError(
                f"a norm of {self.least:g}-{self.most:g} households: write the lower figure first, "
                "and nothing below one."
            )


@dataclass(frozen=True, slots=True)
class Norms:
    """Norms by kind of unit; a kind that is not named has none.

    Attributes
    ----------
    grid, microgrid : mapping of kind to Norm
        Households of a grid and of a micro-grid.
    """

    grid: Mapping[str, Norm]
    microgrid: Mapping[str, Norm]

    @classmethod
    def parse(cls, text: str) -> "Norms":
        """Return the norms of a text: `KIND=MICROGRID` or `KIND=GRID/MICROGRID`, by comma.

        Raises
        ------
        UsageError
            A term is not of this form, or names a kind twice or one that there is not.

        Examples
        --------
        >>> Norms.parse("urban=300-500/30-50,rural=20-40").microgrid["rural"]
        Norm(least=20.0, most=40.0)
        """
        grid: dict[str, Norm] = {}
        microgrid: dict[str, Norm] = {}
        for term in text.replace("，", ",").split(","):
            found = _TERM.fullmatch(term.strip())
            if found is None or found[1] not in KINDS or found[1] in microgrid:
                raise UsageError(
                    f"norm {term.strip()!r}: write kind=households of a micro-grid, or "
                    "kind=households of a grid/of a micro-grid, such as urban=300-500/30-50; each "
                    f"kind once, of {', '.join(KINDS)}."
                )
            kind, *figures = found.groups()
            if figures[0]:
                grid[kind] = _norm(figures[0], figures[1])
            microgrid[kind] = _norm(figures[2], figures[3])
        return cls(grid, microgrid)

    def of(self, level: str) -> Mapping[str, Norm]:
        """Return the norms of a level, `grid` or `microgrid`."""
        return self.grid if level == "grid" else self.microgrid


def _norm(least: str, most: str | None) -> Norm:
    try:
        return Norm(float(least), float(most or least))
    except ValueError as error:
        raise UsageError(f"norm {least}-{most}: {error}") from error
