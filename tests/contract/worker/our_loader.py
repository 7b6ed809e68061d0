"""Indexes apps with the local host's loader: folders as arguments, a JSON list as `real_worker.py` writes it.

Each app is loaded in a process of its own, forked after the imports.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from local.host.indexing import IndexingError, load_functions


def examine(app: Path) -> dict[str, Any]:
    try:
        functions = load_functions(app)
    except IndexingError as error:
        return {"error": str(error)}
    return {"functions": [{"name": function.name, "bindings": list(function.bindings)} for function in functions]}


def in_own_process(app: Path) -> Any:
    with tempfile.TemporaryFile("w+") as result:
        child = os.fork()
        if child == 0:
            try:
                result.write(json.dumps(examine(app)))
                result.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        result.seek(0)
        return json.loads(result.read() or '{"error": "the process died"}')


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump([in_own_process(Path(argument)) for argument in sys.argv[1:]], sys.stdout)
