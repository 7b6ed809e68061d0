"""The adapters: one file an Azure service, each implementing a port of `shared.service.ports` with its SDK."""
