"""Who may ask, how much, and what is told of it: keys, limits, headers, log, metrics."""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import build_toy_edition
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware

from geogrid.api import keys, throttle
from geogrid.api.app import create_app
from geogrid.api.deps import Data, Dataset
from geogrid.api.settings import Limits, Settings
from geogrid.api.throttle import Buckets, Slots
from geogrid.errors import UsageError

PLACE = {"lon": 114.62, "lat": 33.62, "datum": "wgs84"}
COLUMNS = {"lon": [114.62], "lat": [33.62], "datum": "wgs84"}


def client_of(data: Dataset, **given: object) -> TestClient:
    app = create_app(Settings(edition="none.gpkg", **given), dataset=data)

    @app.get("/slow")
    def slow(seconds: float, data: Data) -> str:
        time.sleep(seconds)
        return data.revision

    @app.get("/broken")
    def broken(text: str) -> None:
        raise RuntimeError(text)

    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(data) -> Iterator[TestClient]:
    with client_of(data) as client:
        yield client


# Keys


@pytest.fixture(scope="module")
def secrets() -> dict[str, tuple[str, str]]:
    """Secret and line of a key for each use."""
    scopes = {"phone": ["read"], "platform": ["read", "bulk"], "staff": ["edit"]}
    made = {name: keys.make(name, of) for name, of in scopes.items()}
    return {name: (secret, key.line()) for name, (secret, key) in made.items()}


@pytest.fixture(scope="module")
def guarded(data, secrets, tmp_path_factory) -> Iterator[TestClient]:
    """One key in the settings, the others in a file."""
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(
        f"# of 2026\n{secrets['platform'][1]}  # the platform\n\n{secrets['staff'][1]}\n"
    )
    with client_of(data, keys=(secrets["phone"][1],), keys_file=path) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/locate?lon=114.62&lat=33.62&datum=wgs84", {"phone", "platform"}),
        ("GET", "/v1/units/4116", {"phone", "platform"}),
        ("GET", "/tiles/12/0/0.mvt", {"phone", "platform"}),
        ("GET", "/metrics", {"phone", "platform"}),
        ("GET", "/nowhere", {"phone", "platform"}),
        ("POST", "/v1/locate/batch", {"platform"}),
        ("POST", "/v1/nowhere", {"staff"}),
    ],
)
def test_a_key_opens_what_its_scopes_name_and_nothing_else(guarded, secrets, method, path, allowed):
    body = COLUMNS if method == "POST" else None
    for name, (secret, _) in secrets.items():
        response = guarded.request(method, path, json=body, headers={"X-API-Key": secret})
        assert (response.status_code != 403) == (name in allowed), name
        if name not in allowed:
            assert response.json()["code"] == "scope"
    response = guarded.request(method, path, json=body)
    assert (response.status_code, response.json()["code"]) == (401, "key_missing")
    assert "X-API-Key" in response.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/docs", "/static/style.css"])
def test_pages_and_health_need_no_key(guarded, path):
    assert guarded.get(path).status_code == 200


def test_a_job_is_seen_by_its_owner_only(data):
    made = [keys.make(name, ["bulk"]) for name in ("one", "other")]
    with client_of(data, keys=tuple(key.line() for _, key in made)) as client:
        mine, others = ({"X-API-Key": secret, "Content-Type": "text/csv"} for secret, _ in made)
        body = b"lon,lat\n114.62,33.62\n"
        job = client.post("/v1/jobs?datum=wgs84&name=a.csv", content=body, headers=mine).json()
        assert client.get(f"/v1/jobs/{job['id']}", headers=mine).status_code == 200
        assert client.get(f"/v1/jobs/{job['id']}", headers=others).status_code == 404
        client.delete(f"/v1/jobs/{job['id']}", headers=mine)


def test_a_key_counts_in_the_header_only(guarded, secrets):
    secret = secrets["phone"][0]
    for name in ("key", "api_key", "X-API-Key"):
        assert guarded.get("/v1/units/4116", params={name: secret}).status_code == 401
    assert guarded.get("/v1/units/4116", headers={"Authorization": secret}).status_code == 401


@pytest.mark.parametrize("change", [str.lower, lambda s: s[:-1], lambda s: s + "x", lambda _: ""])
def test_a_key_that_differs_by_a_character_is_unknown(guarded, secrets, change):
    headers = {"X-API-Key": change(secrets["phone"][0])}
    response = guarded.get("/v1/units/4116", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "key_unknown")


def test_every_key_is_compared_whichever_is_asked_for(secrets, monkeypatch):
    """So that the time tells nothing: of the first, of the last, of none, of any length."""
    made = [keys.make(f"n{k}", ["read"]) for k in range(5)]
    ring, lengths = keys.Keyring(key for _, key in made), []
    compare = keys.hmac.compare_digest
    monkeypatch.setattr(
        keys.hmac,
        "compare_digest",
        lambda a, b: (lengths.append((len(a), len(b))), compare(a, b))[1],
    )
    asked = [made[0][0].encode(), made[4][0].encode(), b"", b"x", b"x" * 9_000, "钥匙".encode()]
    found = [ring.find(secret) for secret in asked]
    assert found == [made[0][1], made[4][1], None, None, None, None]
    assert lengths == [(32, 32)] * 5 * len(asked)  # hashes, all of one length


def test_a_key_is_kept_as_its_hash(secrets):
    secret, line = secrets["platform"]
    assert len(secret) >= 43
    assert line == f"platform read,bulk sha256:{hashlib.sha256(secret.encode()).hexdigest()}"
    assert secret not in repr(keys.parse(line))


@pytest.mark.parametrize(
    "line",
    ["", "name", "name read", "name read sha256:12", "na me read sha256:" + "0" * 64,
     "name write sha256:" + "0" * 64, "name read md5:" + "0" * 64, "GEHEIM read x"],
)  # fmt: skip
def test_a_line_that_is_no_key_is_refused_without_telling_it(line):
    with pytest.raises(UsageError) as caught:
        keys.parse(line)
    assert "GEHEIM" not in str(caught.value)


def test_a_key_that_is_taken_out_of_the_file_is_refused(data, secrets, tmp_path):
    path = tmp_path / "keys.txt"
    path.write_text(f"{secrets['phone'][1]}\n{secrets['platform'][1]}\n")
    headers = {"X-API-Key": secrets["phone"][0]}
    with client_of(data, keys_file=path, reload_seconds=0.02) as client:
        assert client.get("/v1/units/4116", headers=headers).status_code == 200
        path.write_text("what is this")
        time.sleep(0.1)
        assert client.get("/v1/units/4116", headers=headers).status_code == 200
        path.write_text(secrets["platform"][1])
        wait_for(lambda: client.get("/v1/units/4116", headers=headers).status_code == 401)
        headers = {"X-API-Key": secrets["platform"][0]}
        assert client.get("/v1/units/4116", headers=headers).status_code == 200


def test_answers_to_a_key_are_not_kept_by_shared_caches(guarded, secrets):
    headers = {"X-API-Key": secrets["platform"][0]}
    for path in ("/v1/units/4116", "/tiles/12/3351/1638.mvt", "/tiles.json"):
        assert guarded.get(path, headers=headers).headers["cache-control"].startswith("private")
    assert guarded.get("/v1/units/4116").headers["cache-control"] == "no-store"


# Origins and hosts


def test_pages_of_other_origins_read_only_what_is_allowed_to_them(data):
    with client_of(data, cors_origins=("https://platform.example",)) as client:
        ask = {
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "X-API-Key",
        }
        allowed = client.options(
            "/v1/units/4116", headers=ask | {"Origin": "https://platform.example"}
        )
        assert allowed.status_code == 204
        assert allowed.headers["access-control-allow-origin"] == "https://platform.example"
        assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
        other = client.options("/v1/units/4116", headers=ask | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        for origin, told in [("https://platform.example", True), ("https://evil.example", False)]:
            headers = client.get("/v1/units/4116", headers={"Origin": origin}).headers
            assert ("access-control-allow-origin" in headers) is told
            assert "Origin" in headers["vary"]


def test_by_default_no_other_origin_may_read(client):
    headers = {"Origin": "https://platform.example", "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-origin" not in client.get("/healthz", headers=headers).headers
    assert client.options("/healthz", headers=headers).status_code == 405


@pytest.mark.parametrize("origin", ["*", "platform.example", "https://a.example/", "null"])
def test_an_origin_is_written_in_full(origin):
    with pytest.raises(ValueError, match="cors_origins"):
        Settings(edition="none.gpkg", cors_origins=(origin,))


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 200), ("http://testserver", 200), ("https://evil.example", 403), ("null", 403)],
)
def test_a_page_of_another_origin_cannot_send_a_batch(client, origin, status):
    headers = {} if origin is None else {"Origin": origin}
    response = client.post("/v1/locate/batch", json=COLUMNS, headers=headers)
    assert response.status_code == status


def test_a_name_that_is_not_ours_is_refused(data):
    """A page of the internet whose name leads to this machine all at once."""
    with client_of(data, hosts=("localhost", "::1")) as client:
        for host, status in [("localhost:8000", 200), ("[::1]:80", 200), ("evil.example", 421)]:
            response = client.get("/healthz", headers={"Host": host})
            assert response.status_code == status
    assert response.json()["code"] == "wrong_host"


# Limits


def test_a_long_address_is_refused(client):
    assert client.get("/v1/search", params={"q": "x" * 9000}).status_code == 414


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused(data, chunked):
    with client_of(data, limits=Limits(body_bytes=1000)) as client:
        body = [b"[" * 400] * 3
        content = iter(body) if chunked else b"".join(body)
        response = client.post("/v1/locate/batch", content=content)
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        assert client.post("/v1/locate/batch", json=COLUMNS).status_code == 200


def test_bodies_of_all_requests_together_are_bounded(data):
    """Bodies that never end hold memory; beyond the limit the next sender waits."""
    limits = Limits(body_bytes=100)
    app = client_of(data, limits=limits).app
    answers = []

    async def send_half(end: asyncio.Event) -> None:
        messages = iter([{"type": "http.request", "body": b"x" * 99, "more_body": True}])

        async def receive() -> dict:
            for message in messages:
                return message
            await end.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            answers.append(message.get("status"))

        headers = [(b"transfer-encoding", b"chunked")]
        await app(
            {"type": "http", "method": "POST", "path": "/v1/locate/batch", "query_string": b"",
             "headers": headers}, receive, send,
        )  # fmt: skip

    async def run() -> None:
        async with app.router.lifespan_context(app):
            end = asyncio.Event()
            tasks = [asyncio.create_task(send_half(end)) for _ in range(70)]
            await asyncio.sleep(0.1)
            end.set()
            await asyncio.gather(*tasks)

    asyncio.run(run())
    assert answers.count(503) == 70 - 64 * 100 // 99


def test_a_caller_who_asks_too_often_is_told_when_to_come_again(data):
    with client_of(data, limits=Limits(requests_per_second=5)) as client:
        responses = [client.get("/v1/locate", params=PLACE) for _ in range(8)]
        refused = [each for each in responses if each.status_code == 429]
        assert [each.status_code for each in responses[:5]] == [200] * 5
        assert refused
        wait = int(refused[0].headers["retry-after"])
        assert wait == 1
        time.sleep(wait)
        assert client.get("/v1/locate", params=PLACE).status_code == 200


def test_keys_have_buckets_of_their_own():
    buckets = Buckets(2)
    assert [buckets.wait_of("a") for _ in range(2)] == [0, 0]
    assert buckets.wait_of("a") == pytest.approx(0.5, abs=0.05)
    assert buckets.wait_of("b") == 0


def test_beyond_the_places_requests_wait_and_beyond_the_queue_they_are_refused(data):
    limits = Limits(slow_requests=2, waiting_requests=2)
    with client_of(data, limits=limits) as client, ThreadPoolExecutor(6) as pool:
        running = [pool.submit(client.get, "/slow?seconds=0.4") for _ in range(6)]
        time.sleep(0.2)
        began = time.perf_counter()
        assert client.get("/v1/locate", params=PLACE).status_code == 200
        assert time.perf_counter() - began < 0.15
        responses = [each.result() for each in running]
        statuses = sorted(each.status_code for each in responses)
        assert statuses == [200, 200, 200, 200, 503, 503]
        assert {each.headers["retry-after"] for each in responses if each.status_code == 503} == {
            "2"
        }
        assert client.get("/slow?seconds=0").status_code == 200


def test_a_route_that_takes_too_long_is_answered_and_keeps_its_place(data):
    limits = Limits(slow_requests=1, waiting_requests=0, seconds=0.1)
    with client_of(data, limits=limits) as client, ThreadPoolExecutor(1) as pool:
        late = pool.submit(client.get, "/slow?seconds=0.5")
        time.sleep(0.3)  # answered, and still at work
        assert client.get("/slow?seconds=0").json()["code"] == "busy"
        assert late.result().json()["code"] == "too_slow"
        assert client.get("/slow?seconds=0").status_code == 200


def test_a_place_that_was_waited_for_in_vain_is_not_lost():
    async def run() -> bool:
        slots = Slots(1, 2, 0.05)
        assert slots.take()
        assert not await slots.wait()
        waiting = asyncio.create_task(slots.wait())
        await asyncio.sleep(0)
        slots.give()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return slots.take()

    assert asyncio.run(run())


@pytest.fixture
def clock(monkeypatch):
    """The time of places, which stands still unless it is moved."""
    now = [100.0]
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_burst_is_waited_out_in_order(clock):
    async def run() -> list[int]:
        slots, served = Slots(1, 9, 30), []
        assert slots.take()
        waiting = [asyncio.create_task(_served(slots, served, k)) for k in range(4)]
        await asyncio.sleep(0)
        clock[0] += 29
        slots.give()
        await asyncio.gather(*waiting)
        return served

    assert asyncio.run(run()) == [0, 1, 2, 3]


def test_once_somebody_waited_in_vain_the_last_is_served_first(clock):
    """Until nobody has for a while, or a place has stayed free."""

    async def run(pause: float) -> list[int]:
        slots, served = Slots(1, 3, 30), []
        assert slots.take()
        waiting = [asyncio.create_task(_served(slots, served, k)) for k in range(3)]
        await asyncio.sleep(0)
        assert not await slots.wait()  # too many
        clock[0] += pause
        slots.give()
        await asyncio.gather(*waiting)
        return served

    assert asyncio.run(run(29)) == [2, 1, 0]
    assert asyncio.run(run(31)) == [0, 1, 2]


@pytest.mark.parametrize(("free_for", "first"), [(7, 1), (8, 0)])
def test_a_place_that_stayed_free_ends_what_was_too_much(clock, free_for, first):
    async def run() -> list[int]:
        slots, served = Slots(1, 2, 30), []
        assert slots.take()
        slots._refused = clock[0]
        slots.give()
        clock[0] += free_for
        assert slots.take()
        waiting = [asyncio.create_task(_served(slots, served, k)) for k in range(2)]
        await asyncio.sleep(0)
        slots.give()
        await asyncio.gather(*waiting)
        return served

    assert asyncio.run(run())[0] == first


def test_who_waits_in_vain_is_told_in_time_and_the_next_sooner():
    async def ask(slots: Slots) -> tuple[bool, float]:
        began = time.perf_counter()
        return await slots.wait(), time.perf_counter() - began

    async def run() -> list[tuple[bool, float]]:
        slots = Slots(1, 9, 0.6)
        assert slots.take()
        return [await ask(slots), await ask(slots)]

    (first, patient), (second, short) = asyncio.run(run())
    assert not first
    assert not second
    assert patient >= 0.59
    assert 0.14 <= short < 0.5


async def _served(slots: Slots, served: list[int], k: int) -> None:
    assert await slots.wait()
    served.append(k)
    slots.give()


# Headers, log, metrics


def test_every_answer_has_the_headers_of_a_guarded_service(client):
    for path in ("/", "/v1/locate", "/v1/units/4116", "/nope", "/tiles/12/3351/1638.mvt"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])


def test_an_answer_names_the_revision_it_was_made_from(client, toy_edition):
    for path in ("/v1/locate?lon=114.62&lat=33.62&datum=wgs84", "/v1/units/4116", "/tiles.json"):
        assert client.get(path).headers["x-dataset-revision"] == toy_edition.info.digest


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1.2_X", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ('"},{', False),
        ("a b", False),
        ("", False),
    ],
)
def test_a_sane_request_id_is_kept_and_told_everywhere(client, given, kept):
    response = client.get("/nope", headers={"X-Request-Id": given})
    assert (response.headers["x-request-id"] == given) is kept
    assert response.json()["request_id"] == response.headers["x-request-id"]


def wait_for(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def logged(data, secrets, tmp_path) -> Iterator[tuple[TestClient, Path]]:
    path = tmp_path / "access.log"
    lines = (secrets["platform"][1],)
    with client_of(data, access_log=str(path), keys=lines) as client:
        client.headers["X-API-Key"] = secrets["platform"][0]
        yield client, path


def test_the_access_log_is_a_json_line_for_each_answer(logged, toy_edition):
    client, path = logged
    client.get("/v1/locate", params=PLACE, headers={"X-Request-Id": "first"})
    client.get("/v1/units/999")
    client.get("/tiles/12/3351/1638.mvt", headers={"X-API-Key": ""})
    client.request("BREW", "/v1/units/411601")
    client.get("/static/style.css")
    wait_for(lambda: path.exists() and path.read_text().count("\n") == 5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = [(line["method"], line["route"], line["status"], line["key"]) for line in lines]
    assert found == [
        ("GET", "/v1/locate", 200, "platform"),
        ("GET", "/v1/units/{code}", 404, "platform"),
        ("GET", "-", 401, ""),
        ("OTHER", "-", 403, "platform"),
        ("GET", "/static", 200, ""),
    ]
    assert lines[0]["id"] == "first"
    assert lines[0]["revision"] == toy_edition.info.digest[:12]
    assert lines[0]["bytes"] > 100
    assert lines[0]["ms"] > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[0]["time"])


CANARY = "canary13800138000"


def test_what_a_caller_sends_stands_in_no_log_no_error_and_no_metric(logged, capfd, caplog):
    """Names, numbers of phones, positions, keys: in addresses, headers, bodies, of every kind."""
    client, path = logged
    caplog.set_level("DEBUG")
    body = {"lon": [1.5, CANARY], "lat": [2], "datum": CANARY, CANARY: CANARY}
    requests = [
        ("GET", f"/v1/locate?lon=114.628133&lat=33.618133&datum=wgs84&name={CANARY}", None),
        ("GET", f"/v1/locate?lon={CANARY}&lat=33.6&datum=wgs84", None),
        ("GET", f"/v1/search?q={CANARY}", None),
        ("GET", f"/v1/units/{CANARY}", None),
        ("GET", f"/{CANARY}/{CANARY}?{CANARY}={CANARY}", None),
        ("GET", f"/tiles/12/{CANARY}/1.mvt", None),
        ("GET", f"/broken?text={CANARY}", None),
        ("POST", "/v1/locate/batch", body),
        ("POST", "/v1/locate/batch", [CANARY]),
        ("POST", f"/{CANARY}", body),
        (CANARY, "/v1/locate", None),
    ]
    headers = {
        "User-Agent": CANARY, "Referer": f"http://x/{CANARY}", "Cookie": CANARY, CANARY: CANARY,
        "X-Request-Id": f"{CANARY} name", "Origin": "http://testserver", "Authorization": CANARY,
    }  # fmt: skip
    answers = [
        client.request(method, address, json=content, headers=headers)
        for method, address, content in requests
    ]
    answers.append(client.get("/v1/units/4116", headers={"X-API-Key": CANARY}))
    metrics = client.get("/metrics").text
    wait_for(lambda: path.exists() and path.read_text().count("\n") > len(requests))
    said = capfd.readouterr()
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("httpx")]
    kept = "\n".join([path.read_text(), metrics, said.out, said.err, *ours])
    for secret in (CANARY, "114.628133", "33.618133", client.headers["X-API-Key"]):
        assert secret not in kept
    # An error may repeat the value that it is about to the one who sent it, but nothing else.
    assert CANARY not in answers[6].text
    assert CANARY not in answers[-1].text
    assert all(CANARY not in str(answer.headers) for answer in answers)


def test_metrics_count_answers_by_route_and_refusals_by_code(client, toy_edition):
    def value(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    units = 'geogrid_request_seconds_count{method="GET",route="/v1/units/{code}",status="200"}'
    long = 'geogrid_refused_total{code="url_too_long"}'
    before = value(units), value(long)
    client.get("/v1/units/4116")
    client.get("/v1/units/411601")
    client.get("/x" + "y" * 9000)
    assert (value(units), value(long)) == (before[0] + 2, before[1] + 1)
    assert (
        value(f'geogrid_revision_info{{edition="toy",revision="{toy_edition.info.digest}"}}') == 1
    )


def test_metrics_count_positions_by_what_became_of_them(data, toy_edition):
    lon, lat = toy_edition["microgrid"].geom.iat[100].exterior.coords[0]
    corner = {"lon": repr(lon), "lat": repr(lat), "datum": "cgcs2000"}
    with client_of(data) as client:
        for change in ({}, {"lon": 113}, {"lon": "1.1e2"}, {"lon": 33.62, "lat": 114.62}, corner):
            client.get("/v1/locate", params=PLACE | change)
        batch = {"lon": [114.62, None, 114.62, 113], "lat": [33.62, 1, 33.62, 33], "datum": "wgs84"}
        client.post("/v1/locate/batch", json=batch)
        lines = client.get("/metrics").text.splitlines()
    counted = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert counted['geogrid_positions_total{status="hit"}'] == "4.0"
    assert counted['geogrid_positions_total{status="outside"}'] == "3.0"
    assert counted['geogrid_positions_total{status="swapped"}'] == "1.0"
    assert counted['geogrid_positions_total{status="no_coordinates"}'] == "1.0"
    assert counted["geogrid_positions_on_edge_total"] == "1.0"
    assert counted["geogrid_batch_positions_sum"] == "4.0"


def test_applications_count_for_themselves(data):
    with client_of(data) as first, client_of(data) as second:
        first.get("/v1/units/4116")
        assert "/v1/units/{code}" in first.get("/metrics").text
        assert "/v1/units/{code}" not in second.get("/metrics").text


def test_a_bug_is_told_with_its_place_and_without_its_text(client, caplog):
    response = client.get("/broken", params={"text": "secret"}, headers={"X-Request-Id": "r1"})
    assert (response.status_code, response.json()["code"]) == (500, "internal")
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert "request r1 failed: builtins.RuntimeError at" in record.getMessage()
    assert "test_api_guard.py" in record.getMessage()
    assert "secret" not in record.getMessage() + response.text


def test_no_middleware_of_the_application_is_the_slow_kind(client):
    """It costs 0.2 ms a request, twice the request itself."""
    assert not [
        each.cls for each in client.app.user_middleware
        if isinstance(each.cls, type) and issubclass(each.cls, BaseHTTPMiddleware)
    ]  # fmt: skip
    layer = client.app.middleware_stack
    while layer is not None:
        assert not isinstance(layer, BaseHTTPMiddleware)
        layer = getattr(layer, "app", None)


def test_a_head_that_was_let_in_is_judged_again_for_each_query(data, secrets):
    """The key is withdrawn, and the edition replaced, while the connection stays open."""
    secret, line = secrets["phone"]
    app = client_of(data, keys=[line], host="0.0.0.0").app
    guard = app.middleware_stack = app.build_middleware_stack()
    guard.served.dataset, query = data, b"lon=114.62&lat=33.62&datum=wgs84"
    guard.keys.replace([keys.parse(line)])
    scope = {
        "type": "http", "method": "GET", "path": "/v1/locate", "query_string": b"", "state": {},
        "headers": [(b"host", b"h"), (b"x-api-key", secret.encode())],
    }  # fmt: skip
    at_once = app.at_once(scope)
    assert at_once is not None
    first = at_once(query)
    assert first is not None
    other = Dataset(build_toy_edition(8))
    guard.served.dataset = other
    second = at_once(query)
    assert second is not None
    assert other.revision.encode() in second
    assert data.revision.encode() not in second
    guard.keys.replace([keys.parse(secrets["staff"][1])])
    assert at_once(query) is None
    assert app.at_once(dict(scope, method="POST")) is None
    assert app.at_once(dict(scope, path="/healthz")) is None


@pytest.mark.parametrize(
    "path",
    [
        "/healthz", "/v1/units/4116", "/v1/locate?lon=114.62&lat=33.62&datum=wgs84", "/tiles.json",
        "/static/app.js", "/v1/nothing",
    ],
)  # fmt: skip
def test_head_is_get_without_the_body(client, path):
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for each in (got, head):
        each.headers.pop("x-request-id")
    assert head.headers == got.headers
