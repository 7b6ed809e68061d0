"""How long a provider asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.service.provider_http import retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "Sun, 01 Mar 2026 12:01:30 GMT"}, 90),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "\u00b2"}, None),  # a digit to str.isdigit, but no number
        ({"retry-after": ""}, None),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, 60),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, 0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(NOW.timestamp()) + 60)}, None),
        ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "9999999999"}, 7),
    ],
)
def test_the_wait_that_headers_ask_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
