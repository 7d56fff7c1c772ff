#!/bin/sh
# The floors of the tree: who includes whom, and who may print, exit and read the clock.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

# includes FOLDER : "file: what" of each #include of that folder.
includes() {
	for f in "$1"/*.c "$1"/*.h "$1"/*.def; do
		[ ! -f "$f" ] || sed -n "s|^[ \t]*#[ \t]*include[ \t]*\([<\"][^>\"]*[>\"]\).*|$f: \1|p" "$f"
	done
}

# ours FOLDER ERE : its "..." includes that do not match.
ours() {
	includes "$1" | grep '"' | grep -Ev ": \"($2)"
}

is "$(ours ini 'ini/')" "" "ini/ includes nothing of ours but itself"
is "$(ours fsm 'fsm/|ini/ban\.h')" "" "fsm/ includes nothing of ours but itself (and the ban)"
is "$(ours pg 'ini/|fsm/|pg/')" "" "pg/ includes ini/, fsm/ and itself"
is "$(ours cmd 'ini/|fsm/|pg/|cmd/')" "" "cmd/ does not include test/"
is "$(includes . | grep '"' | grep -Ev '"cmd/cmd\.h"|"ini/ban\.h"')" "" \
	"autoctl.c includes the command table only"
is "$(includes fsm | grep '<' | grep -Ev '<(assert|inttypes|limits|stdbool|stddef|stdint|stdio|string)\.h>')" "" \
	"fsm/ knows no memory and no clock (stdio is for snprintf: see below)"
is "$(includes ini | grep libpq)$(includes fsm | grep libpq)" "" "libpq begins at pg/"
is "$(grep -l 'libpq-fe\.h' ./*/*.h | grep -v '^./pg/db\.h$')" "" \
	"one header includes libpq-fe.h"
is "$(grep -l 'PQclear *(' ini/*.c pg/*.c cmd/*.c 2>/dev/null | grep -v '^pg/')" "" \
	"PQclear stays in pg/"

# Calls, without comments and strings. embed.c is a program of the build.
calls() {
	for f in ini/*.c fsm/*.c pg/*.c; do
		case $f in
		pg/embed.c | pg/schema.gen.c) continue ;;
		esac
		sed -e 's/"\([^"\\]\|\\.\)*"/""/g' -e 's|/\*.*\*/||' -e 's|^[ \t]*\*.*||' "$f" |
			grep -En "(^|[^a-zA-Z0-9_>.])($1) *\(" | sed "s|^|$f:|"
	done
}
is "$(calls 'exit|_exit|quick_exit|abort' | grep -Ev '^(ini/mem\.c|pg/spawn\.c|pg/probe\.c):')" "" \
	"below cmd/ only die ends the process (and children: one that failed to exec, one that looks up a name)"
is "$(calls 'printf|fprintf|puts|fputs|putchar|fputc|perror|vprintf|vfprintf' |
	grep -Ev '^ini/(mem|log)\.c:')" "" "below cmd/ only the log prints"
is "$(calls 'clock_gettime|gettimeofday|time|nanosleep|clock_nanosleep' | grep -v '^ini/clock\.c:')" \
	"" "only clock.c reads the clock and sleeps"

done_testing
