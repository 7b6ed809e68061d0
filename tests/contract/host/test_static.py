"""Files served beside the functions."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
import requests

from tests.contract.host.hosting import write_app
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("host-static")  # one process holds what the fixtures start

FILES = {
    "index.html": ("text/html; charset=utf-8", "no-cache"),
    "config.json": ("application/json", "no-cache"),
    "favicon.svg": ("image/svg+xml", "no-cache"),
    "assets/index-4f3a.js": ("text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
    "assets/style-91bc.css": ("text/css; charset=utf-8", "public, max-age=31536000, immutable"),
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("static")
    (folder / "secret.txt").write_text("secret")
    for name in FILES:
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    (folder / "site" / "link.txt").symlink_to(folder / "secret.txt")
    (folder / "app").mkdir()
    source = (
        '\n@app.route("x")\ndef x(req: func.HttpRequest) -> func.HttpResponse: return func.HttpResponse("function")\n'
    )
    app = write_app(folder / "app", source)
    with running("host", "--app", str(app), "--port", "0", "--static", str(folder / "site")) as service:
        yield service


@pytest.mark.parametrize("name", FILES)
def test_files(host: Service, name: str) -> None:
    answer = requests.get(f"{host.url}/{name}", timeout=5)
    assert answer.text == f"content of {name}"
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == FILES[name]
    again = requests.get(f"{host.url}/{name}", headers={"If-None-Match": answer.headers["etag"]}, timeout=5)
    assert (again.status_code, again.content) == (304, b"")
    other = requests.get(f"{host.url}/{name}", headers={"If-None-Match": '"other"'}, timeout=5)
    assert other.status_code == 200


def test_the_root_is_the_page_and_head_has_no_body(host: Service) -> None:
    assert requests.get(f"{host.url}/", timeout=5).text == "content of index.html"
    head = requests.head(f"{host.url}/index.html", timeout=5)
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) == len("content of index.html")


def test_functions_come_first_and_the_rest_is_404(host: Service) -> None:
    assert requests.get(f"{host.url}/api/x", timeout=5).text == "function"
    for path in ("/none.html", "/assets", "/api/none"):
        assert requests.get(host.url + path, timeout=5).status_code == 404
    assert requests.post(f"{host.url}/index.html", timeout=5).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/link.txt", "/%00"],
)
def test_nothing_outside_is_served(host: Service, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (404, b"")
    connection.close()
