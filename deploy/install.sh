#!/bin/sh
# Puts the sensor on this box, renews it, or takes it away again:
#
#   sudo deploy/install.sh [install]            also renews what an earlier run put here; settings and state are kept
#   sudo deploy/install.sh upgrade              the same, but refuses where nothing is installed
#   sudo deploy/install.sh uninstall            stops and removes the program; keeps settings and state
#   sudo deploy/install.sh uninstall --purge    removes those too, and the user
#
# For Debian 12 and 13 and Raspberry Pi OS, 64-bit, from a checkout or an unpacked release. Dependencies are taken only
# if their hashes are those of requirements.lock: from the folder wheels/ if there is one, else by pip as it is set up
# here. For a box without a network make it elsewhere: pip download --require-hashes -r requirements.lock -d wheels
set -eu
umask 022

source=$(cd "$(dirname "$0")/.." && pwd)
home=/opt/idlewire
settings=/etc/idlewire
state=/var/lib/idlewire
units=/etc/systemd/system
unit=$units/idlewire.service
share=/usr/local/share
placed="$unit $units/idlewire-geo-update.service $units/idlewire-geo-update.timer /usr/local/bin/idlewire $share/man/man1/idlewire.1 $share/bash-completion/completions/idlewire
 $share/zsh/site-functions/_idlewire $share/fish/vendor_completions.d/idlewire.fish"

say() { echo "install.sh: $*"; }
die() { echo "install.sh: $*" >&2 && exit 1; }
usage() { sed -n '4,7s/^# *//p' "$0" >&2 && exit 2; }
systemd_runs() { [ -d /run/systemd/system ]; }

main() {
    command=${1:-install}
    [ $# -le 2 ] || usage
    case "$command ${2:-}" in
    "install " | "upgrade " | "uninstall " | "uninstall --purge") ;;
    *) usage ;;
    esac
    [ "$(id -u)" = 0 ] || die "needs root: sudo $0 $*"
    ! dpkg-query -W -f '${db:Status-Status}\n' idlewire 2>/dev/null | grep -qx installed ||
        die "the package idlewire is installed here: use apt, or 'apt remove idlewire' first (it keeps settings and state)"
    case $command in
    uninstall) remove "${2:-}" ;;
    upgrade) [ -e "$home/INSTALLED" ] || die "nothing is installed in $home: run '$0 install'" && put ;;
    install) put ;;
    esac
}

put() {
    check_machine
    check_source
    ! [ -e "$home/INSTALLED" ] || before=$(sed -n 's/^version //p' "$home/INSTALLED")
    mark=$(fingerprint)
    if grep -qx "fingerprint $mark" "$home/INSTALLED" 2>/dev/null && "$home/venv/bin/idlewire" --version >/dev/null 2>&1; then
        say "the program is already the one of $source: not built again"
        renewed=no
    else
        build
        renewed=yes
    fi
    version=$("$home/venv/bin/idlewire" --version | sed -n '1s/^idlewire //p')
    make_user
    place_settings
    place_files
    printf 'version %s\nfingerprint %s\nfrom %s\n' "$version" "$mark" "$source" >"$home/INSTALLED"
    start
    report
}

check_machine() {
    case $(uname -m) in
    x86_64 | aarch64) [ "$(getconf LONG_BIT)" = 64 ] || die "this is a 32-bit system: a 64-bit one is needed (Raspberry Pi OS has both)" ;;
    *) die "no packages for $(uname -m): arm64 or amd64 is needed" ;;
    esac
    python=/usr/bin/python3
    [ -x $python ] || die "python3 is missing: apt install python3 python3-venv"
    $python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "Python 3.11 or later is needed: Debian 12 has it"
    $python -c 'import ensurepip, venv' 2>/dev/null || die "python3-venv is missing: apt install python3-venv"
}

check_source() {
    for needed in requirements.lock sensor/__init__.py deploy/prune.py systemd/idlewire.service config/idlewire.toml; do
        [ -e "$source/$needed" ] || die "$source is no complete release: $needed is missing"
    done
    if [ -e "$source/SHA256SUMS" ]; then
        (cd "$source" && sha256sum --check --strict --quiet SHA256SUMS >&2) ||
            die "files are not those of the release (SHA256SUMS): unpack it again; nothing was changed here"
        # What is left of another release would be installed as well.
        foreign=$(cd "$source" && find sensor deploy config systemd -type f ! -name '*.pyc' |
            while read -r file; do grep -qxE "[0-9a-f]{64}  $file" SHA256SUMS || echo "$file"; done | head -n 3 | tr '\n' ' ')
        [ -z "$foreign" ] || die "not of this release: $foreign; unpack it into an empty folder"
        say "all files are those of SHA256SUMS"
    else
        say "no SHA256SUMS here (a checkout): its files are taken as they are"
    fi
}

fingerprint() {
    (cd "$source" && find sensor deploy config systemd requirements.lock pyproject.toml -type f ! -name '*.pyc' |
        LC_ALL=C sort | xargs -d '\n' sha256sum && $python --version) | sha256sum | cut -d' ' -f1
}

# The new program beside the old one, which goes on until the new one has been tried.
build() {
    say "building in $home/venv (some minutes on a Raspberry Pi)"
    new=$home/venv.new
    rm -rf "$new" && mkdir -p "$home"
    trap 'rm -rf "$new"' EXIT
    $python -m venv "$new"
    pip="$new/bin/python -m pip --disable-pip-version-check --quiet --no-cache-dir"
    set --
    [ ! -d "$source/wheels" ] || set -- --no-index --find-links "$source/wheels"
    $pip install "$@" --require-hashes --only-binary=:all: --no-compile -r "$source/requirements.lock" ||
        die "dependencies could not be had, or their hashes are wrong; nothing was changed here"
    # A copy, so that nothing is written into the folder this came from.
    copy=$new/source && mkdir "$copy"
    cp -R "$source/sensor" "$source/pyproject.toml" "$source/README.md" "$copy"
    $pip install --no-deps --no-index --no-build-isolation --no-compile "$copy"
    site=$(echo "$new"/lib/python3.*/site-packages)
    "$new/bin/python" "$source/deploy/prune.py" "$site" >"$home/PACKAGES"
    find "$new/bin" -mindepth 1 ! -name 'python*' -delete
    printf '#!%s/venv/bin/python3\nimport sys\n\nfrom sensor.cli import main\n\nsys.exit(main())\n' $home >"$new/bin/idlewire"
    chmod 755 "$new/bin/idlewire"
    rm -rf "$copy"
    "$new/bin/python" -m compileall -q -s "$new" -p "$home/venv" "$site"
    sed -i "s|$new|$home/venv|g" "$new/pyvenv.cfg"
    if [ -e "$settings/idlewire.toml" ]; then
        "$new/bin/python" "$new/bin/idlewire" check-config "$settings/idlewire.toml" >/dev/null ||
            die "the new version does not take your settings (above); nothing was changed here"
    fi
    rm -rf "$home/venv.old"
    [ ! -d "$home/venv" ] || mv "$home/venv" "$home/venv.old"
    mv "$new" "$home/venv"
    rm -rf "$home/venv.old"
    trap - EXIT
}

make_user() {
    getent passwd idlewire >/dev/null || useradd --system --user-group --no-create-home --home-dir "$state" \
        --shell /usr/sbin/nologin --comment "Idlewire network sensor" idlewire
}

place_settings() {
    [ -d "$settings" ] || install -d -m 750 -o root -g idlewire "$settings"
    [ -d "$state" ] || install -d -m 700 -o idlewire -g idlewire "$state"
    kept=yes
    if [ -e "$settings/idlewire.toml" ]; then
        # `setup` may have run before there was the user; a warning, as what systemd hands over is not there yet.
        setpriv --reuid=idlewire --regid=idlewire --clear-groups \
            "$home/venv/bin/idlewire" check-config "$settings/idlewire.toml" >/dev/null ||
            say "the user idlewire must be able to read them: sudo chgrp idlewire FILE && sudo chmod 640 FILE"
        return
    fi
    install -m 640 -o root -g idlewire "$source/config/idlewire.toml" "$settings/idlewire.toml"
    kept=no
}

place_files() {
    for file in $placed; do make_folder "$(dirname "$file")"; done
    describe="$home/venv/bin/python -B $source/deploy/describe_command.py"
    $describe man >"$share/man/man1/idlewire.1"
    $describe bash >"$share/bash-completion/completions/idlewire"
    $describe zsh >"$share/zsh/site-functions/_idlewire"
    $describe fish >"$share/fish/vendor_completions.d/idlewire.fish"
    install -m 644 "$source/config/idlewire.toml" "$home/idlewire.toml"
    install -m 644 "$source/systemd/idlewire.service" "$source"/systemd/idlewire-geo-update.* "$units"
    ln -sf "$home/venv/bin/idlewire" /usr/local/bin/idlewire
}

# Notes the folders that were not there, so that only those are taken away again.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    mkdir "$1"
    echo "$1" >>"$home/FOLDERS"
}

start() {
    systemd_runs || return 0
    systemctl daemon-reload
    systemctl --quiet enable idlewire.service
    if [ $renewed = yes ] || ! systemctl --quiet is-active idlewire.service; then
        systemctl restart idlewire.service || die "it does not start: journalctl -u idlewire"
    fi
}

report() {
    say "idlewire $version is in $home${before:+ (before: $before)}, the command is /usr/local/bin/idlewire"
    if [ $kept = yes ]; then
        say "settings kept: $settings/idlewire.toml (all settings of this version: $home/idlewire.toml)"
    else
        say "settings: $settings/idlewire.toml, with every setting commented out"
    fi
    say "state: $state; it runs as the user idlewire with CAP_NET_RAW only"
    if systemd_runs; then
        say "next: systemctl status idlewire; the page is on http://127.0.0.1:8470; after changes: systemctl restart idlewire"
    else
        say "next: systemd does not run here, so nothing was started: idlewire run"
    fi
}

remove() {
    if systemd_runs && [ -e "$unit" ]; then
        systemctl --quiet disable --now idlewire.service idlewire-geo-update.timer || true
    fi
    for file in $placed; do rm -f "$file"; done
    [ ! -e "$home/FOLDERS" ] || sort -r "$home/FOLDERS" | while read -r folder; do
        [ ! -d "$folder" ] || rmdir --ignore-fail-on-non-empty "$folder"
    done
    rm -rf "$home"
    ! systemd_runs || systemctl daemon-reload
    if [ "$1" = --purge ]; then
        rm -rf "$settings" "$state" /var/lib/systemd/timers/stamp-idlewire-geo-update.timer
        ! getent passwd idlewire >/dev/null || userdel idlewire
        say "removed with settings, state and user"
    else
        say "removed; $settings and $state are kept (uninstall --purge removes them too)"
    fi
}

main "$@"
