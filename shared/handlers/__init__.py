"""The job types, one file each. A new file here is a new job type: nothing else has to be edited."""

from __future__ import annotations

import importlib
import pkgutil

from shared.jobs.registry import Registry, declared_job_types


def load_job_types() -> Registry:
    """Import every module of this package and return the job types that they declare."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return declared_job_types()
