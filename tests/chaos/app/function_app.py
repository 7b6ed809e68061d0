"""The product's own app, with faults between its use cases and its adapters, of which it knows nothing."""

import functools
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from shared import composition
from tests.chaos.app.faulty import faulty, traced

# Before the app is loaded: its functions take `services` by name.
real_services = composition.services
composition.services = functools.cache(lambda: faulty(real_services()))

# This file has the same name, as the host wants it.
spec = importlib.util.spec_from_file_location("product_app", Path(__file__).resolve().parents[3] / "function_app.py")
assert spec is not None
assert spec.loader is not None
product = importlib.util.module_from_spec(spec)
spec.loader.exec_module(product)

from functions import workers  # noqa: E402

workers.run_message = traced(workers.run_message)  # type: ignore[attr-defined,assignment]

app = product.app
