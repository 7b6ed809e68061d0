"""The protocol below the SDK: authorization of links, drain, heartbeats, windows, careless delivery ids."""

from __future__ import annotations

import time

from azure.servicebus import ServiceBusClient, ServiceBusMessage

from local.servicebus import codec, frames
from tests.contract.servicebus.raw import RawClient
from tests.contract.servicebus.sdk import connection_string
from tests.services import Service


def send(service: Service, queue: str, *bodies: str) -> None:
    made = ServiceBusClient.from_connection_string(connection_string(service.port))
    with made as client, client.get_queue_sender(queue) as sender:
        sender.send_messages([ServiceBusMessage(body) for body in bodies])


def test_a_link_without_a_token_is_refused(service: Service, queue: str) -> None:
    with RawClient(service.port) as client:
        for handle, address in enumerate((queue, f"{queue}/$management", f"{queue}/$DeadLetterQueue")):
            client.attach(handle, address, receives=True)
            (_, closed, error), _ = client.expect(frames.DETACH)
            assert closed is True
            assert error.value[0] == "amqp:unauthorized-access"
        client.authenticate(queue)
        client.attach(7, queue + "x", receives=True)
        (_, _, error), _ = client.expect(frames.DETACH)
        assert error.value[0] == "amqp:unauthorized-access"


def test_drain_gives_what_there_is_and_takes_the_credit_back(service: Service, queue: str) -> None:
    send(service, queue, "one", "two")
    with RawClient(service.port) as client:
        client.authenticate(queue)
        client.attach(3, queue, receives=True)
        client.flow(3, 5, received=1, drain=True)
        for body in (b"one", b"two"):
            _, payload = client.expect(frames.TRANSFER)
            assert payload.endswith(body)
        fields, _ = client.expect(frames.FLOW)
        assert (fields[4], fields[5], fields[6], fields[8]) == (3, 5, 0, True)  # handle, count, credit, drain


def test_a_client_that_fears_silence_gets_heartbeats(service: Service) -> None:
    with RawClient(service.port, idle_timeout_ms=400) as client:
        started = time.monotonic()
        for _ in range(4):
            assert client.receive()[0] is None
        assert time.monotonic() - started > 0.4, "heartbeats, not a flood"


def test_transfers_keep_to_the_frame_size_and_the_window(service: Service, queue: str) -> None:
    send(service, queue, "x" * 2000)
    with RawClient(service.port, max_frame=512, window=2) as client:
        client.authenticate(queue)
        client.attach(3, queue, receives=True)
        client.flow(3, 1, received=1)
        parts: list[bytes] = []
        more = True
        while more:
            fields, payload = client.expect(frames.TRANSFER)
            parts.append(payload)
            more = fields[5] is True
            if more and len(parts) % 2 == 0:
                assert client.hears_nothing(0.1)
                client.flow(3, 1, received=1 + len(parts))
        assert b"x" * 2000 in b"".join(parts)
        assert len(parts) >= 5


def test_requests_that_share_a_delivery_id_and_tag_are_both_answered(service: Service, queue: str) -> None:
    send(service, queue, "one", "two")
    with RawClient(service.port) as client:
        client.authenticate(queue)
        client.attach(3, f"{queue}/$management", receives=True)
        client.attach(4, f"{queue}/$management", receives=False)
        for number in (1, 2):
            pairs = {"from-sequence-number": codec.long(number), "message-count": codec.int32(1)}
            body = codec.map_of([part for name, value in pairs.items() for part in (codec.string(name), value)])
            client.request(4, 1, "com.microsoft:peek-message", body)
        replies = []
        for _ in range(2):
            client.expect(frames.DISPOSITION)
            replies.append(client.expect(frames.TRANSFER)[1])
    assert [b"one" in replies[0], b"two" in replies[1]] == [True, True]


def test_settling_what_is_not_locked_is_answered(service: Service, queue: str) -> None:
    with RawClient(service.port) as client:
        client.authenticate(queue)
        client.attach(3, queue, receives=True)
        number = codec.uint(4711)
        fields = [codec.TRUE, number, number, codec.FALSE, frames.ACCEPTED_STATE]
        client.send(frames.DISPOSITION, fields)
        (_, first, _, settled, state, _), _ = client.expect(frames.DISPOSITION)
        assert (first, settled, state.descriptor) == (4711, True, frames.REJECTED)
        assert state.value[0].value[0] == "com.microsoft:message-lock-lost"
