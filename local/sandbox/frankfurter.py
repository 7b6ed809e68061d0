"""Frankfurter v1: the latest reference rates (https://api.frankfurter.dev/v1, documented with its public sources)."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

#: The euro and the currencies that the European Central Bank publishes, as units for one euro.
_PER_EURO = {
    "EUR": 1.0,
    "AUD": 1.7796, "BRL": 6.2712, "CAD": 1.6172, "CHF": 0.9312, "CNY": 8.2341, "CZK": 24.312, "DKK": 7.4672,
    "GBP": 0.87115, "HKD": 9.0321, "HUF": 386.35, "IDR": 19308.0, "ILS": 3.7812, "INR": 102.81, "ISK": 142.6,
    "JPY": 178.42, "KRW": 1682.4, "MXN": 21.384, "MYR": 4.8212, "NOK": 11.7215, "NZD": 2.0498, "PHP": 67.913,
    "PLN": 4.2365, "RON": 5.0868, "SEK": 10.9785, "SGD": 1.5071, "THB": 37.522, "TRY": 48.924, "USD": 1.1592,
    "ZAR": 19.947,
}  # fmt: skip


def failure(status: int) -> web.Response:
    """The answer to a request that fails on demand."""
    return _error("too many requests" if status == 429 else "something went wrong", status)


def latest(request: web.Request) -> web.Response:
    """`GET /v1/latest`: rates for `amount` (default 1.0) of `base` (default EUR) in `symbols` (default all).

    Unknown symbols are left out. An unknown base, or symbols that are all unknown, is 404 `not found`; an amount that
    is not a positive number, or a base that is also the only symbol, is 422.
    """
    query = request.query
    base = (query.get("from") or query.get("base") or "EUR").upper()
    chosen = query.get("to") or query.get("symbols")
    symbols = chosen.upper().split(",") if chosen else None
    amount = _leading_number(query["amount"]) if "amount" in query else 1.0
    if not 0 < amount < math.inf:
        return _error("invalid amount", 422)
    if symbols == [base]:
        return _error("bad currency pair", 422)
    known = _PER_EURO.keys() - {base}
    wanted = sorted(known if symbols is None else known.intersection(symbols))
    if base not in _PER_EURO or not wanted:
        return _error("not found", 404)
    rates = {symbol: _round(amount * _PER_EURO[symbol] / _PER_EURO[base]) for symbol in wanted}
    today = datetime.now(UTC).date()
    return web.json_response({"amount": amount, "base": base, "date": _working_day(today).isoformat(), "rates": rates})


def _leading_number(text: str) -> float:
    """The number at the start of `text`, 0.0 where there is none: the live service reads `10abc` as 10.0."""
    match = re.match(r"\s*[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", text)
    return float(match.group()) if match else 0.0


def _round(value: float) -> float:
    """The live service's rounding: the larger the rate, the fewer its decimal places."""
    if value > 5000:
        return round(value)
    for above, places in ((80, 2), (20, 3), (1, 4), (0.0001, 5)):
        if value > above:
            return round(value, places)
    return round(value, 6)


def _working_day(day: date) -> date:
    """Rates are published on working days: a weekend shows those of its Friday."""
    return day - timedelta(days=max(0, day.weekday() - 4))


def _error(text: str, status: int) -> web.Response:
    return web.json_response({"message": text}, status=status)
