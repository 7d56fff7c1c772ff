#!/bin/sh
# Directories that come from elsewhere: a restored backup that is not copied again, a link,
# a cluster of Debian's with its settings in /etc.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
ok "the monitor runs" monitor_up
ok "a node" node_up 1
sql 1 "create table t as select i, repeat('x', 100) as x from generate_series(1, 20000) i" >/dev/null

# a backup of yesterday
backup() {
	pg_basebackup -h 127.0.0.1 -p "$(node_port 1)" -U "$superuser" -D "$1" -c fast -X "${2:-stream}" 2>&1
}
ok "a backup is restored" backup "$root/n2"
sql 1 "insert into t select i, 'y' from generate_series(1, 20000) i; checkpoint;
	select pg_switch_wal(); insert into t select i, 'z' from generate_series(1, 100) i" >/dev/null
touch "$root/n2/brought_along"
ok "it becomes a node" node_up 2
ok "a pair" wait_pair 1 2
is "$(sql 2 'select count(*) from t')" 40100 "with what came since the backup"
ok "it was not copied" test -f "$root/n2/brought_along"

# a stopped standby, by somebody else's hand
mkdir "$root/disk"
ln -s "$root/disk" "$root/n3"
ok "a directory behind a link" node_up 3
ok "three of them" wait_settled 3 60
ok "the link is there" test -L "$root/n3"
ok "and what it points to has the data" test -f "$root/disk/PG_VERSION"
like "$("$autoctl" show file --config --pgdata "$root/n3")" "$root/disk/" "its files are those of the directory"
ok "the link can be named" "$autoctl" status --pgdata "$root/n3"
ok "and the directory" "$autoctl" status --pgdata "$root/disk"
ok "its host dies" kill_host 3
rm -rf "$root/disk"/*
node_start 3
ok "it is copied anew" within 90 test -f "$root/disk/global/pg_control"
ok "and joins" wait_settled 3 60
within 30 serves 3
ok "the link is there" test -L "$root/n3"
is "$(sql 3 'select count(*) from t')" 40100 "with the data"

# Debian's: major and name of the cluster are the last parts of the path
name=autoctl$$
major=$(sed 's/\..*//' "$root/n1/PG_VERSION")
etc=/etc/postgresql/$major/$name
if command -v pg_createcluster >/dev/null && [ -w "/etc/postgresql/$major" ]; then
	trap 'rm -rf "$etc"; cluster_end' EXIT
	mkdir "$root/$major"
	ln -s "$major/$name" "$root/n4"
	ok "a cluster of Debian's" eval 'pg_createcluster -d "$root/$major/$name" -p "$(node_port 4)" \
		-s "$root/s" "$major" "$name" -- -A trust -N >/dev/null 2>&1'
	printf '%s\n' 'fsync = off' 'shared_buffers = 16MB' 'wal_log_hints = on' 'max_wal_senders = 12' \
		'max_replication_slots = 12' >>"$etc/postgresql.conf"
	ok "is started by hand" eval 'pg_ctlcluster "$major" "$name" start >/dev/null 2>&1'
	pid=$(postmaster_of 4)
	monitor_sql "select pgautofailover.create_formation('debian', 'pgsql', 'postgres', true, 0)" >/dev/null
	ok "becomes a node" node_up 4 --formation debian
	ok "it is single" wait_state 4 single 30
	is "$(postmaster_of 4)" "$pid" "without a restart"
	ok "its settings are in the data directory" test -f "$root/$major/$name/postgresql.conf"
	ok "where they were there is a link" test -L "$etc/postgresql.conf"
	is "$(cat "$etc/start.conf")" disabled "and Debian does not start it any more"
	is "$(sql 4 "select count(*) from pg_file_settings where error <> 'setting could not be applied'")" 0 \
		"it can read all of its settings"
	ok "its host dies" kill_host 4
	node_start 4
	ok "and comes back" within 60 serves 4
	ok "from its own directory" eval '[ "$(sql 4 "show config_file")" = "$root/$major/$name/postgresql.conf" ]'
	ok "a standby of it" node_up 5 --formation debian
	ok "follows" wait_pair 4 5
fi
done_testing
