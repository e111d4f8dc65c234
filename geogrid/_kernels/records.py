"""Records of a text table, as bytes: where they end, what numbers they hold, what is put behind.

The bytes are those of UTF-8 or GB 18030: in both, commas, semicolons, tabs, quotes and line ends
are never part of another character. The rules are those of RFC 4180 as Python's `csv` reads them
in strict mode: a field that begins with a quote ends with one, a quote inside is doubled; a record
ends with LF, CR LF or CR outside quotes.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

FINE, TEXT_BEHIND_QUOTE, WRONG_NUMBER_OF_FIELDS, NUL = range(4)
"""What is wrong with a record."""

_LF, _CR, _QUOTE = 10, 13, 34
_PLUS, _MINUS, _POINT, _ZERO, _NINE, _E, _SMALL_E = 43, 45, 46, 48, 57, 69, 101
_BLANKS = (9, 11, 12, 32)

_MOST_DIGITS = 19
"""Digits that fit into 64 bits."""

_MOST_WHOLE = np.uint64(2**53)
"""Whole numbers below are floats without rounding."""

_MOST_TENS = 22
"""The highest power of ten that is a float without rounding."""

_POWERS = np.array([float(f"1e{k}") for k in range(_MOST_TENS + 1)])


@njit(cache=True, nogil=True)
def scan(
    data: NDArray[np.uint8],
    last: bool,
    delimiter: int,
    n_fields: int,
    columns: tuple[int, int],
    bounds: NDArray[np.int64],
) -> tuple[int, int, int, int, int]:
    """Find the records of a piece of a table.

    Parameters
    ----------
    data : uint8
        Begins with a record.
    last : bool
        Nothing follows; otherwise a record that may go on is left for the next piece.
    delimiter, n_fields : int
        Byte between fields; their number in a record that is not empty.
    columns : longitude and latitude
        Fields whose places are wanted.
    bounds : (m, 6) int64
        Filled: start of a record, end of its text, and start and end of both fields. The next
        record starts at the next start. An empty record has its end at its start.

    Returns
    -------
    n, used : int
        Records found, and bytes they take with their line ends.
    lines : int
        Lines in these bytes.
    fault, fields : int
        What is wrong with the record behind them, and how many fields it has.
    """
    n, used, lines, i = 0, 0, 0, 0
    while n < len(bounds) and i < len(data):
        bounds[n, 0] = i
        field, inner, ended = 0, 0, False
        for k in range(2, 6):
            bounds[n, k] = i
        while True:  # a field
            start, quoted = i, False
            if i < len(data) and data[i] == _QUOTE:
                quoted = True
                i += 1
                while i < len(data):
                    byte = data[i]
                    if byte == _QUOTE:
                        if i + 1 < len(data) and data[i + 1] == _QUOTE:
                            i += 1
                        else:
                            quoted = False
                            i += 1
                            break
                    elif byte == _LF or (
                        byte == _CR and (i + 1 == len(data) or data[i + 1] != _LF)
                    ):
                        inner += 1
                    elif byte == 0:
                        return n, used, lines, NUL, 0
                    i += 1
                if quoted:  # not closed in this piece
                    return n, used, lines, TEXT_BEHIND_QUOTE if last else FINE, 0
                if i < len(data) and data[i] != delimiter and data[i] != _LF and data[i] != _CR:
                    return n, used, lines, TEXT_BEHIND_QUOTE, 0
            else:
                while i < len(data) and data[i] != delimiter and data[i] != _LF and data[i] != _CR:
                    if data[i] == 0:
                        return n, used, lines, NUL, 0
                    i += 1
            if field == columns[0]:
                bounds[n, 2], bounds[n, 3] = start, i
            if field == columns[1]:
                bounds[n, 4], bounds[n, 5] = start, i
            field += 1
            if i < len(data) and data[i] == delimiter:
                i += 1
                continue
            break
        bounds[n, 1] = i
        if i < len(data):
            if data[i] == _LF:
                ended = True
                i += 1
            elif i + 1 < len(data) or last:
                ended = True
                i += 2 if i + 1 < len(data) and data[i + 1] == _LF else 1
        if not (ended or last):
            return n, used, lines, FINE, 0
        if field != n_fields and bounds[n, 1] > bounds[n, 0]:
            return n, used, lines, WRONG_NUMBER_OF_FIELDS, field
        lines += inner + 1
        n += 1
        used = i
    return n, used, lines, FINE, 0


@njit(cache=True, nogil=True)
def number(data: NDArray[np.uint8], start: int, end: int) -> tuple[float, bool]:
    """Return the decimal number that a field holds, and whether it is certain.

    NaN stands for a blank field, infinity for one that is no number. It is not certain where the
    nearest float could not be told apart from its neighbour, and where bytes are not ASCII.
    """
    if end - start >= 2 and data[start] == _QUOTE:
        start, end = start + 1, end - 1
    while start < end and data[start] in _BLANKS:
        start += 1
    while end > start and data[end - 1] in _BLANKS:
        end -= 1
    if start == end:
        return np.nan, True
    for i in range(start, end):
        if data[i] >= 128 or data[i] < 32:
            return np.inf, False
    i, negative = start, data[start] == _MINUS
    if negative or data[start] == _PLUS:
        i += 1
    whole, digits, tens, seen, exact = np.uint64(0), 0, 0, False, True
    point = False
    while i < end and (_ZERO <= data[i] <= _NINE or (data[i] == _POINT and not point)):
        if data[i] == _POINT:
            point = True
        else:
            seen = True
            if digits < _MOST_DIGITS:
                whole = whole * np.uint64(10) + np.uint64(data[i] - _ZERO)
                digits += whole > 0
                tens -= point
            else:
                exact = exact and data[i] == _ZERO
                tens += not point
        i += 1
    if not seen:
        return np.inf, True
    if i < end:
        power, signed = 0, False
        if data[i] != _E and data[i] != _SMALL_E:
            return np.inf, True
        i += 1
        if i < end and (data[i] == _MINUS or data[i] == _PLUS):
            signed = data[i] == _MINUS
            i += 1
        if i == end:
            return np.inf, True
        while i < end:
            if not _ZERO <= data[i] <= _NINE:
                return np.inf, True
            power = min(power * 10 + np.int64(data[i] - _ZERO), 9999)
            i += 1
        tens += -power if signed else power
    value, certain = _scaled(whole, tens)
    return (-value if negative else value), certain and exact


@njit(cache=True, nogil=True)
def _scaled(whole: int, tens: int) -> tuple[float, bool]:
    """Return the float nearest to `whole * 10**tens`, and whether that is certain."""
    if whole == 0:
        return 0.0, True
    if abs(tens) > _MOST_TENS:
        return np.inf, False
    power = _POWERS[abs(tens)]
    if whole < _MOST_WHOLE:  # both are floats without rounding, so one rounding is the nearest
        return (float(whole) * power if tens >= 0 else float(whole) / power), True
    # Both halves are floats without rounding.
    high, low = float(whole & ~np.uint64(2047)), float(whole & np.uint64(2047))
    if tens >= 0:
        first, rest = _product(high, power)
        rest += low * power
    else:
        first = high / power
        back, more = _product(first, power)
        rest = ((high - back) - more + low) / power
    value = first + rest
    error = (first - value) + rest
    # The sum above is good to 2**-98; it must not lie that close to the middle of two floats.
    half = np.spacing(value) / 2
    return value, abs(abs(error) - half) > half * 1e-9 and abs(abs(error) - half / 2) > half * 1e-9


@njit(cache=True, nogil=True)
def _product(a: float, b: float) -> tuple[float, float]:
    """Return the product and what rounding took from it (Dekker 1971, Veltkamp's split)."""
    p = a * b
    t = 134217729.0 * a
    a1 = t - (t - a)
    a2 = a - a1
    t = 134217729.0 * b
    b1 = t - (t - b)
    b2 = b - b1
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


@njit(cache=True, nogil=True)
def numbers(
    data: NDArray[np.uint8], bounds: NDArray[np.int64], xy: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Fill `xy` (n, 2) with the numbers of the records; return where one is not certain."""
    doubtful = np.empty(len(bounds), np.int64)
    m = 0
    for n in range(len(bounds)):
        lon, sure = number(data, bounds[n, 2], bounds[n, 3])
        lat, also = number(data, bounds[n, 4], bounds[n, 5])
        xy[n, 0], xy[n, 1] = lon, lat
        doubtful[m] = n
        m += not (sure and also)
    return doubtful[:m]


@njit(cache=True, nogil=True)
def numbers_of_texts(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Fill `values` (n,) with the numbers of texts; return where one is not certain.

    Text `k` is `data[offsets[k]:offsets[k + 1]]`.
    """
    doubtful = np.empty(len(values), np.int64)
    m = 0
    for n in range(len(values)):
        values[n], sure = number(data, offsets[n], offsets[n + 1])
        doubtful[m] = n
        m += not sure
    return doubtful[:m]


@njit(cache=True, nogil=True)
def extend(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    used: int,
    rows: NDArray[np.int32],
    status: NDArray[np.int8],
    metres: NDArray[np.float64],
    codes: NDArray[np.uint8],
    grids: NDArray[np.uint8],
    names: NDArray[np.uint8],
    delimiter: int,
    out: NDArray[np.uint8],
) -> int:
    """Write each record with grid, micro-grid, status and distance behind it; return the bytes.

    Parameters
    ----------
    data, bounds, used
        What `scan` was given and gave.
    rows, status, metres : (n,)
        Of each record; row -1 and NaN leave their fields empty.
    codes, grids, names : (k, width) uint8
        Texts by row and by status, filled up with zeros.
    delimiter : int
    out : uint8
        Room enough.
    """
    at = 0
    for n in range(len(bounds)):
        start, end = bounds[n, 0], bounds[n, 1]
        after = bounds[n + 1, 0] if n + 1 < len(bounds) else used
        for i in range(start, end):
            out[at + i - start] = data[i]
        at += end - start
        if end > start:
            out[at] = delimiter
            at = text(out, at + 1, grids, rows[n])
            out[at] = delimiter
            at = text(out, at + 1, codes, rows[n])
            out[at] = delimiter
            at = text(out, at + 1, names, status[n])
            out[at] = delimiter
            at = decimal(out, at + 1, metres[n])
        for i in range(end, after):
            out[at] = data[i]
            at += 1
    return at


@njit(cache=True, nogil=True)
def text(out: NDArray[np.uint8], at: int, texts: NDArray[np.uint8], row: int) -> int:
    """Write the text of a row, filled up with zeros, nothing for row -1; return the next place."""
    if row >= 0:
        for byte in texts[row]:
            if byte == 0:
                break
            out[at] = byte
            at += 1
    return at


@njit(cache=True, nogil=True)
def decimal(out: NDArray[np.uint8], at: int, value: float) -> int:
    """Write a number that is not negative with two decimals; return the next place."""
    if np.isnan(value):
        return at
    hundredths = np.int64(np.rint(value * 100.0))
    width = 3
    while hundredths >= 10**width:
        width += 1
    for k in range(width - 1, -1, -1):
        place = at + k + (k >= width - 2)
        out[place] = _ZERO + hundredths % 10
        hundredths //= 10
    out[at + width - 2] = _POINT
    return at + width + 1
