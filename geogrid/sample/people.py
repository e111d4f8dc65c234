"""Invented incidents, grid workers and the list of items they report by."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geogrid.datums import Datum, convert
from geogrid.sample.buildings import Buildings
from geogrid.sample.plane import to_degrees
from geogrid.sample.villages import Settled

CITY_INCIDENTS, CITY_WORKERS, CITY_VILLAGES = 20_000, 19_361, 5_113
_FEWEST_INCIDENTS = 200
_STAGES = ("信息汇集", "分流交办", "执行处置", "日常督办", "信息反馈", "督查考核")
_STAGE_SHARES = (0.05, 0.1, 0.25, 0.1, 0.2, 0.3)
_FIRST_DAY = datetime.datetime(2022, 9, 1, tzinfo=ZoneInfo("Asia/Shanghai"))
_DAYS = 60

_DEPARTMENTS = ("公安", "民政", "城管", "应急管理", "市场监管", "卫生健康", "自然资源", "生态环境",
                "住房建设", "农业农村", "教育", "交通运输", "水利", "司法", "人社")  # fmt: skip
_TOPICS = ("邻里纠纷", "道路破损", "井盖缺失", "垃圾堆放", "消防隐患", "燃气安全", "违法建设",
           "噪声扰民", "秸秆焚烧", "河道污染", "流动摊贩")  # fmt: skip
_KINDS = ("排查", "上报", "巡查", "走访", "整改")
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚"


def items() -> pd.DataFrame:
    """Return the invented list: 55 categories, 338 items, codes as text."""
    categories = [f"{topic}{kind}" for kind in _KINDS for topic in _TOPICS]
    rows = []
    for number in range(338):
        category = number % len(categories)
        serial = number // len(categories) + 1
        rows.append(
            (
                f"{category + 1:02d}{serial:02d}",
                f"{category + 1:02d}",
                categories[category],
                f"{categories[category]}事项{serial}(虚构)",
                f"{_DEPARTMENTS[category % len(_DEPARTMENTS)]}部门",
            )
        )
    columns = ["code", "category", "category_name", "name", "lead_department"]
    return pd.DataFrame(sorted(rows), columns=columns)


def incidents(settled: Settled, buildings: Buildings, rng: np.random.Generator) -> pd.DataFrame:
    """Return incidents near buildings, in GCJ-02, and a dozen rows that cannot be located."""
    share = len(settled.villages) / CITY_VILLAGES
    n = max(round(CITY_INCIDENTS * share), _FEWEST_INCIDENTS)
    chosen = rng.choice(len(buildings.corners), n, p=_shares(buildings.households + 1))
    metres = buildings.corners[chosen].mean(axis=1) + rng.normal(0, 25, (n, 2))
    lon_lat = convert(to_degrees(metres), Datum.CGCS2000, Datum.GCJ02)
    listed = items()
    item = rng.integers(0, len(listed), n)
    when = rng.integers(0, _DAYS * 86_400, n)
    table = pd.DataFrame(
        {
            "id": [f"SJ{k + 1:06d}" for k in range(n)],
            "time": [(_FIRST_DAY + datetime.timedelta(seconds=int(s))).isoformat() for s in when],
            "item": listed["code"].to_numpy()[item],
            "text": listed["name"].to_numpy()[item],
            "经度": [f"{lon:.8f}" for lon in lon_lat[:, 0]],
            "纬度": [f"{lat:.8f}" for lat in lon_lat[:, 1]],
            "stage": rng.choice(_STAGES, n, p=_STAGE_SHARES),
        }
    )
    return _with_bad_rows(table, settled)


def _with_bad_rows(table: pd.DataFrame, settled: Settled) -> pd.DataFrame:
    """Spoil a dozen rows, spread over the table, as they come in practice."""
    table = table.copy()
    west = settled.villages.total_bounds[0]
    places = np.linspace(5, len(table) - 5, 12).astype(int)
    lon, lat = table["经度"].iloc[places[2]], table["纬度"].iloc[places[2]]
    spoilt = [
        ("", ""), ("未知", "未知"), (lat, lon), ("0", "0"), (f"{west - 0.01:.8f}", lat),
        ("nan", "nan"), (lon, "91.5"), (lon, ""), ("245.35", lat), ("114,65", lat),
        ("inf", lat), (f"{west - 0.5:.8f}", lat),
    ]  # fmt: skip
    table.loc[places, ["经度", "纬度"]] = spoilt
    return table


def workers(settled: Settled, buildings: Buildings, rng: np.random.Generator) -> pd.DataFrame:
    """Return grid workers, at least one a village, the others by households."""
    n_villages = len(settled.villages)
    n = round(CITY_WORKERS * n_villages / CITY_VILLAGES)
    households = np.bincount(buildings.village, buildings.households, n_villages)
    more = rng.choice(n_villages, n - n_villages, p=_shares(households))
    village = np.sort(np.concatenate([np.arange(n_villages), more]))
    surname = rng.integers(0, len(_SURNAMES), n)
    given = rng.integers(0, len(_GIVEN), (n, 2))
    names = [
        _SURNAMES[s] + _GIVEN[a] + (_GIVEN[b] if a != b else "")
        for s, (a, b) in zip(surname, given, strict=True)
    ]
    return pd.DataFrame(
        {
            "id": [f"WG{k + 1:05d}" for k in range(n)],
            "name": names,
            "village": settled.villages["code"].to_numpy()[village],
        }
    )


def _shares(weights: NDArray[Any]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares
