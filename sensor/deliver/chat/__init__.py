"""The sinks; a file's name is its `type` in [[sink]]. They do not know each other."""
