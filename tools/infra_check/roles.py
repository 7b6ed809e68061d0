"""Who may do what: the roles that the app needs are there, no wider, and all in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.infra_check.evaluate import Deployed, Deployment, ModuleReference, ResourceReference
from tools.infra_check.syntax import Finding
from tools.infra_check.values import at

FILE = "roles.bicep"
_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
_COSMOS_ASSIGNMENT = "Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments"


class Role(NamedTuple):
    """A role that may be given, and on what. `needed`: the app does not work without it."""

    name: str
    id: str
    scope: str
    needed: bool


#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ALLOWED = (
    Role(
        "Azure Service Bus Data Owner",
        "090c5cfd-751d-490a-894a-3ce6f1109419",
        "Microsoft.ServiceBus/namespaces/queues",
        needed=True,
    ),
    Role(
        "Storage Blob Data Owner",
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Microsoft.Storage/storageAccounts",
        needed=True,
    ),
    Role(
        "Storage Table Data Contributor",
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        "Microsoft.Storage/storageAccounts",
        needed=True,
    ),
    Role(
        "Storage Blob Data Contributor",
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Microsoft.Storage/storageAccounts",
        needed=False,
    ),
    Role(
        "SignalR Service Owner",
        "7e4f1700-ea5a-4f59-8f37-079cfe29dce3",
        "Microsoft.SignalRService/signalR",
        needed=True,
    ),
    Role(
        "Monitoring Metrics Publisher",
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Microsoft.Insights/components",
        needed=True,
    ),
)
#: Cosmos DB Built-in Data Contributor, a role of the data plane of Cosmos DB.
COSMOS_ROLE = "00000000-0000-0000-0000-000000000002"


def check_roles(resources: list[Deployed], queues: set[str]) -> Iterator[Finding]:
    """Findings of all role assignments together."""
    assignments = [each for each in resources if each.type in (_ASSIGNMENT, _COSMOS_ASSIGNMENT)]
    given: set[tuple[str, str]] = set()
    for assignment in assignments:
        if assignment.deployment.template.path.name != FILE:
            yield assignment.finding(f"{assignment.declaration.name}: role assignments stand in {FILE}, all of them")
        if assignment.type == _COSMOS_ASSIGNMENT:
            yield from _cosmos(assignment)
            continue
        role, target, name = _given(assignment)
        if role is None:
            yield assignment.finding(
                f"{assignment.declaration.name}: the role {_role_id(assignment)} is not one that is given here",
                "properties",
                "roleDefinitionId",
            )
        elif target != role.scope:
            message = (
                f"{assignment.declaration.name}: {role.name} is given on {target or 'everything'}, not {role.scope}"
            )
            yield assignment.finding(message, "scope")
        else:
            given.add((role.id, name))
    yield from _missing(resources, assignments, given, queues)


def check_order(main: Deployment) -> Iterator[Finding]:
    """The app comes after the roles: it reads its code and its keys from the storage account as soon as it is there."""
    modules = {declaration.name: declaration for declaration in main.template.of_kind("module")}
    roles = {name for name, declaration in modules.items() if Path(declaration.type).name == FILE}
    for declaration in modules.values():
        deployment = main.module(declaration)
        if deployment is None or not any(each.type == "Microsoft.Web/sites" for each in deployment.resources):
            continue
        body = main.value(declaration.value) if declaration.value is not None else {}
        waits_for = {each.declaration.name for each in body.get("dependsOn", []) if isinstance(each, ModuleReference)}
        if not roles & waits_for:
            message = f"module {declaration.name} must come after the roles: dependsOn: [{', '.join(roles)}]"
            yield Finding(main.template.path, declaration.line, message)


def _missing(
    resources: list[Deployed], assignments: list[Deployed], given: set[tuple[str, str]], queues: set[str]
) -> Iterator[Finding]:
    anchor = next((each for each in assignments if each.deployment.template.path.name == FILE), resources[0])
    for role in ALLOWED:
        if role.needed and role.id not in {each for each, _ in given}:
            yield anchor.finding(f"the app does not get the role {role.name} on {role.scope}")
    if not any(each.type == _COSMOS_ASSIGNMENT for each in assignments):
        yield anchor.finding("the app does not get the role Cosmos DB Built-in Data Contributor on its database")
    on_queues = {name for role, name in given if role == ALLOWED[0].id}
    for queue in sorted(queues - on_queues) if on_queues else ():
        yield anchor.finding(f"the app does not get the role {ALLOWED[0].name} on the queue {queue}")


def _cosmos(assignment: Deployed) -> Iterator[Finding]:
    name = assignment.declaration.name
    if not str(at(assignment.value, "properties", "roleDefinitionId")).endswith(
        f".id>/sqlRoleDefinitions/{COSMOS_ROLE}"
    ):
        yield assignment.finding(
            f"{name}: the role must be {COSMOS_ROLE} of the account", "properties", "roleDefinitionId"
        )
    if not re.fullmatch(r"<\w+\.id>/dbs/.+", str(at(assignment.value, "properties", "scope"))):
        message = f"{name}: the scope must be a database, <account id>/dbs/<name>, not the whole account"
        yield assignment.finding(message, "properties", "scope")


def _role_id(assignment: Deployed) -> str:
    found = at(assignment.value, "properties", "roleDefinitionId")
    return found.rsplit("/", 1)[-1] if isinstance(found, str) else str(found)


def _given(assignment: Deployed) -> tuple[Role | None, str, str]:
    """The role, the type that it is given on, and that one's name, if known."""
    wanted = _role_id(assignment)
    role = next((each for each in ALLOWED if each.id == wanted), None)
    scope = assignment.value.get("scope")
    if not isinstance(scope, ResourceReference):
        return role, "", ""
    name = scope.name
    return role, scope.declaration.type.split("@", maxsplit=1)[0], name if isinstance(name, str) else ""
