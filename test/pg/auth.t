#!/bin/sh
# Passwords for all three kinds of connection, through the whole life of a pair; nobody
# else gets in, and nothing secret is seen anywhere.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# Every command line of the machine that has a secret of ours, again and again.
watch_commands() {
	umask 077
	while :; do
		for wc_file in $(grep -al '[S]3cret' /proc/[0-9]*/cmdline 2>/dev/null); do
			tr '\0' ' ' <"$wc_file" 2>/dev/null
			echo
		done >>"$root/seen"
	done
}

# What a file or a log would show of a secret, plain or escaped.
shown_in() {
	grep -rla '[S]3cret' "$@" 2>/dev/null
}

# What initdb trusts on the loopback interface is taken out, by hand.
strict_node_up() {
	node_create "$@" && frugal "$root/n$1" && strict "$root/n$1" || {
		tail -n 20 "$root/log/create.log"
		return 1
	}
	node_start "$1"
	within 30 serves "$1"
	node_id "$1" >"$root/id_$1"
}

# as USER PASSWORD PORT DB [PARAMETER] : over TCP.
as() {
	PGPASSFILE=/no/file PGPASSWORD=$2 psql -XAtqw "host=127.0.0.1 port=$3 user=$1 dbname=$4 ${5:-}" \
		-c 'select current_user' 2>&1
}

# Odd on purpose: quotes, blanks, backslashes, percent signs, colons, dollars.
node_secret="S3cret n'o\"d e\\ %d %s:\$\$#;1"
repl_secret="S3cret r'e\"pl \\' %20:\$x\\\\2"
health_secret="S3cret h'e\"alth \\%n: 3"
new_secret="S3cret 'new\" \\ %s:4"

cluster_init
psql_host=$root/s
start commands watch_commands
monitor_access="--auth scram-sha-256 --ssl-self-signed"
node_access=$monitor_access
export PG_AUTOCTL_NODE_PASSWORD="$node_secret" PG_AUTOCTL_MONITOR_PASSWORD="$health_secret"
ok "a monitor with passwords" monitor_create
strict "$root/m"
unset PG_AUTOCTL_NODE_PASSWORD
ok "runs" monitor_up

# node 1: its passwords in the environment, the monitor's in a password file
pgpass() {
	printf '%s\n' "$1" | sed 's/[\\:]/\\&/g'
}
printf '127.0.0.1:%s:*:autoctl_node:%s\n' "$mport" "$(pgpass "$node_secret")" >"$root/pgpass"
chmod 600 "$root/pgpass"
export PGPASSFILE="$root/pgpass" PG_AUTOCTL_REPLICATION_PASSWORD="$repl_secret"
ok "node 1 is created, its passwords in files and the environment" strict_node_up 1
ok "it is single" wait_state 1 single 30
unset PG_AUTOCTL_REPLICATION_PASSWORD PG_AUTOCTL_MONITOR_PASSWORD
ok "node 2 is created, its passwords as options" strict_node_up 2 \
	"--monitor-password=$health_secret" --replication-password "$repl_secret"
ok "a pair" wait_pair 1 2
ok "the probes come in" within 20 eval '[ "$(sql 1 "select count(*) from pg_stat_activity
	where usename = '\''pgautofailover_monitor'\''")" = 1 ]'
is "$(sql 1 "select count(*) from pg_stat_activity a join pg_stat_ssl s using (pid)
	where usename like 'pgautofailover%' and not ssl")" 0 "all of them are encrypted"
is "$(sql 1 "select count(*) from pg_authid where rolname like 'pgautofailover%'
	and rolpassword like 'SCRAM%'")" 2 "passwords are stored as verifiers"

# who gets in, and who does not
like "$(as autoctl_node "$node_secret" "$mport" pg_auto_failover)" '^autoctl_node$' \
	"autoctl_node with its password"
like "$(as autoctl_node wrong "$mport" pg_auto_failover)" 'authentication failed' "not with another"
like "$(as autoctl_node '' "$mport" pg_auto_failover)" 'no password' "nor without"
like "$(as autoctl_node "$node_secret" "$mport" pg_auto_failover sslmode=disable)" \
	'no encryption' "nor in the clear"
like "$(as pgautofailover_replicator "$repl_secret" "$(node_port 1)" postgres)" \
	'^pgautofailover_replicator$' "the replicator with its password"
like "$(as pgautofailover_replicator wrong "$(node_port 1)" postgres)" 'authentication failed' \
	"not with another"
like "$(as pgautofailover_replicator '' "$(node_port 2)" postgres replication=true)" \
	'no password' "nor without, on a standby"
like "$(as pgautofailover_monitor pgautofailover_monitor "$(node_port 1)" postgres)" \
	'authentication failed' "the well known password of the probes does not work"

# the whole life
writer_start 1 2
ok "a switchover" perform switchover
ok "the other way round" wait_pair 2 1
ok "the primary's host dies" kill_host 2
ok "the other one takes over" wait_state 1 wait_primary 60
node_start 2
ok "it comes back, rewound" wait_pair 1 2
writer_stop
ok "nothing is lost" writer_verify

# another password, while all is running
config_set() {
	echo "$new_secret" | timeout 30 "$autoctl" config set replication.password - \
		--pgdata "$root/n$1" >/dev/null
}
ok "another password for replication, on node 1" config_set 1
ok "and on node 2" config_set 2
rotated() {
	[ "$(as pgautofailover_replicator "$new_secret" "$(node_port 1)" postgres)" = \
		pgautofailover_replicator ]
}
ok "it is in force" within 20 rotated
like "$(as pgautofailover_replicator "$repl_secret" "$(node_port 1)" postgres)" \
	'authentication failed' "the old one is not"
ok "it still streams" wait_pair 1 2
ok "also after the stream was cut" sql 1 \
	"select count(pg_terminate_backend(pid)) from pg_stat_replication"
ok "it streams again" within 30 eval '[ "$(sql 1 "select count(*) from pg_stat_replication")" = 1 ]'
ok "and after a switchover" perform switchover
ok "with the new password" wait_pair 2 1

# a third one, by a copy, and told by a password file only
printf '127.0.0.1:*:*:pgautofailover_replicator:%s\n' "$(pgpass "$new_secret")" >>"$root/pgpass"
ok "a new node has the new password from a file" strict_node_up 3 --monitor-password "$health_secret"
ok "three of them" wait_settled 3 60

# where the secrets are
is "$(find "$root" -perm /077 -type f -print0 | xargs -0 grep -la '[S]3cret')" "" \
	"no file that others can read has one"
is "$(shown_in "$root/log" "$root"/*/log "$root"/*/startup.log)" "" "no log has one"
is "$(monitor_sql "select count(*) from pgautofailover.event e where e::text ~ '[S]3cret'")" 0 \
	"no event has one"
kill $(family_of "$(pid_of commands)") 2>/dev/null
ok "it was looked for" grep -aq '^timeout' "$root/seen"
# what was typed here, and is hidden a moment later, is not asked about
seen=$(grep -av -e '^timeout' -e '^[^ ]*autoctl c' "$root/seen" | sort -u | cut -c 1-200)
is "$seen" "" "no process shows one in its command line"
done_testing
