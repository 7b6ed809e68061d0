"""The product: pure rules in `jobs`, use cases in `service`, SDK calls in `azure`, job types in `handlers`."""

#: As in pyproject.toml.
__version__ = "0.1.0"
