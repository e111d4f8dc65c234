"""Where a setting comes from, and what is said of one that cannot be right."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from geogrid.api import settings as setup
from geogrid.api.app import create_app
from geogrid.api.deps import Data, Dataset
from geogrid.api.guard import Guard
from geogrid.api.settings import Settings
from geogrid.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_arguments_win_over_the_environment_and_that_over_the_file(folder, monkeypatch):
    (folder / "geogrid.toml").write_text(
        '[check]\ndatum = "wgs84"\n[serve]\nedition = "file.gpkg"\nport = 1\nhost = "::1"\n'
        "[serve.limits]\npage = 7\npositions = 8\n"
    )
    monkeypatch.setenv("GEOGRID_PORT", "2")
    monkeypatch.setenv("GEOGRID_IMAGERY", "environment.tif")
    monkeypatch.setenv("GEOGRID_LIMITS__PAGE", "9")
    found = setup.read({"imagery": "argument.tif", "host": None})
    assert (str(found.edition), str(found.imagery)) == ("file.gpkg", "argument.tif")
    assert (found.port, found.host) == (2, "::1")
    assert (found.limits.page, found.limits.positions) == (9, 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[serve]\nport = 70000\n", "port: .* 65535"),
        ("[serve]\nprot = 1\n", "prot: extra"),
        ("[serve.limits]\npage = 0\n", r"limits\.page"),
        ("serve = 3\n", "not a table"),
        ("[serve\n", "cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(folder, text, said):
    (folder / "geogrid.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        setup.read({"edition": "city.gpkg"})


def test_without_an_edition_the_message_says_where_to_name_one():
    with pytest.raises(UsageError, match=r"edition: field required.*GEOGRID_.*\[serve\]"):
        setup.read({})


def test_a_wrong_setting_is_named_without_its_value(monkeypatch):
    monkeypatch.setenv("GEOGRID_BASEMAP__TOKEN", "secret-token")
    monkeypatch.setenv("GEOGRID_PORT", "secret-port")
    with pytest.raises(UsageError) as caught:
        setup.read({"edition": "city.gpkg"})
    assert "secret" not in str(caught.value)
    monkeypatch.delenv("GEOGRID_PORT")
    assert "secret" not in repr(setup.read({"edition": "city.gpkg"}))


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.1.2.3", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("grid.example", False)],
)  # fmt: skip
def test_only_loopback_addresses_are_local(host, local):
    assert Settings(edition="city.gpkg", host=host).is_local is local


def test_a_request_keeps_the_dataset_of_its_beginning(toy_edition):
    """The route replaces what is served while it works."""
    first, second = Dataset(toy_edition), Dataset(toy_edition)
    app = create_app(Settings(edition="none.gpkg"), dataset=first)
    (guard,) = (each for each in app.user_middleware if each.cls is Guard)
    served = guard.kwargs["keepers"].served

    @app.get("/probe")
    def probe(before: Data) -> bool:
        served.dataset = second
        return before is first

    with TestClient(app) as client:
        assert client.get("/probe").json() is True
        assert client.get("/probe").json() is False
