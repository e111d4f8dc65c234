"""The process that locates the file of one job: `python -m geogrid.api.worker`.

A file that somebody sent is read here and not in the service: what it makes this process use is
bounded by the system, and when it is too much this process ends, not the service. It reads one
line, the order, and writes lines: how far it is, and in the end a summary or an error. When the
service ends, however it ends, the other end of the standard input is closed, and this process ends.
"""

import json
import math
import os
import resource
import sys
import threading
import traceback
from dataclasses import asdict

from geogrid.errors import GeogridError
from geogrid.locate import Locator, locate_file

_FILES = 256
"""Files open at once."""

_STEP = 0.01
"""Share of the work after which it is told how far it is."""

_NICE = 10
"""Steps behind the service, whose single look-ups must not wait for a file."""


def main() -> None:
    """Do what the first line of the standard input orders, in the current folder."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    os.nice(_NICE)
    _limit(order["work_seconds"], order["memory_bytes"], order["file_bytes"])
    try:
        summary = locate_file(
            Locator.open(order["index"]), order["source"], order["target"],
            datum=order["datum"], lon=order["lon"], lat=order["lat"], rejects=order["rejects"],
            progress=_Teller(),
        )  # fmt: skip
    except GeogridError as error:
        _tell({"error": type(error).__name__, "message": str(error), "zh": error.zh})
    except MemoryError:
        _tell({"error": "MemoryError", "message": ""})
    except Exception as error:  # noqa: BLE001  # told to the log of the service, without its text
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        places = " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(frames))
        _tell({"error": "bug", "message": f"{type(error).__name__} at {places}"})
    else:
        _tell({"summary": asdict(summary)})


class _Teller:
    """Tells how far the work is, a hundred times at most."""

    def __init__(self) -> None:
        self._told = 0.0

    def __call__(self, done: float, total: float) -> None:
        share = done / total if total else 1.0
        if share >= self._told + _STEP:
            self._told = share
            _tell({"progress": min(share, 1.0)})


def _tell(what: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _limit(work: float, memory: int, file: int) -> None:
    """Bound what this process may use; `work` is seconds of all its threads together."""
    for what, most in (
        (resource.RLIMIT_CPU, math.ceil(work)),
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, file),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # At the lower limit of work it ends of a signal of its own, which tells why.
        resource.setrlimit(what, (least, hard if what == resource.RLIMIT_CPU else least))


def _end_with_the_service() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
