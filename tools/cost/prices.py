"""List prices in US dollars, pay as you go, as public copies of Azure's price pages quoted them on 2026-11-21.

They differ by region and change: look them up at https://azure.microsoft.com/pricing before you rely on a sum.
"""

from __future__ import annotations

MILLION = 1_000_000

# Service Bus (pricing/details/service-bus). An operation is a call of up to 64 KB; a longer message counts as several.
SERVICE_BUS_STANDARD_MONTH = 10.0
SERVICE_BUS_PREMIUM_UNIT_MONTH = 677.0
#: Up to so many operations a month, so many dollars a million.
SERVICE_BUS_TIERS = ((13 * MILLION, 0.0), (100 * MILLION, 0.80), (2_500 * MILLION, 0.50), (float("inf"), 0.20))
SERVICE_BUS_OPERATION_BYTES = 64 * 1024

# Functions, Flex Consumption on demand (pricing/details/functions). At least a second is billed each time.
FLEX_MILLION_EXECUTIONS = 0.40
FLEX_GB_SECOND = 0.000026
FLEX_FREE_EXECUTIONS = 250_000
FLEX_FREE_GB_SECONDS = 100_000
FLEX_SHORTEST_SECONDS = 1.0

# Table Storage (pricing/details/storage/tables).
TABLE_TEN_THOUSAND_CALLS = 0.00036
TABLE_GB_MONTH = 0.045

# Cosmos DB, serverless (pricing/details/cosmos-db/serverless). Request units of a write: 5 at 1 KB, 50 at 100 KB
# (azure-docs, key-value-store-cost), a fifth more for the properties that are indexed.
COSMOS_MILLION_RU = 0.25
COSMOS_GB_MONTH = 0.25

# SignalR Service (pricing/details/signalr-service). A message is 2 KB to one client. Free: 20,000 a day, 20 clients.
SIGNALR_UNIT_MONTH = 48.96
SIGNALR_MESSAGE_BYTES = 2 * 1024
SIGNALR_UNIT_DAY_MESSAGES = 1 * MILLION
SIGNALR_FREE_DAY_MESSAGES = 20_000
SIGNALR_FREE_CLIENTS = 20
SIGNALR_UNIT_CLIENTS = 1_000

# Application Insights in a Log Analytics workspace, analytics logs (pricing/details/monitor).
INSIGHTS_GB = 2.30


def cosmos_write_ru(document_bytes: float) -> float:
    """Request units to write a document, on the line through the two published points."""
    kilobytes = max(1.0, document_bytes / 1024)
    return 1.2 * (5 + (kilobytes - 1) * 45 / 99)


def service_bus_operations(operations: float) -> float:
    """Dollars for so many operations a month of the Standard tier."""
    dollars, begin = 0.0, 0.0
    for end, million in SERVICE_BUS_TIERS:
        dollars += max(0.0, min(operations, end) - begin) / MILLION * million
        begin = end
    return dollars
