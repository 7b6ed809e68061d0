"""Who is connected to a hub: by connection, by user and by group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from local.signalr.connection import Connection


class Hub:
    """The connections of one hub. A user's groups outlive its connections: the next one joins them as well."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}
        self._users: dict[str, set[Connection]] = {}
        self._groups: dict[str, set[Connection]] = {}
        self._user_groups: dict[str, dict[str, asyncio.TimerHandle | None]] = {}

    def add(self, connection: Connection) -> None:
        self.connections[connection.id] = connection
        if connection.user is not None:
            self._users.setdefault(connection.user, set()).add(connection)
            for group in self._user_groups.get(connection.user, {}):
                self.join(connection, group)

    def remove(self, connection: Connection) -> None:
        self.connections.pop(connection.id, None)
        if connection.user is not None:
            _discard(self._users, connection.user, connection)
        self.leave_all(connection)

    def of_user(self, user: str) -> Iterable[Connection]:
        return self._users.get(user, ())

    def of_group(self, group: str) -> Iterable[Connection]:
        return self._groups.get(group, ())

    def join(self, connection: Connection, group: str) -> None:
        connection.groups.add(group)
        self._groups.setdefault(group, set()).add(connection)

    def leave(self, connection: Connection, group: str) -> None:
        connection.groups.discard(group)
        _discard(self._groups, group, connection)

    def leave_all(self, connection: Connection) -> None:
        for group in list(connection.groups):
            self.leave(connection, group)

    def add_user(self, user: str, group: str, ttl: int | None) -> None:
        """Put a user into a group for `ttl` seconds (None: for good; 0: its present connections only)."""
        self._forget(user, group)
        if ttl != 0:
            loop = asyncio.get_running_loop()
            expiry = None if ttl is None else loop.call_later(ttl, self.remove_user, user, group)
            self._user_groups.setdefault(user, {})[group] = expiry
        for connection in self.of_user(user):
            self.join(connection, group)

    def remove_user(self, user: str, group: str) -> None:
        self._forget(user, group)
        for connection in self.of_user(user):
            self.leave(connection, group)

    def remove_user_from_all(self, user: str) -> None:
        for group in list(self._user_groups.get(user, {})):
            self._forget(user, group)
        for connection in self.of_user(user):
            self.leave_all(connection)

    def has_user(self, user: str, group: str) -> bool:
        remembered = group in self._user_groups.get(user, {})
        return remembered or any(group in connection.groups for connection in self.of_user(user))

    def _forget(self, user: str, group: str) -> None:
        groups = self._user_groups.get(user, {})
        expiry = groups.pop(group, None)
        if expiry is not None:
            expiry.cancel()
        if not groups:
            self._user_groups.pop(user, None)


def _discard(index: dict[str, set[Connection]], key: str, connection: Connection) -> None:
    """Take a connection out of an index, and its key with the last one."""
    members = index.get(key, set())
    members.discard(connection)
    if not members:
        index.pop(key, None)


class Hubs:
    """Every hub by its name, whatever its case; a hub exists once it is named."""

    def __init__(self) -> None:
        self._hubs: dict[str, Hub] = {}

    def __getitem__(self, name: str) -> Hub:
        return self._hubs.setdefault(name.lower(), Hub())

    def connections(self) -> list[Connection]:
        return [connection for hub in self._hubs.values() for connection in hub.connections.values()]
