#!/bin/sh
# Nodes leave the group, politely or not, and come back as new ones.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

nodes() {
	monitor_sql "select coalesce(string_agg(nodename, ' ' order by nodename), 'none')
		from pgautofailover.node"
}

nodes_are() {
	[ "$(nodes)" = "$1" ]
}

# The keeper looks after the slots every few seconds.
no_slots() {
	[ "$(sql "$1" "select count(*) from pg_replication_slots")" = 0 ]
}

drop() {
	timeout 120 "$autoctl" drop node "$@"
}

cluster_init
pair_up
ok "an application writes" writer_start 1 2

event standby_dropped
ok "the standby is dropped" drop --pgdata "$root/n2" --destroy
is "$(nodes)" node_1 "it is gone from the monitor"
ok "its keeper is gone" within 10 gone "$(pid_of node_2)"
ok "its data is gone" test ! -e "$root/n2"
ok "node 1 is single" wait_state 1 single 20
ok "writes go on" within 10 writing
ok "writes stopped for less than 3 s" gap_below standby_dropped 3000
ok "no slot is left behind" within 20 no_slots 1

event standby_again
ok "it is created again" node_up 2
ok "a pair again" wait_pair 1 2
ok "writes did not stop for that" gap_below standby_again 2000

event primary_dropped
ok "the primary is dropped, data kept" drop --pgdata "$root/n1"
ok "it is gone from the monitor" within 30 nodes_are node_2
ok "node 2 is single" wait_state 2 single 30
ok "writes go on" within 10 writing
ok "the keeper of node 1 is gone" within 10 gone "$(pid_of node_1)"
is "$(postmaster_of 1)" "$pid_nobody" "its Postgres, too"
ok "its data is still there" test -f "$root/n1/PG_VERSION"
ok "only one takes writes" one_writer

event primary_again
ok "node 1 is created again from what it has" node_up 1
ok "a pair again" wait_pair 2 1 90

ok "the standby's host dies" kill_host 1
ok "the primary goes on alone" wait_state 2 wait_primary 20
ok "the dead node is dropped by force, from elsewhere" drop --name node_1 --force \
	--monitor "$(monitor_uri)"
ok "it is gone from the monitor" within 10 nodes_are node_2
ok "node 2 is single" wait_state 2 single 20
fails "a node nobody knows" 6 drop --name node_7 --monitor "$(monitor_uri)"
fails "no node named" 1 drop --monitor "$(monitor_uri)"

# the one that was dropped while it was away is told, and does not come in by itself
node_start 1
ok "the dropped node's keeper ends" within 30 gone "$(pid_of node_1)"
ok "only one takes writes" one_writer
[ "$(postmaster_of 1)" = "$pid_nobody" ] ||
	ok "its Postgres, a standby still, is stopped" pg_ctl -D "$root/n1" -m fast stop
ok "created again it comes in" node_up 1
ok "a pair again" wait_pair 2 1 90
ok "the standby is dropped once more" drop --pgdata "$root/n1"
ok "node 2 is single" wait_state 2 single 30

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
ok "the last node is dropped" drop --pgdata "$root/n2" --destroy
is "$(nodes)" none "nobody is left"
ok "a new first node" node_up 3
ok "it is single" wait_state 3 single 30
done_testing
