"""The templates against the code: settings, functions, tables and the container of results."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.azure.cosmos import CONTAINER, INDEXING_POLICY
from shared.azure.table_service import TABLES
from shared.config import PREFIX, Settings, load_settings
from shared.errors import SettingsError
from shared.handlers import load_job_types
from tools.infra_check.evaluate import Deployed
from tools.infra_check.syntax import Finding, literal, walk
from tools.infra_check.values import Unknown, alternatives, at

SETTINGS_FILE = Path("infra/bicep/settings.json")
LOCAL_FILE = Path("local.settings.json.example")

_READ = re.compile(r"""(?:environ(?:\.get\(|\[)|getenv\()["'](\w+)""")
_FUNCTION = re.compile(r"""\.function_name\(["'](\w+)""")
#: Read by the Functions host, not by our code; in Azure it needs these to use its storage and to listen to the queues.
_OF_THE_HOST = frozenset({"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"})
_NEEDED_BY_THE_HOST = (
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "ServiceBusConnection__credential",
)
#: Given by Azure itself.
_OF_THE_PLATFORM = ("WEBSITE_",)


class _Recorder(Mapping[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def check_settings(resources: list[Deployed], root: Path) -> Iterator[Finding]:
    """Each setting that the code reads is given in Azure and in the local example, and no other."""
    given = [each for each in resources if each.type == "Microsoft.Web/sites/config"]
    if not given:
        yield resources[0].finding("no Microsoft.Web/sites/config gives the app its settings")
    for resource in given:
        for each in alternatives(at(resource.value, "properties") or {}):
            values = {name: value.text if isinstance(value, Unknown) else str(value) for name, value in each.items()}
            place = resource.finding("", "properties")
            yield from _compared(values, place.path, place.line, root)
            yield from _are_defaults(values, root)
            for name in set(_NEEDED_BY_THE_HOST) - set(values):
                yield Finding(
                    place.path, place.line, f"the Functions host needs the setting {name}, which is not given"
                )
    local = json.loads((root / LOCAL_FILE).read_text())["Values"]
    yield from _compared(local, root / LOCAL_FILE, 1, root)


def check_app(resources: list[Deployed], root: Path) -> Iterator[Finding]:
    """Warm functions exist, passwords are off for the app, tables and container are those of the code."""
    sources = [path.read_text() for path in (root / "functions").glob("*.py")]
    functions = {name for source in sources for name in _FUNCTION.findall(source)}
    for resource in resources:
        if resource.type == "Microsoft.Web/sites":
            yield from _always_ready(resource, functions)
            yield from _no_passwords(resource, resources)
        if resource.type == "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers":
            yield from _container(resource)
    yield from _tables(resources)


def _compared(given: Mapping[str, str], path: Path, line: int, root: Path) -> Iterator[Finding]:
    environment = _Recorder(given)
    try:
        load_settings(environment, load_job_types())
    except SettingsError as exc:
        yield Finding(path, line, f"the app would not start: {exc}")
    asked = environment.asked | _read_directly(root)
    for name in sorted(asked):
        by_identity = any(other.startswith(f"{name}__") for other in given)
        by_keys = "__" in name and name.split("__", maxsplit=1)[0] in given
        if not (name in given or by_identity or by_keys):
            yield Finding(path, line, f"the code reads the setting {name}, which is not given")
    for name in sorted(set(given) - asked):
        if name not in _OF_THE_HOST and name not in _NEEDED_BY_THE_HOST:
            yield Finding(path, line, f"nothing reads the setting {name}")


@functools.cache
def _read_directly(root: Path) -> frozenset[str]:
    """Names that the code reads from the environment by itself, not through shared/config.py."""
    sources = [root / "function_app.py", *(root / "functions").rglob("*.py"), *(root / "shared").rglob("*.py")]
    found = {name for path in sources for name in _READ.findall(path.read_text())}
    return frozenset(name for name in found if not name.startswith(_OF_THE_PLATFORM))


def _are_defaults(given: Mapping[str, str], root: Path) -> Iterator[Finding]:
    """What settings.json says is what the code would do without it."""
    bare = {name: value for name, value in given.items() if not name.startswith(PREFIX)}
    content = (root / SETTINGS_FILE).read_text()
    for name, value in json.loads(content).items():
        line = next(number for number, each in enumerate(content.split("\n"), 1) if f'"{name}"' in each)
        if not isinstance(value, str):
            yield Finding(root / SETTINGS_FILE, line, f"{name} must be a text, as all settings are")
        elif _loaded(bare) != _loaded({**bare, name: value}):
            yield Finding(root / SETTINGS_FILE, line, f"{name} is {value!r}, which is not the default of the code")


def _loaded(environment: Mapping[str, str]) -> Settings | None:
    try:
        return load_settings(environment, load_job_types())
    except SettingsError:
        return None  # said where all settings are compared


def _always_ready(app: Deployed, functions: set[str]) -> Iterator[Finding]:
    body = app.declaration.value
    for node in walk(body) if body is not None else ():
        name = literal(node) or ""
        if name.startswith("function:") and name.removeprefix("function:") not in functions:
            message = f"alwaysReady names {name}, but functions/ has no such function"
            yield Finding(app.deployment.template.path, node.start_point[0] + 1, f"{app.declaration.name}: {message}")


def _no_passwords(app: Deployed, resources: list[Deployed]) -> Iterator[Finding]:
    closed = {
        each.value.get("name")
        for each in resources
        if each.type == "Microsoft.Web/sites/basicPublishingCredentialsPolicies"
    }
    for name in sorted({"ftp", "scm"} - closed):
        message = f"{app.declaration.name}: no basicPublishingCredentialsPolicies forbids passwords for {name}"
        yield app.finding(message)


def _tables(resources: list[Deployed]) -> Iterator[Finding]:
    tables = [each for each in resources if each.type == "Microsoft.Storage/storageAccounts/tableServices/tables"]
    given = {str(each.value.get("name")) for each in tables}
    for name in sorted(set(TABLES) - given):
        yield (tables or resources)[0].finding(f"the code uses the table {name}, which is missing")
    for table in tables:
        if table.value.get("name") not in TABLES:
            yield table.finding(f"{table.declaration.name}: no code uses the table {table.value.get('name')}")


def _container(container: Deployed) -> Iterator[Finding]:
    """The container is the one that shared/azure/cosmos.py makes where there is none."""
    name = container.declaration.name
    wanted: dict[str, Any] = {"id": CONTAINER, "defaultTtl": -1, "indexingPolicy": INDEXING_POLICY}
    for key, value in wanted.items():
        found = at(container.value, "properties", "resource", key)
        if found != value:
            message = f"{name}: {key} is {found!r}, but {value!r} in shared/azure/cosmos.py"
            yield container.finding(message, "properties", "resource", key)
    if at(container.value, "properties", "resource", "partitionKey", "paths") != ["/pk"]:
        message = f"{name}: the partition key must be /pk, as in shared/azure/cosmos.py"
        yield container.finding(message, "properties", "resource", "partitionKey")
