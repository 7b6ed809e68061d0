"""Make `schemas.json` anew: `python -m tools.infra_check.generate PATH-TO-azmcp`, seldom needed.

`azmcp` is the program in the PyPI wheel `msmcp-azure` (62 MB, hence not a requirement); it knows the types of Azure by
heart, each in one API version. Add a type to `TYPES`, run this, commit the file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

TYPES = (
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Consumption/budgets",
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases",
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers",
    "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments",
    "Microsoft.Insights/components",
    "Microsoft.Insights/workbooks",
    "Microsoft.ManagedIdentity/userAssignedIdentities",
    "Microsoft.Network/privateEndpoints",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.OperationalInsights/workspaces",
    "Microsoft.Resources/resourceGroups",
    "Microsoft.ServiceBus/namespaces",
    "Microsoft.ServiceBus/namespaces/queues",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/blobServices/containers",
    "Microsoft.Storage/storageAccounts/tableServices",
    "Microsoft.Storage/storageAccounts/tableServices/tables",
    "Microsoft.Web/serverfarms",
    "Microsoft.Web/sites",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    "Microsoft.Web/sites/config",
)
_PLAIN = {"string", "int", "bool", "any", "object"}


def main() -> int:
    """Ask for every type and write the file beside this one."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m tools.infra_check.generate PATH-TO-azmcp\n")
        return 2
    resources = dict(_resource(_ask(sys.argv[1], name)) for name in TYPES)
    note = "Made by python -m tools.infra_check.generate; see schemas.py for the form."
    path = Path(__file__).with_name("schemas.json")
    path.write_text(_lines({"note": note, "resources": resources}))
    sys.stdout.write(f"{path}: {len(resources)} types, {path.stat().st_size:,} bytes\n")
    return 0


def _ask(program: str, name: str) -> list[dict[str, Any]]:
    command = [program, "bicepschema", "get", "--resource-type", name]
    environment = {**os.environ, "AZURE_MCP_COLLECT_TELEMETRY": "false"}
    answer = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120, text=True).stdout  # noqa: S603 - the program that was named
    found: list[dict[str, Any]] = json.loads(answer[answer.index("{") :])["results"]["BicepSchemaResult"]
    return found


def _resource(entries: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    resource = next(entry for entry in entries if entry["$type"] == "Resource")
    known = {entry["name"]: entry for entry in entries if entry["$type"] in ("Object", "DiscriminatedObject")}
    types: dict[str, Any] = {}
    body = {**resource["bodyType"], "name": "Resource"}
    waiting = [body]
    while waiting:
        entry = waiting.pop()
        if entry["name"] not in types:
            types[entry["name"]], used = _object(entry, known)
            waiting += [known[name] for name in sorted(used)]
    return resource["name"], {"body": "#Resource", "types": dict(sorted(types.items()))}


def _object(entry: dict[str, Any], known: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """An object in our form, and the names of those that it is made of."""
    used: set[str] = set()
    if entry["$type"] == "Object":
        return _members(entry.get("properties", []), entry.get("additionalPropertiesType"), known, used), used
    chosen_by = entry["discriminator"]
    choices: dict[str, Any] = {"?": chosen_by}
    for element in entry["elements"]:
        value = next(each["type"] for each in element["properties"] if each["name"] == chosen_by)
        members = [*entry["baseProperties"], *element["properties"]]
        choices[value] = _members(members, element.get("additionalPropertiesType"), known, used)
    return choices, used


def _members(
    members: list[dict[str, Any]], others: str | None, known: dict[str, Any], used: set[str]
) -> dict[str, str]:
    found = {}
    for member in members:
        flags = member.get("flags", "")
        mark = "~" if "ReadOnly" in flags else "!" if "Required" in flags else ""
        found[member["name"] + mark] = _type(member["type"], known, used)
    if others:
        found["*"] = _type(others, known, used)
    return found


def _type(written: str, known: dict[str, Any], used: set[str]) -> str:
    """`A | B | string`, `T[]`, `(A | B)[]` in our form."""
    if written.endswith("[]"):
        return "[]" + _type(written[:-2].removeprefix("(").removesuffix(")"), known, used)
    words = re.split(r" \| ", written)
    if len(words) == 1:
        if written in known:
            used.add(written)
            return f"#{written}"
        return written if written in _PLAIN else f"={written}"
    literals = [word for word in words if word not in _PLAIN]
    return ("~" if len(literals) < len(words) else "=") + "|".join(literals)


def _lines(value: dict[str, Any]) -> str:
    """JSON with a line for each object type: small, and a change of one type is a change of one line."""
    parts = [f'{{\n"note": {json.dumps(value["note"])},\n"resources": {{']
    for number, (name, entry) in enumerate(value["resources"].items()):
        types = ",\n".join(f"  {json.dumps(key)}: {json.dumps(each)}" for key, each in entry["types"].items())
        comma = "," if number + 1 < len(value["resources"]) else ""
        parts.append(f'{json.dumps(name)}: {{"body": {json.dumps(entry["body"])}, "types": {{\n{types}\n}}}}{comma}')
    return "\n".join([*parts, "}\n}\n"])


if __name__ == "__main__":
    sys.exit(main())
