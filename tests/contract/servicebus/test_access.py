"""Who is let in, to what: refusals come at once and as the SDK's own errors."""

from __future__ import annotations

import time

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus._pyamqp.utils import generate_sas_token
from azure.servicebus.exceptions import (
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusError,
)
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.contract.servicebus.conftest import MakeQueue
from tests.contract.servicebus.sdk import KEY, Sdk, administration, take
from tests.services import Service


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_wrong_key_is_an_authentication_error(kind: str, service: Service, queue: str) -> None:
    sdk = Sdk(kind, service.port, key="another key")
    with pytest.raises(ServiceBusAuthenticationError):
        async with sdk.open(sdk.sender(queue)):
            pass


def test_a_wrong_key_is_refused_by_the_admin_api(service: Service) -> None:
    with administration(service.port, key="another key") as client, pytest.raises(ClientAuthenticationError):
        list(client.list_queues())


@pytest.mark.parametrize(
    ("scope", "lifetime", "policy", "error"),
    [
        ("{queue}", 600, "RootManageSharedAccessKey", None),
        ("", 600, "RootManageSharedAccessKey", None),
        ("{queue}x", 600, "RootManageSharedAccessKey", ServiceBusAuthenticationError),
        ("{queue}", -1, "RootManageSharedAccessKey", ServiceBusError),
        ("{queue}", 600, "SomeoneElse", ServiceBusAuthenticationError),
    ],
    ids=["entity", "namespace", "other entity", "expired", "other policy"],
)
def test_a_token_opens_what_it_is_for(
    service: Service, queue: str, scope: str, lifetime: int, policy: str, error: type[Exception] | None
) -> None:
    host = f"127.0.0.1:{service.port}"
    token = generate_sas_token(  # type: ignore[no-untyped-call]
        f"sb://{host}/{scope.format(queue=queue)}", policy, KEY, time.time() + lifetime
    )
    text = f"Endpoint=sb://{host};SharedAccessSignature={token};UseDevelopmentEmulator=true;"
    with ServiceBusClient.from_connection_string(text, retry_total=0) as client:
        sender = client.get_queue_sender(queue)
        if error is None:
            with sender:
                sender.send_messages(ServiceBusMessage("let in"))
        else:
            with pytest.raises(error), sender:
                pass


async def test_a_missing_queue_is_not_found(sdk: Sdk) -> None:
    for link in (sdk.sender("missing"), sdk.receiver("missing")):
        with pytest.raises(MessagingEntityNotFoundError):
            async with sdk.open(link):
                pass


async def test_names_do_not_tell_letter_case_apart(async_sdk: Sdk, queue: str) -> None:
    links = (async_sdk.sender(queue.upper()), async_sdk.receiver(queue.title()))
    async with async_sdk.open(*links) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("found"))
        assert str((await take(receiver))[0]) == "found"


async def test_a_session_is_refused(sdk: Sdk, queue: str) -> None:
    with pytest.raises(ServiceBusError, match="does not require sessions"):
        async with sdk.open(sdk.receiver(queue, session_id="a session")):
            pass


async def test_topics_are_refused(async_sdk: Sdk, queue: str) -> None:
    receiver = async_sdk.client.get_subscription_receiver("topic", "subscription")
    with pytest.raises(ServiceBusError, match="queues only"):
        async with receiver:
            pass


async def test_nothing_is_sent_to_a_dead_letter_queue(async_sdk: Sdk, queue: str) -> None:
    with pytest.raises(ServiceBusError, match="nothing can be sent"):
        async with async_sdk.open(async_sdk.sender(f"{queue}/$DeadLetterQueue")):
            pass


async def test_a_dead_letter_is_not_dead_lettered_again(async_sdk: Sdk, queue: str) -> None:
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("dead"))
        await receiver.dead_letter_message(*(await take(receiver)))
    async with async_sdk.open(async_sdk.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)) as (receiver,):
        (letter,) = await take(receiver)
        with pytest.raises(ServiceBusError, match="cannot be dead-lettered again"):
            await receiver.dead_letter_message(letter)


async def test_a_disabled_queue_closes_its_links_until_it_is_active(
    async_sdk: Sdk, make_queue: MakeQueue, admin: ServiceBusAdministrationClient
) -> None:
    queue = make_queue()
    properties = admin.get_queue(queue)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("waits"))
        admin.update_queue(properties, status="ReceiveDisabled")
        with pytest.raises(MessagingEntityDisabledError):
            await receiver.receive_messages(1, max_wait_time=5)
        await sender.send_messages(ServiceBusMessage("sent while receiving is off"))
        admin.update_queue(properties, status="SendDisabled")
        with pytest.raises(MessagingEntityDisabledError):
            await sender.send_messages(ServiceBusMessage("not sent"))
    admin.update_queue(properties, status="Disabled")
    for link in (async_sdk.sender(queue), async_sdk.receiver(queue)):
        with pytest.raises(MessagingEntityDisabledError):
            async with async_sdk.open(link):
                pass
    admin.update_queue(properties, status="Active")
    async with async_sdk.open(async_sdk.receiver(queue)) as (receiver,):
        assert [str(message) for message in await take(receiver, 2)] == ["waits", "sent while receiving is off"]
