"""A Service Bus emulator with this suite's queues, and the SDK's view of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver, ServiceBusSender

from tests.contract.servicebus.sdk import administration
from tests.services import Service, start_service

KEY = "the key of the suite"
_LOCKS = {"short-lock": 2} | dict.fromkeys(
    ("plain", "text", "failing", "batch", "parallel", "sync", "drained", "endless", "late", "retried", "held"), 30
)


class Broker:
    """The emulator, which may be killed and started again on the same port and data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        properties = {
            name: {"LockDuration": f"PT{lock}S", "MaxDeliveryCount": 10, "DefaultMessageTimeToLive": "PT1H"}
            for name, lock in _LOCKS.items()
        }
        queues = [{"Name": name, "Properties": values} for name, values in properties.items()]
        config = {"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Queues": queues}]}}
        (folder / "Config.json").write_text(json.dumps(config))
        self._service = self._start(0)
        self.port = self._service.port
        self._connect()

    def _start(self, port: int) -> Service:
        return start_service(
            *("servicebus", "--port", str(port)),
            *("--data", str(self._folder / "data.db"), "--config", str(self._folder / "Config.json")),
            env={"SERVICEBUS_KEY": KEY},
        )

    def _connect(self) -> None:
        self._client = ServiceBusClient.from_connection_string(self.connection_string)
        self._senders: dict[str, ServiceBusSender] = {}
        self._receivers: dict[str, ServiceBusReceiver] = {}

    @property
    def connection_string(self) -> str:
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={KEY};UseDevelopmentEmulator=true;"
        )

    def send(self, queue: str, *messages: str | ServiceBusMessage) -> None:
        if queue not in self._senders:
            self._senders[queue] = self._client.get_queue_sender(queue)
        self._senders[queue].send_messages(
            [ServiceBusMessage(message) if isinstance(message, str) else message for message in messages]
        )

    def set_status(self, queue: str, status: str) -> None:
        """Set a queue's status, such as ReceiveDisabled or Active."""
        with administration(self.port, KEY) as client:
            client.update_queue(client.get_queue(queue), status=status)

    def waiting(self, queue: str) -> list[str]:
        """The bodies of the messages still in `queue`, locked ones included."""
        if queue not in self._receivers:
            self._receivers[queue] = self._client.get_queue_receiver(queue)
        # Peeking goes on where it stopped; number 1 starts anew.
        return [str(message) for message in self._receivers[queue].peek_messages(50, sequence_number=1)]

    def kill(self) -> None:
        self._disconnect()
        self._service.kill()

    def restart(self) -> None:
        self._service = self._start(self.port)
        self._connect()  # the old links would only come back after the SDK's own retries

    def stop(self) -> None:
        self._disconnect()
        self._service.stop()

    def _disconnect(self) -> None:
        # Closing a link takes the SDK up to a second.
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda link: link.close(), [*self._senders.values(), *self._receivers.values()]))
        self._client.close()
