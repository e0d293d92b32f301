#!/bin/sh
# Removes what install.sh brought, and brings back what it put aside. Configuration, policies (/etc/tetragon) and logs stay.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destdir=${DESTDIR:-}

if [ -z "$destdir" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "uninstall.sh: needs root; or set DESTDIR to the folder that was installed into" >&2
        exit 1
    fi
    if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
        systemctl disable --now enforcer.service || true
    fi
    # what a daemon with --keep-sensors-on-exit left running ends with its names
    rm -rf /sys/fs/bpf/tetragon
fi

cd "$here"
find usr \( -type f -o -type l \) | while read -r file; do
    rm -f "$destdir/$file"
    if [ -e "$destdir/$file.before-enforcer" ] || [ -L "$destdir/$file.before-enforcer" ]; then
        mv -f "$destdir/$file.before-enforcer" "$destdir/$file"
    fi
done
# folders of our own only
for folder in usr/local/lib/tetragon/tetragon.conf.d usr/local/lib/tetragon usr/local/share/doc/enforcer; do
    rmdir "$destdir/$folder" 2>/dev/null || true
done
if [ -z "$destdir" ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload || true
fi
echo "Enforcer is removed. Configuration and policies stay in $destdir/etc/tetragon, events in $destdir/var/log/tetragon."
