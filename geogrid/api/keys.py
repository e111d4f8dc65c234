"""Keys: who may ask, and for what. Only their hashes are kept.

A key is 32 random bytes, so that one SHA-256 protects it: there is no dictionary to try. It comes
in the header `X-API-Key` and nowhere else; an address stands in logs and histories.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geogrid.errors import UsageError

SCOPES = ("read", "bulk", "edit")
"""What a key may do: look at units, tiles and single positions; locate batches and files; change
what is served. None includes another."""

_LINE = re.compile(r"([A-Za-z0-9._-]{1,40}) ([a-z]+(?:,[a-z]+)*) sha256:([0-9a-f]{64})")
_FORM = "NAME SCOPE[,SCOPE] sha256:64 hexadecimal digits"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name, which stands in logs, what it may do, and its hash."""

    name: str
    scopes: frozenset[str]
    digest: bytes

    def line(self) -> str:
        """Return the key as a line of the settings."""
        ordered = ",".join(scope for scope in SCOPES if scope in self.scopes)
        return f"{self.name} {ordered} sha256:{self.digest.hex()}"


class Keyring:
    """The keys that are accepted; empty if anybody may ask."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        """Take the keys; two of one name are one person's old and new."""
        self._keys = tuple(keys)

    def replace(self, keys: Iterable[Key]) -> None:
        """Accept these keys from now on, and no others."""
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        """Return whether a key is needed at all."""
        return bool(self._keys)

    def find(self, secret: bytes) -> Key | None:
        """Return the key of this secret; every key is compared, in the same time."""
        digest, found = hashlib.sha256(secret).digest(), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def make(name: str, scopes: Iterable[str]) -> tuple[str, Key]:
    """Return a new secret, to be told once, and its key, to be kept.

    Raises
    ------
    UsageError
        The name or a scope cannot be used.
    """
    secret = "gg_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return secret, parse(f"{name} {','.join(scopes)} sha256:{digest}")


def parse(line: str) -> Key:
    """Return the key of a line of the settings.

    Raises
    ------
    UsageError
        The line has another form. The message does not repeat it: it may hold a secret.
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise UsageError(
            f"a key is written as {_FORM}, with a name of letters, digits, dot, dash or "
            "underscore; make one with `geogrid key NAME`."
        )
    name, scopes, digest = match.groups()
    unknown = sorted(set(scopes.split(",")) - set(SCOPES))
    if unknown:
        raise UsageError(
            f"key {name}: no scope {', '.join(unknown)}; there are {', '.join(SCOPES)}"
        )
    return Key(name, frozenset(scopes.split(",")), bytes.fromhex(digest))


def read(lines: Iterable[str], path: Path | None) -> list[Key]:
    """Return the keys of the settings and of a file with one a line; `#` begins a remark.

    Raises
    ------
    UsageError
        A line cannot be understood, or the file cannot be read.
    """
    kept: list[str] = []
    if path is not None:
        try:
            kept = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the keys in {path}: {error}") from error
    stripped = (line.partition("#")[0].strip() for line in (*lines, *kept))
    return [parse(line) for line in stripped if line]
