"""One file per dashboard; each has `build()`."""
