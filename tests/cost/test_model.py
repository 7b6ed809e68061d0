"""The sums of the cost model, against sums done by hand and against what must hold whatever the prices are."""

from __future__ import annotations

import json

import msgspec
import pytest

from shared.azure.signalr import PUSH_INTERVAL
from shared.config import Settings
from tests.services import ROOT
from tools.cost import model, prices
from tools.cost.__main__ import main
from tools.cost.model import Workload, bill, broker_operations, busy_seconds, table_calls
from tools.scale import ceilings
from tools.scale.simulation import Scenario

PLAIN = Workload(jobs_per_day=100_000, retries=0, failed=0, reads=0)


def dollars(workload: Workload, service: str) -> float:
    return sum(line.dollars for line in bill(workload) if line.service.startswith(service))


def test_the_model_goes_by_the_products_own_defaults() -> None:
    assert model.PUSH_INTERVAL == PUSH_INTERVAL
    fields = {field.name: field.default for field in msgspec.structs.fields(Settings)}
    assert Workload(jobs_per_day=1).concurrency == ceilings.CONCURRENCY == fields["slots"]
    assert Scenario(name="any").slots == fields["slots"]
    host = json.loads((ROOT / "host.json").read_text())
    assert Scenario(name="any").calls == host["extensions"]["serviceBus"]["maxConcurrentCalls"]
    assert Workload(jobs_per_day=1).status_ttl_hours == fields["status_ttl_hours"]
    assert Workload(jobs_per_day=1).result_ttl_days == fields["result_ttl_days"]


def test_a_plain_job_is_three_broker_operations_and_three_table_calls() -> None:
    assert broker_operations(PLAIN) == 3
    assert table_calls(msgspec.structs.replace(PLAIN, run_seconds=0)) == 3


def test_a_long_message_counts_for_each_64_kb_when_it_is_sent_and_when_it_is_received() -> None:
    assert broker_operations(msgspec.structs.replace(PLAIN, payload_kb=100)) == 2 + 2 + 1


def test_tiers_of_operations_are_added_up() -> None:
    assert prices.service_bus_operations(13_000_000) == 0
    assert prices.service_bus_operations(14_000_000) == pytest.approx(0.80)
    assert prices.service_bus_operations(101_000_000) == pytest.approx(87 * 0.80 + 0.50)


def test_a_write_to_cosmos_is_a_fifth_over_the_published_points() -> None:
    assert prices.cosmos_write_ru(1024) == pytest.approx(6.0)
    assert prices.cosmos_write_ru(100 * 1024) == pytest.approx(60.0)


def test_rare_calls_are_billed_one_by_one_and_many_share_instances() -> None:
    assert busy_seconds(0.001, 0.1, 16) == pytest.approx(0.001, rel=0.01), "a second each, though they last a tenth"
    assert busy_seconds(5, 0.1, 16) == pytest.approx(1, rel=0.01), "one instance, always busy"
    assert busy_seconds(1600, 0.5, 16) == pytest.approx(50)


@pytest.mark.parametrize(
    ("change", "service"),
    [
        ({"batch": 100}, "Functions"),
        ({"memory_mb": 512}, "Functions"),
        ({"sampling": 0.1}, "Application Insights"),
        ({"viewers": 0}, "SignalR"),
        ({"result_kb": 0.1}, "Cosmos"),
        ({"retries": 0}, "Service Bus"),
    ],
)
def test_what_is_said_to_save_saves(change: dict[str, float], service: str) -> None:
    workload = Workload(jobs_per_day=500_000, retries=0.1)
    assert dollars(msgspec.structs.replace(workload, **change), service) < dollars(workload, service)


def test_nothing_to_do_costs_the_fixed_prices_only() -> None:
    nothing = Workload(jobs_per_day=0, viewers=0)
    assert sum(line.dollars for line in bill(nothing)) == pytest.approx(prices.SERVICE_BUS_STANDARD_MONTH)


def test_the_command_prints_each_line_and_their_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--jobs-per-day", "100000", "--premium-units", "1", "--sampling", "0.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    amounts = [float(line.split()[-1].replace(",", "")) for line in lines]
    assert amounts[-1] == pytest.approx(sum(amounts[:-1]), abs=0.05)
    assert any(line.startswith("Service Bus Premium, 1 MU") and line.endswith("677.00") for line in lines)
