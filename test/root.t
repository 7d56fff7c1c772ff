#!/bin/sh
# Postgres does not run as root, and so neither does what runs Postgres.
# SPDX-License-Identifier: PostgreSQL
. "$(dirname "$0")/tap.sh"

[ "$(id -u)" -eq 0 ] || skip_all "for root only"
cd "$(dirname "$0")/.." || exit 1
[ -x ./autoctl ] || skip_all "autoctl is not built"
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
export HOME="$scratch" XDG_RUNTIME_DIR="$scratch" XDG_CONFIG_HOME="$scratch/etc"

# refused COMMAND... : not 0, with a sentence about root, and nothing is made.
refused() {
	out=$("$@" 2>&1 >/dev/null </dev/null)
	code=$?
	ok "refused: ${*#"$scratch"}" [ $code -ne 0 ]
	like "$out" 'root' "it says why: $out"
	is "$(find "$scratch" -name '*.cfg' -o -name PG_VERSION)" "" "nothing is made"
}

refused ./autoctl create monitor --pgdata "$scratch/m" --pgport 5999 --auth trust --no-ssl \
	--hostname 127.0.0.1
refused ./autoctl create postgres --pgdata "$scratch/n" --pgport 5999 --auth trust \
	--no-ssl --hostname 127.0.0.1 --monitor 'postgres://autoctl_node@127.0.0.1:1/x'
done_testing
