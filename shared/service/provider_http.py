"""Calls to providers over `requests` that end with the job's deadline and fail in the job's own terms."""

from __future__ import annotations

import email.utils
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import msgspec

from shared.jobs.outcomes import PermanentError, RetryableError
from shared.service.tracing import dependency

if TYPE_CHECKING:
    import requests

T = TypeVar("T")

#: Longest wait, in seconds, for a connection and between two bytes of an answer.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 15.0
#: A provider's answer may be this long, in bytes.
MAX_ANSWER = 4 * 1024 * 1024

USER_AGENT = "dtq/0.1"
RETRYABLE_STATUS = frozenset({408, 425, 429})

_local = threading.local()


class DeadlineHttp:
    """The `Http` of a job: `check` raises when the job must not go on, `remaining` is its time left in seconds."""

    def __init__(self, check: Callable[[], None], remaining: Callable[[], float]) -> None:
        self._check = check
        self._remaining = remaining

    def get_json(
        self,
        url: str,
        type: type[T],  # noqa: A002 - the field's own word, as in msgspec
        *,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,
        not_found: str | None = None,
    ) -> T:
        """GET and decode; see `shared.jobs.context.Http`."""
        import requests  # noqa: PLC0415 - 70 ms that an instance without provider jobs need not pay

        self._check()
        host = url.split("/")[2].rpartition("@")[2] if "//" in url else url
        remaining = self._remaining()
        try:
            with dependency("HTTP", host, f"GET {host}") as span:
                answer = _session().get(
                    url,
                    params=params,
                    headers={**(headers or {}), **({"traceparent": span.traceparent} if span else {})},
                    timeout=(min(CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
                    allow_redirects=False,
                    stream=True,
                )
                with answer:
                    body = answer.raw.read(MAX_ANSWER + 1, decode_content=True)
                if span:
                    span.end(str(answer.status_code), success=answer.status_code < 400)
        except requests.Timeout as exc:
            raise RetryableError(f"{host} did not answer in time.", code="provider_timeout") from exc
        except (requests.RequestException, OSError) as exc:
            raise RetryableError(f"{host} could not be reached: {_cause(exc)}.", code="provider_unreachable") from exc
        if answer.status_code != requests.codes.ok:
            raise _refusal(host, answer, not_found)
        if len(body) > MAX_ANSWER:
            raise PermanentError(f"{host} answered more than {MAX_ANSWER:,} bytes.", code="provider_answer_too_large")
        try:
            return msgspec.json.decode(body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise RetryableError(f"{host} answered what we cannot read: {exc}.", code="provider_malformed") from exc


def _session() -> requests.Session:
    """One session a thread: connections are reused, and a Session is not safe to share."""
    import requests  # noqa: PLC0415 - see get_json

    if not hasattr(_local, "session"):
        _local.session = requests.Session()
        _local.session.headers["User-Agent"] = USER_AGENT
    session: requests.Session = _local.session
    return session


def _refusal(host: str, answer: requests.Response, not_found: str | None) -> RetryableError | PermanentError:
    status = answer.status_code
    if status == 404 and not_found is not None:
        return PermanentError(not_found, code="not_found")
    after = retry_after(answer.headers, datetime.now(UTC))
    rate_limited = status == 403 and (after is not None or answer.headers.get("x-ratelimit-remaining") == "0")
    if status in RETRYABLE_STATUS or status >= 500 or rate_limited:
        code = "provider_rate_limited" if rate_limited or status == 429 else "provider_error"
        return RetryableError(f"{host} answered {status}.", code=code, after=after)
    return PermanentError(f"{host} refused the request with {status}.", code="provider_refused")


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that a provider asks to wait: Retry-After (RFC 9110, 10.2.3) as a number or a date, else GitHub's
    x-ratelimit-reset (epoch seconds) when nothing remains."""
    text = headers.get("retry-after")
    if text is not None:
        if text.strip().isdecimal():
            return float(text)
        try:
            return max(0.0, (email.utils.parsedate_to_datetime(text) - now).total_seconds())
        except (ValueError, TypeError):
            return None
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(0.0, float(reset) - now.timestamp())
    return None


def _cause(exc: BaseException) -> str:
    """The innermost reason, which names the fault without the layers around it."""
    while exc.__context__ is not None:
        exc = exc.__context__
    return type(exc).__name__ if not str(exc) else str(exc)[:200]
