#!/bin/sh
# A node is created while its group has no primary: before the election, in the middle of a
# promotion, and when the one that it copies dies.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

added() {
	[ "$(cat "$root/added_$1" 2>/dev/null)" = 0 ]
}

# add N : what "create postgres" does, in the background.
add() {
	(
		node_create "$1"
		echo $? >"$root/added_$1"
	) &
}

# The new node's row is there, and it has been given nothing yet that needs a primary.
waits_for_primary() {
	state_now=$(states "$1")
	echo "node_$1 is ${state_now:-not there}"
	case $state_now in "init wait_standby" | "wait_standby wait_standby") ;; *) false ;; esac
}

is_unwell() {
	[ "$(monitor_sql "select health from pgautofailover.node
		where nodename = 'node_$1'")" = 0 ]
}

never_held_up() {
	fails "node $1 was never asked for its position" 1 was_goal "$1" report_lsn "$2"
	fails "nor was it a candidate" 1 was_goal "$1" prepare_promotion "$2"
}

# catch_copy N : somebody copies node N just now; the server itself looks again and again.
catch_copy() {
	sql "$1" "do \$\$ begin
		for i in 1 .. 20000 loop
			perform pg_stat_clear_snapshot();
			if exists (select from pg_stat_progress_basebackup
				where backup_streamed > 10e6) then return; end if;
			perform pg_sleep(0.002);
		end loop;
		raise 'nobody copies';
		end \$\$"
}

cluster_init
nodes_up 2
ok "an application writes" writer_start 1 2

# nobody may take over yet: the only candidate's keeper hangs
ok "the candidate hangs: its keeper is stopped" kill -STOP "$(pid_of node_2)"
since=$(event_id)
event add
ok "the primary's host dies" kill_host 1
ok "that is known" within 20 is_unwell 1
add 3
ok "nothing is acknowledged" within 10 nobody_acknowledges
ok "the new node is registered and waits for a primary" within 30 waits_for_primary 3
ok "and goes on waiting, while nobody is promoted" holds 3 waits_for_primary 3
ok "the candidate goes on" kill -CONT "$(pid_of node_2)"
ok "it takes writes, and did not wait for the new node" within 60 takes_write 2
never_held_up 3 "$since"
ok "the new node is created" within 90 added 3
frugal "$root/n3"
node_start 3
ok "it is a standby of the new primary" within 60 state_is 3 secondary
is "$(sql 3 "select sender_port from pg_stat_wal_receiver")" "$(node_port 2)" "it streams from it"
ok "commits wait for it" within 30 state_is 2 primary
like "$(sql 2 'show synchronous_standby_names')" "pgautofailover_standby_$(node_id 3)" \
	"... by name"
restart_host 1
ok "the old primary joins them" wait_settled 3 90
ok "only one takes writes" one_writer 1 2 3

# three nodes, a switchover, and a fourth that comes while the winner's door is closed
since=$(event_id)
event promotion
perform switchover >"$root/log/perform.log" 2>&1 &
switchover=$!
ok "another node is promoted" within 20 eval '[ "$(monitor_sql "select count(*)
	from pgautofailover.node where goalstate in (\$\$report_lsn\$\$, \$\$prepare_promotion\$\$,
	\$\$stop_replication\$\$)")" -ge 1 ]'
add 4
wait $switchover
ok "the new node is created" within 90 added 4
frugal "$root/n4"
node_start 4
ok "one primary, three secondaries" wait_settled 4 90
ok "writes stopped for less than 5 s" gap_below promotion 5000
never_held_up 4 "$since"

# the primary dies in the middle of the copy that a fifth node makes of it
old=$(writer_node)
ok "there is something to copy" sql "$old" "create table much as select i, repeat('x', 200) t
	from generate_series(1, 600000) i"
add 5
ok "a new node copies the primary" catch_copy "$old"
since=$(event_id)
event copy
ok "the primary's host dies" kill_host "$old"
ok "writes go on" within 30 writing
ok "writes stopped for less than 8 s" gap_below copy 8000
never_held_up 5 "$since"
ok "the new node is created from the new primary" within 120 added 5
frugal "$root/n5"
node_start 5
restart_host "$old"
ok "one primary, four secondaries" wait_settled 5 120
is "$(sql 5 'select count(*) from much')" 600000 "it has all rows"
ok "only one takes writes" one_writer 1 2 3 4 5

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
