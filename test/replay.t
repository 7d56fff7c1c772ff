#!/bin/sh
# Recorded decisions are decided again: the same is said to be the same, another is named.
# SPDX-License-Identifier: PostgreSQL
cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

[ -x ./autoctl ] && [ -x test/snapshot_test ] || skip_all "not built"
dir=$(mktemp -d "${TMPDIR:-/tmp}/autoctl-replay.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

replay() {
	./autoctl fsm replay "$@" >"$dir/out" 2>"$dir/err" </dev/null
	code=$?
}

# altered SED : the sample, changed; it must have changed.
altered() {
	sed "$1" "$dir/sample" >"$dir/altered" && ! cmp -s "$dir/sample" "$dir/altered"
}

test/snapshot_test sample >"$dir/sample"
replay "$dir/sample"
is "$code" 0 "what this program decided it decides again"
like "$(cat "$dir/out")" '^2 snapshots, 0 decided differently$' "it counts"
like "$(cat "$dir/out")" 'node_2: secondary -> prepare_promotion: node_1 is down' "and shows the steps"

replay "$dir/sample" --json
is "$code" 0 "the same as JSON"
ok "it is JSON" awk -f test/json.awk "$dir/out"
is "$(grep -c '"same": true' "$dir/out")" 2 "both are the same"

ok "another goal was given" altered '/^step /s/to=prepare_promotion/to=catchingup/'
replay "$dir/altered"
is "$code" 1 "another step: exit 1"
like "$(cat "$dir/out")" 'DIFFERENT in a step' "it says in what"
like "$(cat "$dir/out")" 'was: rule [0-9]+, node_2: secondary -> catchingup' "what it was"
like "$(cat "$dir/out")" 'is:  rule [0-9]+, node_2: secondary -> prepare_promotion' "what it is"
replay "$dir/altered" --json
is "$(grep -c '"same": false' "$dir/out")" 1 "and so in JSON"

ok "a step was not taken" altered '/^step /d'
replay "$dir/altered"
is "$code" 1 "a step more: exit 1"
ok "other evidence" altered 's/ term=1 / term=8 /'
replay "$dir/altered"
is "$code" 1 "the same steps, but something else is stored: exit 1"
like "$(cat "$dir/out")" 'what is stored' "it says so"

ok "the end is missing" altered '$d'
replay "$dir/altered"
is "$code" 1 "half a record: exit 1"
like "$(cat "$dir/err")" '^line [0-9]+: here should be the line end' "it says where"
like "$(cat "$dir/out")" '^1 snapshots' "the others are read"

ok "nothing was recorded beside it" altered '/^step /d; /^decision /d'
replay "$dir/altered"
is "$code" 0 "nothing to compare with"
like "$(cat "$dir/out")" 'prepare_promotion' "the steps are shown"

echo "nothing" >"$dir/nothing"
replay "$dir/nothing"
is "$code" 1 "no snapshot: exit 1"
like "$(cat "$dir/err")" 'no snapshot' "it says so"
replay "$dir/none"
is "$code" 1 "no file: exit 1"
done_testing
