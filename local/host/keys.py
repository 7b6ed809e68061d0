"""Function keys: the `files` store of the real host, and what each key opens.

Sources: Azure/azure-functions-host, AuthenticationLevelHandler, SecretManager and AuthUtility.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

_RELOAD_SECONDS = 60.0  # a wrong key makes the store read its files again, at most this often


class AccessLevel(IntEnum):
    """What a caller may do, weakest first. A system key opens no function-level function."""

    ANONYMOUS = 0
    SYSTEM = 1
    FUNCTION = 2  # the key of the host or of this very function
    ADMIN = 3  # the master key


def presented_key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """The key of a request: the x-functions-key header, else `code`; with the header present `code` is not tried."""
    key = headers["x-functions-key"] if "x-functions-key" in headers else query.get("code")
    return key.split(",")[0] if key else None


class KeyStore:
    """Keys in `folder`: host.json and one FUNCTION.json each, written with random keys when absent (mode 0600)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, dict[str, Any]] = {}
        self._loaded_at = time.monotonic()

    @property
    def master_key(self) -> str:
        return str(self._file("host")["masterKey"]["value"])

    def level(self, key: str | None, function: str | None = None) -> AccessLevel:
        """What `key` allows, for `function` when given."""
        if not key:
            return AccessLevel.ANONYMOUS
        level = self._level(key, function)
        if level is AccessLevel.ANONYMOUS and time.monotonic() - self._loaded_at > _RELOAD_SECONDS:
            self._files.clear()
            self._loaded_at = time.monotonic()
            level = self._level(key, function)
        return level

    def _level(self, key: str, function: str | None) -> AccessLevel:
        host = self._file("host")
        if _matches(key, [host["masterKey"]]):
            return AccessLevel.ADMIN
        if _matches(key, host.get("functionKeys", [])):
            return AccessLevel.FUNCTION
        if function is not None and _matches(key, self._file(function).get("keys", [])):
            return AccessLevel.FUNCTION
        return AccessLevel.SYSTEM if _matches(key, host.get("systemKeys", [])) else AccessLevel.ANONYMOUS

    def _file(self, name: str) -> dict[str, Any]:
        # The real store lower-cases function names for its files, so that `host` is taken (no function is called so).
        name = name.lower()
        if name not in self._files:
            path = self._folder / f"{name}.json"
            if not path.exists():
                self._create(path, _new_host_keys() if name == "host" else {"keys": [_new_key("default")]})
            self._files[name] = json.loads(path.read_text("utf-8"))
        return self._files[name]

    def _create(self, path: Path, content: Mapping[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return  # another process of the same app was first; its keys count
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)


def _matches(key: str, known: list[dict[str, Any]]) -> bool:
    return any(secrets.compare_digest(key.encode(), str(entry["value"]).encode()) for entry in known)


def _new_key(name: str) -> dict[str, Any]:
    return {"name": name, "value": secrets.token_urlsafe(40), "encrypted": False}


def _new_host_keys() -> dict[str, Any]:
    return {"masterKey": _new_key("master"), "functionKeys": [_new_key("default")], "systemKeys": []}
