"""Checks infra/ without Azure and without the Bicep compiler, neither of which a plain machine has.

`python -m tools.infra_check` (or `make infra-check`) prints `file:line: message` for all that it finds and exits 1 if
it found anything. It reads the templates with tree-sitter, works out what they would deploy for every value that a
parameter may have, and holds that against the resource types of Azure, against our own rules and against the code.
"""
