#!/bin/sh
# Installs Enforcer from the folder that this script lies in. With DESTDIR it only copies, below that folder; otherwise it needs root and starts the service.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
destdir=${DESTDIR:-}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

if [ -z "$destdir" ]; then
    [ "$(id -u)" = 0 ] || fail "needs root; or set DESTDIR to copy the files into a folder"
    [ -e /sys/kernel/btf/vmlinux ] || echo "install.sh: this kernel has no BTF (/sys/kernel/btf/vmlinux), without which Enforcer does not start" >&2
fi

# What was there before the first installation is somebody else's, perhaps Tetragon's: it is put aside, and uninstall.sh brings it back.
ours="$destdir/usr/local/share/doc/enforcer/LICENSE"
first=no
[ -e "$ours" ] || first=yes

# A running program cannot be written over, but replaced.
cd "$here"
find usr -type d | while read -r folder; do
    mkdir -p "$destdir/$folder"
done
find usr \( -type f -o -type l \) | while read -r file; do
    if [ "$first" = yes ] && [ ! -e "$destdir/$file.before-enforcer" ] && { [ -e "$destdir/$file" ] || [ -L "$destdir/$file" ]; }; then
        mv -f "$destdir/$file" "$destdir/$file.before-enforcer"
        echo "install.sh: $destdir/$file was there and is kept as $file.before-enforcer" >&2
    fi
    cp -P "$file" "$destdir/$file.new"
    mv -f "$destdir/$file.new" "$destdir/$file"
done

# What an administrator changed stays; what is missing is added.
mkdir -p "$destdir/etc/tetragon/tetragon.conf.d" "$destdir/etc/tetragon/tetragon.tp.d"
chmod 0755 "$destdir/etc/tetragon" "$destdir/etc/tetragon/tetragon.conf.d" "$destdir/etc/tetragon/tetragon.tp.d"

if [ -n "$destdir" ]; then
    exit 0
fi
if ! command -v systemctl >/dev/null 2>&1 || [ ! -d /run/systemd/system ]; then
    echo "Installed. There is no systemd here; start /usr/local/bin/enforcer as root."
    exit 0
fi
systemctl daemon-reload
systemctl enable enforcer.service
if systemctl restart enforcer.service; then
    echo "Enforcer is installed and runs: tetra status, tetra getevents -o compact"
else
    systemctl --no-pager --lines 20 status enforcer.service >&2 || true
    fail "Enforcer is installed and did not start; the lines above are its log"
fi
