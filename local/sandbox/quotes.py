"""QuoteSlate: a random quote, by tag (https://quoteslate.vercel.app, documented with its public sources).

"Random" is decided by the query here: the same tags give the same quote.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from local.sandbox.derive import fraction

_MAX_TAGS = 20
_MAX_COUNT = 50
#: tags|author|quote: old enough to be anybody's.
_TABLE = """\
wisdom,knowledge|Socrates|The unexamined life is not worth living.
wisdom,knowledge,growth|Aristotle|All men by nature desire to know.
life,happiness,mindfulness|Marcus Aurelius|The happiness of your life depends upon the quality of your thoughts.
courage,fear,resilience|Marcus Aurelius|You have power over your mind, not outside events.
patience,perseverance,growth|Lao Tzu|The journey of a thousand miles begins with a single step.
leadership,humility|Lao Tzu|A leader is best when people barely know he exists.
success,motivation,perseverance|Virgil|Fortune favours the bold.
love,friendship|William Shakespeare|Love all, trust a few, do wrong to none.
hope,purpose,inspiration|Emily Dickinson|Hope is the thing with feathers that perches in the soul.
change,life,motivation|Heraclitus|No man ever steps in the same river twice.
justice,integrity,courage|Theodore Parker|The arc of the moral universe is long, but it bends toward justice.
gratitude,happiness|Cicero|Gratitude is not only the greatest of virtues, but the parent of all others.
forgiveness,empathy|Alexander Pope|To err is human; to forgive, divine.
creativity,inspiration|William Blake|To see a world in a grain of sand and a heaven in a wild flower.
anger,self-reflection,wisdom|Seneca|The greatest remedy for anger is delay.
fear,courage|Seneca|We suffer more often in imagination than in reality.
harmony,friendship,general|Confucius|Do not do to others what you do not want done to yourself.
"""
_QUOTES: list[dict[str, Any]] = [
    {"id": number, "quote": quote, "author": author, "length": len(quote), "tags": tags.split(",")}
    for number, (tags, author, quote) in enumerate((line.split("|") for line in _TABLE.splitlines()), start=1)
]
#: Every tag that the live service knows (each has a quote here); any other is refused.
_TAGS = frozenset(tag for quote in _QUOTES for tag in quote["tags"])


def failure(status: int) -> web.Response:
    """The answer to a request that fails on demand."""
    text = "Too many requests, please try again later." if status == 429 else "Something went wrong."
    return _error(text, status)


def random_quote(request: web.Request) -> web.Response:
    """`GET /api/quotes/random`: one quote, or with `count` > 1 a list of at most that many.

    `tags` must all be known (400) and a quote must carry every one of them (404 when none does). The live service's
    `authors`, `minLength` and `maxLength` are not offered.
    """
    if request.method != "GET":
        return _error(f"Method {request.method} not allowed for this endpoint.", 405)
    count = request.query.get("count", "1").strip()
    if not (count.isascii() and count.isdigit()):
        return _error("count must be a valid number.", 400)
    if int(count) < 1:
        return _error("count must be greater than or equal to 1.", 400)
    if int(count) > _MAX_COUNT:
        return _error(f"count must be less than or equal to {_MAX_COUNT}.", 400)
    tags = [tag for part in request.query.get("tags", "").split(",") if (tag := part.strip().lower())]
    if len(tags) > _MAX_TAGS:
        return _error(f"Maximum {_MAX_TAGS} tags allowed.", 400)
    if unknown := [tag for tag in tags if tag not in _TAGS]:
        return _error(f"Invalid tag(s): {', '.join(unknown)}", 400)
    found = [quote for quote in _QUOTES if set(tags).issubset(quote["tags"])]
    if not found:
        return _error("No quotes found matching the criteria.", 404)
    found.sort(key=lambda quote: fraction("quote", *sorted(tags), quote["id"]))
    return web.json_response(found[0] if int(count) == 1 else found[: int(count)])


def _error(text: str, status: int) -> web.Response:
    return web.json_response({"error": text}, status=status)
