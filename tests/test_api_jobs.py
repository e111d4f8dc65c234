"""Jobs: a file in, the same file with columns out, by a bounded process that leaves nothing."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import bombs
import numpy as np
import openpyxl
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from geogrid.api import workshop
from geogrid.api.app import create_app
from geogrid.api.deps import Dataset
from geogrid.api.models import JobStatus
from geogrid.api.problems import ProblemDocument
from geogrid.api.settings import JobLimits, Limits, Settings
from geogrid.locate import locate_file

CSV, PARQUET = "text/csv", "application/vnd.apache.parquet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ANY = "application/octet-stream"
ENDED = ("done", "failed")


@pytest.fixture(autouse=True, scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder that jobs make theirs in."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("temporary")
        patch.setattr("tempfile.tempdir", str(folder))
        yield folder


def service(data: Dataset, **limits: float) -> TestClient:
    settings = Settings(
        edition=Path("toy"), jobs=JobLimits(**limits), limits=Limits(upload_bytes=300_000)
    )
    return TestClient(create_app(settings, dataset=data), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def shared(data: Dataset) -> Iterator[TestClient]:
    with service(data, workers=2, memory_bytes=1 << 29) as client:
        yield client


@pytest.fixture
def client(shared: TestClient) -> Iterator[TestClient]:
    """A service, which has no jobs any more when the test ends."""
    yield shared
    for job in list(shared.app.state.workshop._jobs):
        shared.delete(f"/v1/jobs/{job}")


def send(client: TestClient, body: bytes, kind: str = CSV, query: str = "datum=gcj02", **headers):
    return client.post(f"/v1/jobs?{query}", content=body, headers={"Content-Type": kind, **headers})


def ended(client: TestClient, answer) -> JobStatus:
    """Wait for the end of a job."""
    assert answer.status_code == 202, answer.text
    job, deadline = JobStatus.model_validate(answer.json()), time.monotonic() + 60
    while job.state not in ENDED and time.monotonic() < deadline:
        time.sleep(0.05)
        job = JobStatus.model_validate(client.get(answer.headers["location"]).json())
    assert job.state in ENDED
    return job


def folders(temporary: Path) -> list[Path]:
    """Return the folders of all jobs of all services."""
    return [path for path in temporary.glob("*/*") if path.is_dir()]


def refused(response) -> ProblemDocument:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return ProblemDocument.model_validate_json(response.content)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    xy = np.random.default_rng(1).uniform([114.59, 33.59], [114.66, 33.66], (300, 2)).round(6)
    frame = pd.DataFrame(
        {"编号": [f"{k:04}" for k in range(300)], "经度": xy[:, 0], "纬度": xy[:, 1]}
    )
    frame.loc[7, ["经度", "纬度"]] = [33.62, 114.62]
    return frame


def as_csv(table: pd.DataFrame, path: Path) -> bytes:
    return table.to_csv(index=False).encode("gbk")


def as_parquet(table: pd.DataFrame, path: Path) -> bytes:
    table.to_parquet(path)
    return path.read_bytes()


def as_xlsx(table: pd.DataFrame, path: Path) -> bytes:
    table.to_excel(path, index=False)
    return path.read_bytes()


def test_a_job_gives_what_locating_the_file_gives(client, data, table, tmp_path):
    kinds = [(as_csv, CSV, ".csv"), (as_parquet, PARQUET, ".parquet"), (as_xlsx, XLSX, ".xlsx")]
    answers = []
    for write, kind, suffix in kinds:
        path = tmp_path / f"in{suffix}"
        path.write_bytes(write(table, path))
        query = f"datum=gcj02&name=事件 表{suffix}"
        answers.append(send(client, path.read_bytes(), kind, query))
        locate_file(data.locator, path, tmp_path / f"out{suffix}", datum="gcj02")
    for answer, (_, kind, suffix) in zip(answers, kinds, strict=True):
        assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
        job = ended(client, answer)
        assert (job.state, job.progress, job.rows) == ("done", 1.0, 300)
        assert (job.file, job.columns) == (f"事件_表{suffix}", ["经度", "纬度"])
        assert (job.revision, job.datum) == (data.revision, "gcj02")
        assert job.statuses["swapped"] == 1
        result = client.get(job.result)
        expected = tmp_path / f"out{suffix}"
        assert unpacked(result.content, suffix) == unpacked(expected.read_bytes(), suffix)
        assert result.headers["content-type"].startswith(kind)
        assert "attachment" in result.headers["content-disposition"]
        rejects = pd.read_csv(io.BytesIO(client.get(job.rejects).content))
        assert rejects.loc[rejects.status == "swapped", "row"].tolist() == [8]


def unpacked(content: bytes, suffix: str) -> object:
    """Return the cells of a workbook, which as an archive holds the time; other files as is."""
    if suffix != ".xlsx":
        return content
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    return [[cell.value for cell in row] for row in sheet]


def test_kind_columns_and_system_may_be_named(client):
    query = "datum=epsg:4547&lon=e&lat=n&name=a.TXT"
    job = ended(client, send(client, b"e,n\n557553.0,3721433.0\n", ANY, query))
    assert (job.state, job.datum, job.file) == ("done", "epsg:4547", "a.txt")
    assert client.get(job.result).text.startswith("e,n,grid_code")


def test_a_file_that_cannot_be_used_fails_with_the_reason_and_the_service_lives(client):
    answers = {
        "lon=COLUMN&lat=COLUMN": send(client, b"a,b\n1,2\n"),
        "table.csv, line 2": send(client, b"lon,lat\n1,2,3\n"),
        "no readable workbook": send(client, b"PK\x03\x04" * 30, XLSX),
        "memory_bytes": send(client, bombs.long_text(), PARQUET),
    }
    for said, answer in answers.items():
        job = ended(client, answer)
        assert (job.state, job.problem.status) == ("failed", 422), said
        assert said in job.problem.detail
        assert "/" not in job.problem.detail
        assert re.search("[\u4e00-\u9fff]{4}", job.problem.detail_zh)
        response = client.get(f"/v1/jobs/{job.id}/result")
        assert (response.status_code, refused(response).code) == (409, "job_not_done")
    chinese = client.get(f"/v1/jobs/{job.id}", headers={"Accept-Language": "zh"}).json()
    assert chinese["problem"]["detail"] == job.problem.detail_zh


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("", CSV, b"x"), (422, "missing", "datum")),
        (("datum=xian80", CSV, b"x"), (422, "unknown_datum", "datum")),
        (("datum=epsg:2380", CSV, b"x"), (422, "unknown_datum", "datum")),
        (("datum=wgs84&path=/etc/passwd", CSV, b"x"), (422, "extra_forbidden", "path")),
        (("datum=wgs84&datum=bd09", CSV, b"x"), (422, "repeated", "datum")),
        (("datum=wgs84", CSV, b""), (422, "empty", "body")),
        (("datum=wgs84", "image/png", b"x"), (415, "unsupported_type", "Content-Type")),
        (("datum=wgs84&name=a.gpkg", ANY, b"x"), (415, "unsupported_type", "Content-Type")),
        (("datum=wgs84", CSV, b"x" * 300_001), (413, "body_too_large", None)),
        (("datum=wgs84", CSV, iter([b"x" * 200_000] * 2)), (413, "body_too_large", None)),
    ],
)  # fmt: skip
def test_an_order_that_cannot_be_right_is_refused(client, temporary, order, expected):
    query, kind, body = order
    problem = refused(send(client, body, kind, query))
    assert (problem.status, problem.code, problem.field) == expected
    assert not folders(temporary)


def test_the_same_key_gives_the_same_job(client, temporary):
    headers = {"Idempotency-Key": "k1"}
    first = send(client, b"lon,lat\n114.62,33.62\n", **headers).json()["id"]
    assert send(client, b"lon,lat\n114.62,33.62\n", **headers).json()["id"] == first
    other = send(client, b"lon,lat\n114.62,33.63\n", **headers)
    assert (other.status_code, refused(other).code) == (422, "idempotency_key_reused")
    other = send(client, b"lon,lat\n114.62,33.62\n", query="datum=wgs84", **headers)
    assert other.status_code == 422
    assert send(client, b"lon,lat\n114.62,33.62\n").json()["id"] != first
    client.delete(f"/v1/jobs/{first}")
    assert send(client, b"lon,lat\n114.62,33.62\n", **headers).json()["id"] != first


def test_a_job_can_be_ended_whatever_its_state(client, temporary):
    running, waiting = (send(client, b"lon,lat\n114.62,33.62\n").json()["id"] for _ in range(2))
    for job in (waiting, running):
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
        for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/result"), ("GET", "/rejects")):
            response = client.request(method, f"/v1/jobs/{job}{path}")
            assert (response.status_code, refused(response).code) == (404, "no_job")
    assert not folders(temporary)


def test_results_expire_and_too_many_jobs_are_refused(data):
    with service(data, kept=1, keep_seconds=0.5) as client:
        answer, refusal = (send(client, b"lon,lat\n114.62,33.62\n") for _ in range(2))
        assert (answer.status_code, refusal.status_code) == (202, 429)
        assert refusal.headers["retry-after"] == "60"
        assert refused(refusal).code == "too_many_jobs"
        place, deadline = answer.headers["location"], time.monotonic() + 60
        while client.get(place).status_code == 200 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert client.get(place).status_code == 404


@pytest.mark.parametrize("limit", [{"seconds": 0.05}, {"result_bytes": 100}])
def test_a_file_that_takes_too_much_fails(data, table, limit):
    with service(data, **limit) as client:
        job = ended(client, send(client, as_csv(table, Path())))
        assert (job.state, job.problem.status) == ("failed", 422)


def test_a_small_file_that_was_made_to_take_for_ever_is_ended_soon(data):
    """Work is given in proportion to what was sent."""
    with service(data, workers=2, work_seconds=2) as client:
        rows = send(client, bombs.many_rows(600), PARQUET)
        cells = send(client, bombs.long_number(), XLSX)
        for job in (ended(client, rows), ended(client, cells)):
            assert (job.state, job.problem.code) == ("failed", "job_too_large")
            assert "work_seconds: 2" in job.problem.detail
            assert "work_seconds：2" in job.problem.detail_zh


def test_a_large_file_is_given_more_work(tmp_path):
    shop = SimpleNamespace(limits=JobLimits(work_seconds=60, work_seconds_of_mb=4, seconds=600))
    (tmp_path / "in").touch()
    for size, expected in ((0, 60), (15_000_000, 60), (100_000_000, 400), (1 << 30, 600)):
        os.truncate(tmp_path / "in", size)  # sparse
        job = SimpleNamespace(source=tmp_path / "in")
        assert workshop.Workshop._work_of(shop, job) == expected


def test_nothing_survives_the_end_of_the_service(data, temporary):
    before = set(temporary.iterdir())
    with service(data) as client:
        job = send(client, b"lon,lat\n114.62,33.62\n").json()["id"]
        (folder,) = set(temporary.iterdir()) - before
        assert (folder / job).exists()
    assert set(temporary.iterdir()) == before


def test_a_worker_ends_when_its_service_is_killed(data, tmp_path):
    """The service's end of the pipe closes, whatever the service died of."""
    data.locator.save(tmp_path / "index")
    (tmp_path / "in.csv").write_text("lon,lat\n" + "114.62,33.62\n" * 2_000_000)
    order = {
        "index": "index", "source": "in.csv", "target": "out.csv", "rejects": None, "lon": None,
        "lat": None, "datum": "wgs84", "work_seconds": 60, "memory_bytes": 1 << 31,
        "file_bytes": 1 << 30,
    }  # fmt: skip
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "geogrid.api.worker"], cwd=tmp_path,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    worker.stdin.write(json.dumps(order).encode() + b"\n")
    worker.stdin.flush()
    assert b"progress" in worker.stdout.readline()
    worker.stdin.close()
    assert worker.wait(10) != 0
    assert not (tmp_path / "out.csv").exists()
    worker.stdout.close()


def test_a_job_without_a_process_fails_and_the_next_one_runs(client, monkeypatch):
    async def none_left(*_, **__):
        raise BlockingIOError

    with monkeypatch.context() as patch:
        patch.setattr("asyncio.create_subprocess_exec", none_left)
        job = ended(client, send(client, b"lon,lat\n114.62,33.62\n"))
    assert (job.state, job.problem.code) == ("failed", "internal")
    assert ended(client, send(client, b"lon,lat\n114.62,33.62\n")).state == "done"


def test_what_a_killed_service_left_is_removed_by_the_next(data, temporary):
    left, used = temporary / "geogrid-jobs-left", temporary / "geogrid-jobs-used"
    for folder in (left, used):
        folder.mkdir()
        (folder / "lock").touch()
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys, time; f = open(sys.argv[1], 'w'); "
         "fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)", str(used / "lock")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    holder.stdout.readline()
    with service(data):
        assert not left.exists()
        assert used.exists()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.csv", "a.csv"), ("../../etc/passwd", "passwd.csv"), ("..\\..\\x.csv", "x.csv"),
        ("", "table.csv"), (".csv", "table.csv"), ("/", "table.csv"), ("\0\n.csv", "table.csv"),
        ("x" * 300, "x" * 40 + ".csv"), ("事件(1).xlsx", "事件(1).csv"), ("a\r\nb", "a_b.csv"),
    ],
)  # fmt: skip
def test_names_of_files_are_made_safe(name, safe):
    assert workshop.safe_name(name, ".csv") == safe


def test_times_are_told_with_their_zone(client):
    job = send(client, b"lon,lat\n114.62,33.62\n").json()
    assert datetime.fromisoformat(job["created"]).tzinfo is not None
