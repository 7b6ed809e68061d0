"""Composition root for Azure: checks the settings and registers the blueprints. `func start` loads it."""

import azure.functions as func

from functions import catalogue, control, dead_letters, docs, health, janitor, jobs, monitor, openapi, realtime, workers
from shared.composition import settings

settings()

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for module in (catalogue, control, dead_letters, docs, health, janitor, jobs, monitor, openapi, realtime, workers):
    app.register_functions(module.blueprint)
