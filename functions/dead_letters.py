"""`/api/v1/dead-letters`: look at what failed for good, start it again, or clear it away."""

from __future__ import annotations

import azure.functions as func

from functions.http import caller, endpoint, json_body, json_response, query, whole_number
from shared.composition import services
from shared.service.replay import list_dead_letters, purge_dead_letters, replay_dead_letters
from shared.service.view import dead_letter_view

blueprint = func.Blueprint()

#: A request names at most 1,000 job ids.
MAX_BODY = 64 * 1024


@blueprint.function_name("dead_letters_list")
@blueprint.route("v1/dead-letters", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def dead_letters_list(req: func.HttpRequest) -> func.HttpResponse:
    """GET /dead-letters"""
    limit = whole_number(query(req, ("limit",)), "limit", 50, 1, 200)
    letters = await list_dead_letters(services(), limit)
    return json_response({"dead_letters": [dead_letter_view(letter) for letter in letters]})


@blueprint.function_name("dead_letters_replay")
@blueprint.route("v1/dead-letters/replay", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def dead_letters_replay(req: func.HttpRequest) -> func.HttpResponse:
    """POST /dead-letters/replay"""
    query(req, ())
    return json_response(await replay_dead_letters(services(), json_body(req, MAX_BODY), caller(req)))


@blueprint.function_name("dead_letters_purge")
@blueprint.route("v1/dead-letters/purge", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def dead_letters_purge(req: func.HttpRequest) -> func.HttpResponse:
    """POST /dead-letters/purge"""
    query(req, ())
    return json_response(await purge_dead_letters(services(), json_body(req, MAX_BODY), caller(req)))
