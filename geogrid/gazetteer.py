"""Find the unit that an address names, when there are no coordinates.

Counties, townships and villages are looked for by their names and the usual short forms
(陈州社区居民委员会, 陈州社区居委会, 陈州社区, 陈州). Every name found is held against the others: a
village counts only inside the township and county that the text names. A name that several
villages have stays ambiguous unless the text says more; the answer is then the level that is sure,
with the candidates. Nothing is guessed.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import ahocorasick_rs

from geogrid.codes import parent_level
from geogrid.edition import Edition

LEVELS = ("city", "county", "township", "village")
"""Levels whose units are found, from above."""

_FULL, _SHORT, _STEM = 1.0, 0.95, 0.8
"""How sure a form is: the whole name; another ending; no ending at all, which needs company."""

_ALONE = 0.8
"""Factor for a unit of which no unit above is named."""

_VILLAGE_ENDS = re.compile(
    "(社区居民委员会|社区居委会|居民委员会|居委会|村民委员会|村委会|社区|村)$"
)
_TOWNSHIP_ENDS = re.compile("(街道办事处|办事处|街道|地区|镇|乡)$")
_COUNTY_ENDS = re.compile("(开发区|[市县区])$")
_PEOPLES = re.compile("(回族|满族|蒙古族|土家族|苗族|壮族)(?=[镇乡街])")

_ROAD = ("路", "街", "道", "巷")
"""A stem that ends so is the name of a road as well."""

_BEHIND = re.compile(
    "大道|大街|[路街道巷河桥渠线]|国道|省道|高速|小区|家园|花园|学校|中学|小学|医院|市场|广场|公园"
)
"""What makes a stem part of another name: 太康路 is no place in 太康县."""

_BEFORE = frozenset("在于至到从往与和及的市县区镇乡道处办村")
"""A village may follow these; after any other character it may be the end of a longer name."""

_HAN = re.compile("[㐀-鿿]")


@dataclass(frozen=True, slots=True)
class Address:
    """What an address names.

    Attributes
    ----------
    level : str
        Lowest level that is sure; empty if none is.
    code : str
        Unit of that level.
    candidates : tuple of str
        Codes of units below that it may be, when there are several or the name is not sure.
    score : float
        1 for a whole name inside a unit that is named too; less for short forms and names that
        stand alone; 0 for none.
    """

    level: str = ""
    code: str = ""
    candidates: tuple[str, ...] = ()
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class _Unit:
    level: str
    code: str
    weight: float
    sure: bool = True


class Gazetteer:
    """Names of an edition's units, ready to be looked for in texts.

    Examples
    --------
    >>> Gazetteer(edition).find(["川汇区陈州社区12号楼"])       # doctest: +SKIP
    [Address(level='village', code='411602001001', candidates=(), score=0.95)]
    """

    def __init__(self, edition: Edition) -> None:
        """Collect the names of `edition`."""
        self._above: dict[str, str] = {}
        forms: dict[str, dict[str, _Unit]] = defaultdict(dict)
        for level in LEVELS:
            table = edition.units[level]
            rows = table[["code", "name", "parent"]].itertuples(index=False)
            for code, name, parent in rows:
                self._above[code] = parent
                for form, weight in _forms(level, _plain(name)):
                    known = forms[form].get(code)
                    if known is None or known.weight < weight:
                        forms[form][code] = _Unit(level, code, weight)
        self._units = [tuple(units.values()) for units in forms.values()]
        self._search = ahocorasick_rs.AhoCorasick(list(forms))

    def find(self, texts: Sequence[str]) -> list[Address]:
        """Return what each address names, in order."""
        return [self._address(_plain(text)) for text in texts]

    def _address(self, text: str) -> Address:
        named: dict[str, dict[str, _Unit]] = {level: {} for level in LEVELS}
        for unit in self._named(text):
            known = named[unit.level].get(unit.code)
            if known is None or (unit.sure, unit.weight) > (known.sure, known.weight):
                named[unit.level][unit.code] = unit
        return self._resolved(named)

    def _named(self, text: str) -> Iterator[_Unit]:
        """Yield the units of every name that is no part of a longer one."""
        found = self._search.find_matches_as_indexes(text, overlapping=True)
        places = [(start, end) for _, start, end in found]
        whole = [
            (which, start, end)
            for which, start, end in found
            if not any(a <= start and end <= b and (a, b) != (start, end) for a, b in places)
        ]
        ends = {end for _, _, end in whole}
        for which, start, end in whole:
            other = _BEHIND.match(text, end) is not None
            before = text[start - 1] if start else ""
            clear = not _HAN.match(before) or start in ends or before in _BEFORE
            for unit in self._units[which]:
                if unit.weight == _STEM and other:
                    continue
                sure = clear or unit.level != "village"
                yield _Unit(unit.level, unit.code, unit.weight, sure)

    def _resolved(self, named: dict[str, dict[str, _Unit]]) -> Address:
        """Go down level by level, as long as one unit alone fits what is named above it."""
        best, fitting = Address(), dict[str, _Unit]()
        for level in LEVELS:
            units = named[level]
            inside = {
                code: unit for code, unit in units.items() if self._lies_in(code, level, best.code)
            }
            if not inside:
                # Named, but outside of what is named above: the text contradicts itself.
                continue
            kept = best.level not in ("", "city")
            sure = _strongest([u for u in inside.values() if kept or self._in_company(u, named)])
            if len(sure) == 1:
                (unit,) = sure
                factor = 1.0 if kept or level in LEVELS[:2] else _ALONE
                best = Address(level, unit.code, (), round(unit.weight * factor, 3))
                fitting = {}
            else:
                fitting |= inside
        still = tuple(
            sorted(c for c, unit in fitting.items() if self._lies_in(c, unit.level, best.code))
        )
        return Address(best.level, best.code, still, best.score)

    def _in_company(self, unit: _Unit, named: dict[str, dict[str, _Unit]]) -> bool:
        """Say whether a unit is more than a stem that stands alone: a unit inside is named too."""
        below = LEVELS[LEVELS.index(unit.level) + 1 :]
        return unit.weight > _STEM or any(
            other.sure and self._lies_in(other.code, level, unit.code)
            for level in below
            for other in named[level].values()
        )

    def _lies_in(self, code: str, level: str, above: str) -> bool:
        while level != LEVELS[0] and code != above:
            code, level = self._above[code], parent_level(level)
        return not above or code == above


def _strongest(units: list[_Unit]) -> list[_Unit]:
    """Return the units that are named surely; whole names put stems aside."""
    sure = [unit for unit in units if unit.sure]
    whole = [unit for unit in sure if unit.weight > _STEM]
    return whole or sure


def _plain(text: str) -> str:
    """Return a text in the usual width, without blanks."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def _forms(level: str, name: str) -> Iterator[tuple[str, float]]:
    """Yield the forms in which a unit's name is written, and how sure each is."""
    yield name, _FULL
    if level == "village":
        stem = _VILLAGE_ENDS.sub("", name)
        village = "村民" in name or name.endswith(("村", "村委会"))
        ends = ("村", "村委会", "村民委员会") if village else ("社区", "居委会", "社区居委会")
        if stem != name:
            yield from ((stem + end, _SHORT) for end in ends)
    elif level == "township":
        plain = _PEOPLES.sub("", name)
        stem = _TOWNSHIP_ENDS.sub("", plain)
        yield plain, _SHORT
        if name.endswith("街道"):
            yield from ((plain + "办事处", _SHORT), (stem + "办事处", _SHORT))
    else:
        stem = _COUNTY_ENDS.sub("", name)
        if name.endswith("开发区"):
            yield name[2:], _SHORT
            return
    if len(stem) >= 2 and stem != name and not stem.endswith(_ROAD):
        yield stem, _STEM
