"""Strip notebooks of output, counters and cell metadata: `python tools/notebooks.py`."""

import json
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"


def main() -> None:
    """Rewrite every notebook that holds anything but its source."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        before = path.read_text("utf-8")
        after = stripped(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"stripped {path.name}")


def stripped(text: str) -> str:
    """Return a notebook without what running it has left."""
    notebook = json.loads(text)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"] = {}
        cell["id"] = f"cell-{number:02d}"
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"] = {
        key: notebook["metadata"][key]
        for key in ("kernelspec", "language_info")
        if key in notebook["metadata"]
    }
    notebook["metadata"]["language_info"] = {"name": "python"}
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
