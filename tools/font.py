"""Make the font of static maps: a subset of Noto Sans SC with the characters of Chinese offices.

    npm pack @expo-google-fonts/noto-sans-sc@0.4.3
    tar xzf expo-google-fonts-noto-sans-sc-0.4.3.tgz
    python tools/font.py package/400Regular/NotoSansSC_400Regular.ttf package/LICENSE_FONT

Kept are the 6,763 characters of GB 2312, its symbols, Latin letters, and every further character in
the names of the sample city. The same font file gives the same bytes.
"""

import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "geogrid" / "maps" / "assets" / "vendor" / "noto-sans-sc"
NAMES = ROOT / "geogrid" / "sample" / "zhoukou_divisions.csv"

LATIN = [*range(0x20, 0x7F), *range(0xA0, 0x180)]
MARKS = "‐‑–—‘’“”†•…‰′″€→←↑↓≈≠≤≥×÷²³·°±▲△■□○●"
PLACES = "堌溵郃洺垱漯濮淇浉颍涡沘泌滍汜郾鄢郏禹睢柘虞氾浚汲滑鲖埠垌塬墕峁崾崄圪垯堨堽塅埭㘵㙍䢺"
"""Characters of place names, many of them not in GB 2312."""


def main(source: Path, licence: Path) -> None:
    """Write the subset and the licence."""
    TARGET.mkdir(exist_ok=True)
    font = TTFont(source, recalcTimestamp=False)
    options = subset.Options(
        hinting=False, layout_features=[], notdef_outline=True, glyph_names=False,
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14], name_languages=[0x409],
        drop_tables=["DSIG", "STAT"],
    )  # fmt: skip
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=wanted())
    chosen.subset(font)
    path = TARGET / "NotoSansSC-subset.ttf"
    font.save(path)
    (TARGET / "OFL.txt").write_bytes(licence.read_bytes())
    print(f"{path}: {len(font.getBestCmap()):,} characters, {path.stat().st_size / 1e6:.2f} MB")


def wanted() -> set[int]:
    """Return the code points to keep, as far as the font has them."""
    names = NAMES.read_text("utf-8-sig")
    return {*LATIN, *map(ord, gb2312()), *map(ord, names + MARKS + PLACES)}


def gb2312() -> str:
    """Return the characters of GB 2312: symbols (rows 1-9) and characters (rows 16-87)."""
    rows = [*range(0xA1, 0xAA), *range(0xB0, 0xF8)]
    return b"".join(bytes([row, cell]) for row in rows for cell in range(0xA1, 0xFF)).decode(
        "gb2312", errors="ignore"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
