"""The built page as it is served."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from groundcontrol.web.static import BuiltPage
from tests.support.inprocess_hub import TestHub, running

INDEX = '<!doctype html>\n<html lang="en" data-theme="auto">\n<body>page</body></html>'
SCRIPT = b"export const a = 1;" * 100


@pytest.fixture
async def built(tmp_path: Path) -> AsyncIterator[TestHub]:
    folder = tmp_path / "built"
    (folder / "a").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "build.json").write_text('{"build": "0123456789ab", "entry": "/a/app-ABCDEFGH.js"}')
    (folder / "a" / "app-ABCDEFGH.js").write_bytes(SCRIPT)
    (folder / "a" / "app-ABCDEFGH.js.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "a" / "font-ABCDEFGH.woff2").write_bytes(b"wOF2")
    (folder / "licences.txt").write_text("MIT")
    (folder / "secret.pem").write_text("canary")
    async with running(tmp_path, page=BuiltPage.load(folder)) as hub:
        yield hub


@pytest.mark.parametrize("path", ["/", "/nodes", "/nodes/0123", "/login", "/jobs/x?y=z"])
async def test_every_address_of_the_page_serves_the_page(built: TestHub, path: str) -> None:
    answer = await built.anonymous().get(path)

    assert (answer.status, answer.content_type, answer.body.decode()) == (200, "text/html", INDEX)
    assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    ("cookie", "theme"), [("dark", "dark"), ("light", "light"), ("auto", "auto"), ('"><script>', "auto"), ("DARK", "auto")]
)
async def test_the_theme_is_in_the_page_from_the_first_byte(built: TestHub, cookie: str, theme: str) -> None:
    answer = await built.anonymous().get("/", headers={"Cookie": f"theme={cookie}"})

    assert f'<html lang="en" data-theme="{theme}">' in answer.body.decode()
    assert b"script" not in answer.body


async def test_hashed_files_are_cached_forever_and_others_revalidated(built: TestHub) -> None:
    script = await built.anonymous().get("/a/app-ABCDEFGH.js", headers={"Accept-Encoding": "identity"})
    licences = await built.anonymous().get("/licences.txt")

    assert (script.body, script.content_type) == (SCRIPT, "text/javascript")
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert licences.headers["Cache-Control"] == "no-cache"


async def test_the_compressed_file_is_sent_to_clients_that_accept_it(built: TestHub) -> None:
    for accepted, packed in [("gzip, deflate, br", True), ("GZIP", True), ("*", True), ("gzip;q=0, br", False), ("br", False), ("", False)]:
        answer = await built.anonymous().get("/a/app-ABCDEFGH.js", headers={"Accept-Encoding": accepted})

        assert ("Content-Encoding" in answer.headers) == packed, accepted
        assert (gzip.decompress(answer.body) if packed else answer.body) == SCRIPT, accepted
        assert answer.headers["Vary"] == "Accept-Encoding", accepted


async def test_a_cached_file_is_not_sent_again(built: TestHub) -> None:
    first = await built.anonymous().get("/")
    again = await built.anonymous().get("/", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status, again.body) == (304, b"")


OUTSIDE = [
    "/missing.js", "/a/missing-ABCDEFGH.js", "/secret.pem", "/build.json", "/a/app-ABCDEFGH.js.gz", "/..%2f..%2fetc%2fpasswd.txt", "/%2e%2e/etc/x.conf",
    "/a/..%5c..%5cx.ini", "/static.py", "/.git/config.x"
]  # fmt: skip


@pytest.mark.holds("S-24")
async def test_a_file_outside_the_page_is_not_found(built: TestHub) -> None:
    client = built.anonymous()
    for path in OUTSIDE:
        answer = await client.get(path)
        assert (path, answer.status, answer.code) == (path, 404, "not_found")


OF_THE_API = ["/api", "/api/", "/api/v1", "/api/v1/nothing", "/api/v2/nodes", "/ws", "/ws/x", "/healthz", "/metrics", "/install.sh"]


async def test_api_addresses_never_serve_the_page(built: TestHub) -> None:
    client = built.anonymous()
    for path in OF_THE_API:
        answer = await client.get(path)
        assert (path, answer.status, answer.code) == (path, 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_the_page_accepts_only_get_and_head(built: TestHub, method: str) -> None:
    assert (await built.anonymous().request(method, "/")).status == 404


async def test_hello_names_the_build_of_the_page(built: TestHub) -> None:
    async with (await built.logged_in()).live() as live:
        assert live.hello["build"] == "0123456789ab"


async def test_without_a_built_page_one_line_gives_the_remedy(hub: TestHub) -> None:
    answer = await hub.anonymous().get("/")

    assert answer.status == 503
    assert b"scripts/run" in answer.body
