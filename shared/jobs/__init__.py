"""The pure core: what a job is and the rules of its life. No I/O, no Azure; clock and randomness are handed in.

A job type's file needs only the names below.
"""

from shared.jobs.context import JobContext, Setting
from shared.jobs.outcomes import JobCancelled, PermanentError, RetryableError, SnoozeJob
from shared.jobs.registry import Payload, job_type
from shared.jobs.retry import RetryPolicy

__all__ = [
    "JobCancelled",
    "JobContext",
    "Payload",
    "PermanentError",
    "RetryPolicy",
    "RetryableError",
    "Setting",
    "SnoozeJob",
    "job_type",
]
