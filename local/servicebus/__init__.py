"""A Service Bus emulator: queues over AMQP 1.0 and the admin HTTP API on one port, kept in SQLite.

Rooms: `codec`, `frames` and `message` know the wire format; `queue`, `broker` and `store` are the queues' rules and
their persistence, without any network; `connection`, `links`, `management` and `cbs` speak AMQP to the broker;
`http` and `admin` are the admin API; `config` reads the queue definitions; `server` and `cli` put it together.
"""
