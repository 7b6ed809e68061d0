"""What `azd deploy` sends to Azure: the function app and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from fnmatch import fnmatch

import yaml

from tests.services import ROOT

APP = {"function_app.py", "host.json", "requirements.txt", "functions", "shared"}


def _tracked() -> set[str]:
    """The first part of every path that git knows."""
    command = ["git", "ls-files"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {line.split("/", maxsplit=1)[0] for line in listing.splitlines()}


def _stays_at_home(name: str) -> bool:
    patterns = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and not line.startswith("#")]
    return any(fnmatch(name, pattern.lstrip("/")) for pattern in patterns)


def test_only_the_app_is_deployed() -> None:
    assert {name for name in _tracked() if not _stays_at_home(name)} == APP


def test_azd_finds_the_templates_the_app_and_the_hook() -> None:
    azure = yaml.safe_load((ROOT / "azure.yaml").read_text())
    assert (ROOT / azure["infra"]["path"] / f"{azure['infra']['module']}.bicep").is_file()
    assert (ROOT / azure["services"]["api"]["project"] / "host.json").is_file()
    template = (ROOT / "infra" / "bicep" / "modules" / "function-app.bicep").read_text()
    assert "'azd-service-name': 'api'" in template
    hook = ROOT / azure["hooks"]["postdeploy"]["run"]
    assert hook.stat().st_mode & 0o111, f"{hook} cannot be executed"


def test_the_pipelines_pass_on_what_azd_fills_into_the_parameters() -> None:
    parameters = (ROOT / "infra" / "bicep" / "main.parameters.json").read_text()
    wanted = set(re.findall(r"\$\{(\w+)", parameters)) - {"AZURE_PRINCIPAL_ID"}  # azd knows who is signed in
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "deploy.yml").read_text())
    assert wanted <= set(workflow["env"])
    stages = yaml.safe_load((ROOT / "azure-pipelines.yml").read_text())["stages"]
    assert [stage["stage"] for stage in stages] == ["check", "whatif", "deploy"]


def test_the_example_of_local_settings_is_complete_json() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text())
    assert example["IsEncrypted"] is False
    assert all(isinstance(value, str) for value in example["Values"].values())
