"""Bytes to values, without I/O and without a clock.

In: `FrameBatch`. Out: `Packets` for all frames at once, `Heard` for the few that carry a message.
No input byte may raise. May import `model` and `base`.
"""
