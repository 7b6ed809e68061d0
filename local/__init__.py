"""Azure on a bare machine: the services that the function app talks to, each a small program of its own.

Nothing here imports the product and the product imports nothing of this: they meet on the wire and in settings.
"""
