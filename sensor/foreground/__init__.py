"""Is a person using the client? Sources report, one pure function weighs what they say.

In: `Report`s of sources (`sources/`, one plug-in each). Out: `Foreground` per client and moment, never guessed from
silence. `standing.py` folds what one source says, `fusion.py` weighs the sources, `book.py` keeps both per client.
Only sources that talk over the network know a clock and a loop. May import `model` and `base`.
"""
