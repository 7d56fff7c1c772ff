#!/bin/sh
# Encryption: switched on and off under a running pair; certificates of an authority, who
# has none of it stays outside, who is revoked too.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh
. test/pg/pki.sh

# enable WHERE OPTION... : what it says is kept in $root/stderr.
enable() {
	e_dir=$root/$1
	shift
	timeout 60 "$autoctl" enable ssl --pgdata "$e_dir" "$@" 2>"$root/stderr"
}

disable() {
	timeout 60 "$autoctl" disable ssl --pgdata "$root/$1" 2>"$root/stderr"
}

# All sessions of other hosts at a node, and those that are not encrypted.
clear_sessions() {
	sql "$1" "select count(*) from pg_stat_activity a join pg_stat_ssl s using (pid)
		where usename like 'pgautofailover%' and not ssl"
}

cut_all() {
	sql "$1" "select count(pg_terminate_backend(pid)) from pg_stat_activity
		where usename like 'pgautofailover%'" >/dev/null
}

# Two standing sessions there, none of them in the clear.
all_encrypted() {
	[ "$(clear_sessions "$1")" = 0 ] && [ "$(sql "$1" 'select count(*) from pg_stat_replication')" = 1 ]
}

# says N ERE : in the log of that Postgres.
says() {
	grep -rqE "$2" "$root/n$1/log"
}

cluster_init
authority
ok "certificates are made" eval 'certificate m monitor IP:127.0.0.1 && certificate n1 one IP:127.0.0.1 &&
	certificate n2 two IP:127.0.0.1 && certificate wrong wrong DNS:elsewhere.example'
nodes_up 2
pid=$(postmaster_of 1)
writer_start 1 2

# each in its turn, and only then
like "$(enable n1; cat "$root/stderr")" 'say how' "without a choice nothing is done"
enable n1 --ssl-self-signed
is $? 6 "a node before the monitor: refused"
like "$(cat "$root/stderr")" 'at the monitor first' "with a hint"
is "$("$autoctl" config get ssl.active --pgdata "$root/n1")" 0 "nothing is changed"
ok "the monitor" enable m --ssl-self-signed
like "$("$autoctl" show uri --formation monitor --pgdata "$root/m")" 'sslmode=require' \
	"its connection string says so"
enable n2 --ssl-self-signed
is $? 3 "a standby before the primary: refused"
like "$(cat "$root/stderr")" 'at the primary first' "with a hint"
ok "the primary" enable n1 --ssl-self-signed
ok "the standby" enable n2 --ssl-self-signed
ok "everything comes back encrypted" eval 'cut_all 1; within 30 all_encrypted 1'
ok "still a pair" wait_pair 1 2
is "$(postmaster_of 1)" "$pid" "Postgres was not restarted"
like "$("$autoctl" config get pg_autoctl.monitor --pgdata "$root/n2")" 'sslmode=require' \
	"nodes go to the monitor encrypted"
like "$(psql -XAtq "host=127.0.0.1 port=$mport user=autoctl_node dbname=pg_auto_failover sslmode=disable" \
	-c 'select 1' 2>&1; sed -n '/^# begin autoctl/,/^# end/p' "$root/m/pg_hba.conf")" 'hostssl' \
	"nobody comes to the monitor in the clear by its rules"
ok "a switchover" perform switchover
ok "works" wait_pair 2 1

# an authority; the bad ones are refused before anything is touched
enable m --ssl-ca-file "$pki/ca.crt" --server-cert "$pki/m.crt" --server-key "$pki/n1.key"
is $? 2 "a key of another certificate: refused"
chmod 644 "$pki/m.key"
enable m $(of_authority m)
is $? 2 "a key that others can read: refused"
like "$(cat "$root/stderr")" 'chmod 0600' "and how to mend it"
chmod 600 "$pki/m.key"
ok "the monitor has a certificate of the authority" enable m $(of_authority m)
ok "the primary too" enable n2 $(of_authority n2)
ok "and the standby" enable n1 $(of_authority n1)
ok "everything comes back" eval 'cut_all 2; within 30 all_encrypted 2'
ok "still a pair, which looks at names" wait_pair 2 1
like "$(cat "$root/n1/postgresql-auto-failover-standby.conf")" 'sslmode=verify-full sslrootcert' \
	"the standby checks the primary"
like "$("$autoctl" config get pg_autoctl.monitor --pgdata "$root/n1")" 'sslmode=verify-full.*sslrootcert=.*sslcrl=' \
	"the node checks the monitor"
ok "a switchover" perform switchover
ok "works" wait_pair 1 2

# another's name in the certificate
ok "the primary shows a certificate of another host" enable n1 --ssl-ca-file "$pki/ca.crt" \
	--ssl-crl-file "$pki/ca.crl" --server-cert "$pki/wrong.crt" --server-key "$pki/wrong.key"
cut_all 1
ok "its standby does not follow" within 20 says 2 'does not match host name'
ok "with its own it does" enable n1 $(of_authority n1)
ok "a pair again" wait_pair 1 2

# a revoked one
openssl ca -config "$pki/ca.cnf" -revoke "$pki/n1.crt" 2>/dev/null &&
	openssl ca -config "$pki/ca.cnf" -gencrl -out "$pki/ca.crl" 2>/dev/null
ok "the standby reads the list of the revoked ones" "$autoctl" reload --pgdata "$root/n2"
cut_all 1
ok "the primary's certificate is revoked: its standby does not follow" within 20 says 2 'certificate verify failed'
ok "a new one" certificate n1 one IP:127.0.0.1
ok "counts after a reload" "$autoctl" reload --pgdata "$root/n1"
ok "a pair again" wait_pair 1 2

# and back
disable n1
is $? 3 "the primary before its standby: refused"
like "$(cat "$root/stderr")" 'standbys first' "with a hint"
ok "the standby without encryption" disable n2
ok "the primary" disable n1
ok "the monitor" disable m
ok "everything comes back" eval 'cut_all 1; within 30 eval '\''[ "$(clear_sessions 1)" -ge 1 ]'\'''
ok "a pair" wait_pair 1 2
writer_stop
ok "nothing is lost" writer_verify

done_testing
