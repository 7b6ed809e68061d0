"""Jobs a second that each service allows, from its published limit and the operations that a job costs."""

from __future__ import annotations

import msgspec

from tools.cost.operations import JOB
from tools.cost.prices import cosmos_write_ru

# Limits, as of 2026-11-21: azure-docs service-bus-throttling, storage-tables-scale-targets, cosmos-db serverless,
# flex-consumption-plan.
SERVICE_BUS_CREDITS = 1_000
TABLE_PARTITION_ROWS = 2_000
TABLE_ACCOUNT_ROWS = 20_000
COSMOS_SERVERLESS_RU = 5_000
FLEX_REGION_MB = 512_000

#: Partitions that the rows of one hour are spread over, and jobs that an instance runs at once (DTQ_SLOTS).
SHARDS = 4
CONCURRENCY = 16
INSTANCE_MB = 2_048
#: Payload and result of 1 KB each with what is around them, in bytes.
DOCUMENT = 3_500


class Ceiling(msgspec.Struct, frozen=True):
    """A limit, what a job takes of it, and so many jobs a second."""

    what: str
    limit: str
    of_a_job: str
    jobs_a_second: float


def ceilings(run_seconds: float) -> list[Ceiling]:
    """All of them, the lowest first, for jobs that run so long."""
    credits_of_job = JOB.sends + JOB.receives
    units = cosmos_write_ru(DOCUMENT) * JOB.cosmos_writes
    slots = FLEX_REGION_MB // INSTANCE_MB * CONCURRENCY
    found = [
        Ceiling(
            "Service Bus Standard, a namespace",
            f"{SERVICE_BUS_CREDITS:,} credits/s",
            f"{credits_of_job} (send, receive)",
            SERVICE_BUS_CREDITS / credits_of_job,
        ),
        Ceiling(
            "Cosmos DB serverless", f"{COSMOS_SERVERLESS_RU:,} RU/s", f"{units:.1f} RU", COSMOS_SERVERLESS_RU / units
        ),
        Ceiling(
            "Table Storage, the hour's partitions",
            f"{SHARDS} x {TABLE_PARTITION_ROWS:,} rows/s",
            f"{JOB.table_writes} writes",
            SHARDS * TABLE_PARTITION_ROWS / JOB.table_writes,
        ),
        Ceiling(
            "Table Storage, the account",
            f"{TABLE_ACCOUNT_ROWS:,} rows/s",
            f"{JOB.table_writes} writes",
            TABLE_ACCOUNT_ROWS / JOB.table_writes,
        ),
        Ceiling(
            "Flex, a region's quota",
            f"{slots:,} jobs at once",
            f"{run_seconds:g} s",
            slots / run_seconds,
        ),
    ]
    return sorted(found, key=lambda each: each.jobs_a_second)


def ceiling_table(run_seconds: float) -> str:
    """The ceilings as rows of Markdown."""
    rows = ["| | limit | of a job | jobs a second |", "|---|---|---|---|"]
    rows += [
        f"| {each.what} | {each.limit} | {each.of_a_job} | {each.jobs_a_second:,.0f} |"
        for each in ceilings(run_seconds)
    ]
    return "\n".join(rows) + "\n"
