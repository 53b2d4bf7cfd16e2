"""Where phone states come from: one source, one file, one key in [foreground]."""
