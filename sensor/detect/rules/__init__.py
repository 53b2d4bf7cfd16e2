"""The detectors; a file's name is its key under [detect]. They do not know each other."""
