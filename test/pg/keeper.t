#!/bin/sh
# A keeper is killed: in the middle of a base backup, of a promotion, in peace.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
ok "the monitor runs" monitor_up
ok "node 1 is created" node_up 1
ok "node 1 is single" wait_state 1 single 30
sql 1 "create table filler as select i, repeat('x', 500) as t
	from generate_series(1, 60000) i" >/dev/null

backup_runs() {
	[ "$(sql 1 "select count(*) from pg_stat_progress_basebackup
		where backup_streamed > 0")" -ge 1 ]
}

# in the middle of a base backup
start node_2 "$autoctl" create postgres --pgdata "$root/n2" --pgport "$(node_port 2)" \
	--hostname 127.0.0.1 --listen 127.0.0.1 --name node_2 --auth trust --no-ssl \
	--monitor "$(monitor_uri)" --maximum-backup-rate 8M --run
ok "node 2 copies node 1" within 30 backup_runs
kill_keeper 2
ok "its keeper is killed" within 5 gone "$(pid_of node_2)"
like "$(states 2)" '^(wait_standby|catchingup) ' "node 2 is not ready"
node_start 2
ok "a new keeper finishes the work" wait_pair 1 2 90
ok "there is one copy, not two" eval '[ -z "$(ls -A "$root"/backup 2>/dev/null)" ]'

# in peace
ok "an application writes" writer_start
for n in 1 2; do
	before=$(postmaster_of $n) since=$(sql $n 'select pg_postmaster_start_time()')
	event "keeper_${n}_killed"
	kill_keeper $n
	ok "the keeper of node $n is killed" within 5 gone "$(pid_of node_$n)"
	node_start $n
	ok "its successor reports" within 10 eval '[ "$(monitor_sql "select
		now() - reporttime < interval '"'2 s'"' from pgautofailover.node
		where nodename = '"'node_$n'"'")" = t ]'
	ok "nothing has changed" wait_pair 1 2 30
	is "$(postmaster_of $n)" "$before" "Postgres of node $n has not been restarted: pid"
	is "$(sql $n 'select pg_postmaster_start_time()')" "$since" "and start time"
	ok "writes did not stop" gap_below "keeper_${n}_killed" 3000
done

# in the middle of a promotion
promoting() {
	case $(states "$1") in "secondary secondary") return 1 ;; esac
}
for round in 1 2 3; do
	primary=$(writer_node)
	standby=$((3 - primary))
	event "promotion_$round"
	ok "round $round: the primary's host dies" kill_host "$primary"
	ok "node $standby is told to take over" within 30 promoting "$standby"
	note "killed at $(states "$standby")"
	kill_keeper "$standby"
	ok "its keeper is killed" within 5 gone "$(pid_of "node_$standby")"
	node_start "$standby"
	ok "a new keeper takes writes" wait_state "$standby" wait_primary 60
	ok "writes go on" within 20 writing
	restart_host "$primary"
	ok "a pair again" wait_settled 2 90
done

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
