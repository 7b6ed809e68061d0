"""The use cases: submit, read, run, repair. Written against the ports of `shared.service.ports`."""
