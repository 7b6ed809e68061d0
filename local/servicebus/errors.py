"""What a broker refuses, as the AMQP condition, management status and text that its clients know.

Each class says what happened; the texts say what to do.
"""

from __future__ import annotations


class BrokerError(Exception):
    """A request that the broker refuses. `condition` is an AMQP error condition, `status` an HTTP-like code."""

    condition = "amqp:internal-error"
    status = 500


class EntityNotFoundError(BrokerError):
    """The queue does not exist: define it in Config.json or create it with the administration client."""

    condition = "amqp:not-found"
    status = 404


class EntityDisabledError(BrokerError):
    """The queue's status forbids what was asked: set it to Active with the administration client."""

    condition = "com.microsoft:entity-disabled"
    status = 403


class LockLostError(BrokerError):
    """The lock has expired or its message was settled: receive the message again."""

    condition = "com.microsoft:message-lock-lost"
    status = 410


class MessageNotFoundError(BrokerError):
    """No message with that sequence number is in the state that the operation needs."""

    condition = "com.microsoft:message-not-found"
    status = 404


class NotAllowedError(BrokerError):
    """The entity does not offer this operation, such as a session on a queue without sessions."""

    condition = "amqp:not-allowed"
    status = 400


class NotSupportedError(BrokerError):
    """The real service can do this and the emulator cannot: sessions, topics, rules, transactions."""

    condition = "amqp:not-implemented"
    status = 501


class ArgumentError(BrokerError):
    """A request lacks a field or has one with a wrong value."""

    condition = "com.microsoft:argument-error"
    status = 400


class MessageTooLargeError(BrokerError):
    """The message is larger than the queue takes: send less, or a reference to where it is kept."""

    condition = "amqp:link:message-size-exceeded"
    status = 413


class ServerBusyError(BrokerError):
    """The service throttles: send again after ten seconds. The emulator does so only when a drill asks for it."""

    condition = "com.microsoft:server-busy"
    status = 503


class UnauthorizedError(BrokerError):
    """No valid token covers the entity: check the connection string's key and the clock."""

    condition = "amqp:unauthorized-access"
    status = 401
