#!/bin/sh
# What runbooks of pg_auto_failover do in SQL, on the monitor, against real nodes.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

# call 'FUNCTION(...)' : what it gives.
call() {
	monitor_sql "select pgautofailover.$1" 2>&1
}

cluster_init
pair_up
one=$(node_id 1) two=$(node_id 2)
ok "an application writes" writer_start

is "$(call 'perform_failover()')" "" "a failover"
ok "node 2 is the primary" wait_pair 2 1 60
is "$(call "perform_promotion('default', 'node_1')")" t "a promotion"
ok "node 1 is the primary" wait_pair 1 2 60
like "$(call "perform_promotion('default', 'node_1')")" '^f$' "it is already"

is "$(call "start_maintenance($two)")" t "maintenance of the standby"
ok "it is in maintenance" wait_state 2 maintenance 30
ok "the primary goes on alone" wait_state 1 wait_primary 30
is "$(call "stop_maintenance($two)")" t "its end"
ok "a pair" wait_pair 1 2 60
is "$(call "start_maintenance('127.0.0.1', $(node_port 1))")" t \
	"maintenance of the primary, by host and port"
ok "it is in maintenance" wait_state 1 maintenance 60
ok "node 2 takes writes" wait_state 2 wait_primary 30
is "$(call "stop_maintenance('127.0.0.1', $(node_port 1))")" t "its end"
ok "a pair" wait_pair 2 1 60

is "$(call "set_node_candidate_priority('default', 'node_1', 0)" | tail -n 1)" t "a priority of 0"
ok "the primary takes that over" wait_pair 2 1 30
like "$(call 'perform_failover()')" 'standby node .* has candidate priority set to zero' \
	"no failover to that one"
is "$(call "set_node_candidate_priority($one, '127.0.0.1', $(node_port 1), 50)")" t "50 again, by host and port"
ok "the primary takes that over" wait_pair 2 1 30
is "$(call "set_node_replication_quorum('default', 'node_1', false)")" t "not of the quorum"
ok "commits wait for nobody" within 30 eval \
	'[ "$(sql 2 "show synchronous_standby_names")" = "" ] && wait_pair 2 1 5'
is "$(call 'synchronous_standby_names()')" "" "the monitor says so"
is "$(call "set_node_replication_quorum('default', 'node_1', true)")" t "of the quorum"
ok "commits wait for it" within 30 eval \
	'[ "$(sql 2 "show synchronous_standby_names")" = "$(call "synchronous_standby_names()")" ] &&
	[ "$(call "synchronous_standby_names()")" != "" ] && wait_pair 2 1 5'
like "$(call "set_formation_number_sync_standbys('default', 1)")" 'invalid value for number_sync_standbys' \
	"one standby is too few for one to be lost"
is "$(monitor_sql "select primary_name, primary_port from pgautofailover.get_primary()")" \
	"node_2|$(node_port 2)" "who is the primary"
is "$(monitor_sql "select node_name, node_is_primary from pgautofailover.get_other_nodes($two)")" \
	"node_1|f" "and who is not"
is "$(psql -XAtqw "$(call 'formation_uri()')" -U "$superuser" -c "show port")" "$(node_port 2)" \
	"the URI leads to it"
is "$(monitor_sql "select nodename, current_group_state, assigned_group_state, health
	from pgautofailover.current_state('default', 0)" | sort | tr '\n' ' ')" \
	"node_1|secondary|secondary|1 node_2|primary|primary|1 " "their states"
is "$(monitor_sql "select count(*) from pgautofailover.last_events('default', 0, 5)")" 5 "five events"

is "$(call "remove_node('127.0.0.1', $(node_port 1))")" t "the standby is removed, by host and port"
ok "node 2 is single" wait_state 2 single 60
ok "the keeper of node 1 leaves" within 60 gone "$(pid_of node_1)"
is "$(monitor_sql "select count(*) from pgautofailover.get_nodes()")" 1 "one node is left"
ok "the application stops" writer_stop
ok "nothing that was acknowledged is lost" writer_verify
done_testing
