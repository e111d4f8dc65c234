"""No request and no file makes the service read other files or open connections."""

import io
import json
import socket
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path
from urllib.parse import quote

import bombs
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import geogrid

# Every file that is opened and every connection that is made, as the interpreter itself sees it.
AUDIT = """
opened, connected = [], []

def audit(event, args):
    if event == "open" and not isinstance(args[0], int):
        opened.append(str(args[0]))
    elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        connected.append(str(args[1:]))
"""

AUDITED = """
    import json, sys
    from pathlib import Path
    from fastapi.testclient import TestClient
    from geogrid.api.app import create_app
    from geogrid.api.settings import Settings

    city, requests = sys.argv[1], json.loads(sys.argv[2])
    with TestClient(create_app(Settings(edition=city, access_log="", reload_seconds=0)),
                    raise_server_exceptions=False) as client:
        for path in ("/", "/docs", "/v1/units/4116", "/v1/search?q=1", "/tiles.json"):
            client.get(path)  # what is imported or looked up once

        sys.addaudithook(audit)
        statuses = []
        for method, path, kind, body in requests:
            headers = {"Content-Type": kind} if kind else {}
            content = body.encode("latin-1") if body else None
            answer = client.request(method, path, content=content, headers=headers)
            statuses.append(answer.status_code)
    print(json.dumps([opened, connected, statuses]))
"""


def bodies(text: str) -> list[tuple[str, str, str]]:
    """Return batches with a text in every place that takes one: address, type, body."""
    table = f'"{text}",lon,lat\n"{text}",114.62,33.62\n"=HYPERLINK({text})",{text},1\n'
    rows = {"points": [{"lon": 114.62, "lat": 33.62, "id": text}], "datum": "wgs84"}
    link = {"type": "link", "properties": {"href": text}}
    column = pa.array([text])
    fields = [
        pa.field("lon", pa.float64(), metadata={"ARROW:extension:name": text}),
        pa.field("lat", pa.float64()), pa.field("id", pa.string()),
    ]  # fmt: skip
    schema = pa.schema(fields, {"geo": json.dumps({"crs": link}), "datum": text})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        one = [pa.array([114.62]), pa.array([33.62]), column]
        writer.write_batch(pa.record_batch(one, schema=schema))
    batch = "/v1/locate/batch?datum=wgs84"
    return [
        (batch, "text/csv", table),
        (batch + "&lon=" + quote(text), "text/csv", table),
        (batch, "application/json", json.dumps(rows)),
        (batch, "application/json", json.dumps({"crs": link, "lon": [1], "lat": [2]})),
        (batch, "application/vnd.apache.arrow.stream", sink.getvalue().decode("latin-1")),
    ]


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
        requests = [("GET", place.format(text), "", "") for place in places for text in texts]
        requests += [("POST", *each) for text in texts for each in bodies(text)]
        command = [
            sys.executable,
            "-c",
            AUDIT + textwrap.dedent(AUDITED),
            str(toy_file),
            json.dumps(requests),
        ]
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert not hits
    opened, connected, statuses = json.loads(run.stdout.splitlines()[-1])
    assert max(statuses) < 500
    assert connected == []
    ours = (
        str(Path(geogrid.__file__).parent), "/geogrid-jobs-", "/geogrid-batch-", "/site-packages/",
        "/lib/python", "/share/proj",
    )  # fmt: skip
    assert [path for path in opened if not any(part in path for part in ours)] == []


# The file of each job as its process reads it, but for the limits, which a test of jobs sets.
LOCATED = """
    import json, sys
    from geogrid.errors import GeogridError
    from geogrid.locate import Locator, locate_file

    index, files = Locator.open(sys.argv[1]), sys.argv[2:]
    sys.addaudithook(audit)
    said = []
    for name in files:
        try:
            said.append(locate_file(index, name, "out/" + name, datum="wgs84").rows)
        except GeogridError as error:
            said.append(str(error))
    print(json.dumps([opened, connected, said]))
"""

SECRET = "canary-of-another-file"


def hostile_files(folder, secret, there):
    """Write files that name another file and a host in every way that their formats know."""
    kinds = [f"file://{secret}", str(secret), f"../{secret.name}", f"http://{there}/x",
             f"/vsicurl/http://{there}/x"]  # fmt: skip
    for k, text in enumerate(kinds):
        rows = f'lon,lat,{text}\n114.62,33.62,=WEBSERVICE("{text}")\n{text},{text},{text}\n'
        (folder / f"{k}.csv").write_text(rows.replace('"', '""'), "utf-8")
        with zipfile.ZipFile(io.BytesIO(bombs.workbook(""))) as whole:
            parts = {name: whole.read(name).decode() for name in whole.namelist()}
        links = parts["xl/_rels/workbook.xml.rels"]
        outside = f'<Relationship Id="r2" Target="{text}" TargetMode="External"/></Relationships>'
        sheet = parts["xl/sheet1.xml"]
        entity = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{text}">]>' + sheet.replace("lon", "lon&e;")
        parameter = f'<!DOCTYPE x [<!ENTITY % e SYSTEM "{text}"> %e;]>' + sheet
        for name, changed in {
            "target": {"xl/_rels/workbook.xml.rels": links.replace("sheet1.xml", text)},
            "outside": {"xl/_rels/workbook.xml.rels": links.replace("</Relationships>", outside)},
            "entity": {"xl/sheet1.xml": entity},
            "parameter": {"xl/sheet1.xml": parameter},
            "schema": {"xl/sheet1.xml": f'<?xml-stylesheet href="{text}"?>{sheet}'},
            "drawing": {"xl/media/a.svg": f'<svg><image href="{text}"/></svg>'},
        }.items():
            with zipfile.ZipFile(folder / f"{name}{k}.xlsx", "w") as archive:
                for part, content in (parts | changed).items():
                    archive.writestr(part, content)
        table = pa.table({"lon": [114.62], "lat": [33.62], "text": [text]})
        table = table.replace_schema_metadata({"geo": json.dumps({"crs": text}), "pandas": text})
        pq.write_table(table, folder / f"{k}.parquet")
        footer = pq.read_metadata(folder / f"{k}.parquet")
        footer.set_file_path(text)  # where the columns are said to be
        footer.write_metadata_file(folder / f"elsewhere{k}.parquet")
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_no_file_of_a_job_makes_its_process_read_others_or_connect(data, tmp_path):
    folder, secret = tmp_path / "in", tmp_path / "secret.csv"
    (folder / "out").mkdir(parents=True)
    secret.write_text(f"lon,lat,text\n114.62,33.62,{SECRET}\n", "utf-8")
    data.locator.save(tmp_path / "index")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        names = hostile_files(folder, secret, f"127.0.0.1:{listener.getsockname()[1]}")
        command = [sys.executable, "-c", AUDIT + textwrap.dedent(LOCATED), "../index", *names]
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=True, cwd=folder
        )
        with pytest.raises(TimeoutError):
            listener.accept()
    opened, connected, said = json.loads(run.stdout.splitlines()[-1])
    assert len(said) == len(names) == 45
    assert connected == []
    assert not [path for path in opened if secret.name in path or "://" in path]
    assert SECRET not in run.stdout + run.stderr
    written = [path for path in (folder / "out").iterdir() if path.is_file()]
    assert {path.suffix for path in written} == {".csv", ".xlsx", ".parquet"}
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


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
