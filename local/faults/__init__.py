"""A proxy in front of one service that misbehaves on demand: `python -m local faults`.

For HTTP services it answers in their place, loses their answers or delays them; for any TCP service it drops, refuses,
freezes or delays connections. What it does is ruled at run time by a control port on the loopback interface.
"""
