"""The product's own functions, with faults between its use cases and its adapters, of which it knows nothing."""

import functools
import sys
from pathlib import Path

import azure.functions as func

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from shared import composition
from tests.chaos.app.faulty import faulty, traced

real_services = composition.services
composition.services = functools.cache(lambda: faulty(real_services()))

# Only now: each of them takes `services` by name.
from functions import catalogue, dead_letters, health, janitor, jobs, openapi, realtime, workers  # noqa: E402

workers.run_message = traced(workers.run_message)  # type: ignore[attr-defined,assignment]

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for module in (catalogue, dead_letters, health, janitor, jobs, openapi, realtime, workers):
    app.register_functions(module.blueprint)
