"""GitHub REST: a public user (https://docs.github.com/rest/users/users#get-a-user)."""

from __future__ import annotations

import re
import time

from aiohttp import web

from local.sandbox.derive import whole

#: Who is not there: a test's own unknown user needs only such a name.
_ABSENT = re.compile(r"(missing|unknown|nonexistent|no-such)", re.IGNORECASE)
_LOGIN = re.compile(r"[a-z\d](?:[a-z\d]|-(?=[a-z\d])){0,38}", re.IGNORECASE)
_DOCUMENTATION = "https://docs.github.com/rest/users/users#get-a-user"
_LIMIT_DOCUMENTATION = "https://docs.github.com/rest/overview/resources-in-the-rest-api#rate-limiting"
_LIMIT_REACHED = (
    "API rate limit exceeded for 127.0.0.1. (But here's the good news: Authenticated requests get a higher rate limit. "
    "Check out the documentation for more details.)"
)
_HOURLY_LIMIT = 60  # requests without a key; the sandbox itself never enforces it


def failure(status: int) -> web.Response:
    """The answer to a request that fails on demand: 403 and 429 are the rate limit, reset within the hour."""
    if status in (403, 429):
        body = {"message": _LIMIT_REACHED, "documentation_url": _LIMIT_DOCUMENTATION}
        return web.json_response(body, status=status, headers=_limit_headers(remaining=0))
    body = {"message": "Server Error", "documentation_url": _DOCUMENTATION, "status": str(status)}
    return web.json_response(body, status=status, headers=_limit_headers(remaining=_HOURLY_LIMIT - 1))


def user(request: web.Request) -> web.Response:
    """`GET /users/{username}`: the public user; 404 for no possible login and for names that start with `missing`."""
    if not request.headers.get("User-Agent"):
        text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header."
        return web.Response(text=text + "\n", status=403)
    headers = _limit_headers(remaining=_HOURLY_LIMIT - 1)
    login = request.match_info["username"]
    if not _LOGIN.fullmatch(login) or _ABSENT.match(login):
        body = {"message": "Not Found", "documentation_url": _DOCUMENTATION, "status": "404"}
        return web.json_response(body, status=404, headers=headers)
    return web.json_response(_describe(login), headers=headers)


def _limit_headers(*, remaining: int) -> dict[str, str]:
    """As on the first (or, with none remaining, the last) request of the hour."""
    hour = 3600
    return {
        "x-ratelimit-limit": str(_HOURLY_LIMIT),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-used": str(_HOURLY_LIMIT - remaining),
        "x-ratelimit-reset": str((int(time.time()) // hour + 1) * hour),
        "x-ratelimit-resource": "core",
    }


def _describe(login: str) -> dict[str, object]:
    seed = login.lower()  # logins are case-insensitive
    number = whole(1_000, 99_999_999, "user", seed)
    api = f"https://api.github.com/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_kgDO{number:08x}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": api,
        "html_url": f"https://github.com/{login}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": "User",
        "user_view_type": "public",
        "site_admin": False,
        "name": f"{login.replace('-', ' ').title()}",
        "company": None,
        "blog": "",
        "location": ("Austin, TX", "Paris", "Tokyo", None)[whole(0, 3, "location", seed)],
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": whole(0, 200, "repos", seed),
        "public_gists": whole(0, 40, "gists", seed),
        "followers": whole(0, 20_000, "followers", seed),
        "following": whole(0, 300, "following", seed),
        "created_at": f"{whole(2008, 2024, 'year', seed)}-{whole(1, 12, 'month', seed):02}-14T04:33:35Z",
        "updated_at": f"2025-{whole(1, 12, 'updated', seed):02}-22T11:34:42Z",
    }
