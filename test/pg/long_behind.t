#!/bin/sh
# The preferred node lacks what another one has: it fetches that, then takes over.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# Node N lacks more than sockets hold of what the writer has.
is_behind() {
	[ "$(sql "$(writer_node)" "select pg_current_wal_lsn() - flush_lsn > 4e6 from pg_stat_replication
		where application_name = 'pgautofailover_standby_$(node_id "$1")'")" = t ]
}

rows_of() {
	sql "$1" "select count(*) from $2"
}

cluster_init
nodes_up 3
ok "node 3 is preferred" set_node 3 candidate-priority 90
ok "settings are applied" wait_settled 3 20
ok "an application writes" writer_start 1 2 3

ok "node 3 receives nothing any more" lag 3
ok "much is written" bulk 1 first
ok "node 3 is behind" within 10 is_behind 3
ok "writes go on" within 5 writing
since=$(event_id)
event behind
kill_host 1 &
ok "the primary's host dies" catch_goal 3 report_lsn 40
lag_ends 3
wait $!
ok "node 3 takes over" wait_goal 3 primary 40
ok "it fetched what it lacked first" was_goal 3 fast_forward "$since"
ok "writes go on" within 30 writing
is "$(rows_of 3 first)" 60000 "it has all rows"
ok "writes stopped for less than 8 s" gap_below behind 8000
restart_host 1
ok "one primary, two secondaries" wait_settled 3 60

# a receiver that hangs for good cannot be asked to let go: it must be made to
ok "node 1 is preferred" set_node 1 candidate-priority 100
ok "settings are applied" wait_settled 3 20
ok "node 1's receiver hangs" lag 1
ok "much is written" bulk 3 second
since=$(event_id)
event hangs
ok "the primary's host dies" kill_host 3
ok "another node takes over" within 40 eval 'case $(writer_node) in 1 | 2) ;; *) false ;; esac'
ok "writes go on" within 40 writing
is "$(rows_of "$(writer_node)" second)" 60000 "it has all rows"
ok "node 1's receiver is gone" within 20 gone "$(pid_of lag_1)"
restart_host 3
ok "one primary, two secondaries" wait_settled 3 60

# what is received counts, replayed or not
new=$(writer_node)
for n in 1 2 3; do
	[ "$n" = "$new" ] || ok "node $n replays nothing" sql $n 'select pg_wal_replay_pause()'
done
ok "much is written" bulk "$new" third
event paused
ok "the primary's host dies" kill_host "$new"
ok "writes go on" within 40 writing
is "$(rows_of "$(writer_node)" third)" 60000 "the new primary has all rows"
restart_host "$new"
ok "one primary, two secondaries" wait_settled 3 60

# it dies while it fetches: nobody else may win before it is back, for it has promised
old=$(writer_node)
late=$((old % 3 + 1))
ok "node $late is preferred" set_node $late candidate-priority 100
for n in 1 2 3; do
	[ $n = $late ] || ok "node $n is not" set_node $n candidate-priority 50
done
ok "settings are applied" wait_settled 3 20
ok "node $late receives nothing any more" lag $late
ok "much is written" bulk "$old" fourth
ok "node $late is behind" within 10 is_behind $late
event fetching
kill_host "$old" &
ok "the primary's host dies" catch_goal $late report_lsn 40
lag_ends $late
ok "node $late fetches what it lacks" catch_goal $late fast_forward 40
ok "its host dies" kill_host $late
wait
ok "one node alone acknowledges nothing" within 10 nobody_acknowledges
restart_host $late
ok "it is back: writes go on" within 60 writing
ok "only one takes writes" one_writer 1 2 3
is "$(rows_of "$(writer_node)" fourth)" 60000 "the new primary has all rows"
restart_host "$old"
ok "one primary, two secondaries" wait_settled 3 60

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
