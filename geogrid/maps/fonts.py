"""The font of static maps: a subset of Noto Sans SC that is in the package.

What a computer has installed decides nothing: Chinese shows on a server without any font, and the
same map has the same bytes everywhere.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

from geogrid.errors import DataError

OWN = Path(str(files("geogrid.maps") / "assets/vendor/noto-sans-sc/NotoSansSC-subset.ttf"))
"""Characters of GB 2312, Latin letters, signs, and the names of the sample city."""

STAND_IN = "〓"
"""What typesetters put where a character is missing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Font:
    """A font file, and what it cannot show."""

    path: Path = OWN

    def __post_init__(self) -> None:
        """Refuse a file that is not a font."""
        try:
            _characters(self.path)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{self.path} cannot be read as a font ({error}). Give a .ttf, .otf or .ttc file."
            ) from error

    def at(self, points: float) -> FontProperties:
        """Return the font at a size."""
        return FontProperties(fname=str(self.path), size=points)

    def missing(self, texts: Iterable[str]) -> str:
        """Return the characters of `texts` that the font cannot show, in order.

        >>> Font().missing(["周口市", "川汇区"])
        ''
        """
        known = _characters(self.path)
        return "".join(sorted({c for text in texts for c in text if ord(c) not in known} - {"\n"}))

    def shown(self, text: str) -> str:
        """Return `text` with `STAND_IN` for every character that the font cannot show.

        A font without the stand-in gets a question mark.
        """
        known = _characters(self.path)
        mark = STAND_IN if ord(STAND_IN) in known else "?"
        return "".join(c if ord(c) in known or c == "\n" else mark for c in text)

    def advance(self, character: str) -> float:
        """Return the width of a character as a share of the size of the letters."""
        return _advance(self.path, character)

    def warn_of(self, texts: Iterable[str]) -> str:
        """Log the characters that are missing and where they stand; return them."""
        kept = list(texts)
        lost = self.missing(kept)
        if lost:
            where = [text for text in kept if set(text) & set(lost)]
            listed = " ".join(f"{c} (U+{ord(c):04X})" for c in lost)
            _log.warning(
                "字体缺少下列字符,图中以 %s 代替 / the font lacks these characters, %s stands for "
                "them: %s. 出现于 / they are in: %s%s. 可用 Sheet(font=...) 指定其他字体文件 / "
                "name another font file with Sheet(font=...).",
                STAND_IN, STAND_IN, listed, ", ".join(where[:5]), " …" if len(where) > 5 else "",
            )  # fmt: skip
        return lost


@cache
def _face(path: Path) -> FT2Font:
    face = FT2Font(str(path))
    face.set_size(100, 72)
    return face


@cache
def _advance(path: Path, character: str) -> float:
    return float(_face(path).load_char(ord(character)).linearHoriAdvance) / 65536 / 100


@cache
def _characters(path: Path) -> frozenset[int]:
    return frozenset(FT2Font(str(path)).get_charmap())
