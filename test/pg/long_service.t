#!/bin/sh
# The service: its signals, its pid file, a new binary, and a keeper that is process 1.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# ends WHAT NAME SECONDS : this program of ours ends, with 0.
ends() {
	ends_pid=$(pid_of "$2")
	ok "$1" within "$3" gone "$ends_pid" || return
	wait "$ends_pid"
	ends_code=$?
	# not a child of this shell: those of node_up are not
	[ $ends_code -eq 127 ] || is $ends_code 0 "it ends with 0"
}

# The keeper of node N again; two nodes, all well.
again() {
	node_start "$1"
	ok "its successor serves" within 20 serves "$1"
	within 20 heard
	ok "one primary, one secondary" wait_settled 2 60
}

keeper_signal() {
	kill "-$2" "$(pid_of "node_$1")"
}


log_of() {
	grep -F "$2" "$root/log/node_$1.log"
}

# The keeper of node N says so in what it logged since log_mark.
log_mark() {
	log_from=$(($(wc -l <"$root/log/node_$1.log") + 1))
}

log_since() {
	tail -n "+$log_from" "$root/log/node_$1.log" | grep -F "$2"
}

up_since() {
	sql "$1" 'select pg_postmaster_start_time()'
}


cluster_init
cp "$autoctl" "$root/autoctl" && autoctl=$root/autoctl
pair_up
ok "an application writes" writer_start 1 2

# ---- signals ----

event term_primary
keeper_signal 1 TERM
ends "SIGTERM to the primary's keeper: it leaves" node_1 40
is "$(postmaster_of 1)" "$pid_nobody" "and Postgres with it"
ok "the other one has taken over" wait_state 2 wait_primary 10
ok "in good order: it is in maintenance" state_is 1 maintenance
ok "writes stopped for less than 3 s" gap_below term_primary 3000
node_start 1
ok "the next start ends that maintenance" wait_pair 2 1 60

event term_standby
keeper_signal 1 TERM
ends "SIGTERM to the standby's keeper: it leaves" node_1 40
ok "it is in maintenance" state_is 1 maintenance
ok "writes did not stop" gap_below term_standby 1000
node_start 1
ok "a pair again" wait_pair 2 1 60

# what the operator began, the keeper does not end
ok "an operator's maintenance" timeout 100 "$autoctl" enable maintenance --pgdata "$root/n1"
keeper_signal 1 TERM
ends "SIGTERM meanwhile" node_1 40
node_start 1
ok "it is reported again" within 20 heard
ok "it is still in maintenance" holds 4 state_is 1 maintenance
ok "the operator ends it" timeout 100 "$autoctl" disable maintenance --pgdata "$root/n1"
ok "a pair again" wait_pair 2 1 60

for sig in INT QUIT; do
	event "standby_$sig"
	keeper_signal 1 "$sig"
	ends "SIG$sig to the standby's keeper: it leaves" node_1 20
	is "$(postmaster_of 1)" "$pid_nobody" "and Postgres with it"
	like "$(pg_controldata "$root/n1")" 'state: +shut down in recovery' "in good order"
	ok "writes did not stop for long" gap_below "standby_$sig" 1500
	again 1
done

# a stronger one while a weaker one is being obeyed: a receiver that hangs holds it up
event stronger
lag 1
keeper_signal 2 TERM
ok "SIGTERM to the primary's keeper begins a handover" within 10 log_of 2 'asking the monitor'
keeper_signal 2 INT
ends "SIGINT ends that at once" node_2 20
lag_ends 1
again 2
ok "writes go on" within 10 writing

# ---- stop, and the pid file ----

standby=$((3 - $(writer_node)))
for how in --fast --immediate ""; do
	ok "stop $how" "$autoctl" stop --pgdata "$root/n$standby" $how
	ends "its keeper leaves" "node_$standby" 40
	fails "nothing is left to stop" 12 "$autoctl" stop --pgdata "$root/n$standby" $how
	again "$standby"
done

pid_file=$(find "$root" /tmp/pg_autoctl -path "*n$standby/*" -name pg_autoctl.pid 2>/dev/null |
	head -n 1)
ok "there is a pid file" test -f "$pid_file"
rm -f "$pid_file"
ends "without its pid file the keeper leaves" "node_$standby" 20
is "$(postmaster_of "$standby")" "$pid_nobody" "and Postgres with it"
again "$standby"
sed "1s/.*/$$/" "$pid_file" >"$root/other" && cat "$root/other" >"$pid_file"
ends "with another's pid in it, too" "node_$standby" 20
rm -f "$pid_file"
again "$standby"

# ---- reload ----

primary=$(writer_node)
log_mark "$primary"
ok "a setting is changed" "$autoctl" config set --pgdata "$root/n$primary" \
	timeout.network_partition_timeout 33
ok "reload" "$autoctl" reload --pgdata "$root/n$primary"
ok "it is taken" within 10 log_since "$primary" '"20" -> "33"'
is "$(writer_node)" "$primary" "the primary is who it was"

# ---- a new binary ----

before_1=$(up_since 1) before_2=$(up_since 2) before_m=$(psql_at "$mport" pg_auto_failover \
	-c 'select pg_postmaster_start_time()')
keeper_1=$(pid_of node_1) keeper_2=$(pid_of node_2) monitor=$(pid_of monitor)
version=$("$autoctl" version | sed -n '1s/.* //p')
event upgrade
# the same program under another version: of the same length, as it stands in the file
new=$(echo "$version" | tr '0-9a-f' '1-9a-fa')
LC_ALL=C sed "s/$(echo "$version" | sed 's/\./\\./g')/$new/g" "$autoctl" >"$root/new" &&
	chmod +x "$root/new" && mv "$root/new" "$autoctl"
like "$("$autoctl" version)" "$new" "another version is on the disk"
like "$("$autoctl" status --pgdata "$root/n1" 2>&1)" "version $version" \
	"status tells what runs still"
like "$("$autoctl" status --pgdata "$root/n1" 2>&1)" "this is version $new" "and what to do"
for n in 1 2; do
	log_mark $n
	ok "reload of node $n" "$autoctl" reload --pgdata "$root/n$n"
	ok "it goes on as the new one" within 20 log_since $n 'keeper of node'
	ok "its pid is the same" alive "$(pid_of "node_$n")"
	like "$("$autoctl" status --pgdata "$root/n$n" 2>&1)" "version $new" \
		"status tells the new version"
done
kill -HUP "$monitor"
ok "the monitor, too" within 20 grep -F "going on as" "$root/log/monitor.log"
ok "all is well" within 20 heard
ok "one primary, one secondary" wait_settled 2 30
is "$(up_since 1) $(up_since 2)" "$before_1 $before_2" "no Postgres was restarted"
is "$(psql_at "$mport" pg_auto_failover -c 'select pg_postmaster_start_time()')" \
	"$before_m" "nor that of the monitor"
is "$(pid_of node_1) $(pid_of node_2) $(pid_of monitor)" "$keeper_1 $keeper_2 $monitor" \
	"nor has a service another pid"
ok "writes did not stop" gap_below upgrade 1000

# one that does not run does not take the place of one that does
log_mark 1
echo 'no program' >"$root/new" && chmod +x "$root/new" && cp "$autoctl" "$root/good"
mv "$root/new" "$autoctl"
kill -HUP "$(pid_of node_1)"
ok "a broken binary is named" within 20 log_since 1 'go on as the new'
ok "the keeper goes on" holds 2 alive "$keeper_1"
mv "$root/good" "$autoctl"
ok "a switchover with all of it" perform switchover
ok "one primary, one secondary" wait_settled 2 60

# ---- unknown to the monitor ----

standby=$((3 - $(writer_node)))
stop_node "$standby" INT
monitor_sql "delete from pgautofailover.node where nodename = 'node_$standby'" >/dev/null
log_mark "$standby"
node_start "$standby"
lost=$(pid_of "node_$standby")
ok "a node nobody knows leaves" within 30 gone "$lost"
wait "$lost"
is $? 12 "it ends with 12"
ok "it says what to do" log_since "$standby" "drop node"

ok "the application stops" writer_stop
gaps
ok "nothing that was acknowledged is lost" writer_verify
done_testing
