"""What a person at a terminal sees: language, progress, errors, memory."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil
import typer

from geogrid.errors import ConflictError, GeogridError, UsageError

EXIT_FINDINGS, EXIT_USAGE, EXIT_DATA, EXIT_CONFLICT = 1, 2, 3, 4
_INTERRUPTED = 130
_POLL_SECONDS = 0.5
_REPORT_SECONDS = 10.0

_STAGES_ZH = {
    "boundaries": "整理行政边界",
    "atoms": "从影像生成地块",
    "zones": "划分网格和微网格",
    "edition": "合并、编码、校验",
    "report": "评价划分结果",
    "writing": "写出",
    "locating": "落格",
    "landscape": "生成虚构的景观",
    "boundaries and buildings": "生成边界与建筑",
    "imagery": "绘制影像",
    "tiles": "下载瓦片",
    "vector tiles": "生成矢量瓦片",
    "overviews": "生成影像金字塔",
}


def default_language() -> str:
    """Return `zh` where the environment speaks Chinese, else `en`."""
    name = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    return "zh" if name.startswith("zh") else "en"


@dataclass
class Console:
    """Speaks to stderr; stdout is for results only."""

    lang: str = field(default_factory=default_language)
    quiet: bool = False

    def text(self, zh: str, en: str) -> str:
        """Return the sentence in the console's language."""
        return zh if self.lang == "zh" else en

    def say(self, zh: str, en: str) -> None:
        """Print a line to stderr unless quiet."""
        if not self.quiet:
            print(self.text(zh, en), file=sys.stderr, flush=True)

    @contextmanager
    def progress(self) -> Iterator["Ticker"]:
        """Yield a callable (stage, done, total) that shows progress on stderr."""
        ticker = Ticker(self)
        try:
            yield ticker
        finally:
            ticker.end()


class Ticker:
    """Shows how far each stage is and how long it will take: a bar on a terminal, else lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage = ""
        self._started = self._told = time.monotonic()
        self._live = sys.stderr.isatty() and not console.quiet

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Report that `done` of `total` pieces of `stage` are finished."""
        now = time.monotonic()
        if stage != self._stage:
            self.end()
            self._stage, self._started, self._told = stage, now, now
            if not self._live:
                self._line(f"{self._name()} …")
        share = done / max(total, 1e-9)
        if self._live:
            bar = "━" * round(30 * share) + "─" * (30 - round(30 * share))
            line = f"\r{self._name():<24} {bar} {share:>4.0%}  {self._times(now, share)}\033[K"
            print(line, end="", file=sys.stderr, flush=True)
        elif now - self._told > _REPORT_SECONDS:
            self._told = now
            self._line(f"  {share:.0%}  {self._times(now, share)}")

    def end(self) -> None:
        """Close the line of the present stage."""
        if self._stage and self._live:
            print(file=sys.stderr)
        self._stage = ""

    def _name(self) -> str:
        return self._console.text(_STAGES_ZH.get(self._stage, self._stage), self._stage)

    def _line(self, text: str) -> None:
        if not self._console.quiet:
            print(text, file=sys.stderr, flush=True)

    def _times(self, now: float, share: float) -> str:
        spent = now - self._started
        if share <= 0.02:
            return self._console.text(f"已用 {spent:.0f} 秒", f"{spent:.0f} s")
        left = spent * (1 - share) / share
        return self._console.text(
            f"已用 {spent:.0f} 秒,约剩 {left:.0f} 秒", f"{spent:.0f} s, about {left:.0f} s left"
        )


@contextmanager
def errors_as_exit_codes(console: Console) -> Iterator[None]:
    """Turn an expected error into one clear message and the documented exit code."""
    try:
        yield
    except GeogridError as error:
        said = console.text(error.zh or str(error), str(error))
        print(f"{console.text('错误', 'error')}: {said}", file=sys.stderr)
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        console.say("\n已中断;输出文件保持原样。", "\nInterrupted; output files are as they were.")
        raise typer.Exit(_INTERRUPTED) from error


def exit_code(error: GeogridError) -> int:
    """Return the documented exit code of an error."""
    if isinstance(error, UsageError):
        return EXIT_USAGE
    return EXIT_CONFLICT if isinstance(error, ConflictError) else EXIT_DATA


class Meter:
    """Time and peak memory of a stage: resident bytes of this process and all its children."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_bytes = 0
        self._stop = threading.Event()

    def __enter__(self) -> "Meter":
        """Start to measure."""
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to measure."""
        self._stop.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._started

    def _poll(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_bytes = max(self.peak_bytes, total)
            if self._stop.wait(_POLL_SECONDS):
                return
