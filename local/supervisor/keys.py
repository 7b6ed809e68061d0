"""The keys of a data directory: random, made once, kept in DIR/keys.json (0600), handed on by environment only."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from local.supervisor.datadir import read_json, write_private
from local.supervisor.errors import StackError

#: Length in bytes of each service's key, as long as Azure's own.
_LENGTHS = {"servicebus": 32, "cosmos": 64, "azurite": 64, "signalr": 32}


def load_or_create(path: Path) -> dict[str, str]:
    """Each service's key in base64. Keys that the file lacks are made and kept."""
    keys = read_json(path)
    if not all(isinstance(key, str) and key for key in keys.values()):
        raise StackError(f"{path} is damaged: every key must be text. Remove it; new keys will be made.")
    missing = _LENGTHS.keys() - keys.keys()
    if missing:
        keys |= {name: base64.b64encode(os.urandom(_LENGTHS[name])).decode() for name in sorted(missing)}
        write_private(path, keys)
    return keys
