#!/bin/sh
# Two of three hosts die at once: nobody takes over until one is back, or an operator says
# that acknowledged writes may be lost and both have been silent for a lease.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

no_primary() {
	! sql 3 'select 1 where not pg_is_in_recovery()' | grep -q 1 &&
		case $(states 3) in *primary*) false ;; esac
}

loss_recorded() {
	[ "$(monitor_sql "select count(*) > 0 from pgautofailover.event
		where eventid > $1 and description ~ 'may be lost'")" = t ]
}

cluster_init
nodes_up 3
ok "an application writes" writer_start 1 2 3

since=$(event_id)
event two_dead
ok "the primary's host dies" kill_host 1
ok "and that of a standby" kill_host 2
ok "node 3 is asked for its position" wait_state 3 report_lsn 40
ok "it is not promoted: node 2 may have more" holds 8 no_primary
ok "nothing is acknowledged" nobody_acknowledges
like "$(show state 2>&1; "$autoctl" explain --monitor "$(monitor_uri)" 2>&1)" \
	'missing: node_2' "explain says who is missing"
restart_host 2
ok "node 2 is back: writes go on" within 60 writing
ok "nothing is called lost" eval '! loss_recorded "$since"'
restart_host 1
ok "one primary, two secondaries" wait_settled 3 60
ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify

# the last of three is behind, and told to go on
for n in 1 2 3; do
	[ "$n" = 3 ] || [ "$n" = "$(writer_node)" ] || other=$n
done
first=$(writer_node)
[ "$first" != 3 ] || {
	ok "node 3 hands over" perform switchover
	ok "one primary, two secondaries" wait_settled 3 60
	first=$(writer_node)
}
other=$((3 - first))
ok "node 3 receives nothing any more" lag 3
ok "rows are written that node 3 does not get" bulk "$first" lost
since=$(event_id)
ok "the primary's host dies" kill_host "$first"
ok "and that of the other standby" kill_host "$other"
lag_ends 3
ok "node 3 is asked for its position" wait_state 3 report_lsn 40
ok "it is not promoted" holds 3 no_primary
ok "the loss is accepted, but the dead primary might still acknowledge" \
	eval '! perform failover --allow-data-loss --wait 3'
ok "node 3 is promoted behind a closed door" wait_state 3 stop_replication 20
ok "an event tells what may be lost" loss_recorded "$since"
ok "and so it stays" holds 3 eval '! takes_write 3'
ok "both are silent for a whole lease: node 3 takes writes, alone" within 40 takes_write 3
ok "it is the primary" wait_state 3 wait_primary 20
restart_host "$other"
ok "the other one is rewound and follows" wait_pair 3 "$other" 90
is "$(sql "$other" "select to_regclass('lost') is null")" t "what is lost is lost there, too"
restart_host "$first"
ok "and so does the old primary" wait_settled 3 90
is "$(sql "$first" "select to_regclass('lost') is null")" t "and there"
ok "only one takes writes" one_writer 1 2 3
done_testing
