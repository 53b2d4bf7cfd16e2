"""Packets to flows and totals, without I/O and without a clock.

In: `Packets`. Out: `Activity` once per second of packet time; `Client` and `Destination` when asked.
Every table has a cap; what is evicted goes on counting in `other`. May import `model` and `base`.
"""
