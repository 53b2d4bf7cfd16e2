#!/bin/sh
# Builds dist/idlewire-VERSION.tar.gz from the last commit: the sources with SHA256SUMS, which install.sh checks.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' sensor/__init__.py)
name=idlewire-$version
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
mkdir -p "${DIST:=dist}" "$work/$name"
git archive HEAD | tar -C "$work/$name" -x
(cd "$work/$name" && find . -type f ! -name SHA256SUMS -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum >"$work/sums")
mv "$work/sums" "$work/$name/SHA256SUMS"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -c "$name" |
    gzip -9n >"$DIST/$name.tar.gz"
(cd "$DIST" && sha256sum "$name.tar.gz")
