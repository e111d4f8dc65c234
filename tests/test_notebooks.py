"""Notebooks are kept without output, tell their story in two languages, and run."""

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = ["01_divide_a_city", "02_check_and_repair", "03_locate_and_warn", "04_balance_and_planning"]


def read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def test_there_are_four() -> None:
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_output(path: Path) -> None:
    for cell in read(path)["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "strip it with `make notebooks`"
            assert cell["execution_count"] is None, "strip it with `make notebooks`"
        assert not cell["metadata"], "strip it with `make notebooks`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_text_is_in_chinese_and_english(path: Path) -> None:
    for cell in read(path)["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            assert any("\u4e00" <= character <= "\u9fff" for character in text), text
            assert sum(character.isascii() and character.isalpha() for character in text) > 10, text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh checkout's notebooks: no sample lies beside them yet."""
    copy = tmp_path_factory.mktemp("checkout") / "notebooks"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns(".sample", ".ipynb_checkpoints"))
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_and_ends_with_a_map_and_a_finding(folder: Path, name: str) -> None:
    notebook = nbformat.read(folder / f"{name}.ipynb", as_version=4)
    options = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, resources=options).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert "image/png" in kinds
    tables = [output["data"]["text/html"] for output in outputs if "text/html" in str(output)]
    assert tables[-1].count("<tr") > 3
    assert not [output for output in outputs if output.get("name") == "stderr"]
