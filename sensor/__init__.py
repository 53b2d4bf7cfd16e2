"""Idlewire: see what your devices send when nobody is using them.

            enrich/ (who, where)
                     |
 capture/ -> decode/ -> account/ -> detect/ -> deliver/ -> webhook, Prometheus, page
  batches    packets,   flows,       alerts    outbox, metrics, web
             messages   totals
 model/  the nouns they hand each other     base/  tools without a subject

`pipeline.py` walks a batch through the rooms; `app.py` is the only place that builds and joins parts.
"""

import os

# numpy's BLAS starts a thread per core, which spins for work at first; nothing here does linear algebra.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
