"""`idlewire doctor`: what on this machine keeps the sensor from working, and what to do about it.

`facts.py` and `reach.py` look, once, and change nothing; `checks.py` are pure functions from facts to findings.
"""
