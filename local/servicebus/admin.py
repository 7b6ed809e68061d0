"""The admin HTTP API for queues: what azure-servicebus' ServiceBusAdministrationClient calls. Atom entries in XML.

Source: https://learn.microsoft.com/rest/api/servicebus/queues and the client's generated models.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from local.servicebus import config
from local.servicebus.broker import Broker, QueueExistsError
from local.servicebus.cbs import check_token, covers
from local.servicebus.config import PROPERTY_FIELDS, ConfigError, QueueProperties
from local.servicebus.errors import EntityNotFoundError, UnauthorizedError
from local.servicebus.http import Request, Response
from local.servicebus.queue import Queue

_ATOM = "http://www.w3.org/2005/Atom"
_SERVICE_BUS = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
_COUNTS = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
_MAX_PAGE = 100
_LIST_PATH = "$resources/queues"
#: Not of the real service: `PUT /$faults?server_busy=N` refuses the next N sends with the error of a throttled one.
_FAULTS_PATH = "$faults"
#: Clients write these as the URL of the queue.
_FORWARDING = frozenset({"ForwardTo", "ForwardDeadLetteredMessagesTo"})


class Admin:
    """Answers admin requests; each is checked for a token of the namespace's key first."""

    def __init__(self, broker: Broker, key: str) -> None:
        self._broker = broker
        self._key = key
        self._by_method: dict[str, Callable[[Request], Response]] = {
            "GET": self._get,
            "PUT": self._put,
            "DELETE": self._delete,
        }

    def answer(self, request: Request) -> Response:
        """The response to a request, refusals included."""
        try:
            scope, _ = check_token(request.headers.get("authorization", ""), self._key, self._broker.clock())
            if not covers(scope, request.path.lower()):
                return _error(HTTPStatus.UNAUTHORIZED, f"The token is for '{scope}' only.")
            method = self._by_method.get(request.method)
            if method is None:
                return _error(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not an operation on queues.")
            return method(request)
        except UnauthorizedError as error:
            return _error(HTTPStatus.UNAUTHORIZED, str(error))
        except EntityNotFoundError as error:
            return _error(HTTPStatus.NOT_FOUND, str(error))
        except QueueExistsError as error:
            return _error(HTTPStatus.CONFLICT, str(error))
        except (ConfigError, ET.ParseError, ValueError) as error:
            return _error(HTTPStatus.BAD_REQUEST, str(error))

    def _get(self, request: Request) -> Response:
        host = request.headers.get("host", "localhost")
        if request.path.lower() == _LIST_PATH:
            return self._list(request, host)
        return Response(HTTPStatus.OK, _entry(self._named(request.path), host).encode())

    def _list(self, request: Request, host: str) -> Response:
        skip = int(request.query.get("$skip", "0"))
        top = min(int(request.query.get("$top", str(_MAX_PAGE))), _MAX_PAGE)
        queues = self._broker.queues()
        url = f"https://{_escape(host)}/$Resources/queues"
        links = f'<link rel="self" href="{url}"/>'
        if skip + top < len(queues):
            links += f'<link rel="next" href="{url}?$skip={skip + top}&amp;$top={top}"/>'
        entries = "".join(_entry(queue, host) for queue in queues[skip : skip + top])
        now = _iso(self._broker.clock())
        feed = (
            f'<feed xmlns="{_ATOM}"><title type="text">Queues</title><id>{url}</id><updated>{now}</updated>'
            f"{links}{entries}</feed>"
        )
        return Response(HTTPStatus.OK, feed.encode())

    def _put(self, request: Request) -> Response:
        """Create a queue, or with If-Match replace its properties; or stage a fault."""
        if request.path == _FAULTS_PATH:
            self._broker.busy_sends = int(request.query.get("server_busy", ""))
            return Response(HTTPStatus.OK)
        given = _properties_of(request.body)
        if "if-match" in request.headers:
            fixed = self._named(request.path).properties.requires_duplicate_detection
            base = QueueProperties(requires_duplicate_detection=fixed)
            queue = self._broker.update_queue(request.path, config.parse_properties(given, base))
            status = HTTPStatus.OK
        else:
            queue = self._broker.create_queue(request.path, config.parse_properties(given))
            status = HTTPStatus.CREATED
        return Response(status, _entry(queue, request.headers.get("host", "localhost")).encode())

    def _delete(self, request: Request) -> Response:
        self._broker.delete_queue(self._named(request.path).name)
        return Response(HTTPStatus.OK)

    def _named(self, path: str) -> Queue:
        """A queue, not its dead-letter queue. Raises EntityNotFoundError."""
        queue = self._broker.get(path)
        if queue.dead_letters is None:
            raise EntityNotFoundError(f"'{path}' is a dead-letter queue: ask for the queue that it belongs to.")
        return queue


def _properties_of(body: bytes) -> dict[str, str]:
    """The queue properties of an Atom entry that this emulator acts on. Raises ParseError, ConfigError."""
    root = ET.fromstring(body)  # noqa: S314 - local, authenticated, and expat refuses entity bombs
    description = root.find(f".//{{{_SERVICE_BUS}}}QueueDescription")
    if description is None:
        raise ConfigError("The body is not an Atom entry with a QueueDescription.")
    given = {}
    for element in description:
        name, text = element.tag.rpartition("}")[2], element.text or ""
        if name in _FORWARDING:
            given[name] = urlsplit(text).path.strip("/") if "://" in text else text
        elif (name in PROPERTY_FIELDS or name == "RequiresSession") and text:
            given[name] = text
    return given


def _entry(queue: Queue, host: str) -> str:
    letters = queue.dead_letters
    dead_count = letters.active_count if letters else 0
    properties = queue.properties
    size = queue.size_bytes + (letters.size_bytes if letters else 0)
    counts = {
        "ActiveMessageCount": queue.active_count,
        "DeadLetterMessageCount": dead_count,
        "ScheduledMessageCount": queue.scheduled_count,
        "TransferMessageCount": 0,
        "TransferDeadLetterMessageCount": 0,
    }
    details = "".join(f'<d2p1:{name} xmlns:d2p1="{_COUNTS}">{count}</d2p1:{name}>' for name, count in counts.items())
    total = queue.active_count + queue.scheduled_count + dead_count
    forward_to, forward_dead = properties.forward_to, properties.forward_dead_lettered_messages_to
    elements = [
        ("LockDuration", config.format_duration(properties.lock_duration)),
        ("MaxSizeInMegabytes", properties.max_size_in_megabytes),
        ("RequiresDuplicateDetection", _bool(properties.requires_duplicate_detection)),
        ("RequiresSession", "false"),
        ("DefaultMessageTimeToLive", config.format_duration(properties.default_message_time_to_live)),
        ("DeadLetteringOnMessageExpiration", _bool(properties.dead_lettering_on_message_expiration)),
        (
            "DuplicateDetectionHistoryTimeWindow",
            config.format_duration(properties.duplicate_detection_history_time_window),
        ),
        ("MaxDeliveryCount", properties.max_delivery_count),
        ("EnableBatchedOperations", "true"),
        ("SizeInBytes", size),
        ("MessageCount", total),
        ("IsAnonymousAccessible", "false"),
        ("Status", properties.status),
        *([("ForwardTo", f"https://{host}/{forward_to}")] if forward_to else []),
        *([("UserMetadata", properties.user_metadata)] if properties.user_metadata else []),
        ("CreatedAt", _iso(queue.created_at)),
        ("UpdatedAt", _iso(queue.updated_at)),
        ("AccessedAt", _iso(queue.accessed_at)),
        ("SupportOrdering", "true"),
        ("CountDetails", None),
        ("AutoDeleteOnIdle", config.UNLIMITED),
        ("EnablePartitioning", "false"),
        ("EntityAvailabilityStatus", "Available"),
        ("EnableExpress", "false"),
        *([("ForwardDeadLetteredMessagesTo", f"https://{host}/{forward_dead}")] if forward_dead else []),
    ]
    description = "".join(
        f"<{name}>{details if value is None else _escape(str(value))}</{name}>" for name, value in elements
    )
    url = f"https://{_escape(host)}/{quote(queue.name)}"
    return (
        f'<entry xmlns="{_ATOM}"><id>{url}</id><title type="text">{_escape(queue.name)}</title>'
        f"<published>{_iso(queue.created_at)}</published><updated>{_iso(queue.updated_at)}</updated>"
        f'<link rel="self" href="{url}"/><content type="application/xml">'
        f'<QueueDescription xmlns="{_SERVICE_BUS}">{description}</QueueDescription></content></entry>'
    )


def _error(status: HTTPStatus, detail: str) -> Response:
    return Response(status, f"<Error><Code>{status.value}</Code><Detail>{_escape(detail)}</Detail></Error>".encode())


def _escape(text: str) -> str:
    """Text for XML. Not the one of xml.sax: that brings urllib.request, which is 4 MB of memory."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _bool(value: bool) -> str:
    return str(value).lower()


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
