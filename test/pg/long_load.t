#!/bin/sh
# A busy database: eight clients all the time, an old transaction, a prepared one, and all
# that can happen to its nodes meanwhile.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

skip_unless_there() {
	[ -x "$pgbin/$1" ] || skip_all "no $1 here"
}

bench_fill() {
	pgbench -i -q -s "$1" -h 127.0.0.1 -p "$(node_port 1)" -U "$superuser" postgres
}

# Clients that come again when their session has ended.
load() {
	while :; do
		pgbench -n -c 8 -j 2 -T 600 "$(cat "$root/writer_uri")"
		nap 0.1
	done
}

# Each transaction of pgbench adds the same to three tables and notes it in a fourth.
books_balance() {
	sql "$1" "select count(*) from pgbench_history" &&
		[ "$(sql "$1" "select (select sum(abalance) from pgbench_accounts) =
			(select sum(delta) from pgbench_history) and
			(select sum(bbalance) from pgbench_branches) =
			(select sum(delta) from pgbench_history)")" = t ]
}

loaded() {
	load_was=$(sql "$1" "select xact_commit from pg_stat_database where datname = 'postgres'")
	holds 2 true
	load_is=$(sql "$1" "select xact_commit from pg_stat_database where datname = 'postgres'")
	echo "$((load_is - load_was)) transactions in 2 s"
	[ "$load_is" -gt $((load_was + 100)) ]
}

# A transaction that stays open and keeps what it has written to itself.
sit_on() {
	psql_at "$(node_port "$1")" postgres -c "create table sat_on (i int)" &&
		start "sitter_$1" psql -XAtq -h 127.0.0.1 -p "$(node_port "$1")" -U "$superuser" \
			-d postgres -c "begin; insert into sat_on values (1); select pg_sleep(600)" &&
		within 10 sits "$1"
}

sits() {
	[ "$(sql "$1" "select count(*) from pg_stat_activity where query like '%pg_sleep(600)'
		and pid <> pg_backend_pid()")" = 1 ]
}

prepared_is_there() {
	[ "$(sql "$1" "select count(*) from pg_prepared_xacts where gid = 'kept'")" = 1 ]
}

cluster_init
skip_unless_there pgbench
pair_up
sql 1 "alter system set max_prepared_transactions = 10"
sql 1 "alter system set max_wal_size = '1GB'"
ok "a database of 300 MB" bench_fill 20
ok "an application writes" writer_start 1 2 3
start load load
ok "eight clients work" within 20 loaded 1

event node_added
ok "a third node is built while they do" node_up 3
ok "one primary, two secondaries" wait_settled 3 120

ok "somebody sits on a transaction" sit_on 1
event switchover
ok "switchover" perform switchover
w=$(writer_node)
ok "one primary, two secondaries" wait_settled 3 120
ok "the other one is the primary now" [ "$w" != 1 ]
ok "clients work there" within 30 loaded "$w"

event maintenance
other=$((w % 3 + 1))
ok "a standby is taken out" timeout 90 "$autoctl" enable maintenance --pgdata "$root/n$other"
ok "it is" wait_state "$other" maintenance 60
ok "clients work" within 30 loaded "$w"
ok "it comes back" timeout 90 "$autoctl" disable maintenance --pgdata "$root/n$other"
ok "one primary, two secondaries" wait_settled 3 120

for turn in 1 2 3; do
	w=$(writer_node)
	event "host_killed_$turn"
	ok "the primary's host dies, node $w" kill_host "$w"
	ok "writes go on" within 30 writing
	ok "node $w comes back" restart_host "$w"
	ok "one primary, two secondaries" wait_settled 3 180
	ok "clients work" within 30 loaded "$(writer_node)"
done

kill -KILL "$(pid_of load)"
for pid in $(pgrep -x pgbench -u "$superuser"); do
	belongs "$pid" && kill -KILL "$pid"
done
ok "the writer stops" writer_stop
gaps
ok "every acknowledged row is there" writer_verify
ok "the books balance" books_balance "$(writer_node)"
done_testing
