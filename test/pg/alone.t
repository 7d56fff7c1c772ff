#!/bin/sh
# Two nodes without a monitor: an operator assigns their states, and hands over by hand.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

alone_up() {
	"$autoctl" create postgres --pgdata "$root/n$1" --pgport "$(node_port "$1")" \
		--hostname 127.0.0.1 --listen 127.0.0.1 --name "node_$1" \
		--disable-monitor --node-id "$1" $node_access >>"$root/log/create.log" 2>&1 &&
		node_start "$1" &&
		within 20 test -S "$root/run/pg_autoctl$root/n$1/pg_autoctl.pid.step"
}

# manual N WORDS... : on its host.
manual() {
	n=$1
	shift
	timeout 90 "$autoctl" manual fsm "$@" --pgdata "$root/n$n"
}

# assigned N STATE : it goes there.
assigned() {
	ok "node $1: $2" manual "$1" assign "$2"
}

# nodes PRIMARY : both know both, and who is the primary.
nodes() {
	for n in 1 2; do
		[ $n = "$1" ] && primary=true || primary=false
		echo "{\"node_id\": $n, \"node_name\": \"node_$n\", \"node_host\": \"127.0.0.1\",
			\"node_port\": $(node_port $n), \"node_lsn\": \"0/0\", \"node_is_primary\": $primary}"
	done | awk 'BEGIN { RS = "}"; printf "[" } NF { printf "%s%s}", sep, $0; sep = "," } END { print "]" }' \
		>"$root/nodes.json"
	ok "nodes, primary is $1" eval 'manual 1 nodes set "$root/nodes.json" &&
		manual 2 nodes set "$root/nodes.json"'
}

cluster_init
ok "node 1, without a monitor" alone_up 1
is "$("$autoctl" inspect fsm state --pgdata "$root/n1" | sed -n 's/.*current_role": "\(.*\)",/\1/p')" \
	init "nothing is built before it is told"
ok "node 2" alone_up 2
fails "no such state" 1 manual 1 assign nonsense
fails "no way there" 3 manual 1 assign secondary
fails "no step without a monitor" 2 manual 1 step
echo '[{"node_id": 1}]' >"$root/bad.json"
fails "half a node" 2 manual 1 nodes set "$root/bad.json"

assigned 1 single
ok "it takes writes" sql 1 'create table t (n int)'
nodes 1
assigned 1 wait_primary
assigned 2 wait_standby
assigned 2 catchingup
assigned 2 secondary
assigned 1 primary
is "$(sql 1 'show synchronous_standby_names')" "*" "commits wait for whoever follows"
ok "a row" sql 1 'insert into t values (1)'
ok "it is on node 2" within 20 eval '[ "$(sql 2 "select count(*) from t")" = 1 ]'

# hand over
assigned 1 draining
assigned 2 prepare_promotion
assigned 2 stop_replication
assigned 2 wait_primary
assigned 1 demoted
nodes 2
assigned 1 catchingup
assigned 1 secondary
assigned 2 primary
ok "node 2 takes writes" sql 2 'insert into t values (2)'
ok "node 1 has both rows" within 20 eval '[ "$(sql 1 "select count(*) from t")" = 2 ]'
is "$(sql 1 'select pg_is_in_recovery()')" t "as a standby"

# a keeper that starts again goes on where it was
ok "the keeper of node 2 is killed" kill -KILL "$(pid_of node_2)"
ok "it is gone" within 10 gone "$(pid_of node_2)"
node_start 2
ok "node 2 goes on" within 30 sql 2 'insert into t values (3)'
# and a monitor again
meet() {
	timeout 60 "$autoctl" enable monitor --pgdata "$root/n$1" "$(monitor_uri)"
}
ok "a monitor" monitor_up
fails "a standby is not the first to meet it" 3 meet 1
is "$(monitor_sql 'select count(*) from pgautofailover.node')" 0 "and leaves nothing there"
pm=$(postmaster_of 2)
ok "the primary meets it" meet 2
ok "node 2 is alone and writable" wait_state 2 single 30
ok "the standby meets it" meet 1
ok "a pair" wait_pair 2 1
is "$(postmaster_of 2)" "$pm" "the primary's Postgres went on"
ok "a switchover" perform switchover
ok "node 1 is the primary" wait_pair 1 2
is "$(sql 1 'select count(*) from t')" 3 "with all rows"
for n in 1 2; do
	ok "node $n parts" timeout 60 "$autoctl" disable monitor --pgdata "$root/n$n" --force
done

fails "no state file is made anew under a keeper" 3 manual 1 init
ok "node 1 stops" stop_node 1 INT
like "$(manual 1 init)" '"current_role": "init"' "without one it begins anew"
done_testing
