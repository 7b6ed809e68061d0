"""The keys of a data directory: random, made once, kept in files for the owner alone (0600).

The services' keys lie in DIR/keys.json and reach processes by environment only. The function keys, which callers of
the app present when the stack runs with --auth, lie where the hosts read them.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from local.supervisor.datadir import read_json, write_private
from local.supervisor.errors import StackError

#: Length in bytes of each service's key, as long as Azure's own.
_LENGTHS = {"servicebus": 32, "cosmos": 64, "azurite": 64, "signalr": 32}
_FUNCTION_KEY_LENGTH = 40


def load_or_create(path: Path) -> dict[str, str]:
    """Each service's key in base64. Keys that the file lacks are made and kept."""
    keys = read_json(path)
    if not all(isinstance(key, str) and key for key in keys.values()):
        raise StackError(f"{path} is damaged: every key must be text. Remove it; new keys will be made.")
    missing = _LENGTHS.keys() - keys.keys()
    if missing:
        keys |= {name: _random_key(_LENGTHS[name]) for name in sorted(missing)}
        write_private(path, keys)
    return keys


def ensure_function_keys(path: Path) -> None:
    """Make the app's master key and default function key in `path`, unless there are some.

    The format is the real host's: Azure/azure-functions-host, FileSystemSecretsRepository.
    """
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    master, default = (
        {"name": name, "value": _random_key(_FUNCTION_KEY_LENGTH), "encrypted": False} for name in ("master", "default")
    )
    write_private(path, {"masterKey": master, "functionKeys": [default], "systemKeys": []})


def _random_key(length: int) -> str:
    return base64.b64encode(os.urandom(length)).decode()
