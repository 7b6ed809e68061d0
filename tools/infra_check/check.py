"""All checks, on all that the templates may deploy."""

from __future__ import annotations

import functools
from pathlib import Path

from tools.infra_check.broker import check_alerts, check_queues, expected_queues
from tools.infra_check.code import check_app, check_settings
from tools.infra_check.contracts import check_contracts, read_parameters
from tools.infra_check.evaluate import Deployed, Deployment
from tools.infra_check.roles import check_order, check_roles
from tools.infra_check.rules import check_rules
from tools.infra_check.syntax import Finding, read_template
from tools.infra_check.types import check_types

ROOT = Path(__file__).resolve().parent.parent.parent


def check(root: Path) -> list[Finding]:
    """What is wrong with infra/ of the project in `root`, by file and line; paths are relative to it."""
    load = functools.cache(read_template)
    folder = root / "infra" / "bicep"
    main = load(folder / "main.bicep")
    findings: set[Finding] = set()
    for path in sorted(folder.rglob("*.bicep")):
        findings |= set(load(path).findings)
    anything = Deployment(main, {}, load)
    findings |= _deployment(anything, root)
    findings |= set(check_order(anything))
    # With no address for mail, alerts tell nobody: what counts is that they would.
    findings |= set(check_alerts(_resources(anything), set(expected_queues(root))))
    for path in (folder / "main.parameters.json", *sorted((folder / "parameters").glob("*.json"))):
        values, wrong = read_parameters(path, anything)
        findings |= {*wrong, *_deployment(Deployment(main, values, load), root)}
    return sorted(Finding(each.path.relative_to(root), each.line, each.message) for each in findings)


def _deployment(deployment: Deployment, root: Path) -> set[Finding]:
    findings: set[Finding] = set()
    resources = _resources(deployment)
    queues = expected_queues(root)
    for resource in resources:
        findings |= set(check_rules(resource))
    findings |= set(check_roles(resources, set(queues)))
    findings |= set(check_queues(resources, queues))
    findings |= set(check_settings(resources, root))
    findings |= set(check_app(resources, root))
    for each in deployment.everything():
        findings |= set(check_types(each))
        findings |= set(check_contracts(each))
        findings |= each.findings
    return findings


def _resources(deployment: Deployment) -> list[Deployed]:
    return [resource for each in deployment.everything() for resource in each.resources]
