"""Serves the built web client: hashed assets for good, index.html for every page of it, always fresh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.web import StaticFileHandler

from handlers.edge import EdgeHandler
from server.errors import Code, VouchError

_NOT_BUILT = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Vouch</title>
<h1>The web client is not built</h1>
<p>The server runs, but there are no built files to show. Build them with <code>npm ci</code> and
<code>npm run build</code> in the project's directory, or start by <code>./scripts/run</code>, which does both.</p>
<p>The HTTP interface is described <a href="/docs">here</a>.</p>
</html>
"""
#: the service worker: its scope is all of the client
WORKER = "worker.js"
_FOLDERS = ("", "icons")
#: suffix of the file → name of the encoding, best first
_ENCODINGS = ((".br", "br"), (".gz", "gzip"))


class AssetHandler(EdgeHandler, StaticFileHandler):
    """/assets/…: the name holds a hash of the content, so it may be kept for good. Sends .br or .gz when built."""

    operation_id = "asset"
    _encoding: str | None = None

    def parse_url_path(self, url_path: str) -> str:
        """Chooses the compressed file beside the wanted one; whether it lies inside the root is checked afterwards."""
        path = super().parse_url_path(url_path)
        if "Range" in self.request.headers:
            return path
        accepted = {
            part.partition(";")[0].strip() for part in self.request.headers.get("Accept-Encoding", "").split(",")
        }
        for suffix, encoding in _ENCODINGS:
            if encoding in accepted and Path(self.root, path + suffix).is_file():
                self._encoding = encoding
                return path + suffix
        return path

    def get_content_type(self) -> str:
        """That of the file before it was compressed."""
        name = self.absolute_path or ""
        for suffix, encoding in _ENCODINGS:
            name = name.removesuffix(suffix) if encoding == self._encoding else name
        return _TYPES.get(Path(name).suffix, "application/octet-stream")

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.set_header("Vary", "Accept-Encoding")
        if self._encoding:
            self.set_header("Content-Encoding", self._encoding)


class PageHandler(EdgeHandler):
    """Every other address: a file of the client's root (the worker, the manifest, an icon), else its index.html.

    The client has the router; so that a page can be shared and reloaded, the server answers all its addresses alike.
    Nothing here has a hash in its name: browsers ask each time whether it is still the same.
    """

    operation_id = "page"

    def initialize(self, root: Path) -> None:
        self._root = root

    async def get(self, path: str = "") -> None:
        file = self._file(path) or self._root / "index.html"
        if not file.is_file():
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(_NOT_BUILT)
            return
        self.set_header("Cache-Control", "no-cache")
        if file.name == WORKER:
            self.set_header("Service-Worker-Allowed", "/")
        self.set_header("Content-Type", _TYPES.get(file.suffix, "application/octet-stream"))
        self.finish(file.read_bytes())

    head: Any = get

    def _file(self, path: str) -> Path | None:
        """A file that lies in the root or among the icons, and has a type that we serve."""
        folder, _, name = path.strip("/").rpartition("/")
        if folder not in _FOLDERS or not name or name.startswith(".") or Path(name).suffix not in _TYPES:
            return None
        file = self._root / folder / name
        if not file.is_file() or file.resolve().parent != (self._root / folder).resolve():
            raise VouchError(Code.NOT_FOUND)
        return file


_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",
    ".map": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
