"""The /admin endpoints, keys, and drain mode."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.contract.host.hosting import wait_for_log, wait_until, write_app
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("host-admin")  # one process holds what the fixtures start

SOURCE = """
@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
def open_to_all(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("open")
@app.route("keyed", auth_level=func.AuthLevel.FUNCTION)
def keyed(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.params.get("code", "no code"))
@app.route("other", auth_level=func.AuthLevel.FUNCTION)
def other(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("other")
@app.route("master", auth_level=func.AuthLevel.ADMIN)
def master(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("master")
@app.route("off", auth_level=func.AuthLevel.FUNCTION)
def off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("off")
@app.route("slow", auth_level=func.AuthLevel.ANONYMOUS)
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(1)
    return func.HttpResponse("slow")
@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *")
def yearly(t: func.TimerRequest) -> None:
    logging.info("yearly ran, past due: %s", t.past_due)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("admin")


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[Service]:
    secrets = folder / "secrets"
    secrets.mkdir()
    key = {"name": "default", "encrypted": False}
    (secrets / "host.json").write_text(
        json.dumps(
            {
                "masterKey": {**key, "value": "the-master"},
                "functionKeys": [{**key, "value": "the-host"}],
                "systemKeys": [{**key, "value": "the-system"}],
            }
        )
    )
    (secrets / "keyed.json").write_text(json.dumps({"keys": [{**key, "value": "its-own"}]}))
    environment = {"FUNCTIONS_SECRETS_PATH": str(secrets), "AzureWebJobs_off_Disabled": "true"}
    with running("host", "--app", str(write_app(folder, SOURCE)), "--port", "0", "--auth", env=environment) as service:
        yield service


@pytest.mark.parametrize(
    ("path", "key", "status"),
    [
        ("open", None, 200),
        ("open", "wrong", 200),
        ("keyed", None, 401),
        ("keyed", "wrong", 401),
        ("keyed", "its-own", 200),
        ("keyed", "the-host", 200),
        ("keyed", "the-master", 200),
        ("keyed", "the-system", 401),
        ("other", "its-own", 401),
        ("other", "the-host", 200),
        ("master", "the-host", 401),
        ("master", "the-master", 200),
        ("off", "the-host", 404),
        ("off", None, 401),
        ("off", "the-master", 200),
    ],
)
def test_keys(secured: Service, path: str, key: str | None, status: int) -> None:
    headers = {"x-functions-key": key} if key else {}
    answer = requests.get(f"{secured.url}/api/{path}", headers=headers, timeout=5)
    assert answer.status_code == status
    if status == 401:
        assert answer.content == b""


def test_the_key_as_code_stays_a_parameter_and_the_header_comes_first(secured: Service) -> None:
    assert requests.get(f"{secured.url}/api/keyed?code=its-own", timeout=5).text == "its-own"
    headers = {"x-functions-key": "wrong"}
    assert requests.get(f"{secured.url}/api/keyed?code=its-own", headers=headers, timeout=5).status_code == 401


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("wrong", 401), ("the-host", 403), ("the-master", 200)])
def test_admin_needs_the_master_key(secured: Service, key: str | None, status: int) -> None:
    headers = {"x-functions-key": key} if key else {}
    assert requests.get(f"{secured.url}/admin/host/status", headers=headers, timeout=5).status_code == status
    assert requests.get(f"{secured.url}/admin/host/ping", timeout=5).status_code == 200


def test_keys_are_made_at_first_use_for_the_owner_alone(tmp_path: Path) -> None:
    arguments = ("host", "--app", str(write_app(tmp_path, SOURCE)), "--port", "0", "--auth")
    state = tmp_path / "state"
    with running(*arguments, "--state", str(state)) as service:
        assert requests.get(f"{service.url}/api/keyed?code=x", timeout=5).status_code == 401
        for name in ("host", "keyed"):
            assert stat.S_IMODE((state / "secrets" / f"{name}.json").stat().st_mode) == 0o600
        key = json.loads((state / "secrets" / "keyed.json").read_text())["keys"][0]["value"]
        assert len(key) >= 40
        assert requests.get(f"{service.url}/api/keyed?code={key}", timeout=5).status_code == 200


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    app = write_app(tmp_path_factory.mktemp("plain"), SOURCE)
    with running("host", "--app", str(app), "--port", "0") as service:
        yield service


def test_without_auth_every_level_is_open(host: Service) -> None:
    for path in ("keyed", "master"):
        assert requests.get(f"{host.url}/api/{path}", timeout=5).status_code == 200


def test_status(host: Service) -> None:
    status = requests.get(f"{host.url}/admin/host/status", timeout=5).json()
    assert status["state"] == "Running"
    assert status["processUptime"] > 0
    assert {"id", "version", "instanceId", "computerName"} <= status.keys()
    assert "errors" not in status


def test_functions(host: Service) -> None:
    listed = requests.get(f"{host.url}/admin/functions", timeout=5).json()
    assert [function["name"] for function in listed] == [
        "keyed",
        "master",
        "off",
        "open_to_all",
        "other",
        "slow",
        "yearly",
    ]
    keyed = requests.get(f"{host.url}/admin/functions/KEYED", timeout=5).json()
    assert keyed == listed[0]
    assert keyed["invoke_url_template"] == f"{host.url}/api/keyed"
    assert keyed["config"]["bindings"][0]["type"] == "httpTrigger"
    assert (keyed["isDisabled"], keyed["language"]) == (False, "python")
    assert requests.get(f"{host.url}/admin/functions/none", timeout=5).status_code == 404
    assert requests.get(f"{host.url}/admin/functions/keyed/status", timeout=5).json() == {}


def test_invoking(host: Service) -> None:
    url = f"{host.url}/admin/functions/yearly"
    assert requests.post(url, timeout=5).status_code == 400
    assert requests.post(f"{host.url}/admin/functions/none", json={}, timeout=5).status_code == 404
    answer = requests.post(url, json={"input": "x"}, timeout=5)
    assert (answer.status_code, answer.content) == (202, b"")
    wait_for_log(host, "yearly ran, past due: False")
    wait_for_log(host, "Reason='This function was programmatically called via the host APIs.'")


def test_drain_and_resume(tmp_path: Path) -> None:
    source = (
        SOURCE + '\n@app.timer_trigger(arg_name="t", schedule="* * * * * *")\ndef often(t): logging.info("often")\n'
    )
    with running("host", "--app", str(write_app(tmp_path, source)), "--port", "0") as service:
        admin = f"{service.url}/admin/host"
        assert requests.get(f"{admin}/drain/status", timeout=5).json() == {
            "state": "Disabled",
            "outstandingInvocations": 0,
            "outstandingRetries": 0,
        }
        wait_for_log(service, "Executing 'Functions.often'")
        running_call = threading.Thread(target=requests.get, args=(f"{service.url}/api/slow",), kwargs={"timeout": 5})
        running_call.start()
        wait_for_log(service, "Executing 'Functions.slow'")
        answer = requests.post(f"{admin}/drain", timeout=5)
        assert (answer.status_code, answer.content) == (202, b"")
        status = requests.get(f"{admin}/drain/status", timeout=5).json()
        assert status["state"] == "InProgress"
        assert status["outstandingInvocations"] >= 1
        wait_until(lambda: requests.get(f"{admin}/drain/status", timeout=5).json()["state"] == "Completed")
        running_call.join()
        assert requests.get(f"{service.url}/api/open", timeout=5).text == "open", "HTTP goes on being served"
        fired = len(wait_for_log(service, "Executing 'Functions.often'"))
        assert requests.post(f"{admin}/resume", timeout=5).json() == {"state": "Running"}
        wait_for_log(service, "Executing 'Functions.often'", count=fired + 1)
        assert requests.get(f"{admin}/drain/status", timeout=5).json()["state"] == "Disabled"
