#!/bin/sh
# How the monitor knows a keeper: by the key it showed first, but none is locked out by it.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

key() {
	monitor_sql "select encode(digest, 'hex') from pgautofailover.node_key where nodeid = $1"
}

# set_key N SQL : what the monitor remembers of it.
set_key() {
	monitor_sql "update pgautofailover.node_key set $2 where nodeid = $1"
}

let_in() {
	monitor_sql "select count(*) from pgautofailover.event
		where nodeid = $1 and description like '%does not have the key%'"
}

reports() {
	[ "$(monitor_sql "select reporttime > now() - interval '3 s' and exists (select
			from pg_stat_activity a where a.pid = n.session_pid)
		from pgautofailover.node n where nodeid = $1")" = t ]
}

# stranger SQL : the SQLSTATE, for somebody on another host who has the password of the role.
stranger() {
	psql -XAtq "$(monitor_uri)" -v VERBOSITY=sqlstate -c "$1" 2>&1 | sed -n 's/^ERROR:  //p'
}

restart() {
	stop_node "$1" INT && node_start "$1" && within 40 reports "$1"
}

cluster_init
# they do not come from where the server is
monitor_options="--listen 127.0.0.1,127.0.0.2"
monitor_uri() {
	echo "postgres://autoctl_node@127.0.0.2:$mport/pg_auto_failover?sslmode=prefer"
}
pair_up
one=$(key 1) two=$(key 2)
is "${#one} ${#two}" "64 64" "both have shown a key"
ok "each its own" [ "$one" != "$two" ]
secret=$(grep -aoE '[0-9a-f]{32}' "$root/var/pg_autoctl$root/n1/pg_autoctl.state" | head -n 1)
is "${#secret}" 32 "it is in the state file"
is "$(cat "$root"/log/* "$root"/m/log/* "$root"/m/startup.log 2>/dev/null | grep -c "$secret")" 0 \
	"and in no log"

# while its keeper is there nobody takes a node's place
is "$(stranger "select pgautofailover.keeper_hello(1, 'mine')")" 42501 "another key is refused"
is "$(stranger "select pgautofailover.keeper_hello(1)")" 42501 "and none"
is "$(stranger "select pgautofailover.node_active('default', 1, 0, 'single')")" 42501 \
	"nor does anybody report for it"
ok "its keeper goes on" reports 1

ok "the keeper of node 2 runs anew" restart 2
is "$(key 2)" "$two" "it is known by the same key"
set_key 2 "digest = null"
ok "it runs anew, and has never shown a key" restart 2
is "$(key 2)" "$two" "now it has"
is "$(let_in 2)" 0 "that was nothing to tell"

# its state file came from an older program: it has another key than the monitor knows
set_key 2 "digest = sha256('lost')"
ok "it runs anew, and has lost its key" restart 2
is "$(key 2)" "$two" "it comes from where it was: its key is the one it has now"
is "$(let_in 2)" 1 "and that is an event"

ok "its keeper stops" stop_node 2 INT
set_key 2 "digest = sha256('lost'), address = '192.0.2.1'"
monitor_sql "update pgautofailover.node set reporttime = now() where nodeid = 2"
node_start 2
ok "on another host, without its key, it has to wait" within 15 \
	grep -q "not that of the keeper of node 2" "$root/log/node_2.log"
monitor_sql "update pgautofailover.node set reporttime = now() - interval '21 s' where nodeid = 2"
ok "but not for long" within 20 reports 2
is "$(let_in 2)" 2 "that is an event"
ok "a pair" wait_pair 1 2
ok "the key that is known stays" [ "$(key 2)" != "$two" ]
monitor_sql "delete from pgautofailover.node_key where nodeid = 2"
ok "an operator forgets it, and the keeper runs anew" restart 2
is "$(key 2)" "$two" "its key is known again"

ok "the monitor stops" monitor_down
ok "and runs again" monitor_up
ok "both keepers are back" within 40 eval 'reports 1 && reports 2'
is "$(key 1) $(key 2)" "$one $two" "known by their keys"
is "$(let_in 1)" 0 "as ever"

# commands on a node ask for what concerns its group, as long as they may
failover() {
	timeout 60 "$autoctl" perform failover --pgdata "$root/n$1" 2>&1
}
operations() {
	monitor_sql "alter system set pgautofailover.node_operations = $1" &&
		monitor_sql "select pg_reload_conf()" &&
		within 20 eval '[ "$(monitor_sql "select node_operations from pgautofailover.monitor")" = '"$2"' ]'
}
ok "a pair" wait_pair 1 2 60
ok "a failover, asked for on node 2" failover 2
ok "node 2 is the primary" wait_pair 2 1
ok "node_operations is off" operations off f
like "$(failover 1)" 'pgautofailover.node_operations is off' "no more, it says why"
like "$(PGOPTIONS='-c pgautofailover.node_operations=on' failover 1)" 'node_operations is off' \
	"who asks cannot set it"
like "$(timeout 30 "$autoctl" enable maintenance --pgdata "$root/n1" 2>&1)" 'node_operations is off' \
	"no maintenance"
like "$(timeout 30 "$autoctl" set node candidate-priority 10 --pgdata "$root/n1" 2>&1)" \
	'node_operations is off' "no settings"
like "$(timeout 30 "$autoctl" drop node --pgdata "$root/n1" 2>&1)" 'node_operations is off' \
	"no removal"
ok "its keeper is there for all that" reports 1
ok "a keeper that stops is let go" stop_node 1
is "$(monitor_sql "select goalstate from pgautofailover.node where nodeid = 1")" maintenance \
	"into maintenance"
node_start 1
ok "and comes back by itself" wait_pair 2 1 60
ok "node_operations is on" operations on t
ok "maintenance, asked for on node 1" timeout 60 "$autoctl" enable maintenance --pgdata "$root/n1"
ok "and ended" timeout 60 "$autoctl" disable maintenance --pgdata "$root/n1"
ok "a pair" wait_pair 2 1 60
ok "a failover, asked for on node 1" failover 1
ok "node 1 is the primary" wait_pair 1 2

# a node that is dropped takes its key with it
ok "node 2 is dropped" "$autoctl" drop node --pgdata "$root/n2" --destroy
ok "it comes again" node_up 2
ok "a pair" wait_pair 1 2
three=$(monitor_sql "select encode(digest, 'hex') from pgautofailover.node_key where nodeid <> 1")
is "${#three}" 64 "with a key"
ok "another one" [ "$three" != "$two" ]
is "$(monitor_sql "select count(*) from pgautofailover.node_key")" 2 "the monitor knows no others"

done_testing
