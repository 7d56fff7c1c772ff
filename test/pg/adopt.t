#!/bin/sh
# An instance with data becomes a node: running, without a restart; stopped; refused.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# instance N : a Postgres that somebody made by hand.
instance() {
	initdb -N -A trust -D "$root/n$1" >/dev/null || return 1
	cat >>"$root/n$1/postgresql.conf" <<-END
		fsync = off
		shared_buffers = 16MB
		port = $(node_port "$1")
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$root/s'
		wal_level = replica
		wal_log_hints = on
		max_wal_senders = 12
		max_replication_slots = 12
		hot_standby = on
	END
	pg_ctl -D "$root/n$1" -l "$root/log/n$1.log" -w start >/dev/null || return 1
	sql "$1" 'create table t as select generate_series(1, 1000) as x' >/dev/null
}

cluster_init
monitor_options="--formation other"
ok "the monitor runs" monitor_up

# running
ok "an instance made by hand" instance 1
pid=$(postmaster_of 1)
since=$(sql 1 'select pg_postmaster_start_time()')
ok "it becomes a node" node_create 1
node_start 1
ok "it is single" wait_state 1 single 30
is "$(postmaster_of 1)" "$pid" "without a restart: pid"
is "$(sql 1 'select pg_postmaster_start_time()')" "$since" "and start time"
is "$(sql 1 'select count(*) from t')" 1000 "its data is there"
like "$(cat "$root/n1/postgresql.conf")" '^wal_log_hints = on' "its own settings are kept"

# another one, with other data, cannot be its standby
ok "a second instance made by hand" instance 2
out=$(node_create 2 2>&1)
rc=$?
ok "a running stranger is refused" [ $rc -ne 0 ]
is "$(sql 2 'select count(*) from t')" 1000 "and its data is untouched"
pg_ctl -D "$root/n2" -m fast stop >/dev/null
node_create 2 >/dev/null 2>&1
rc=$?
ok "a stopped stranger is refused" [ $rc -ne 0 ]
ok "and its data is untouched" test -f "$root/n2/PG_VERSION"
is "$(monitor_sql 'select count(*) from pgautofailover.node')" 1 "nothing half made is left"
rm -rf "$root/n2"

# a standby of the adopted one
ok "a new node" node_up 2
ok "a pair" wait_pair 1 2
is "$(sql 2 'select count(*) from t')" 1000 "the data is on both"

# an adoption that is called off, at any moment
monitor_sql "select pgautofailover.create_formation('third', 'pgsql', 'postgres', true, 0)" >/dev/null
ok "a fourth instance made by hand" instance 4
pid=$(postmaster_of 4)
start adoption timeout 60 "$autoctl" create postgres --pgdata "$root/n4" --pgport "$(node_port 4)" \
	--hostname 127.0.0.1 --name node_4 --auth trust --no-ssl --formation third --monitor "$(monitor_uri)"
within 20 grep -q 'registered as node' "$root/log/adoption.log"
kill -TERM "$(pid_of adoption)"
ok "its adoption is called off" within 30 gone "$(pid_of adoption)"
is "$(postmaster_of 4)" "$pid" "it goes on running"
ok "another attempt" node_create 4 --formation third
is "$(postmaster_of 4)" "$pid" "it runs all the time"

# stopped, in a group of its own
ok "a third instance made by hand" instance 3
pg_ctl -D "$root/n3" -m fast stop >/dev/null
ok "a stopped directory becomes a node" node_up 3 --formation other
ok "it is single" wait_state 3 single 30
is "$(sql 3 'select count(*) from t')" 1000 "its data is there"
done_testing
