"""All queues, and the turn in which their changes become durable and only then visible.

A turn: dispatch the queues that changed, commit everything in one transaction, then hand out the deliveries and run
what waited for the commit (acknowledgements, replies). So nobody ever sees what a crash could take back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from math import inf
from typing import Any

from local.servicebus import config
from local.servicebus.config import ConfigError, QueueProperties
from local.servicebus.errors import EntityNotFoundError, ServerBusyError
from local.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from local.servicebus.store import QueueRow, Store

logger = logging.getLogger(__name__)


class QueueExistsError(Exception):
    """A queue of that name exists: update it, or choose another name."""


class Broker:
    """The queues of one namespace. `clock` gives seconds since the epoch; `wake` asks for a call of `turn` soon."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.wake: Callable[[], None] = lambda: None
        #: Told the queue whose status changed or which was deleted, so that its links can be closed.
        self.on_closed: Callable[[Queue], None] = lambda _queue: None
        #: When `turn` has something to do even if nobody asks; too early where a lock has been settled since.
        self.next_alarm = inf
        #: So many sends are still to be refused as if the service throttled.
        self.busy_sends = 0
        self._store = store
        self._queues: dict[str, Queue] = {}
        self._touched: dict[Queue, None] = {}
        self._after_commit: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        for row in store.queues():
            properties = QueueProperties(**row.properties)
            self._queues[row.name.lower()] = self._open(row, properties)
        now = clock()
        for queue in self._queues.values():
            queue.dead_letter_exhausted(now)

    # Queues ----------------------------------------------------------------------------------------------------------

    def define(self, definitions: dict[str, QueueProperties]) -> None:
        """Create or redefine queues as a Config.json says. What an operator changed last, a status, stays."""
        for name, properties in definitions.items():
            queue = self._queues.get(name.lower())
            if queue is None:
                self._create(name, properties)
            elif (kept := replace(properties, status=queue.properties.status)) != queue.properties:
                self._save(queue, kept)

    def queues(self) -> list[Queue]:
        return sorted(self._queues.values(), key=lambda queue: queue.name.lower())

    def find(self, name: str) -> Queue | None:
        """The queue or dead-letter queue of that name, whatever its letter case."""
        low = name.lower()
        if low.endswith(DEAD_LETTER_SUFFIX):
            parent = self._queues.get(low.removesuffix(DEAD_LETTER_SUFFIX))
            return parent.dead_letters if parent else None
        return self._queues.get(low)

    def get(self, name: str) -> Queue:
        """Raises EntityNotFoundError."""
        queue = self.find(name)
        if queue is None:
            raise EntityNotFoundError(f"The messaging entity '{name}' could not be found.")
        return queue

    def create_queue(self, name: str, properties: QueueProperties) -> Queue:
        """Raises QueueExistsError, ConfigError."""
        config.check_name(name)
        if name.lower() in self._queues:
            raise QueueExistsError(f"The queue '{name}' exists already.")
        self._check_forwarding(name, properties)
        return self._create(name, properties)

    def update_queue(self, name: str, properties: QueueProperties) -> Queue:
        """Raises EntityNotFoundError, ConfigError for what cannot be changed."""
        queue = self.get(name)
        if properties.requires_duplicate_detection != queue.properties.requires_duplicate_detection:
            raise ConfigError("RequiresDuplicateDetection cannot be changed after creation")
        self._check_forwarding(name, properties)
        status_changed = properties.status != queue.properties.status
        self._save(queue, properties)
        if status_changed:
            self.on_closed(queue)
        self.touch(queue)
        return queue

    def delete_queue(self, name: str) -> None:
        """Delete a queue with all its messages. Raises EntityNotFoundError."""
        queue = self.get(name)
        del self._queues[name.lower()]
        parts = [part for part in (queue, queue.dead_letters) if part is not None]
        self._store.delete_queue([part.key for part in parts])
        for part in parts:
            self.on_closed(part)
            part.close()

    def _check_forwarding(self, name: str, properties: QueueProperties) -> None:
        known = {key: queue.properties for key, queue in self._queues.items()}
        config.check_forwarding({**known, name.lower(): properties})

    def _create(self, name: str, properties: QueueProperties) -> Queue:
        now = self.clock()
        key = max((queue.key for queue in self._queues.values()), default=0) + 2  # the one above: its dead letters
        row = QueueRow(key, name, asdict(properties), now, now)
        self._store.save_queue(row)
        queue = self._queues[name.lower()] = self._open(row, properties)
        return queue

    def _save(self, queue: Queue, properties: QueueProperties) -> None:
        queue.properties = properties
        if queue.dead_letters is not None:
            queue.dead_letters.properties = _of_dead_letters(properties)
        queue.updated_at = self.clock()
        self._store.save_queue(QueueRow(queue.key, queue.name, asdict(properties), queue.created_at, queue.updated_at))

    def _open(self, row: QueueRow, properties: QueueProperties) -> Queue:
        letters = Queue(
            row.id + 1,
            row.name + DEAD_LETTER_SUFFIX,
            _of_dead_letters(properties),
            self._store,
            self,
            created_at=row.created_at,
        )
        queue = Queue(row.id, row.name, properties, self._store, self, dead_letters=letters, created_at=row.created_at)
        queue.updated_at = row.updated_at
        return queue

    def check_not_busy(self) -> None:
        """Raises ServerBusyError for each of the next `busy_sends` sends."""
        if self.busy_sends > 0:
            self.busy_sends -= 1
            raise ServerBusyError("The request was terminated because the namespace is being throttled. Error: 50009.")

    # Turns -----------------------------------------------------------------------------------------------------------

    def touch(self, queue: Queue) -> None:
        """Dispatch a queue in the coming turn."""
        self._touched[queue] = None
        self.wake()

    def after_commit(self, call: Callable[..., None], *arguments: Any) -> None:
        """Run `call` once all that has happened so far is durable."""
        self._after_commit.append((call, arguments))
        self.wake()

    def turn(self) -> None:
        """Do what is due, make it durable, then tell. Raises sqlite3.Error; the process must stop then."""
        now = self.clock()
        if now >= self.next_alarm:
            self._ring(now)
        assigned = []
        while self._touched:  # a dispatch may move expired messages to another queue and so touch that one
            queue, _ = self._touched.popitem()
            assigned += [(queue, *assignment) for assignment in queue.dispatch(now)]
        self._store.commit(now)
        calls = [(receiver.deliver, (queue, message, delivery)) for queue, receiver, message, delivery in assigned]
        waiting, self._after_commit = self._after_commit, []
        for call, arguments in [*calls, *waiting]:
            try:
                call(*arguments)
            except Exception:  # one client's trouble must not cost another one its answer
                logger.exception("could not tell a client what was committed")

    def set_alarm(self, when: float) -> None:
        """A queue has something to do then."""
        self.next_alarm = min(self.next_alarm, when)

    def _ring(self, now: float) -> None:
        for queue in self._all():
            queue.ring(now)
        self.next_alarm = min((when for queue in self._all() if (when := queue.next_alarm()) is not None), default=inf)

    def _all(self) -> Iterator[Queue]:
        for queue in list(self._queues.values()):
            yield queue
            if queue.dead_letters is not None:
                yield queue.dead_letters


def _of_dead_letters(properties: QueueProperties) -> QueueProperties:
    """A dead-letter queue shares the lock duration, never expires or forwards, and stops only with the whole queue."""
    status = "Disabled" if properties.status == "Disabled" else "Active"
    return QueueProperties(lock_duration=properties.lock_duration, status=status)
