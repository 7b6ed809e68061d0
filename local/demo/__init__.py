"""`make demo`: one job of every type on a stack of its own, its progress live, its result."""
