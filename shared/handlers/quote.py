"""A random quote, from QuoteSlate (https://quoteslate.vercel.app; keyless)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shared.jobs import JobContext, Payload, Setting, job_type

BASE_URL = Setting("DTQ_QUOTE_URL", "https://quoteslate.vercel.app")


class Quote(Payload):
    """What it is about; anything when not given."""

    category: Annotated[str, msgspec.Meta(pattern="^[A-Za-z-]{1,40}$", description="e.g. wisdom, hope")] | None = None


class Said(msgspec.Struct):
    """The quote and who said it."""

    quote: str
    author: str
    tags: list[str] = []


@job_type(
    "quote",
    description="A random quote, of a category if you like.",
    example={"category": "wisdom"},
    settings=(BASE_URL,),
)
def run(payload: Quote, job: JobContext) -> Said:
    """Ask for one."""
    about = f" about {payload.category}" if payload.category else ""
    job.progress(20, f"Looking for a quote{about}")
    said = job.http.get_json(
        f"{job.setting(BASE_URL)}/api/quotes/random",
        Said,
        params={"tags": payload.category.lower()} if payload.category else None,
        not_found=f"There is no quote{about}.",
    )
    job.progress(50, f"Found one by {said.author}")
    job.progress(80, "Writing it down")
    return said
