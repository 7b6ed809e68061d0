"""A GitHub user's public profile (https://docs.github.com/en/rest/users/users; keyless, 60 calls an hour)."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec

from shared.jobs import JobContext, Payload, Setting, job_type

BASE_URL = Setting("DTQ_GITHUB_URL", "https://api.github.com")


class GithubUser(Payload):
    """Whose profile."""

    username: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9](-?[A-Za-z0-9]){0,38}$", description="GitHub login")]


class Profile(msgspec.Struct):
    """What GitHub shows to everybody."""

    login: str
    id: int
    html_url: str
    public_repos: int
    followers: int
    following: int
    created_at: str
    name: str | None = None
    bio: str | None = None
    company: str | None = None
    location: str | None = None


@job_type(
    "github_user",
    description="The public profile of a GitHub user.",
    example={"username": "octocat"},
    settings=(BASE_URL,),
)
def run(payload: GithubUser, job: JobContext) -> Profile:
    """Read the profile."""
    job.progress(20, f"Looking up {payload.username}")
    profile = job.http.get_json(
        f"{job.setting(BASE_URL)}/users/{quote(payload.username, safe='')}",
        Profile,
        headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
        not_found=f"GitHub has no user {payload.username}.",
    )
    job.progress(50, f"Found {profile.name or profile.login}")
    job.progress(80, f"{profile.public_repos} public repositories")
    return profile
