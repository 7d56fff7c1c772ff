#!/bin/sh
# The runner itself: what it must not let pass.
# SPDX-License-Identifier: PostgreSQL

cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

scratch=$(mktemp -d "${TMPDIR:-/tmp}/autoctl-runner.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT

# program NAME TEXT : a script.
program() {
	printf '#!/bin/sh\n%s\n' "$2" >"$scratch/$1"
	chmod +x "$scratch/$1"
}

# sums WANT WHAT PROGRAM... : the last line, and an exit status that goes with it.
sums() {
	want=$1
	what=$2
	shift 2
	out=$(env -u VERBOSE TIMEOUT=2 test/run "$@" 2>&1)
	status=$?
	is "$(printf '%s\n' "$out" | tail -n 1)" "$want" "$what"
	case $want in
	*' 0 failed') is "$status" 0 "and exits 0" ;;
	*) is "$status" 1 "and exits 1" ;;
	esac
}

program good 'echo ok 1 - a; echo ok 2; echo 1..2'
program bad 'echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo "# because"; exit 1'
program dead 'echo ok 1 - a; kill -9 $$'
program short 'echo 1..3; echo ok 1; echo ok 2'
program mute 'exit 0'
program liar 'echo ok 1 - a; echo 1..1; exit 3'
program hang 'echo ok 1 - a; echo 1..1; exec tail -f /dev/null'
program skip 'echo "1..0 # SKIP no reason"'
program part 'echo "ok 1 - a # SKIP not here"; echo "not ok 2 - b # TODO known"; echo 1..2'
program bail 'echo "Bail out! no disk"; exit 1'

cd_good=$scratch/good
sums '2 passed, 0 failed' "a good one" "$cd_good"
sums '1 passed, 1 failed' "a failed test" "$scratch/bad"
like "$out" '^# because$' "with its comment"
like "$out" '^not ok - .*/bad \(1, 1 failed\)$' "and a line of its own"
sums '1 passed, 1 failed' "a killed one" "$scratch/dead"
sums '2 passed, 1 failed' "one without its last test" "$scratch/short"
sums '0 passed, 1 failed' "one that says nothing" "$scratch/mute"
sums '1 passed, 1 failed' "one that fails after its tests" "$scratch/liar"
sums '1 passed, 1 failed' "one that hangs" "$scratch/hang"
like "$out" '^# not done after 2 s$' "and says so"
sums '0 passed, 0 failed' "a skipped one is not a passed one" "$scratch/skip"
like "$out" '^# 1 skipped$' "but counted"
sums '0 passed, 0 failed' "skipped and to do" "$scratch/part"
sums '0 passed, 2 failed' "one that bails out" "$scratch/bail"
sums '0 passed, 1 failed' "one that is not there" "$scratch/nothing"
sums '5 passed, 2 failed' "a sum" "$cd_good" "$scratch/bad" "$cd_good" "$scratch/mute"

done_testing
