#!/bin/sh
# The binary checks its own state machine: tables, and all courses of events of a pair.
# SPDX-License-Identifier: PostgreSQL
cd "$(dirname "$0")/.." || exit 1
. test/tap.sh

[ -x ./autoctl ] || skip_all "autoctl is not built"
out=$(./autoctl fsm verify --json)
is "$?" 0 "it finds nothing wrong"
like "$out" '"ok": true' "it says so"
like "$out" '"complaints": 0' "the tables fit each other"
like "$out" '"explored": [1-9][0-9]{5}' "a pair was followed through many situations"
done_testing
