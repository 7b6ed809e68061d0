"""Settings, host.json, indexing errors and the state of a host that cannot start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from tests.contract.host.hosting import wait_for_log, wait_until, write_app
from tests.services import ROOT, running

HELLO = """
@app.route("hello")
def hello(req: func.HttpRequest) -> func.HttpResponse:
    import os
    return func.HttpResponse(os.environ.get("GREETING", "none"))
"""


def host_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "host", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_list(tmp_path: Path) -> None:
    source = (
        HELLO
        + """
@app.timer_trigger(arg_name="t", schedule="0 * * * * *")
def tick(t: func.TimerRequest): pass
@app.service_bus_queue_trigger(arg_name="m", queue_name="jobs", connection="SB")
def work(m: func.ServiceBusMessage): pass
"""
    )
    result = host_command("--app", str(write_app(tmp_path, source)), "--list")
    assert result.returncode == 0, result.stderr
    listed = [{key: entry[key] for key in entry if key != "bindings"} for entry in json.loads(result.stdout)]
    assert listed == [
        {"name": "hello", "trigger": "httpTrigger", "route": "hello", "authLevel": "ANONYMOUS"},
        {"name": "tick", "trigger": "timerTrigger", "schedule": "0 * * * * *"},
        {"name": "work", "trigger": "serviceBusTrigger", "queueName": "jobs"},
    ]


def test_an_app_that_cannot_be_indexed_has_no_functions_but_runs(tmp_path: Path) -> None:
    app = write_app(tmp_path, HELLO + "\nraise KeyError('broken')\n")
    listed = host_command("--app", str(app), "--list")
    assert listed.returncode == 1
    assert "KeyError: 'broken' (function_app.py, line 10)" in listed.stderr
    with running("host", "--app", str(app), "--port", "0") as service:
        wait_for_log(service, "was not loaded and has no functions: KeyError: 'broken' (function_app.py, line 10)")
        assert requests.get(f"{service.url}/", timeout=5).status_code == 200
        assert requests.get(f"{service.url}/api/hello", timeout=5).status_code == 404
        assert requests.get(f"{service.url}/admin/host/status", timeout=5).json()["state"] == "Running"


def test_another_script_name(tmp_path: Path) -> None:
    write_app(tmp_path, HELLO)
    (tmp_path / "function_app.py").rename(tmp_path / "main.py")
    listed = host_command("--app", str(tmp_path), "--list", PYTHON_SCRIPT_FILE_NAME="main.py")
    assert json.loads(listed.stdout)[0]["name"] == "hello"
    refused = host_command("--app", str(tmp_path), "--list", PYTHON_SCRIPT_FILE_NAME="main.txt")
    assert "InvalidFileNameError" in refused.stderr


@pytest.mark.parametrize(
    ("host_json", "complaint"),
    [
        ("{", "Unable to parse host configuration file"),
        ('{"logging": {}}', "missing the required 'version' property"),
        ('{"version": "1.0"}', "'1.0' is an invalid value for host.json 'version' property"),
        ('{"version": "2.0", "functionTimeout": "soon"}', "functionTimeout is 'soon'"),
        ('{"version": "2.0", "functionTimeout": "00:00:00.5"}', "functionTimeout must be at least 00:00:01"),
        (
            '{"version": "2.0", "extensions": {"serviceBus": {"messageHandlerOptions": {}}}}',
            "belongs to version 4 of the Service Bus extension",
        ),
        (
            '{"version": "2.0", "extensions": {"serviceBus": {"maxConcurrentCalls": 0}}}',
            "extensions.serviceBus.maxConcurrentCalls is 0; it must be at least 1",
        ),
    ],
)
def test_a_host_json_that_cannot_be_used(tmp_path: Path, host_json: str, complaint: str) -> None:
    with running("host", "--app", str(write_app(tmp_path, HELLO, host_json=host_json)), "--port", "0") as service:
        wait_for_log(service, complaint)
        for path in ("/", "/api/hello"):
            answer = requests.get(service.url + path, timeout=5)
            assert (answer.status_code, answer.text) == (503, "Function host is not running.")
        status = requests.get(f"{service.url}/admin/host/status", timeout=5).json()
        assert status["state"] == "Error"
        assert complaint in status["errors"][0]
        assert requests.get(f"{service.url}/admin/host/ping", timeout=5).status_code == 200


def test_a_failed_start_is_tried_again(tmp_path: Path) -> None:
    app = write_app(tmp_path, HELLO, host_json="{}x")
    with running("host", "--app", str(app), "--port", "0") as service:
        wait_for_log(service, "Unable to parse host configuration file")
        (app / "host.json").write_text('{"version": "2.0"}')
        wait_until(lambda: requests.get(f"{service.url}/api/hello", timeout=5).status_code == 200)


def test_host_json_and_its_overrides(tmp_path: Path) -> None:
    host_json = '{"version": "2.0", "extensions": {"http": {"routePrefix": "v1"}}}'
    app = str(write_app(tmp_path, HELLO, host_json=host_json))
    with running("host", "--app", app, "--port", "0") as service:
        assert requests.get(f"{service.url}/v1/hello", timeout=5).status_code == 200
    override = {"AzureFunctionsJobHost__extensions__http__routePrefix": ""}
    with running("host", "--app", app, "--port", "0", env=override) as service:
        assert requests.get(f"{service.url}/hello", timeout=5).status_code == 200


def test_local_settings(tmp_path: Path) -> None:
    app = write_app(tmp_path, HELLO)
    settings = {"Values": {"GREETING": "from the file"}, "Host": {"CORS": "*"}}
    (app / "local.settings.json").write_text(json.dumps(settings))
    with running("host", "--app", str(app), "--port", "0") as service:
        answer = requests.get(f"{service.url}/api/hello", headers={"Origin": "http://x"}, timeout=5)
        assert answer.text == "from the file"
        assert answer.headers["access-control-allow-origin"] == "*"
    with running("host", "--app", str(app), "--port", "0", env={"GREETING": "from outside"}) as service:
        assert requests.get(f"{service.url}/api/hello", timeout=5).text == "from outside"


def test_groups(tmp_path: Path) -> None:
    source = (
        HELLO
        + """
@app.route("other")
def other(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x")
@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *")
def yearly(t: func.TimerRequest): pass
"""
    )
    app = str(write_app(tmp_path, source))
    for groups, names in ((["timer"], ["yearly"]), (["http"], ["hello", "other"]), (["function:OTHER"], ["other"])):
        options = [part for group in groups for part in ("--group", group)]
        with running("host", "--app", app, "--port", "0", *options) as service:
            listed = requests.get(f"{service.url}/admin/functions", timeout=5).json()
            assert [function["name"] for function in listed] == names
    assert "is no group" in host_command("--app", app, "--group", "queues").stderr


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    app = str(write_app(tmp_path, HELLO))
    with running("host", "--app", app, "--port", "0") as service:
        result = host_command("--app", app, "--port", str(service.port))
    assert result.returncode == 1
    assert "cannot listen" in result.stderr
    assert str(service.port) in result.stderr


def test_log_levels_and_json_lines(tmp_path: Path) -> None:
    host_json = json.dumps({"version": "2.0", "logging": {"logLevel": {"default": "Debug", "Function": "Warning"}}})
    source = HELLO.replace("import os", "import os; logging.debug('detail'); logging.error('trouble')")
    app = str(write_app(tmp_path, source, host_json=host_json))
    with running("host", "--app", app, "--port", "0", "--log-format", "json", "--log-level", "debug") as service:
        requests.get(f"{service.url}/api/hello", timeout=5)
        (line,) = wait_for_log(service, "trouble")
        entry = json.loads(line)
        assert (entry["level"], entry["category"], entry["message"]) == ("ERROR", "root", "trouble")
        assert len(entry["invocationId"]) == 36
        assert wait_for_log(service, "detail")
        assert not [line for line in service.log if "Executing 'Functions" in line], "category Function is at Warning"
        assert service.stop() == 0


def test_function_timeout_of_http_functions(tmp_path: Path) -> None:
    source = """
@app.route("late")
async def late(req: func.HttpRequest) -> func.HttpResponse:
    try:
        await asyncio.sleep(1000)
    finally:
        logging.info("late was cancelled")
@app.route("stuck")
def stuck(req: func.HttpRequest) -> func.HttpResponse:
    time.sleep(6)
@app.route("quick")
def quick(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x")
"""
    app = write_app(tmp_path, source, host_json='{"version": "2.0", "functionTimeout": "00:00:01"}')
    with running("host", "--app", str(app), "--port", "0", env={"PYTHON_THREADPOOL_THREAD_COUNT": "1"}) as service:
        for name in ("late", "stuck"):
            answer = requests.get(f"{service.url}/api/{name}", timeout=5)
            assert (answer.status_code, answer.content) == (500, b"")
            wait_for_log(service, f"Timeout value of 00:00:01 exceeded by function 'Functions.{name}' (Id: '")
            wait_for_log(service, f"Timeout value of 00:00:01 was exceeded by function: Functions.{name}")
        wait_for_log(service, "late was cancelled")
        wait_for_log(service, "A function timeout has occurred. Restarting worker process")
        # The one thread is still taken; a new pool serves, and the thread does not hold up the end.
        assert requests.get(f"{service.url}/api/quick", timeout=5).status_code == 200
        assert service.stop(timeout=4) == 0


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    source = """
@app.route("slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(1000)
"""
    with running("host", "--app", str(write_app(tmp_path, source)), "--port", "0") as service:
        with pytest.raises(requests.RequestException):
            requests.get(f"{service.url}/api/slow", timeout=0.3)
        service.process.terminate()
        wait_for_log(service, "DrainMode mode enabled")
        service.process.terminate()
        assert service.process.wait(5) == 1


SLOW = """
@app.route("slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(1)
    return func.HttpResponse("slow")
"""


def test_sigterm_lets_a_request_finish_and_takes_no_new_one(tmp_path: Path) -> None:
    with running("host", "--app", str(write_app(tmp_path, SLOW)), "--port", "0") as service:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(requests.get, f"{service.url}/api/slow", timeout=5)
            wait_for_log(service, "Executing 'Functions.slow'")
            service.process.terminate()
            wait_for_log(service, "DrainMode mode enabled")
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{service.url}/api/slow", timeout=5)
            assert answer.result().text == "slow"
        assert service.process.wait(5) == 0


def test_throttling(tmp_path: Path) -> None:
    limits = {"maxOutstandingRequests": 2, "maxConcurrentRequests": 1}
    host_json = json.dumps({"version": "2.0", "extensions": {"http": limits}})
    with running("host", "--app", str(write_app(tmp_path, SLOW, host_json=host_json)), "--port", "0") as service:
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: requests.get(f"{service.url}/api/slow", timeout=5), range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429]
        started = [
            datetime.fromisoformat(line.split()[0]) for line in wait_for_log(service, "Executing 'Func", count=2)
        ]
        assert started[1] - started[0] >= timedelta(seconds=0.9), "one at a time"


def test_the_home_page_can_be_switched_off(tmp_path: Path) -> None:
    arguments = ("host", "--app", str(write_app(tmp_path, HELLO)), "--port", "0")
    with running(*arguments, env={"AzureWebJobsDisableHomepage": "true"}) as service:
        assert requests.get(f"{service.url}/", timeout=5).status_code == 204


def test_a_function_at_the_root_wins_over_the_home_page(tmp_path: Path) -> None:
    source = """
@app.route("{*path}")
def everything(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("mine")
"""
    host_json = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    with running("host", "--app", str(write_app(tmp_path, source, host_json=host_json)), "--port", "0") as service:
        assert requests.get(f"{service.url}/", timeout=5).text == "mine"
        assert requests.get(f"{service.url}/a/b", timeout=5).text == "mine"
        assert requests.get(f"{service.url}/admin/host/status", timeout=5).json()["state"] == "Running"
