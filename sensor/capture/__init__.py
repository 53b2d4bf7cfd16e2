"""Where frames come in: a live interface, or capture files; both yield `model.FrameBatch`.

In: an interface or paths. Out: batches, and counts of what was dropped. May import `model`, `base`, `errors`.
"""
