#!/bin/sh
# The writer's place changes hands because somebody asked for it, back and forth.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
ok "an application writes" writer_start

from=1 to=2
for round in 1 2 3 4 5 6; do
	event "switchover_$round"
	ok "switchover $round" perform switchover
	ok "node $to is primary, node $from secondary" wait_pair $to $from 30
	ok "writes stopped for less than 2 s" gap_below "switchover_$round" 2000
	t=$from from=$to to=$t
done
ok "only one takes writes" one_writer

event promotion
ok "perform promotion of the secondary" eval 'perform promotion --name node_2 --json >"$root/json"'
is "$(grep -vc '^{.*}$' "$root/json")" 0 "... an object for each change"
last=$(tail -n 1 "$root/json")
is "$(json "$last" '{nodename}') $(json "$last" '{reportedstate}') $(json "$last" '{goalstate}')" \
	"node_2 primary primary" "... to the end"
ok "node 2 is primary" wait_pair 2 1 30
ok "perform promotion of the primary: nothing to do" perform promotion --name node_2
ok "writes stopped for less than 2 s" gap_below promotion 2000

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
