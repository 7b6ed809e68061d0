"""Azure SignalR Service in serverless mode, on loopback: the real @microsoft/signalr client and the REST data plane.

Clients connect with `Endpoint=http://127.0.0.1;Port=PORT;AccessKey=KEY;Version=1.0;`. Offered: WebSockets with the
JSON hub protocol, REST `api/v1` and `api/hubs?api-version=`, users, groups, `:generateToken`, health. Not offered:
MessagePack, server-sent events and long polling, stateful reconnect, upstream webhooks, Microsoft Entra tokens. As in
the cloud, nothing is replayed: what was sent while a client was away is lost to it, and a 202 means accepted, not
delivered.

Protocols: https://github.com/dotnet/aspnetcore/tree/main/src/SignalR/docs/specs (transport, hub protocol) and
https://learn.microsoft.com/azure/azure-signalr/signalr-reference-data-plane-rest-api.
"""
