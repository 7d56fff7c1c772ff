#!/bin/sh
# The program as it is shipped: one static file that needs nothing around it.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

[ -x ./autoctl ] || skip_all "no ./autoctl"
if ldd ./autoctl 2>/dev/null | grep -q '=>'; then
	skip_all "a dynamic build"
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/autoctl-build.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

ok "one static file" sh -c '! ldd ./autoctl 2>/dev/null | grep -q "=>"'
is "$(nm -D ./autoctl 2>/dev/null)" "" "with no dynamic names"

version=$(./autoctl --version 2>&1)
ok "it runs" ./autoctl --version
like "$version" '[0-9]+\.[0-9]+' "and has a version"
ok "no path of this tree is in it" sh -c \
	'strip -o "$1/stripped" autoctl && ! grep -aqF "$2" "$1/stripped"' - "$scratch" "$PWD"

# nothing but the file: no libc, no /dev, no /etc
mkdir "$scratch/root"
cp autoctl "$scratch/root/"
if [ "$(id -u)" -eq 0 ] && chroot / true 2>/dev/null; then
	is "$(chroot "$scratch/root" /autoctl --version 2>&1)" "$version" "it runs in an empty chroot"
elif unshare -r true 2>/dev/null; then
	is "$(unshare -r chroot "$scratch/root" /autoctl --version 2>&1)" "$version" \
		"it runs in an empty chroot"
fi

# closed descriptors are not given to files
ok "it runs with stdin closed" sh -c './autoctl --version <&-'
fails "a closed stdout is an error" 12 sh -c './autoctl --version >&-'
fails "a full disk under stdout is an error" 12 sh -c './autoctl --version >/dev/full'

make -s install DESTDIR="$scratch/pkg" PREFIX=/usr >"$scratch/log" 2>&1 || note "$(cat "$scratch/log")"
ok "installed" test -x "$scratch/pkg/usr/bin/autoctl"
is "$(readlink "$scratch/pkg/usr/bin/pg_autoctl")" autoctl "and known by its other name"
is "$("$scratch/pkg/usr/bin/pg_autoctl" --version 2>&1 | head -n 1 | grep -c .)" 1 "which runs"

done_testing
