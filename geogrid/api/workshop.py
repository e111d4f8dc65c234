"""Jobs: files that are located one after the other in processes of their own, and kept for a while.

Everything lies in one private folder, under names that no caller chooses. It is removed when the
service ends; what a service left that was killed is removed by the next one.
"""

import asyncio
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from geogrid import errors
from geogrid.api.deps import Dataset
from geogrid.api.models import State
from geogrid.api.problems import Problem, problem_of_file
from geogrid.api.settings import JobLimits
from geogrid.errors import GeogridError

_PREFIX = "geogrid-jobs-"
_LOCK = "lock"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked: a file of a name, and how to read it."""

    name: str
    media_type: str
    datum: str
    lon: str | None
    lat: str | None
    owner: str


@dataclass(slots=True)
class Job:
    """One job; only the workshop changes it."""

    id: str
    order: Order
    folder: Path
    edition: str
    revision: str
    index: Path
    created: datetime
    state: State = State.QUEUED
    progress: float = 0.0
    finished: datetime | None = None
    expires: datetime | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    problem: Problem | None = None
    task: "asyncio.Task[None] | None" = None

    @property
    def source(self) -> Path:
        """The file as it was sent."""
        return self.folder / "in" / self.order.name

    @property
    def result(self) -> Path:
        """The file with the columns added."""
        return self.folder / "out" / self.order.name

    @property
    def rejects(self) -> Path:
        """Rows without a micro-grid."""
        return self.folder / "rejects.csv"


class Workshop:
    """The jobs of one service."""

    def __init__(self, limits: JobLimits) -> None:
        """Make the folder, and remove those of services that are no more."""
        self.limits = limits
        for stale in _abandoned():
            shutil.rmtree(stale, ignore_errors=True)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = (self.folder / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._jobs: dict[str, Job] = {}
        self._once: dict[tuple[str, str], tuple[str, str]] = {}
        self._places = asyncio.Semaphore(limits.workers)
        self._saving = asyncio.Lock()

    async def close(self) -> None:
        """End all jobs and remove all files."""
        for job in list(self._jobs.values()):
            await self.remove(job)
        self._lock.close()
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    def find(self, job_id: str, owner: str) -> Job:
        """Return a job; to anybody but its owner there is none."""
        job = self._jobs.get(job_id)
        if job is None or job.order.owner != owner:
            raise Problem(
                404, "no_job",
                "There is no such job; it was removed, or has expired.",
                "没有此作业：已删除或已过期。", field="job_id",
            )  # fmt: skip
        return job

    def require_room(self) -> None:
        """Refuse a job where there are too many, or too much is kept."""
        kept = sum(file.stat().st_size for file in _files(self.folder))
        if len(self._jobs) >= self.limits.kept or kept > self.limits.disk_bytes:
            raise Problem(
                429, "too_many_jobs",
                f"{len(self._jobs)} jobs are kept, which is all there is room for. Fetch and "
                "delete those that are done, or wait until they expire.",
                f"已有 {len(self._jobs)} 个作业，没有更多空间。"
                "请取回并删除已完成的作业，或等待其过期。",
                headers={"Retry-After": "60"},
            )  # fmt: skip

    def new_folder(self) -> Path:
        """Return an empty folder for a file that is about to come, by an id nobody can guess."""
        folder = self.folder / secrets.token_urlsafe(16)
        for each in (folder, folder / "in", folder / "out"):
            each.mkdir()
        return folder

    async def begin(self, order: Order, folder: Path, data: Dataset) -> Job:
        """Queue a job for the file that lies in a folder of `new_folder`, on the edition given."""
        index = await self._index(data)
        job = Job(
            folder.name, order, folder, data.edition.info.id, data.revision, index,
            datetime.now(UTC),
        )  # fmt: skip
        self._jobs[job.id] = job
        job.task = asyncio.create_task(self._work(job))
        return job

    async def begin_once(
        self, order: Order, folder: Path, data: Dataset, once: tuple[tuple[str, str] | None, str]
    ) -> Job:
        """Queue a job as `begin` does; the job of before, if its key and file are given again.

        Parameters
        ----------
        once : key or None, digest
            What the caller calls this request, and the digest of the file.
        """
        key, digest = once
        if key is None:
            return await self.begin(order, folder, data)
        known = self._once.setdefault(key, (digest, folder.name))
        if known[1] == folder.name:
            try:
                return await self.begin(order, folder, data)
            except BaseException:
                del self._once[key]
                raise
        job = self._jobs.get(known[1])
        if job is None:
            raise Problem(
                409, "idempotency_in_progress",
                "A request with this Idempotency-Key is being taken; ask again in a second.",
                "使用此 Idempotency-Key 的请求正在处理，请稍后再试。", headers={"Retry-After": "1"},
            )  # fmt: skip
        if known[0] != digest or job.order != order:
            raise Problem(
                422, "idempotency_key_reused",
                "This Idempotency-Key was given with another file or other parameters.",
                "此 Idempotency-Key 已用于另一个文件或另一组参数。", field="Idempotency-Key",
            )  # fmt: skip
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return job

    async def remove(self, job: Job) -> None:
        """End a job, wherever it is, and remove its files."""
        self._jobs.pop(job.id, None)
        self._once = {key: known for key, known in self._once.items() if known[1] != job.id}
        if job.task is not None and job.task is not asyncio.current_task():
            job.task.cancel()
            with suppress(asyncio.CancelledError):
                await job.task
        await asyncio.to_thread(shutil.rmtree, job.folder, ignore_errors=True)

    async def _index(self, data: Dataset) -> Path:
        """Return the look-up index of an edition as a file, which worker processes map."""
        path = self.folder / f"{data.revision}.locator"
        async with self._saving:
            if not path.exists():
                await asyncio.to_thread(data.locator.save, path)
                needed = {job.index for job in self._jobs.values() if job.finished is None}
                for other in set(self.folder.glob("*.locator")) - needed - {path}:
                    other.unlink()
        return path

    async def _work(self, job: Job) -> None:
        """Wait for a place, locate, and remove everything after a while."""
        async with self._places:
            job.state = State.RUNNING
            try:
                async with asyncio.timeout(self.limits.seconds):
                    await self._locate(job)
            except TimeoutError:
                job.problem = _too_large("seconds", f"{self.limits.seconds:g}")
            except (OSError, ValueError) as error:  # no process to be had, or no JSON from it
                logger.error("job %s failed: %s", job.id, type(error).__name__)
                job.problem = _BUG
        job.state = State.FAILED if job.problem else State.DONE
        job.progress = job.progress if job.problem else 1.0
        job.source.unlink(missing_ok=True)
        job.finished = datetime.now(UTC)
        job.expires = job.finished + timedelta(seconds=self.limits.keep_seconds)
        await asyncio.sleep(self.limits.keep_seconds)
        await self.remove(job)

    async def _locate(self, job: Job) -> None:
        order, limits = job.order, self.limits
        line = {
            "index": str(job.index), "source": order.name, "target": f"../out/{order.name}",
            "rejects": "../rejects.csv", "datum": order.datum, "lon": order.lon, "lat": order.lat,
            "work_seconds": self._work_of(job), "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.result_bytes,
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "geogrid.api.worker",
            cwd=job.source.parent, env=_environment(), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(line).encode() + b"\n")
            async for told in process.stdout:
                self._take(job, json.loads(told))
            await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if not job.summary and job.problem is None:  # it was ended by the system
            logger.error("job %s: worker ended with %s", job.id, process.returncode)
            if process.returncode == -signal.SIGXCPU:
                job.problem = _too_large("work_seconds", f"{self._work_of(job):g}")
            else:
                job.problem = _too_large("memory_bytes", f"{limits.memory_bytes:,}")

    def _work_of(self, job: Job) -> float:
        """Return the seconds of work that a file may take: in proportion to what was sent."""
        limits, size = self.limits, job.source.stat().st_size
        fair = max(limits.work_seconds, limits.work_seconds_of_mb * size / 1e6)
        return min(fair, limits.seconds)

    def _take(self, job: Job, told: dict[str, Any]) -> None:
        """Note what the worker told."""
        job.progress = told.get("progress", job.progress)
        job.summary = told.get("summary", job.summary)
        kind, message = told.get("error"), str(told.get("message", ""))
        if kind == "bug":
            logger.error("job %s failed: %s", job.id, message)
            job.problem = _BUG
        elif kind == "MemoryError":
            job.problem = _too_large("memory_bytes", f"{self.limits.memory_bytes:,}")
        elif kind is not None:
            error = getattr(errors, str(kind), GeogridError)(message, str(told.get("zh", "")))
            job.problem = problem_of_file(error, Path("../out"))


def safe_name(name: str, suffix: str) -> str:
    """Return a file name made of a caller's: one part, of letters, digits and a few signs.

    >>> safe_name("../../etc/事件 2026.CSV", ".csv"), safe_name("", ".xlsx")
    ('事件_2026.csv', 'table.xlsx')
    """
    stem = re.split(r"[/\\]", name)[-1]
    stem = re.sub(r"\.[A-Za-z]{1,10}$", "", stem)
    stem = re.sub(r"[^\w()-]+", "_", stem).strip("_")[:40]
    return (stem or "table") + suffix


_BUG = Problem(500, "internal", "The service failed; see its log.", "服务内部错误，请查看日志。")


def _too_large(limit: str, most: str) -> Problem:
    return Problem(
        422, "job_too_large",
        f"The file takes more than is allowed to a job ({limit}: {most}). Send it in parts, or as "
        "CSV, which is read in pieces.",
        f"处理该文件超出作业限额（{limit}：{most}）。请分成几个文件，或改用 CSV。",
    )  # fmt: skip


def _environment() -> dict[str, str]:
    """Return our environment without our settings: a worker needs no keys."""
    return {name: text for name, text in os.environ.items() if not name.startswith("GEOGRID_")}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _abandoned() -> Iterator[Path]:
    """Yield our folders of which nobody holds the lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield folder
        except OSError:  # in use, somebody else's, or just being made
            continue
