"""`/api/v1/realtime`: where a browser learns how to listen."""

from __future__ import annotations

import azure.functions as func

from functions.http import endpoint, json_response, query
from shared.composition import services
from shared.errors import UnavailableError
from shared.service.ports import TransientError

blueprint = func.Blueprint()


@blueprint.function_name("realtime_negotiate")
@blueprint.route("v1/realtime/negotiate", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def realtime_negotiate(req: func.HttpRequest) -> func.HttpResponse:
    """POST /realtime/negotiate, as @microsoft/signalr sends it."""
    query(req, ("negotiateVersion", "useStatefulReconnect"))
    try:
        return json_response(await services().notifier.negotiate())
    except TransientError as exc:
        raise UnavailableError(f"Live updates are not available: {exc}") from exc
