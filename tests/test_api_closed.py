"""No request and no file makes the service read other files or open connections."""

import json
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

# Every file that is opened and every connection that is made, as the interpreter itself sees it.
AUDITED = """
    import json, sys
    from pathlib import Path
    from fastapi.testclient import TestClient
    from geogrid.api.app import create_app
    from geogrid.api.settings import Settings

    city, requests = sys.argv[1], json.loads(sys.argv[2])
    opened, connected = [], []
    with TestClient(create_app(Settings(edition=city, access_log="", reload_seconds=0)),
                    raise_server_exceptions=False) as client:
        for path in ("/", "/docs", "/v1/units/4116", "/v1/search?q=1", "/tiles.json"):
            client.get(path)  # what is imported or looked up once

        def audit(event, args):
            if event == "open" and not isinstance(args[0], int):
                opened.append(str(args[0]))
            elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
                connected.append(str(args[1:]))

        sys.addaudithook(audit)
        statuses = [client.request(*each).status_code for each in requests]
    print(json.dumps([opened, connected, statuses]))
"""


def test_no_text_of_a_caller_reaches_a_file_or_a_host(toy_file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hits: list[object] = []
        threading.Thread(target=lambda: hits.append(listener.accept()), daemon=True).start()
        there = f"127.0.0.1:{listener.getsockname()[1]}"
        texts = [
            "/etc/passwd", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd",
            "CSV:/etc/passwd", "/vsicurl/http://" + there, f"http://{there}/x", f"//{there}/x",
            "file:///etc/passwd", "%00/etc/passwd", "<VRTDataset><x>/etc/passwd</x></VRTDataset>",
            "1; ATTACH '/etc/passwd' AS x", "epsg:/etc/passwd", "$(cat /etc/passwd)",
        ]  # fmt: skip
        places = [
            "/{}", "/static/{}", "/v1/units/{}", "/v1/search?q={}",
            "/v1/locate?lon=1&lat=1&datum={}", "/basemap/{}/1/1/1",
            "/tiles/{}/1/1.mvt", "/imagery/tiles/1/{}/1", "/imagery/tiles/1/1/1?url={}",
            "/tiles.json?url={}", "/collections/{}/items", "/collections/grid/items?filter={}",
            "/collections/grid/items?crs={}", "/collections/grid/items?bbox={}",
            "/v1/jobs/{}", "/v1/jobs/{}/result", "/v1/convert?lon=1&lat=1&datum={}",
            "/tileMatrixSets/{}",
        ]  # fmt: skip
        requests = [("GET", place.format(text)) for place in places for text in texts]
        command = [
            sys.executable,
            "-c",
            textwrap.dedent(AUDITED),
            str(toy_file),
            json.dumps(requests),
        ]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert not hits
    opened, connected, statuses = json.loads(run.stdout.splitlines()[-1])
    assert max(statuses) < 500
    assert connected == []
    ours = ("/geogrid/api/", "/geogrid-jobs-", "/site-packages/", "/lib/python", "/share/proj")
    assert [path for path in opened if not any(part in path for part in ours)] == []


@pytest.mark.parametrize("content", [
    "<OGRVRTDataSource><OGRVRTLayer name='city'><SrcDataSource>{}</SrcDataSource></OGRVRTLayer>"
    "</OGRVRTDataSource>",
    "<VRTDataset rasterXSize='9' rasterYSize='9'><VRTRasterBand dataType='Byte' band='1' "
    "subClass='VRTRawRasterBand'><SourceFilename>{}</SourceFilename></VRTRasterBand></VRTDataset>",
    "<GDAL_WMS><Service name='TMS'><ServerUrl>http://{}/${{z}}</ServerUrl></Service></GDAL_WMS>",
])  # fmt: skip
def test_a_file_that_names_others_is_refused_unfollowed(toy_file, tmp_path, content):
    """As edition and as imagery, under names that say otherwise."""
    from geogrid.api.deps import load
    from geogrid.api.settings import Settings
    from geogrid.errors import DataError

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        there = f"127.0.0.1:{listener.getsockname()[1]}"
        for name, setting in [("city.gpkg", "edition"), ("image.tif", "imagery")]:
            (tmp_path / name).write_text(content.format(there))
            given = {"edition": toy_file} | {setting: tmp_path / name}
            with pytest.raises(DataError):
                load(Settings(**given))
        with pytest.raises(TimeoutError):
            listener.accept()
