#!/bin/sh
# A primary is given more connections than its standby has: replay stops there, and without
# our doing a failover would end in a Postgres that ends.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

limit_is() {
	limit_now=$(sql "$1" "show $2") || return 1
	echo "node $1: $2 is $limit_now"
	[ "$limit_now" = "$3" ]
}

replays() {
	replays_at=$(sql "$1" 'select pg_current_wal_flush_lsn()')
	within 20 replayed "$2" "$replays_at"
}

replayed() {
	[ "$(sql "$1" "select not pg_is_wal_replay_paused() and
		pg_last_wal_replay_lsn() >= '$2'")" = t ]
}

# The keeper starts it again.
restart_postgres() {
	rp_pid=$(postmaster_of "$1")
	kill -INT "$rp_pid" && within 20 gone "$rp_pid" && within 20 serves "$1"
}

own_pause() {
	[ "$(sql "$1" 'select pg_is_wal_replay_paused()')" = t ]
}

cluster_init
pair_up
ok "an application writes" writer_start

ok "the primary is given 150 connections and 10 prepared transactions" psql_at "$(node_port 1)" \
	postgres -c "alter system set max_connections = 150" \
	-c "alter system set max_prepared_transactions = 10"
ok "for which it is restarted" restart_postgres 1
ok "it has them" limit_is 1 max_connections 150
ok "the standby replays" replays 1 2
ok "it has as many, by itself" limit_is 2 max_connections 150
ok "of both" limit_is 2 max_prepared_transactions 10
ok "the log says so" grep -q "replay has stopped: max_.*, and the primary has" "$root/log/node_2.log"
ok "a pair" wait_pair 1 2

ok "the operator pauses replay on the standby" sql 2 'select pg_wal_replay_pause()'
ok "which is left to the operator" holds 3 own_pause 2
ok "and ended by the operator" sql 2 'select pg_wal_replay_resume()'
ok "the standby replays" replays 1 2

event host_killed
ok "the primary's host dies" kill_host 1
ok "node 2 takes over" wait_state 2 wait_primary 30
ok "writes go on" within 10 writing
ok "and comes back" restart_host 1
ok "a pair" wait_pair 2 1

ok "on the standby somebody takes it back" sql 1 'alter system set max_connections = 40'
ok "and restarts it" restart_postgres 1
ok "the standby replays" replays 2 1
ok "with as many as the primary" limit_is 1 max_connections 150
ok "a pair" wait_pair 2 1
ok "switchover" perform switchover
ok "a pair" wait_pair 1 2
ok "the writer stops" writer_stop
gaps
ok "every acknowledged row is there" writer_verify
done_testing
