"""Located incidents: read with text codes, counted with zeros."""

import numpy as np
import pandas as pd
import pytest

from geogrid import incidents
from geogrid.errors import DataError, UnknownCodeError, UsageError
from geogrid.locate import Locator, locate_file


@pytest.fixture
def located(toy_edition, tmp_path):
    rng = np.random.default_rng(0)
    xy = rng.uniform([114.6, 33.6], [114.65, 33.65], (400, 2))
    rows = [f"{k},2026-03-0{k % 9 + 1} 08:00,{x:.7f},{y:.7f}" for k, (x, y) in enumerate(xy)]
    source = tmp_path / "in.csv"
    source.write_bytes("编号,时间,经度,纬度\n".encode("gbk") + "\n".join(rows).encode())
    locate_file(Locator(toy_edition), source, tmp_path / "out.csv", datum="cgcs2000")
    return tmp_path / "out.csv"


def test_codes_stay_text_and_times_become_times(located):
    frame = incidents.read(located)
    assert len(frame) == 400
    hits = frame.microgrid_code[frame.microgrid_code != ""]
    assert hits.str.len().eq(18).all()
    assert pd.api.types.is_datetime64_any_dtype(frame["时间"])
    assert pd.api.types.is_float_dtype(frame["edge_m"])
    assert frame["编号"].tolist()[:2] == ["0", "1"]


def test_parquet_is_read(tmp_path):
    frame = pd.DataFrame({"microgrid_code": ["411601001001001001"]})
    frame.to_parquet(tmp_path / "a.parquet")
    assert incidents.read(tmp_path / "a.parquet").equals(frame)


@pytest.mark.parametrize("level", ["city", "county", "village", "grid", "microgrid"])
def test_every_unit_is_counted_and_hits_add_up(toy_edition, located, level):
    frame = incidents.read(located)
    table = incidents.counts(frame, toy_edition, level)
    assert table.code.tolist() == toy_edition[level].code.tolist()
    assert table.incidents.sum() == (frame.microgrid_code != "").sum()
    # In the toy city a code begins with the codes of the units above.
    first = table.code.iloc[0]
    assert table.incidents.iloc[0] == frame.microgrid_code.str.startswith(first).sum()


def test_unit_without_incident_counts_zero(toy_edition):
    table = incidents.counts(pd.DataFrame({"microgrid_code": ["", None]}), toy_edition, "grid")
    assert table.incidents.tolist() == [0] * 64
    assert table.incidents.dtype == "int64"


def test_code_of_another_edition_is_refused(toy_edition):
    frame = pd.DataFrame({"microgrid_code": ["999999001001001001"]})
    with pytest.raises(UnknownCodeError, match="999999001001001001"):
        incidents.counts(frame, toy_edition, "grid")


def test_wrong_level_column_and_file_are_refused(toy_edition, tmp_path):
    with pytest.raises(UsageError, match="hamlet"):
        incidents.counts(pd.DataFrame({"microgrid_code": []}), toy_edition, "hamlet")
    with pytest.raises(DataError, match="microgrid_code"):
        incidents.counts(pd.DataFrame({"code": []}), toy_edition, "grid")
    with pytest.raises(UsageError, match="xlsx"):
        incidents.read(tmp_path / "a.doc")
    (tmp_path / "a.csv").write_text("time\nyesterday-ish\n")
    with pytest.raises(DataError, match="column time"):
        incidents.read(tmp_path / "a.csv")
    with pytest.raises(DataError, match="cannot read"):
        incidents.read(tmp_path / "none.parquet")
