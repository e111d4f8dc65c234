"""What a caller has already, and what it can unpack (RFC 9110)."""

import re

from starlette.datastructures import Headers

_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))")


def is_known(asked: Headers, etag: str) -> bool:
    """Tell whether a caller has the answer of this tag.

    Compared weakly (13.1.2): a proxy that compresses anew puts W/ before the tag.
    """
    known = asked.get("if-none-match", "")
    tags = [each.strip().removeprefix("W/") for each in known.split(",")]
    return tags == ["*"] or etag in tags


def accepts_gzip(asked: Headers) -> bool:
    """Tell whether an answer may come as gzip.

    >>> accepts_gzip(Headers({"accept-encoding": "br, gzip;q=0.5"}))
    True
    >>> accepts_gzip(Headers({"accept-encoding": "br, gzip;q=0"}))
    False
    """
    return _GZIP.search(asked.get("accept-encoding", "")) is not None
