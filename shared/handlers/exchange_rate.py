"""Exchange rates of the European Central Bank, from Frankfurter (https://frankfurter.dev; keyless)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.jobs import JobContext, Payload, PermanentError, Setting, job_type

BASE_URL = Setting("DTQ_EXCHANGE_RATE_URL", "https://api.frankfurter.dev")

Currency = Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{3}$", description="ISO 4217 code")]


class ExchangeRate(Payload):
    """Which currencies, against which base, and optionally an amount to convert."""

    base: Currency
    symbols: Annotated[list[Currency], msgspec.Meta(min_length=1, max_length=30)]
    amount: Annotated[float, msgspec.Meta(gt=0, le=1e12)] | None = None


class Rates(msgspec.Struct):
    """`rates` is for one unit of the base; `converted` is the amount in each currency, where one was given."""

    base: str
    date: str
    rates: dict[str, float]
    amount: float | None = None
    converted: dict[str, float] | None = None


class _Latest(msgspec.Struct):
    base: str
    date: str
    rates: dict[str, float]


@job_type(
    "exchange_rate",
    description="The latest exchange rates of a currency, and an amount converted.",
    example={"base": "USD", "symbols": ["EUR", "GBP"], "amount": 100},
    settings=(BASE_URL,),
)
def run(payload: ExchangeRate, job: JobContext) -> Rates:
    """Ask for the rates; the base itself is always 1."""
    base = payload.base.upper()
    wanted = list(dict.fromkeys(symbol.upper() for symbol in payload.symbols))
    foreign = [symbol for symbol in wanted if symbol != base]
    job.progress(20, f"Asking for {base} rates")
    # The API refuses a base among its own symbols, so at least one foreign currency is always asked for.
    latest = job.http.get_json(
        f"{job.setting(BASE_URL)}/v1/latest",
        _Latest,
        params={"base": base, "symbols": ",".join(foreign) or ("USD" if base != "USD" else "EUR")},
        not_found=f"One of the currencies {', '.join([base, *foreign])} is not known.",
    )
    job.progress(50, f"Rates of {latest.date}")
    rates = {symbol: 1.0 if symbol == base else latest.rates.get(symbol) for symbol in wanted}
    unknown = [symbol for symbol, rate in rates.items() if rate is None]
    if unknown:
        raise PermanentError(f"There is no rate for {', '.join(unknown)}.", code="unknown_currency")
    known = {symbol: rate for symbol, rate in rates.items() if rate is not None}
    job.progress(80, "Converting")
    converted = None
    if payload.amount is not None:
        converted = {symbol: round(rate * payload.amount, 2) for symbol, rate in known.items()}
    return Rates(base=base, date=latest.date, rates=known, amount=payload.amount, converted=converted)
