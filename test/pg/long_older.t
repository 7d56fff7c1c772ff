#!/bin/sh
# The monitor comes back from a backup that is older than what its nodes have been through.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
ok "an application writes" writer_start 1 2 3
directory=$(ls -di "$root/n1")

# ---- what the backup does not know ----

ok "the monitor's database is copied" pg_basebackup -D "$root/old" -h 127.0.0.1 -p "$mport" \
	-U "$superuser" -c fast
term=$(monitor_sql "select term from pgautofailover.nodegroup")
event since
ok "a switchover" perform switchover
ok "node 2 is the primary" wait_pair 2 1
ok "a third node comes" node_up 3
ok "three of them" wait_settled 3 60
ok "node 1 is dropped" timeout 90 "$autoctl" drop node --name node_1 --monitor "$(monitor_uri)"
ok "it has left" within 30 gone "$(pid_of node_1)"
ok "a pair" wait_pair 2 3
pm=$(postmaster_of 2)

# ---- and back to it ----

event restored
ok "the monitor is stopped" monitor_down
rm -rf "$root/m"
mv "$root/old" "$root/m"
monitor_start
ok "it is back" within 30 monitor_ready
is "$(monitor_sql "select count(*) from pgautofailover.node where nodename = 'node_3'")" 0 \
	"and knows nothing of node 3"
ok "node 2 is the primary" within 30 goal_is 2 primary
ok "node 3 is known again" within 30 state_is 3 secondary
ok "node 2 goes on" state_is 2 primary
is "$(node_id 3)" "$(cat "$root/id_3")" "with its number"
learned() {
	[ "$(monitor_sql "select learning from pgautofailover.nodegroup")" = f ]
}
ok "everything is learned" within 20 learned
ok "under a term above all there were" [ "$(monitor_sql "select term from
	pgautofailover.nodegroup")" -gt $((term + 1)) ]
is "$(postmaster_of 2)" "$pm" "no Postgres was restarted"
ok "writes go on" within 5 writing
ok "an event tells of it" [ "$(monitor_sql "select count(*) from pgautofailover.event
	where rule_pos = 141")" -ge 1 ]
ok "node 1, long gone, is dropped again" timeout 90 "$autoctl" drop node --name node_1 \
	--force --monitor "$(monitor_uri)"
ok "a pair" wait_pair 2 3

event failover
ok "the primary's host dies" kill_host 2
ok "node 3 takes over" wait_state 3 wait_primary 60
ok "writes go on" within 10 writing
node_start 2
ok "the other one comes back" wait_pair 3 2 90

ok "the application stops" writer_stop
gaps
ok "no gap when the monitor came back" gap_below restored 1000
ok "nothing that was acknowledged is lost" writer_verify
done_testing
