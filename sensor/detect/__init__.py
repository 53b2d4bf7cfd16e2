"""Activity to alerts, without I/O and without a clock. One detector, one file in `rules/`, one key in [detect].

Detectors yield alerts: they cannot send, sleep or look at the clock, and their order cannot matter.
"""
