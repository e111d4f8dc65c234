"""Errors that geogrid raises on purpose.

Every message says what was given, where, why it cannot be used, and what to do next::

    GeogridError
    ├── UsageError            (ValueError)   an argument or option that cannot be right
    ├── DataError             (ValueError)   a file or table that cannot be used as it is
    │   ├── BoundaryError                    administrative boundaries
    │   ├── ImageryError                     imagery
    │   └── CoordinateError                  coordinates, datums, reference systems
    ├── QuotaError            (ValueError)   counts that cannot be reached
    ├── UnknownCodeError      (LookupError)  a code that the edition does not hold
    └── ConflictError                        the target changed, or is in use
"""


class GeogridError(Exception):
    """Base of all errors that geogrid raises on purpose; `zh` is the message in Chinese, if any."""

    def __init__(self, message: str = "", zh: str = "") -> None:
        """Take the message in English, and in Chinese where those who read it may be anyone."""
        super().__init__(message)
        self.zh = zh


class UsageError(GeogridError, ValueError):
    """An argument or option cannot be right."""


class DataError(GeogridError, ValueError):
    """A file or table cannot be used as it is."""


class BoundaryError(DataError):
    """Administrative boundaries cannot be used as they are."""


class ImageryError(DataError):
    """Imagery cannot be used as it is."""


class CoordinateError(DataError):
    """Coordinates, a datum or a reference system cannot be used as given."""


class QuotaError(GeogridError, ValueError):
    """The counts asked for cannot be reached."""


class UnknownCodeError(GeogridError, LookupError):
    """The edition holds no unit of this code."""


class ConflictError(GeogridError):
    """The target changed meanwhile, or somebody else uses it."""
