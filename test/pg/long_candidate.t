#!/bin/sh
# The host of the node that takes over dies, in each state on its way.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

restart_dead() {
	for n in 1 2 3; do
		alive "$(pid_of node_$n)" || restart_host $n
	done
}

# prefer N : it is the one that is chosen.
prefer() {
	for n in 1 2 3; do
		[ $n = "$1" ] || set_node $n candidate-priority 50 || return 1
	done
	set_node "$1" candidate-priority 90
}

cluster_init
nodes_up 3
ok "an application writes" writer_start 1 2 3

# a planned one: the old primary and a standby are there
for state in prepare_promotion stop_replication wait_primary; do
	old=$(writer_node)
	candidate=$((old % 3 + 1))
	ok "node $candidate is preferred" prefer $candidate
	ok "settings are applied" wait_settled 3 30
	event "switchover_$state"
	perform switchover >>"$root/log/perform.log" 2>&1 &
	ok "node $candidate gets the goal $state" catch_goal $candidate $state 20
	ok "its host dies" kill_host $candidate
	ok "writes go on" within 60 writing
	ok "only one takes writes" one_writer 1 2 3
	restart_host $candidate
	ok "one primary, two secondaries" wait_settled 3 90
	ok "writes stopped for less than 20 s" gap_below "switchover_$state" 20000
done

# one after a host died: nobody may win until one of the two is back
for state in report_lsn prepare_promotion stop_replication wait_primary; do
	old=$(writer_node)
	candidate=$((old % 3 + 1))
	ok "node $candidate is preferred" prefer $candidate
	ok "settings are applied" wait_settled 3 30
	event "failover_$state"
	ok "the primary's host dies" kill_host "$old"
	ok "node $candidate gets the goal $state" catch_goal $candidate $state 40
	ok "its host dies" kill_host $candidate
	ok "nothing is acknowledged" within 5 nobody_acknowledges
	restart_host $candidate
	ok "it is back: writes go on" within 60 writing
	ok "only one takes writes" one_writer 1 2 3
	restart_dead
	ok "one primary, two secondaries" wait_settled 3 90
done

# only Postgres of the candidate, not its keeper
for state in prepare_promotion stop_replication wait_primary; do
	old=$(writer_node)
	candidate=$((old % 3 + 1))
	ok "node $candidate is preferred" prefer $candidate
	ok "settings are applied" wait_settled 3 30
	event "postgres_$state"
	perform switchover >>"$root/log/perform.log" 2>&1 &
	ok "node $candidate gets the goal $state" catch_goal $candidate $state 20
	ok "its Postgres dies" kill_postmaster $candidate
	ok "writes go on" within 60 writing
	ok "only one takes writes" one_writer 1 2 3
	ok "one primary, two secondaries" wait_settled 3 90
done

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
