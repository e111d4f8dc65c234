"""Incidents by unit, in the four colours of warning, and over time.

The table is the one that the service was started with. `no_data` is apart from `none`: a unit
without households has no rate, and of days outside the table nothing is known.
"""

import math
from collections import Counter
from datetime import date
from typing import Annotated, Literal, cast

import pandas as pd
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from geogrid import incidents as counting
from geogrid.api.deps import Data, Dataset, each_once
from geogrid.api.models import Level
from geogrid.api.problems import Problem
from geogrid.api.reports import Reports, between, span_of
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.incidents.warning import COLOURS, NO_DATA, Thresholds

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], dependencies=[Depends(each_once)])

Warned = Literal["none", "blue", "yellow", "orange", "red", "no_data"]

_MOST_PARTS = 5_000


class UnitIncidents(BaseModel):
    """Incidents of one unit; null where there are fewer than `least`."""

    code: str
    name: str
    incidents: int | None
    rate: float | None = Field(description="To 1,000 households.")
    warning: Warned | None


class Part(BaseModel):
    """Incidents of one period or of one category."""

    key: str
    name: str
    incidents: int | None


class Scale(BaseModel):
    """From which value on a unit has which colour."""

    measure: str
    method: str
    values: dict[str, float]
    least: int


class Incidents(BaseModel):
    """Incidents by unit; those that are not listed have none, and the warning `others`."""

    edition: str
    revision: str
    level: str
    first_day: date | None = Field(description="Of the whole table.")
    last_day: date | None
    incidents: int
    unplaced: int = Field(description="Incidents that count for no unit of this level.")
    without_time: int = Field(description="Incidents of the table that have no time.")
    thresholds: Scale | None
    no_thresholds_en: str | None = Field(description="Why there are none.")
    no_thresholds_zh: str | None
    n_units: int
    warnings: dict[Warned, int] = Field(description="Units by colour.")
    others: Warned
    units: list[UnitIncidents]
    parts: list[Part] | None


async def _reports(request: Request) -> Reports:
    state = request.app.state
    if not hasattr(state, "reports"):
        given = state.settings
        state.reports = None if given.incidents is None else Reports(given.incidents, given.items)
    if state.reports is None:
        raise Problem(
            404,
            "no_incidents",
            "The service was started without incidents; add --incidents FILE.",
            "服务启动时未指定事件表，请使用 --incidents 参数。",
        )
    return cast(Reports, state.reports)


class Question(BaseModel):
    """What is asked of the incidents."""

    model_config = ConfigDict(extra="forbid")

    level: Level = "village"
    first: date | None = Field(None, alias="from", description="First day, YYYY-MM-DD.")
    last: date | None = Field(None, alias="to", description="Last day, included.")
    measure: Literal["count", "rate"] = "count"
    warn: str = Field(
        "quantile", max_length=80, description="quantile, natural, or four thresholds by comma."
    )
    least: int = Field(
        1, ge=1, le=1_000_000, description="Fewer incidents give no warning and are not told."
    )
    category: str | None = Field(None, max_length=20, description="Code of a category.")
    by: Literal["day", "week", "month", "category"] | None = None
    code: str | None = Field(None, max_length=40, description="Unit whose `parts` are wanted.")


@router.get("/stats")
def incident_stats(
    question: Annotated[Question, Query()],
    data: Data,
    reports: Annotated[Reports, Depends(_reports)],
) -> Incidents:
    """Count incidents by unit, warn in four colours, and give one unit's parts by time."""
    whole = reports.table()
    span = span_of(whole)
    table = _asked(whole, span, question)
    units = _counted(table, data, question.level)
    known = not _beyond(span, question)
    scale, why = _scale(units, question) if known else (None, _NOTHING_KNOWN)
    others: Warned = "none" if known else "no_data"
    units = units.assign(warning=None if known else others)
    if scale is not None:
        units = counting.warned(units, scale)
    listed = units[(units["incidents"] > 0) | (units["warning"] == NO_DATA)] if known else units[:0]
    return Incidents(
        edition=data.edition.info.id,
        revision=data.revision,
        level=question.level,
        first_day=None if span is None else span[0],
        last_day=None if span is None else span[1],
        incidents=len(table),
        unplaced=len(table) - int(units["incidents"].sum()),
        without_time=int(whole["time"].isna().sum()) if "time" in whole else len(whole),
        thresholds=None if scale is None else _shown(scale),
        no_thresholds_en=None if scale is not None else why[0],
        no_thresholds_zh=None if scale is not None else why[1],
        n_units=len(units),
        warnings=_by_colour(units),
        others=others,
        units=_units(listed, question.least),
        parts=None if question.by is None else _parts(table, data, question),
    )


class Category(BaseModel):
    """A category of the list of items and its incidents."""

    code: str
    name: str
    incidents: int


class IncidentsSummary(BaseModel):
    """What the table of incidents holds."""

    incidents: int
    first_day: date | None
    last_day: date | None
    categories: list[Category]


@router.get("")
def incidents_summary(reports: Annotated[Reports, Depends(_reports)]) -> IncidentsSummary:
    """Say what the table holds: how many incidents, of which days and categories."""
    table = reports.table()
    span = span_of(table) or (None, None)
    categories: list[Category] = []
    if "category" in table and "category_name" in table:
        sizes = table.groupby(["category", "category_name"]).size().reset_index(name="n")
        categories = [
            Category(code=code, name=name, incidents=n)
            for code, name, n in sizes.to_numpy(object).tolist()
            if code
        ]
    return IncidentsSummary(
        incidents=len(table), first_day=span[0], last_day=span[1], categories=categories
    )


_NOTHING_KNOWN = (
    "The table of incidents holds none of these days.",
    "事件表中没有这些日期的数据。",
)


def _beyond(span: tuple[date, date] | None, question: Question) -> bool:
    """Say whether the days asked for lie wholly outside the days of the table."""
    first, last = question.first, question.last
    if first is None and last is None:
        return False
    if span is None:
        return True
    return (first is not None and first > span[1]) or (last is not None and last < span[0])


def _asked(whole: pd.DataFrame, span: tuple[date, date] | None, question: Question) -> pd.DataFrame:
    table = whole
    if question.first and question.last and question.first > question.last:
        raise Problem(
            422,
            "days_reversed",
            f"from {question.first} is after to {question.last}.",
            f"起始日期 {question.first} 晚于结束日期 {question.last}。",
            field="from",
        )
    if span is not None:
        table = between(table, question.first, question.last)
    if question.category is not None:
        if "category" not in table:
            raise _no_categories()
        known = sorted(filter(None, whole["category"].dropna().unique()))
        if question.category not in known:
            raise Problem(
                422, "unknown_category",
                f"category: none {question.category!r}; there are {', '.join(known)}.",
                f"category：没有类别 {question.category!r}，可用的为 {'、'.join(known)}。",
                field="category",
            )  # fmt: skip
        table = pd.DataFrame(table[table["category"] == question.category])
    return table


def _counted(table: pd.DataFrame, data: Dataset, level: str) -> pd.DataFrame:
    try:
        return counting.counts(table, data.edition, level)
    except UnknownCodeError as error:
        raise Problem(
            409,
            "incidents_of_another_edition",
            str(error),
            "事件表是按另一版本的网格定位的，请用当前版本重新运行 geogrid locate。",
        ) from error


def _scale(units: pd.DataFrame, question: Question) -> tuple[Thresholds | None, tuple[str, str]]:
    """Return thresholds, or why there are none."""
    measure, warn = question.measure, question.warn
    if warn not in ("quantile", "natural"):
        return _given(question), ("", "")
    try:
        values = counting.measured(units, measure)
        return counting.found(measure, warn, values, least=question.least), ("", "")
    except UsageError as error:
        return None, (
            str(error),
            "不同数值太少，无法自动分级；请给定阈值，或选更长时间、更高层级。",
        )


def _given(question: Question) -> Thresholds:
    try:
        values = [float(part) for part in question.warn.replace("，", ",").split(",")]
        return counting.given(question.measure, values, least=question.least)
    except (ValueError, UsageError) as error:
        said = str(error) if isinstance(error, UsageError) else f"{question.warn!r} is no list"
        raise Problem(
            422,
            "thresholds",
            f"{said}; give quantile, natural, or four ascending numbers such as 5,10,20,40.",
            "阈值应为 quantile、natural，或四个由小到大的正数，例如 5,10,20,40。",
            field="warn",
        ) from error


def _shown(scale: Thresholds) -> Scale:
    values = dict(zip(COLOURS[1:], scale.values, strict=True))
    return Scale(measure=scale.measure, method=scale.method, values=values, least=scale.least)


def _by_colour(units: pd.DataFrame) -> dict[Warned, int]:
    if units["warning"].isna().all():
        return {}
    numbers = Counter(units["warning"].tolist())
    return {cast(Warned, colour): numbers[colour] for colour in (*COLOURS, NO_DATA)}


def _units(listed: pd.DataFrame, least: int) -> list[UnitIncidents]:
    """Return the rows, most incidents first; small numbers are not told, they point at people."""
    rows = listed.sort_values(["incidents", "code"], ascending=[False, True])
    columns = rows[["code", "name", "incidents", "rate", "warning"]].itertuples(index=False)
    return [
        UnitIncidents(
            code=code,
            name=name,
            incidents=None if 0 < n < least else n,
            rate=None if 0 < n < least or math.isnan(rate) else round(rate, 4),
            warning=warning,
        )
        for code, name, n, rate, warning in columns
    ]


def _parts(table: pd.DataFrame, data: Dataset, question: Question) -> list[Part]:
    """Return the incidents of a unit, or of the city, by period or category."""
    unit = data.directory.unit(question.code or data.edition.units["city"]["code"].iat[0])
    by_category = question.by == "category"
    if by_category and "category" not in table:
        raise _no_categories()
    try:
        frame = counting.breakdown(
            table if by_category else pd.DataFrame(table[table["time"].notna()]),
            data.edition, unit.level,
            period=None if by_category else question.by, by_category=by_category,
        )  # fmt: skip
    except (KeyError, DataError) as error:
        raise Problem(
            400, "no_times", "The incidents have no times.", "事件表没有时间列。", field="by"
        ) from error
    own = frame[frame["code"] == unit.code].tail(_MOST_PARTS)
    keys = own["category"] if by_category else own["period"]
    names = own["category_name"] if by_category else own["period"]
    return [
        Part(key=key, name=name, incidents=None if n < question.least else n)
        for key, name, n in zip(keys, names, own["incidents"].tolist(), strict=True)
    ]


def _no_categories() -> Problem:
    return Problem(
        400,
        "no_categories",
        "The incidents have no categories; start the service with --items FILE.",
        "事件没有类别，请在启动服务时用 --items 指定事项清单。",
        field="by",
    )
