#!/bin/sh
# Builds dist/idlewire_VERSION_ARCH.deb:  deploy/build_deb.sh [amd64|arm64]   (`make deb` makes the environment first)
#
# The package holds a virtual environment under /opt/idlewire/venv that uses the target's /usr/bin/python3: build with the
# minor version of Python that the target has (3.11 on Debian 12, 3.13 on Debian 13). The other architecture needs no
# emulator: all that is locked comes as wheels. The same commit and Python give the same bytes.
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python
arch=${1:-$(dpkg --print-architecture)}
case $arch in
amd64) machine=x86_64 ;;
arm64) machine=aarch64 ;;
*) echo "build_deb.sh: no architecture $arch here: amd64 or arm64" >&2 && exit 2 ;;
esac
version=$($python -c 'import sensor; print(sensor.__version__)')
minor=$($python -c 'import sys; print(sys.version_info[1])')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
umask 022

work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
root=$work/root venv=$work/root/opt/idlewire/venv site=$work/root/opt/idlewire/venv/lib/python3.$minor/site-packages
mkdir -p "$site" "$venv/bin" "$root/DEBIAN" "${DIST:=dist}"

# The locked, hashed dependencies as the target needs them; glibc 2.36 is that of Debian 12.
set -- --python-version "3.$minor" --implementation cp --only-binary=:all: --no-compile --target "$site"
for glibc in 5 12 17 24 26 27 28 31 34 35 36; do set -- "$@" --platform "manylinux_2_${glibc}_$machine"; done
set -- "$@" --platform "manylinux2014_$machine" --platform "manylinux2010_$machine"
$python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock "$@"
$python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$work/wheel" .
$python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-compile --upgrade --target "$site" "$work"/wheel/*.whl
$python deploy/prune.py "$site" >"$work/packages"
# What pip notes of how it installed: it knows this folder's path, and what was taken away again.
find "$site" -path '*.dist-info/*' \( -name RECORD -o -name REQUESTED -o -name direct_url.json \) -delete
$python -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$root" "$site"

# The rest of an environment, as `python3 -m venv` would leave it on the target.
ln -s /usr/bin/python3 "$venv/bin/python3" && ln -s python3 "$venv/bin/python"
printf 'home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.%s\n' "$minor" >"$venv/pyvenv.cfg"
printf '#!/opt/idlewire/venv/bin/python3\nimport sys\n\nfrom sensor.cli import main\n\nsys.exit(main())\n' >"$venv/bin/idlewire"
chmod 755 "$venv/bin/idlewire"

put() { install -D -m 644 "$1" "$root/$2"; }
mkdir -p "$root/usr/bin" && ln -s /opt/idlewire/venv/bin/idlewire "$root/usr/bin/idlewire"
put systemd/idlewire.service usr/lib/systemd/system/idlewire.service
put systemd/idlewire-geo-update.service usr/lib/systemd/system/idlewire-geo-update.service
put systemd/idlewire-geo-update.timer usr/lib/systemd/system/idlewire-geo-update.timer
put systemd/idlewire.sysusers usr/lib/sysusers.d/idlewire.conf
put systemd/idlewire.tmpfiles usr/lib/tmpfiles.d/idlewire.conf
put config/idlewire.toml etc/idlewire/idlewire.toml
put README.md usr/share/doc/idlewire/README.md
put deploy/debian/copyright usr/share/doc/idlewire/copyright
put CHANGELOG.md usr/share/doc/idlewire/CHANGELOG.md && gzip -9n "$root/usr/share/doc/idlewire/CHANGELOG.md"
mkdir -p "$root/usr/share/man/man1" "$root/usr/share/bash-completion/completions" \
  "$root/usr/share/zsh/vendor-completions" "$root/usr/share/fish/vendor_completions.d"
$python deploy/describe_command.py man | gzip -9n >"$root/usr/share/man/man1/idlewire.1.gz"
$python deploy/describe_command.py bash >"$root/usr/share/bash-completion/completions/idlewire"
$python deploy/describe_command.py zsh >"$root/usr/share/zsh/vendor-completions/_idlewire"
$python deploy/describe_command.py fish >"$root/usr/share/fish/vendor_completions.d/idlewire.fish"

sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$arch/" -e "s/@MINOR@/$minor/" -e "s/@NEXT@/$((minor + 1))/" \
  -e "s/@SIZE@/$(du -sk --apparent-size "$root" | cut -f1)/" deploy/debian/control >"$root/DEBIAN/control"
echo /etc/idlewire/idlewire.toml >"$root/DEBIAN/conffiles"
for script in preinst postinst prerm postrm; do install -m 755 "deploy/debian/$script" "$root/DEBIAN/$script"; done
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

find "$root" -depth -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
deb=$DIST/idlewire_${version}_$arch.deb
dpkg-deb --root-owner-group --build "$root" "$deb" >/dev/null
echo "$deb: $(($(stat -c %s "$deb") / 1000000)) MB, for Python 3.$minor, with $(wc -l <"$work/packages") packages"
