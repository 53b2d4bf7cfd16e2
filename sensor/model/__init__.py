"""The nouns that rooms hand each other. Imports: the standard library and numpy, nothing of ours but each other.

Time is always `int` nanoseconds since 1970 UTC; text forms are made at the edges.
Addresses are `bytes` (4 or 16, network order), MACs are `bytes` (6): ints are unsalted
in Python, so a table keyed by them can be made slow by whoever chooses the addresses.
"""
