"""The virtual environment `.venv-worker`: CPython 3.13 with Microsoft's worker library.

`python -m tests.contract.worker.environment` makes it or brings it up to date, and prints its Python.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".venv-worker"
VERSION = (3, 13)
_REQUIREMENTS = (Path(__file__).with_name("requirements.txt"), ROOT / "requirements.txt")


class NoPythonError(Exception):
    """No CPython 3.13 was found. Install one, for instance with `uv python install 3.13` or `pyenv install 3.13`."""


def ensure() -> Path:
    """The Python of the environment, installed first where it is missing or its requirements changed."""
    interpreter, stamp = FOLDER / "bin" / "python", FOLDER / ".requirements"
    lock_file = ROOT / ".cache" / "venv-worker.lock"
    lock_file.parent.mkdir(exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may come here at once
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in _REQUIREMENTS)).hexdigest()
        if not interpreter.exists() or not stamp.exists() or stamp.read_text() != digest:
            _install(interpreter)
            stamp.write_text(digest)
    return interpreter


def _install(interpreter: Path) -> None:
    base = find_python()
    shutil.rmtree(FOLDER, ignore_errors=True)
    uv = (sys.executable, "-m", "uv", "--quiet")
    _run(*uv, "venv", "--python", str(base), str(FOLDER))
    _run(*uv, "pip", "install", "--compile-bytecode", "--python", str(interpreter), "-r", str(_REQUIREMENTS[0]))


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr}")


def find_python() -> Path:
    """A CPython 3.13 from PATH, pyenv or uv; nothing is downloaded. NoPythonError when there is none."""
    for candidate in _candidates():
        found = _probe(candidate)
        if found is not None:
            return found
    raise NoPythonError(
        "no CPython 3.13 on PATH, in pyenv or in uv: install one (`uv python install 3.13` or `pyenv install 3.13`)"
    )


def _candidates() -> Iterator[str]:
    yield "python3.13"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from (str(path) for path in sorted(pyenv.glob("versions/3.13*/bin/python3.13"), reverse=True))
    found = subprocess.run(
        (sys.executable, "-m", "uv", "python", "find", "--no-python-downloads", "--managed-python", "3.13"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if found.returncode == 0:
        yield found.stdout.strip()


def _probe(candidate: str) -> Path | None:
    """The interpreter behind `candidate` if it is a 3.13; a pyenv shim on PATH may lead to none."""
    program = "import platform, sys; print(*sys.version_info[:2], platform.python_implementation(), sys.executable)"
    try:
        answer = subprocess.run((candidate, "-c", program), capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, implementation, executable = answer.stdout.strip().split(" ", 3)
    return Path(executable) if (int(major), int(minor)) == VERSION and implementation == "CPython" else None


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{ensure()}\n")
    except NoPythonError as error:
        sys.exit(f"worker environment: {error}")
