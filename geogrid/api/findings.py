"""How well the edition covers the city, and every place where it does not."""

import asyncio
import json
from collections import Counter
from typing import Annotated, Literal, cast

import shapely
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from geogrid.api.checking import Checks
from geogrid.api.deps import Data, Dataset
from geogrid.api.models import Level
from geogrid.coverage.findings import RULES, Finding, Findings

router = APIRouter(prefix="/v1", tags=["coverage"])

State = Literal["done", "checking"]
Severity = Literal["error", "warning", "note"]

_WAIT = "Seconds to wait for the check before answering 202."
_AGAIN = "2"
"""Seconds after which to ask again while the check runs."""
_MOST_VERTICES = 2_000
"""Of a shape that is sent; a larger fault is shown by its box."""


class FindingsOfRule(BaseModel):
    """How often one rule is broken."""

    rule: str
    severity: str
    name_en: str
    name_zh: str
    n: int


class Coverage(BaseModel):
    """Counts, coverage rate by level, and what a check found; null while it runs."""

    edition: str
    revision: str
    state: State
    ok: bool | None
    counts: dict[str, int]
    coverage_rate: dict[str, float] | None = Field(
        description="By level: covered area over the city's; 1 only without any gap."
    )
    n_findings: int | None
    severities: dict[Severity, int] | None
    findings: list[FindingsOfRule] | None


class FoundFault(BaseModel):
    """One finding with its place; `point`, `bbox` and `shape` are CGCS2000 degrees."""

    number: int = Field(description="Place in the list of all findings, from 0.")
    rule: str
    severity: Severity
    level: str
    codes: list[str]
    point: tuple[float, float] | None
    bbox: tuple[float, float, float, float] | None
    area_m2: float
    width_m: float
    message_en: str
    message_zh: str
    fix_en: str
    fix_zh: str
    near: str
    excused: str
    shape: dict[str, object] | None = Field(description="The gap or overlap as GeoJSON.")


class FoundFaults(BaseModel):
    """Some of the findings, in the order of levels from the top."""

    edition: str
    revision: str
    state: State
    n_matched: int
    findings: list[FoundFault]


class Selection(BaseModel):
    """Which findings are wanted."""

    model_config = ConfigDict(extra="forbid")

    severity: list[Severity] | None = None
    level: Level | None = None
    rule: str | None = Field(None, max_length=40)
    offset: int = Field(0, ge=0, le=10_000_000)
    limit: int = Field(1_000, ge=1, le=5_000)
    wait: float = Field(5, ge=0, le=25, description=_WAIT)


async def _checks(request: Request) -> Checks:
    state = request.app.state
    if not hasattr(state, "checks"):
        state.checks = Checks(state.settings.edition)
    return cast(Checks, state.checks)


Wait = Annotated[float, Query(ge=0, le=25, description=_WAIT)]
Known = Annotated[Checks, Depends(_checks)]


@router.get("/coverage", responses={202: {"model": Coverage, "description": "Still checking."}})
async def coverage(data: Data, checks: Known, response: Response, wait: Wait = 5.0) -> Coverage:
    """Return counts, coverage rates and a summary of findings; the check runs once a revision.

    While it runs the answer is 202 with `state` `checking`.
    """
    found = await _found(data, checks, wait)
    if found is None:
        _ask_again(response)
    return Coverage(
        edition=data.edition.info.id,
        revision=data.revision,
        state="checking" if found is None else "done",
        ok=None if found is None else found.ok,
        counts=data.edition.counts(),
        coverage_rate=None if found is None else dict(found.coverage_rate),
        n_findings=None if found is None else len(found),
        severities=None if found is None else _severities(found),
        findings=None if found is None else _by_rule(Counter(each.rule for each in found)),
    )


@router.get(
    "/coverage/findings", responses={202: {"model": FoundFaults, "description": "Still checking."}}
)
async def coverage_findings(
    asked: Annotated[Selection, Query()], data: Data, checks: Known, response: Response
) -> FoundFaults:
    """List findings, each with its place, its units and what to do about it."""
    found = await _found(data, checks, asked.wait)
    if found is None:
        _ask_again(response)
    matched = [
        (number, each)
        for number, each in enumerate(found or ())
        if (not asked.severity or each.severity in asked.severity)
        and asked.level in (None, each.level)
        and asked.rule in (None, each.rule)
    ]
    page = matched[asked.offset : asked.offset + asked.limit]
    return FoundFaults(
        edition=data.edition.info.id,
        revision=data.revision,
        state="checking" if found is None else "done",
        n_matched=len(matched),
        findings=[_fault(number, each) for number, each in page],
    )


async def _found(data: Dataset, checks: Checks, wait: float) -> Findings | None:
    """Wait for the check a while without holding a thread."""
    asked = asyncio.wrap_future(checks.of(data.edition))
    done, _ = await asyncio.wait([asked], timeout=wait)
    return asked.result() if done else None


def _ask_again(response: Response) -> None:
    response.status_code = 202
    response.headers["Retry-After"] = _AGAIN
    response.headers["Cache-Control"] = "no-store"


def _severities(found: Findings) -> dict[Severity, int]:
    numbers = Counter(each.severity for each in found)
    return {"error": numbers["error"], "warning": numbers["warning"], "note": numbers["note"]}


def _by_rule(numbers: Counter[str]) -> list[FindingsOfRule]:
    return [
        FindingsOfRule(
            rule=rule, severity=RULES[rule].severity, name_en=RULES[rule].en,
            name_zh=RULES[rule].zh, n=n,
        )
        for rule, n in numbers.most_common()
    ]  # fmt: skip


def _fault(number: int, found: Finding) -> FoundFault:
    said = RULES[found.rule]
    return FoundFault(
        number=number,
        rule=found.rule,
        severity=cast(Severity, found.severity),
        level=found.level,
        codes=list(found.codes),
        point=found.point,
        bbox=found.bbox,
        area_m2=found.area_m2,
        width_m=found.width_m,
        message_en=found.message_en,
        message_zh=found.message_zh,
        fix_en=said.fix_en,
        fix_zh=said.fix_zh,
        near=found.near,
        excused=found.excused,
        shape=_shape(found.shape),
    )


def _shape(shape: shapely.Geometry | None) -> dict[str, object] | None:
    if shape is None or shapely.get_num_coordinates(shape) > _MOST_VERTICES:
        return None
    geometry: dict[str, object] = json.loads(shapely.to_geojson(shape))
    return geometry
