"""The built Capsule. All its files are read once at the start, so no request opens a file."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from groundcontrol.core.errors import NotFound

FOLDER: Final = Path(__file__).parent / "static"
THEME_COOKIE: Final = "theme"
THEMES: Final = ("auto", "light", "dark")
IMMUTABLE: Final = "public, max-age=31536000, immutable"
NOT_BUILT: Final = (
    "<!doctype html><title>Stardust</title><p>The page is not built yet: run scripts/run, or `node capsule/build.mjs`, and restart."
)

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_HASHED: Final = re.compile(r"-[A-Z0-9a-z]{8,}\.[a-z0-9]+\Z")
_THEME: Final = re.compile(rb"<html([^>]*?)\sdata-theme=\"?[a-z]*\"?", re.IGNORECASE)


class Asset(NamedTuple):
    body: bytes
    gzipped: bytes | None
    content_type: str
    cache_control: str
    etag: str


class BuiltPage:
    """The page and its files, in memory."""

    def __init__(self, assets: dict[str, Asset], index: dict[str, Asset], build: str) -> None:
        self._assets = assets
        self._index = index
        """Theme -> the page; empty: the page is not built."""
        self.build = build
        """The build id; empty: the page is not built."""

    @classmethod
    def load(cls, folder: Path = FOLDER) -> BuiltPage:
        """Read the files. Call this before the loop runs or on a thread."""
        assets: dict[str, Asset] = {}
        index: dict[str, Asset] = {}
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
        for path in files:
            name = path.relative_to(folder).as_posix()
            if path.suffix == ".gz" or path.suffix not in _TYPES or name in ("index.html", "build.json"):
                continue
            packed = path.with_name(path.name + ".gz")
            cache = IMMUTABLE if _HASHED.search(name) else "no-cache"
            assets["/" + name] = _asset(path.read_bytes(), packed.read_bytes() if packed.is_file() else None, path.suffix, cache)
        page = folder / "index.html"
        if page.is_file():
            for theme in THEMES:
                body = _THEME.sub(rb'<html\1 data-theme="' + theme.encode() + rb'"', page.read_bytes(), count=1)
                index[theme] = _asset(body, None, ".html", "no-cache")
        build_info = folder / "build.json"
        build = str(json.loads(build_info.read_bytes()).get("build", "")) if build_info.is_file() else ""
        return cls(assets, index, build)

    def answer(self, request: web.BaseRequest) -> web.Response:
        """A file of the page, or the page itself for every other address.

        Raises: NotFound: the address looks like that of a file, and there is no such file.
        """
        asset = self._assets.get(request.path)
        if asset is None:
            if "." in request.path.rpartition("/")[2]:
                raise NotFound("there is nothing at this address")
            if not self._index:
                return web.Response(status=503, text=NOT_BUILT, content_type="text/html")
            theme = request.cookies.get(THEME_COOKIE, "auto")
            asset = self._index[theme if theme in THEMES else "auto"]
        return _respond(request, asset)


def _asset(body: bytes, gzipped: bytes | None, suffix: str, cache: str) -> Asset:
    return Asset(body, gzipped, _TYPES[suffix], cache, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _respond(request: web.BaseRequest, asset: Asset) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: asset.cache_control, hdrs.ETAG: asset.etag}
    body = asset.body
    if asset.gzipped is not None:
        headers[hdrs.VARY] = "Accept-Encoding"
        if _accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
            headers[hdrs.CONTENT_ENCODING] = "gzip"
            headers[hdrs.ETAG] = asset.etag[:-1] + '-gz"'
            body = asset.gzipped
    if request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
        headers.pop(hdrs.CONTENT_ENCODING, None)
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if asset.content_type.startswith("text/") else None
    return web.Response(body=body, headers=headers, content_type=asset.content_type, charset=charset)


def _accepts_gzip(header: str) -> bool:
    for part in header.lower().split(","):
        coding, _, quality = part.strip().partition(";")
        if coding.strip() in ("gzip", "*"):
            return re.fullmatch(r"\s*q=0(\.0*)?\s*", quality) is None
    return False
