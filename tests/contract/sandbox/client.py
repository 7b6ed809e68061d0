"""The sandbox as the tests of its suite talk to it."""

from __future__ import annotations

import requests


class Sandbox:
    """The sandbox as a handler sees it (`get`) and as a test steers it (`control`, `report`)."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session

    def get(self, path: str, **query: object) -> requests.Response:
        return self._session.get(self.url + path, params={k: str(v) for k, v in query.items()}, timeout=5)

    def control(self, provider: str, **settings: object) -> requests.Response:
        return self._session.put(f"{self.url}/_control/{provider}", json=settings, timeout=5)

    def report(self, provider: str) -> dict[str, object]:
        body: dict[str, object] = self._session.get(f"{self.url}/_control/{provider}", timeout=5).json()
        return body
