"""Out of the house: alerts through one bounded outbox per sink, metrics, API and page.

In: `Alert`, and snapshots of `Client` and `Destination`. May import `model`, `base`, `errors`.
"""
