"""What one job asks of each service. `tests/cost` counts it on the running product and compares."""

from __future__ import annotations

import msgspec


class Operations(msgspec.Struct, frozen=True):
    """So many calls of each kind. A message that is sent, received and settled is three."""

    sends: int = 0
    receives: int = 0
    settlements: int = 0
    table_reads: int = 0
    table_writes: int = 0
    cosmos_writes: int = 0
    #: At most: changes that come close together share a push.
    pushes: int = 0

    @property
    def broker(self) -> int:
        """All that Service Bus is asked."""
        return self.sends + self.receives + self.settlements

    @property
    def table(self) -> int:
        """All that Table Storage is asked."""
        return self.table_reads + self.table_writes


#: A job that completes at its first attempt, from its submission on: the row inserted, claimed and ended; its result.
JOB = Operations(sends=1, receives=1, settlements=1, table_writes=3, cosmos_writes=1, pushes=3)
#: Each attempt that fails and is tried again: a scheduled message, the row put to waiting and claimed once more.
RETRY = Operations(sends=1, receives=1, settlements=1, table_writes=2, pushes=2)
#: What a job that fails for good has beside a completed one: its dead letter, which nobody receives yet.
DEAD_LETTER = Operations(sends=1)
#: A `GET /jobs/{job_id}`.
READ = Operations(table_reads=1)

#: Calls to Table Storage of a process at work, whatever it does, each second: counters, pauses, signs of life. At most.
TABLE_CALLS_A_BUSY_SECOND = 2.0
#: Writes of the status row of a job that reports progress, for each second that it runs: at most, and the lease alone.
PROGRESS_WRITES_A_SECOND = 2.0
LEASE_WRITES_A_SECOND = 0.1

#: Bytes of telemetry of a job at full sampling, as sent: request, send and attempt; and of each provider call.
TELEMETRY_JOB = 2_200
TELEMETRY_CALL = 750
