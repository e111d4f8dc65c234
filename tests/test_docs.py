"""Documents keep their word: links, commands, options and endpoints exist, in both languages."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from geogrid.api.app import create_app
from geogrid.api.settings import Settings
from geogrid.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md"])
USERS = ("for-gis-staff", "for-developers", "for-planners")
COMMANDS = typer.main.get_command(app).commands
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def blocks(page: Path) -> list[tuple[str, str]]:
    """Return language and content of the fenced blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.S | re.M)


def commands(page: Path) -> list[list[str]]:
    """Return the words of each command of a page; a backslash goes on in the next line."""
    shown = [
        text
        for language, text in blocks(page)
        if language in ("", "sh", "bash", "shell", "console")
    ]
    lines = "\n".join(shown).replace("\\\n", " ").splitlines()
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.strip()]


def anchors(page: Path) -> set[str]:
    """Return the names by which GitHub links to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_and_pictures_are_there(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.S | re.M)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(ROOT), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: no heading for {link}"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    for words in commands(page):
        if words[0] != "geogrid":
            continue
        command = COMMANDS.get(words[1])
        assert command is not None, f"{page.name}: {' '.join(words)}"
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        used = [word.partition("=")[0] for word in words[2:] if re.match(r"--?[a-z]", word)]
        assert set(used) <= {*known, "--help"}, f"{page.name}: {' '.join(words)}"


def test_a_command_that_does_not_exist_is_seen() -> None:
    assert "map" in COMMANDS
    assert "tile" not in COMMANDS
    assert "--part" in {name for each in COMMANDS["map"].params for name in each.opts}
    assert "--parts" not in {name for each in COMMANDS["map"].params for name in each.opts}


def test_every_command_is_in_the_help_and_its_help_in_both_languages() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    for name, command in COMMANDS.items():
        assert name in shown
        assert re.search("[\u4e00-\u9fff]", command.help or ""), name


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_of_the_pages_can_be_read(page: Path) -> None:
    for language, text in blocks(page):
        if language == "python":
            ast.parse(text)


@pytest.mark.parametrize("page", [ROOT / "docs" / f"{user}.md" for user in USERS], ids=USERS)
def test_pages_of_the_users_say_the_same_in_both_languages(page: Path) -> None:
    other = page.with_suffix(".zh.md")
    assert commands(page) == commands(other)
    for pattern in (r"\(figures/[^)]+\)", r"^#+ \d\.", r"^\|", r"`/[^`]*`"):
        first, second = (re.findall(pattern, p.read_text("utf-8"), re.M) for p in (page, other))
        assert first == second, pattern


def test_both_readmes_have_the_same_commands_and_code() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh.md"
    assert commands(english) == commands(chinese)
    assert len(commands(english)) > 8
    first, second = (
        [ast.dump(ast.parse(text)) for language, text in blocks(page) if language == "python"]
        for page in (english, chinese)
    )
    assert first == second
    options = [
        re.findall(r"^\| (`[^|]*`) \|", p.read_text("utf-8"), re.M) for p in (english, chinese)
    ]
    assert [re.findall(r"`[^`]+`", row) for row in options[0]] == [
        re.findall(r"`[^`]+`", row) for row in options[1]
    ]


def test_every_user_has_a_page_in_both_readmes() -> None:
    for name, ending in (("README.md", ".md"), ("README.zh.md", ".zh.md")):
        text = (ROOT / name).read_text("utf-8")
        assert all(f"docs/{user}{ending}" in text for user in USERS)


def test_endpoints_of_the_developers_page_exist() -> None:
    page = (ROOT / "docs" / "for-developers.md").read_text("utf-8")
    paths = create_app(Settings(edition=Path("none.gpkg"))).openapi()["paths"]
    shown = {each.partition("?")[0] for each in re.findall(r"`(/[a-z0-9.{}/_]+)[?`]", page)}
    shown |= {
        each.partition("?")[0].replace("JOB", "{job_id}")
        for each in re.findall(r"127\.0\.0\.1:8000(/[\w/]+)", page)
    }
    plain = {"/", "/docs", "/openapi.json"}
    assert len(shown) > 12
    assert shown - plain <= set(paths)


@pytest.mark.parametrize("name", ["api.md", "api.zh.md"])
def test_every_endpoint_is_named_in_the_pages_of_the_interface(name: str) -> None:
    page = (ROOT / "docs" / name).read_text("utf-8")
    paths = create_app(Settings(edition=Path("none.gpkg"))).openapi()["paths"]
    named = {each.partition("?")[0] for each in re.findall(r"[`\s](/[^`\s]+)`", page)}
    assert set(paths) - named == set()
    described = {each for each in named if each.startswith("/v1/") and each[-1] != "/"}
    assert described - set(paths) == set()


def test_every_operation_is_named_in_chinese_and_english() -> None:
    document = create_app(Settings(edition=Path("none.gpkg"))).openapi()
    operations = [each for path in document["paths"].values() for each in path.values()]
    for operation in operations:
        assert re.fullmatch(r".*[\u4e00-\u9fff].* · [A-Z].*", operation["summary"])
        chinese, english = operation["description"].split("\n\n")[:2]
        assert re.search("[\u4e00-\u9fff].*。$", chinese)
        assert english.isascii() or "…" in english
        for parameter in operation.get("parameters", ()):
            text = parameter.get("description", "")
            assert not text or re.search("[\u4e00-\u9fff].*。", text) or "10,000" in text, text
    assert {tag for each in operations for tag in each["tags"]} == {
        tag["name"] for tag in document["tags"]
    }
