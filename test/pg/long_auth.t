#!/bin/sh
# The older methods of passwords: a pair with each, a switchover, and who has none.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

strict_up() {
	node_create "$1" --replication-password "it's secret: 1" --monitor-password 'an"other \2' &&
		frugal "$root/n$1" && strict "$root/n$1" || {
		tail -n 20 "$root/log/create.log"
		return 1
	}
	node_start "$1"
	within 30 serves "$1"
	node_id "$1" >"$root/id_$1"
}

for method in md5 password; do
	cluster_init
	psql_host=$root/s
	monitor_access="--auth $method --ssl-self-signed --autoctl-node-password secret0" node_access="--auth $method --ssl-self-signed"
	export PGPASSFILE="$root/pgpass"
	echo "127.0.0.1:*:*:autoctl_node:secret0" >"$PGPASSFILE"
	chmod 600 "$PGPASSFILE"
	ok "$method: a monitor" monitor_create
	strict "$root/m"
	ok "$method: runs" monitor_up
	ok "$method: a node" strict_up 1
	ok "$method: and another" strict_up 2
	ok "$method: a pair" wait_pair 1 2
	ok "$method: a switchover" perform switchover
	ok "$method: the other way round" wait_pair 2 1
	like "$(PGPASSFILE=/no/file psql -XAtqw "host=127.0.0.1 port=$(node_port 2) user=pgautofailover_replicator dbname=postgres" \
		-c 'select 1' 2>&1)" 'no password' "$method: nobody comes in without one"
	is "$(sql 2 "select count(*) from pg_authid where rolname like 'pgautofailover%' and rolpassword like 'it%'")" 0 \
		"$method: it is not stored as it is"
	unset PGPASSFILE
	cluster_end
done
done_testing
