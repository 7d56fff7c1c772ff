#!/bin/sh
# Certificates instead of passwords, for nodes and standbys; a stranger comes from another
# host, or has a certificate with another name: he stays outside.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh
. test/pg/pki.sh

# as CERTIFICATE USER PORT DB [HOST] : a session with that client certificate, or "-".
as() {
	as_files=
	[ "$1" = - ] && as_files='sslcert=/no/file' ||
		as_files="sslcert=$pki/$1.crt sslkey=$pki/$1.key"
	psql -XAtqw "host=${5:-127.0.0.1} port=$3 user=$2 dbname=$4 sslmode=require $as_files" \
		-c 'select current_user' 2>&1
}

# an address of this machine that no rule lists
far=$(ip -o -4 addr show scope global 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print $4; exit }')

cluster_init
psql_host=$root/s
authority
ok "certificates are made" eval 'certificate m monitor IP:127.0.0.1 && certificate n1 one IP:127.0.0.1 &&
	certificate n2 two IP:127.0.0.1 && certificate client autoctl_node && certificate stranger somebody'
mkdir -p "$HOME/.postgresql"
cp "$pki/client.crt" "$HOME/.postgresql/postgresql.crt"
cp "$pki/client.key" "$HOME/.postgresql/postgresql.key"

monitor_access="--auth cert $(of_authority m) --listen *"
set -f
ok "a monitor that wants certificates" monitor_create
strict "$root/m"
ok "runs" monitor_up

# node N : with its own certificate.
node() {
	node_access="--auth cert $(of_authority "n$1") --listen *"
	node_create "$1" && frugal "$root/n$1" && strict "$root/n$1" || {
		tail -n 20 "$root/log/create.log"
		return 1
	}
	node_start "$1"
	within 30 serves "$1"
	node_id "$1" >"$root/id_$1"
}
monitor_uri() {
	echo "postgres://autoctl_node@127.0.0.1:$mport/pg_auto_failover?sslmode=verify-full&sslrootcert=$pki/ca.crt"
}
ok "a node" node 1
ok "and another" node 2
set +f
ok "a pair" wait_pair 1 2
writer_start 1 2
ok "a switchover" perform switchover
ok "the other way round" wait_pair 2 1
ok "the primary's host dies" kill_host 2
ok "the other one takes over" wait_state 1 wait_primary 60
node_start 2
ok "it comes back" wait_pair 1 2
writer_stop
ok "nothing is lost" writer_verify
is "$(grep -c '^pgautofailover' "$root/n1/pg_ident.conf")" 1 "the map of names has one line"

# the monitor
like "$(as client autoctl_node "$mport" pg_auto_failover)" '^autoctl_node$' "a node's certificate"
like "$(as stranger autoctl_node "$mport" pg_auto_failover)" 'failed' "not with another name"
like "$(as - autoctl_node "$mport" pg_auto_failover)" 'certificate' "nor without one"
# the primary
like "$(as client pgautofailover_replicator "$(node_port 1)" postgres)" '^pgautofailover_replicator$' \
	"a node's certificate"
like "$(as stranger pgautofailover_replicator "$(node_port 1)" postgres)" 'failed' "not with another name"
like "$(as - pgautofailover_replicator "$(node_port 1)" postgres)" 'certificate' "nor without one"
# from elsewhere
if [ -n "$far" ]; then
	like "$(as client autoctl_node "$mport" pg_auto_failover "$far")" 'no pg_hba.conf entry' \
		"the right certificate from a host that is not listed: not at the monitor"
	like "$(as client pgautofailover_replicator "$(node_port 1)" postgres "$far")" 'no pg_hba.conf entry' \
		"nor at the primary"
	like "$(as - pgautofailover_monitor "$(node_port 1)" postgres "$far")" 'no pg_hba.conf entry' \
		"nor as a probe"
else
	ok "another address: this machine has none # SKIP" true
fi
done_testing
