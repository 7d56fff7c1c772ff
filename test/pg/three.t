#!/bin/sh
# Three nodes: one acknowledgement out of two, an election, a node that fetches.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# The nodes that are not the writer.
others() {
	echo "1 2 3" | tr ' ' '\n' | grep -vx "$(writer_node)" | tr '\n' ' '
}

follows() {
	[ "$(sql "$1" "select status from pg_stat_wal_receiver
		where sender_port = $(node_port "$2")")" = streaming ]
}

# More rows are acknowledged within a second or so.
one_acknowledges() {
	writing || writing || writing
}

cluster_init
pair_up
ok "node 3 is created" node_up 3
ok "one primary, two secondaries" wait_settled 3 60
is "$(monitor_sql 'select number_sync_standbys from pgautofailover.formation')" 1 \
	"the third node raises number_sync_standbys to 1"
like "$(sql 1 'show synchronous_standby_names')" \
	"^ANY 1 \(pgautofailover_standby_[23], pgautofailover_standby_[23]\)\$" \
	"a commit waits for one out of two"
ok "an application writes" writer_start 1 2 3

event switchover
ok "a switchover" perform switchover
ok "one primary, two secondaries" wait_settled 3 60
ok "writes stopped for less than 4 s" gap_below switchover 4000

event promotion
ok "perform promotion --name node_3" perform promotion --name node_3
ok "one primary, two secondaries" wait_settled 3 60
is "$(writer_node)" 3 "node 3 is the primary"
ok "writes stopped for less than 4 s" gap_below promotion 4000

event host_killed
ok "the primary's host dies" kill_host 3
ok "writes go on" within 30 writing
ok "writes stopped for less than 8 s" gap_below host_killed 8000
new=$(writer_node)
rest=$((3 - new))
ok "node $rest follows node $new" within 30 follows $rest $new
ok "only one takes writes" one_writer 1 2 3

# with number_sync_standbys 1 nothing is acknowledged on one node alone
event second_host_killed
ok "the last standby's host dies" kill_host $rest
ok "node $new acknowledges nothing alone" within 10 eval '! one_acknowledges'
restart_host $rest
ok "the standby is back: writes go on" within 60 writing
restart_host 3
ok "one primary, two secondaries" wait_settled 3 90

# the one that may not be promoted
ok "set node candidate-priority 0" timeout 90 "$autoctl" set node candidate-priority 0 \
	--name "node_$(set -- $(others); echo "$1")" --monitor "$(monitor_uri)"
ok "settings are applied" wait_settled 3 60
set -- $(others)
never=$1 next=$2
event by_priority
ok "the primary's host dies" kill_host "$(writer_node)"
ok "node $next takes over, for node $never must not" wait_goal "$next" primary 60
ok "writes go on" within 30 writing
for n in 1 2 3; do
	alive "$(pid_of node_$n)" || restart_host $n
done
ok "one primary, two secondaries" wait_settled 3 90

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
