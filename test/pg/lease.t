#!/bin/sh
# Commits wait for nobody, another node could take over: the writer stops by itself.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init wired
pair_up
for n in 2 1; do
	ok "node $n leaves the quorum" timeout 90 "$autoctl" set node replication-quorum false \
		--name "node_$n" --monitor "$(monitor_uri)"
	ok "a pair" wait_settled 2 30
done
ok "commits wait for nobody" within 20 eval '[ -z "$(sql 1 "show synchronous_standby_names")" ]'
finite() {
	[ "$(monitor_sql "select g.lease_gen % 2 = 1 and n.lease_gen = g.lease_gen
		from pgautofailover.nodegroup g join pgautofailover.node n on nodeid = writer")" = t ]
}
ok "the writer works on a lease, and knows it" within 20 finite

stopped() {
	[ "$(postmaster_of "$1")" = "$pid_nobody" ]
}

# the keeper lives: it stops Postgres in time, and node 2 waits until then
cut_off 1
ok "cut off, node 1 goes on for a while" holds 5 takes_write 1
ok "node 2 takes over" wait_state 2 wait_primary 60
ok "node 1 had been stopped by its keeper" stopped 1
ok "only one takes writes" one_writer
heal 1
ok "node 1 comes back" wait_settled 2 90

# the keeper dies, too: somebody else watches the lease
ok "the writer works on a lease, and knows it" within 20 finite
cut_off 2
ok "the keeper of node 2 is killed" kill_keeper 2
ok "node 2 goes on for a while" holds 5 takes_write 2
ok "node 1 takes over" wait_state 1 wait_primary 60
ok "node 2 had been stopped without its keeper" stopped 2
ok "only one takes writes" one_writer
heal 2
node_start 2
ok "node 2 comes back" wait_settled 2 90

# alone, nobody could take over: no lease, no end
ok "node 2 is stopped" stop_node 2
unlimited() {
	[ "$(monitor_sql "select g.lease_gen % 2 = 0 and n.lease_gen = g.lease_gen
		from pgautofailover.nodegroup g join pgautofailover.node n on nodeid = writer")" = t ]
}
ok "the lease has no end any more" within 30 unlimited
cut_off 1
ok "cut off from everybody, node 1 goes on" holds 30 takes_write 1
heal 1
node_start 2
ok "a pair again" wait_settled 2 90
done_testing
