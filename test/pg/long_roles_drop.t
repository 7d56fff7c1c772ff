#!/bin/sh
# Nodes come and leave: standbys of each kind; and, while another one takes over, a new one,
# the writer, the candidate, a dead one, the last but one.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

drop() {
	timeout 120 "$autoctl" drop node "$@"
}

nodes_are() {
	[ "$(monitor_sql "select string_agg(nodename, ' ' order by nodename)
		from pgautofailover.node")" = "$1" ]
}

nss() {
	monitor_sql 'select number_sync_standbys from pgautofailover.formation'
}

cluster_init
nodes_up 3
ok "an application writes" writer_start 1 2 3 4

for kind in secondary async maintenance copying; do
	case $kind in
	async)
		ok "number_sync_standbys 0" set_nss 0
		ok "no commit waits for node 3" set_node 3 replication-quorum false
		ok "it is no candidate" set_node 3 candidate-priority 0
		ok "settings are applied" wait_settled 3 20
		;;
	maintenance)
		ok "node 3 is in maintenance" timeout 60 "$autoctl" enable maintenance --pgdata "$root/n3"
		;;
	copying)
		drop --pgdata "$root/n3" --destroy >>"$root/log/drop.log" 2>&1
		ok "there is something to copy" bulk 1 big
		node_create 3 >>"$root/log/create.log" 2>&1 &
		ok "node 3 copies the primary" catch_goal 3 catchingup 30
		;;
	esac
	event "dropped_$kind"
	ok "$kind: node 3 is dropped" drop --pgdata "$root/n3" --destroy
	ok "$kind: one primary, one secondary" wait_settled 2 40
	ok "$kind: writes did not stop for that" gap_below "dropped_$kind" 1000
	ok "$kind: its data is gone" within 20 test ! -e "$root/n3"
	ok "$kind: no slot is left behind" within 20 eval '[ "$(sql 1 "select count(*)
		from pg_replication_slots")" = 1 ]'
	is "$(nss)" 0 "$kind: number_sync_standbys fits what is left"
	ok "$kind: node 3 is created again" node_up 3
	ok "$kind: one primary, two secondaries" wait_settled 3 60
done
is "$(nss)" 1 "number_sync_standbys is 1 again"

event new_node
ok "the primary's host dies" kill_host 1
ok "a node is created meanwhile" node_up 4
ok "writes go on" within 30 writing
ok "writes stopped for less than 8 s" gap_below new_node 8000
restart_host 1
ok "one primary, three secondaries" wait_settled 4 90

event writer_dropped
first=$(writer_node)
ok "the writer is dropped" drop --pgdata "$root/n$first" --destroy
ok "another node takes over" wait_settled 3 60
ok "writes go on" within 20 writing
ok "writes stopped for less than 5 s" gap_below writer_dropped 5000
ok "its keeper is gone" within 20 gone "$(pid_of "node_$first")"
ok "its data is gone" test ! -e "$root/n$first"

# of the three that are left, one is preferred, chosen, and dropped at that moment
set --
for n in 1 2 3 4; do
	[ "$n" = "$first" ] || [ "$n" = "$(writer_node)" ] || set -- "$@" "$n"
done
candidate=$1 other=$2
ok "node $candidate is preferred" set_node "$candidate" candidate-priority 90
ok "settings are applied" wait_settled 3 20
event candidate_dropped
perform failover >"$root/log/perform.log" 2>&1 &
ok "node $candidate is chosen" catch_goal "$candidate" prepare_promotion 20
ok "and dropped" drop --name "node_$candidate" --monitor "$(monitor_uri)"
ok "two nodes are left" within 30 eval '[ "$(monitor_sql "select count(*)
	from pgautofailover.node")" = 2 ]'
ok "one primary, one secondary" wait_settled 2 60
ok "writes go on" within 20 writing
ok "writes stopped for less than 10 s" gap_below candidate_dropped 10000
is "$(nss)" 0 "number_sync_standbys fits what is left"
ok "its keeper is gone" within 30 gone "$(pid_of "node_$candidate")"

old=$(writer_node)
for n in 1 2 3 4; do
	[ "$n" = "$first" ] || [ "$n" = "$candidate" ] || [ "$n" = "$old" ] || other=$n
done
event forced
ok "the primary's host dies" kill_host "$old"
ok "it is dropped by force" drop --name "node_$old" --force --monitor "$(monitor_uri)"
ok "node $other is single" wait_state "$other" single 30
ok "writes go on" within 20 writing
ok "writes stopped for less than 8 s" gap_below forced 8000
node_start "$old"
ok "the dropped node's keeper ends" within 30 gone "$(pid_of "node_$old")"
ok "only one takes writes" one_writer 1 2 3 4

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
