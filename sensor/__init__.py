"""Idlewire: see what your devices send when nobody is using them.

            enrich/ (who, where)
                     |
 capture/ -> decode/ -> account/ -> detect/ -> deliver/ -> webhook, Prometheus, page
  batches    packets,   flows,       alerts    outbox, metrics, web
             messages   totals
 model/  the nouns they hand each other     base/  tools without a subject

`pipeline.py` walks a batch through the rooms; `app.py` is the only place that builds and joins parts.
"""

__version__ = "0.1.0"
