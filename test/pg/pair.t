#!/bin/sh
# Two nodes: how they form, what is shown of them, what they leave in Postgres.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
pair_up
within 20 heard # the monitor looks at a node soon after it joined, not before

id1=$(node_id 1)
id2=$(node_id 2)

# what people see
state=$(show state)
like "$state" "node_1 *\| *$id1 \| *127.0.0.1:$(node_port 1) .*read-write .* primary \| *primary" \
	"show state: node 1"
like "$state" "node_2 *\| *$id2 \| *127.0.0.1:$(node_port 2) .*read-only .* secondary \| *secondary" \
	"show state: node 2"
state=$(show state --json)
is "$(json "$state" '{0,nodename}')" node_1 "show state --json: a name"
is "$(json "$state" '{0,current_group_state}')" primary "show state --json: a reported state"
is "$(json "$state" '{1,assigned_group_state}')" secondary "show state --json: a goal"
is "$(json "$state" '{1,health}')" 1 "show state --json: node 2 is healthy"
# positions move between two looks
is "$("$autoctl" show state --pgdata "$root/n2" | sed 's/: 0\/[0-9A-F]* *|/|/')" \
	"$(show state | sed 's/: 0\/[0-9A-F]* *|/|/')" \
	"show state finds the monitor through the node's settings"
events=$(show events --count 100)
like "$events" 'node_1.*wait_primary|single *\| *wait_primary' "show events: how node 1 became primary"
is "$(json "$(show events --count 1 --json)" '{0,formationid}')" default "show events --json"
uri=$(show uri --formation default)
is "$(psql -XAtq "$uri" -U "$superuser" -c 'select pg_is_in_recovery()')" f \
	"show uri: leads an application to the primary"
like "$(show standby-names)" "ANY 1 \(pgautofailover_standby_$id2\)" "show standby-names"
like "$(show settings)" 'number_sync_standbys *\| *0' "show settings"

# what they leave in Postgres
is "$(sql 1 'show synchronous_standby_names')" "ANY 1 (pgautofailover_standby_$id2)" \
	"commits on node 1 wait for node 2"
is "$(sql 1 "select state || ' ' || sync_state from pg_stat_replication
	where application_name = 'pgautofailover_standby_$id2'")" "streaming quorum" \
	"node 2 streams and counts"
is "$(sql 1 "select active from pg_replication_slots
	where slot_name = 'pgautofailover_standby_$id2'")" t "node 2 uses its slot on node 1"
ok "node 2 keeps a slot for node 1" within 20 eval \
	"sql 2 'select slot_name from pg_replication_slots' | grep -qx pgautofailover_standby_$id1"
for n in 1 2; do
	like "$(cat "$root/n$n/pg_hba.conf")" \
		'^host(ssl)? replication "?pgautofailover_replicator"? 127.0.0.1(/32)? trust' \
		"pg_hba.conf of node $n lets the other one replicate"
	is "$(sql $n 'select count(*) from pg_hba_file_rules where error is not null')" 0 \
		"pg_hba.conf of node $n has no errors"
	is "$(sql $n 'select count(*) from pg_file_settings where error is not null')" 0 \
		"the settings of node $n have no errors"
done

# what it is for
sql 1 'create table t (x int); insert into t values (42)' >/dev/null
is "$(within 5 eval "sql 2 'select x from t' | grep 42"; sql 2 'select x from t')" 42 \
	"what node 1 commits is on node 2"
fails "node 2 takes no writes" 1 sql 2 'insert into t values (43)'
ok "one of them takes writes" one_writer

# a second call of what is done already
ok "creating node 1 once more does no harm" eval 'node_create 1; [ $? -le 3 ]'
ok "and changes nothing" wait_pair 1 2 10

is "$("$autoctl" config get pg_autoctl.formation --pgdata "$root/n1")" default "config get"
fails "status of node 1" 0 "$autoctl" status --pgdata "$root/n1"

ok "node 2 stops when asked" stop_node 2
is "$(postmaster_of 2)" "$pid_nobody" "and its Postgres with it"
fails "status of node 2, stopped" 3 "$autoctl" status --pgdata "$root/n2"
ok "node 1 stops when asked" stop_node 1
ok "the monitor stops when asked" monitor_down
is "$(postmaster_of "$root/m")" "$pid_nobody" "and its Postgres with it"
done_testing
