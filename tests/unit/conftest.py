"""Property tests search the same examples every time: a failure here is a change of the code, never of luck."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("dtq", derandomize=True, deadline=None)
settings.load_profile("dtq")
