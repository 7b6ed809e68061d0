"""The files of one folder over HTTP: `/` is index.html, content types, ETags, and caching that a built page wants."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web

#: Types that the system's table lacks or gets wrong on some machines.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class StaticFiles:
    """Serves the regular files under `root`; a path that leaves it, by `..` or a link, is not found."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    async def serve(self, method: str, raw_path: str, if_none_match: str | None) -> web.Response | None:
        """The file at `raw_path` for GET and HEAD, 304 when its ETag is known; None when there is no such file."""
        if method not in {"GET", "HEAD"}:
            return None
        path = self._resolve(raw_path)
        if path is None:
            return None
        status = path.stat()
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = {"ETag": etag, "Cache-Control": self._caching(path)}
        if if_none_match is not None and etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}:
            return web.Response(status=304, headers=headers)
        body = await asyncio.to_thread(path.read_bytes)
        headers["Content-Type"] = _content_type(path)
        headers["X-Content-Type-Options"] = "nosniff"
        return web.Response(body=body, headers=headers)

    def _resolve(self, raw_path: str) -> Path | None:
        relative = unquote(raw_path).lstrip("/") or "index.html"
        if "\0" in relative:
            return None
        path = (self._root / relative).resolve()
        if path.is_dir():
            path /= "index.html"
        return path if path.is_relative_to(self._root) and path.is_file() else None

    def _caching(self, path: Path) -> str:
        """Names under /assets carry a hash of their content and never change; a page and its settings do."""
        if path.relative_to(self._root).parts[0] == "assets":
            return "public, max-age=31536000, immutable"
        return "no-cache"


def _content_type(path: Path) -> str:
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
