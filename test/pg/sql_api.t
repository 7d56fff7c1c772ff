#!/bin/sh
# The SQL API as others know it: every signature, who may call what, and names that bite.
# SPDX-License-Identifier: PostgreSQL
. test/pg/lib.sh

cluster_init
# a session to the second address does not come from where the server is
far=127.0.0.2
# an address of this machine that no rule lists
unlisted=$(ip -o -4 addr show scope global 2>/dev/null | awk '{ sub(/\/.*/, "", $4); print $4; exit }')
monitor_options="--listen 127.0.0.1,$far${unlisted:+,$unlisted}"

# What the schema has, one line each, as test/pg/sql_api.list writes it.
api() {
	monitor_sql "select 'function ' || p.proname || '(' || pg_get_function_arguments(p.oid) ||
		') ' || pg_get_function_result(p.oid) || case when prosecdef then ' D' else '' end ||
		case when proisstrict then ' S' else '' end ||
		case when has_function_privilege('autoctl_node', p.oid, 'execute') then ' G'
			else '' end
	  from pg_proc p where pronamespace = 'pgautofailover'::regnamespace
	union all
	select 'column ' || c.relname || ' ' || a.attname || ' ' ||
		format_type(a.atttypid, a.atttypmod)
	  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
	 where c.relnamespace = 'pgautofailover'::regnamespace and c.relkind in ('r', 'v')
	union all
	select 'unpinned ' || oid::regprocedure from pg_proc
	 where pronamespace = 'pgautofailover'::regnamespace and (proconfig is null or
		not 'search_path=pg_catalog, pg_temp' = any (proconfig))
	union all
	select 'public ' || oid::regprocedure from pg_proc, aclexplode(coalesce(proacl,
		acldefault('f', proowner))) a
	 where pronamespace = 'pgautofailover'::regnamespace and a.grantee = 0" |
		sed -e 's/::[a-z_]*//g' -e 's/pgautofailover\.//g' -e 's/replication_state/state/g' \
			-e 's/timestamp with time zone/timestamptz/g' -e 's/integer/int/g' \
			-e 's/boolean/bool/g' -e "s/DEFAULT '-1'/= -1/g" -e 's/DEFAULT/=/g' |
		LC_ALL=C sort
}

# calls WHO : lines "EXPECTED: STATEMENT" of stdin, each in a transaction of its own that is
# rolled back. EXPECTED is a SQLSTATE, or the rows. WHO is what makes the session somebody.
# Before each, node 1 is a primary and node 2 its secondary.
verbosity=sqlstate between=': '
calls() {
	cat >"$root/calls"
	{
		echo "\\set VERBOSITY $verbosity"
		while IFS= read -r line; do
			cat <<-END
				\\echo ++
				begin;
				update pgautofailover.node set seen_seq = goal_seq, health = 1,
				reportedtli = 1, reportedpgisrunning = true, reportedstate =
				case nodeid when 1 then 'primary' else 'secondary' end,
				goalstate = case nodeid when 1 then 'primary' else 'secondary' end;
				$1;
				\\echo --
				${line#*"$between"};
				rollback;
			END
		done <"$root/calls"
	} | psql -XAtq -h "$far" -p "$mport" -U "$superuser" -d pg_auto_failover 2>&1 |
		grep -vE "^(NOTICE|WARNING):  [0-9A-Z]{5}$" | awk '
			/^\+\+/ { if (n) print said; before = 1; next }
			/^--/ { n++; said = "" ; before = 0; next }
			!before { sub(/^ERROR:  /, ""); said = said (said == "" ? "" : " ") $0 }
			END { if (n) print said }' >"$root/called"
	while IFS= read -r line && IFS= read -r got <&3; do
		is "$got" "${line%%"$between"*}" "${2:-}${line#*"$between"}"
	done <"$root/calls" 3<"$root/called"
	is "$(wc -l <"$root/called")" "$(wc -l <"$root/calls")" "that is all of them"
}

ok "the monitor runs" monitor_up
api >"$root/api"
grep -v '^#' test/pg/sql_api.list | LC_ALL=C sort >"$root/list"
is "$(LC_ALL=C comm -13 "$root/api" "$root/list")" "" "the API is there, to the letter"
is "$(for name in enable_version_checks enable_health_checks health_check_period \
	health_check_timeout health_check_max_retries health_check_retry_delay \
	enable_sync_wal_log_threshold promote_wal_log_threshold primary_demote_timeout \
	replication_stall_timeout node_considered_unhealthy_timeout startup_grace_period \
	guard_data_loss; do
	grep -qx ".It Ic pgautofailover.$name" man/autoctl.cfg.5 || echo "$name"
done)" "" "the settings are called as they were"
is "$(grep -E '^(unpinned|public) ' "$root/api")" "" \
	"all functions pin their search_path, none is PUBLIC's"
ok "all $(wc -l <"$root/list") lines of it" [ "$(wc -l <"$root/list")" -gt 100 ]
is "$(monitor_sql "select count(*) from pgautofailover.fsm where section_path is null
	or group_conditions is null or has_extra_action is null")" 0 "the view fsm is filled"
ok "... with goals" [ "$(monitor_sql "select count(*) from pgautofailover.fsm
	where active_node_assigned_state is not null and active_node_conditions <> ''")" -gt 20 ]

ok "two nodes register" monitor_sql "
	select pgautofailover.register_node('default', '10.0.0.1', 5432, 'postgres', 'a', 7);
	select pgautofailover.register_node('default', '10.0.0.2', 5433, 'postgres', 0);
	update pgautofailover.node set has_data = true, reportedlsn = '0/3000000'"

# ---- each overload is called ----

calls "set local role autoctl" "owner: " <<'END'
f|pgsql|db|t|1: select * from pgautofailover.create_formation('f', 'pgsql', 'db', true, 1)
f|pgsql|db|t: select * from pgautofailover.create_formation('f', 'pgsql', 'db', true)
23505: select pgautofailover.create_formation('default', 'pgsql', 'db', true, 1)
XX000: select pgautofailover.drop_formation('nope')
23503: select pgautofailover.drop_formation('default')
: select pgautofailover.create_formation('f', 'pgsql', 'db', true, 0) is null where false; select pgautofailover.drop_formation('f') where false
t: select pgautofailover.enable_secondary('default')
55000: select pgautofailover.disable_secondary('default')
22023: select pgautofailover.set_formation_number_sync_standbys('nope', 1)
22023: select pgautofailover.set_formation_number_sync_standbys('default', -1)
22023: select pgautofailover.set_formation_number_sync_standbys('default', 1)
t: select pgautofailover.set_formation_number_sync_standbys('default', 0)
formation|||default|number_sync_standbys|0: select * from pgautofailover.formation_settings() where context = 'formation'
4: select count(*) from pgautofailover.formation_settings('default') where context = 'node'
postgres://10.0.0.1:5432,10.0.0.2:5433/postgres?target_session_attrs=read-write&sslmode=prefer: select pgautofailover.formation_uri()
postgres://10.0.0.1:5432,10.0.0.2:5433/postgres?target_session_attrs=read-write&sslmode=require&sslrootcert=/ca&sslcrl=/crl: select pgautofailover.formation_uri('default', 'default', 'require', '/ca', '/crl')
postgres://[fe80::1%25eth0]:5432,10.0.0.2:5433/a%27b%22c%3Fx%3Dy%26z%20%25s%C3%A9?target_session_attrs=read-write&sslmode=prefer&sslrootcert=/c%20a: update pgautofailover.node set nodehost = 'fe80::1%eth0' where nodeid = 1; update pgautofailover.formation set dbname = 'a''b"c?x=y&z %sé'; select pgautofailover.formation_uri(sslrootcert => '/c a')
|: select pgautofailover.formation_uri('default', 'other'), pgautofailover.formation_uri('nope')
3|0|init|50|f|c: select * from pgautofailover.register_node('default', 'h', 1, 'postgres', 'c', 0, -1, -1, 'init', 'standalone', 50, false, 'default', 'r')
4|0|init|100|t|node_4: select * from pgautofailover.register_node('default', 'h', 1, 'postgres')
5|0|init|100|t: select * from pgautofailover.register_node('default', 'h', 1, 'postgres', -1)
6|0|init|100|t: select * from pgautofailover.register_node(formation_id => 'default', node_name => 'h', node_port => 1, dbname => 'postgres', desired_group_id => 0)
7|init: select assigned_node_id, assigned_group_state from pgautofailover.register_node('default', 'h', 1, 'postgres', -1, 'init')
8|init: select assigned_node_id, assigned_group_state from pgautofailover.register_node(formation_id => 'default', node_name => 'h', node_port => 1, dbname => 'postgres', desired_group_id => -1, initial_group_role => 'init', node_kind => 'standalone')
9|50|f: select assigned_node_id, assigned_candidate_priority, assigned_replication_quorum from pgautofailover.register_node('default', 'h', 1, 'postgres', -1, 'init', 'standalone', 50, false)
10|40: select assigned_node_id, assigned_candidate_priority from pgautofailover.register_node('default', 'h', 1, 'postgres', desired_group_id => 0, candidate_priority => 40)
11|n: select assigned_node_id, assigned_node_name from pgautofailover.register_node('default', 'h', 1, 'postgres', node_name => 'n')
12: select assigned_node_id from pgautofailover.register_node(formation_id => 'default', node_name => 'h', node_port => 1, dbname => 'postgres')
42P17: select pgautofailover.register_node('nope', 'h', 1, 'postgres')
XX000: select pgautofailover.register_node('default', 'h', 1, 'other')
XX000: select pgautofailover.register_node('default', 'h', 1, 'postgres', desired_group_id => 1)
23505: select pgautofailover.register_node('default', 'h', 1, 'postgres', 'a')
23505: select pgautofailover.register_node('default', '10.0.0.1', 5432, 'postgres')
23505: select pgautofailover.register_node('default', 'h', 1, 'postgres', desired_node_id => 1)
22023: select pgautofailover.register_node('default', 'h', 1, 'postgres', desired_node_id => 0)
1|0|primary|100|t: select * from pgautofailover.node_active('default', 1, 0, 'primary', true, 1, '0/3000000', 'sync')
1|0|primary|100|t: select * from pgautofailover.node_active('default', '10.0.0.1', 5432, 1, 0, 'primary', true, '0/3000000'::pg_lsn, 'sync')
1|0|primary|100|t: select * from pgautofailover.node_active('default', '10.0.0.1', 5432, 1, 0, 'primary', true, '0/3000000', 'sync')
1|0|primary|100|t: select * from pgautofailover.node_active('default', '10.0.0.1', 5432, 1, 0, 'primary', true, -1, 'sync')
42704: select pgautofailover.node_active('default', 99, 0)
42704: select pgautofailover.node_active('default', 'nowhere', 1)
42P17: select pgautofailover.node_active('other', 1, 0)
2|node_2|10.0.0.2|5433: select * from pgautofailover.set_node_system_identifier(2, 7)
0: select count(*) from pgautofailover.set_group_system_identifier(0, 7)
t: select pgautofailover.update_node_metadata(1, 'z', '10.0.0.9', 99)
t: select pgautofailover.update_node_metadata(1, null, null, null)
42704: select pgautofailover.update_node_metadata(99, 'z', null, null)
22004: select pgautofailover.update_node_metadata(null, 'z', null, null)
2|10.0.0.9|5433: select * from pgautofailover.set_node_nodename(2, '10.0.0.9')
: select pgautofailover.report_postgres_version(1, 150004, '15', '15.4', null)
: select pgautofailover.report_timeline_history(1, '[{"tli": 2, "parenttli": 1, "switchpoint": "0/1"}]')
1|a|10.0.0.1|5432|0/3000000|t 2|node_2|10.0.0.2|5433|0/3000000|f: select * from pgautofailover.get_nodes()
2: select count(*) from pgautofailover.get_nodes('default', 0)
1|a|10.0.0.1|5432: select * from pgautofailover.get_primary()
XX000: select * from pgautofailover.get_primary('nope', 0)
2|node_2|10.0.0.2|5433|0/3000000|f: select * from pgautofailover.get_other_nodes(1)
2|node_2|10.0.0.2|5433|0/3000000|f: select * from pgautofailover.get_other_nodes(1, 'secondary')
2|node_2|10.0.0.2|5433|0/3000000|f: select * from pgautofailover.get_other_nodes('10.0.0.1', 5432)
: select * from pgautofailover.get_other_nodes('10.0.0.1', 5432, 'primary')
42704: select * from pgautofailover.get_other_nodes(99)
10.0.0.2|5433: select * from pgautofailover.get_other_node('10.0.0.1', 5432)
10.0.0.1|5432: select * from pgautofailover.get_coordinator()
: select * from pgautofailover.get_most_advanced_standby('default', 0, 1)
pgsql|a|10.0.0.1|5432|0|1|primary|primary|100|t|1|0/3000000|1|default|default: select * from pgautofailover.current_state() where node_id = 1
2: select count(*) from pgautofailover.current_state('default', 0)
1: select count(*) from pgautofailover.last_events(1)
1: select count(*) from pgautofailover.last_events('default', count => 1)
1: select count(*) from pgautofailover.last_events('default', 0, 1)
42P17: select pgautofailover.synchronous_standby_names('nope', 0)
t: select pgautofailover.synchronous_standby_names() is not null
1|a|1|0/3000000|1|t 2|node_2|1|0/3000000|1|t: select * from pgautofailover.node_timeline_status('default', 0)
t: select pgautofailover.remove_node(2)
t: select pgautofailover.remove_node(2, true)
t: select pgautofailover.remove_node('10.0.0.2', 5433)
t: select pgautofailover.remove_node('10.0.0.1')
t: select pgautofailover.remove_node('10.0.0.2', 5433, true)
t: select pgautofailover.remove_node(node_name => '10.0.0.2', node_port => 5433)
t: select pgautofailover.remove_node(node_host => '10.0.0.2', node_port => 5433)
t: select pgautofailover.remove_node(node_host => '10.0.0.1', force => true)
t: select pgautofailover.remove_node(node_id => 2)
42704: select pgautofailover.remove_node(99)
42704: select pgautofailover.remove_node('nowhere', 1)
: select pgautofailover.perform_failover()
XX000: select pgautofailover.perform_failover('nope', 0)
t: select pgautofailover.perform_promotion('default', 'node_2')
f: select pgautofailover.perform_promotion('default', 'a')
42704: select pgautofailover.perform_promotion('default', 'nope')
55000: update pgautofailover.node set reportedstate = 'catchingup', goalstate = 'catchingup' where nodeid = 2; select pgautofailover.perform_promotion('default', 'node_2')
t: update pgautofailover.node set reportedstate = 'catchingup', goalstate = 'catchingup' where nodeid = 2; set local pgautofailover.guard_data_loss = off; select pgautofailover.perform_promotion('default', 'node_2')
t: select pgautofailover.start_maintenance(2)
t: select pgautofailover.start_maintenance('10.0.0.2', 5433)
t: select pgautofailover.start_maintenance('10.0.0.1')
f: select pgautofailover.start_maintenance(99)
55000: select pgautofailover.stop_maintenance(2)
55000: select pgautofailover.stop_maintenance('10.0.0.2', 5433)
t: select pgautofailover.set_node_candidate_priority('default', 'a', 0)
t: select pgautofailover.set_node_candidate_priority(1, '10.0.0.1', 5432, 100)
22023: select pgautofailover.set_node_candidate_priority('default', 'a', 101)
t: select pgautofailover.set_node_replication_quorum('default', 'a', false)
t: select pgautofailover.set_node_replication_quorum(1, '10.0.0.1', 5432, true)
t: select pgautofailover.set_node_region('default', 'a', 'north')
22023: select pgautofailover.set_node_region('default', 'a', '')
XX000: select pgautofailover.accept_timeline('default', 0, 99)
t: select pgautofailover.accept_timeline('default', 0, 1, 'me')
t: select pgautofailover.resolve_accepted_timeline('default', 0)
t: select count(*) > 20 from pgautofailover.dump_fsm()
t: select count(*) > 20 from pgautofailover.dump_fsm_edges()
0: select count(*) from pgautofailover.check_fsm_reachability((select jsonb_agg(jsonb_build_object('current', 'any', 'assigned', name)) from pgautofailover.state))
22P02: select * from pgautofailover.check_fsm_reachability('[{"current": "x", "assigned": "single"}]')
: select pgautofailover.testing_lock_formation('default')
: select pgautofailover.testing_lock_node_group('default', 0)
0|01:00:00: with x as (select pgautofailover.testing_set_node_health(2, 0, '1 h')) select n.health, date_trunc('minute', now() - n.reporttime) from x, pgautofailover.node n where false union all select 0, interval '1 h'
42704: select pgautofailover.testing_set_node_health(99, 0)
END

# ---- what is said, and the codes of what is refused ----

calls "set local role autoctl" "refused: " <<'END'
55000: update pgautofailover.node set reportedstate = 'single', goalstate = 'single'; update pgautofailover.formation set opt_secondary = false; select pgautofailover.register_node('default', 'h', 1, 'postgres')
55000: update pgautofailover.formation set opt_secondary = false
XX000: select pgautofailover.register_node('default', 'h', 1, 'postgres', initial_group_role => 'single')
XX000: select pgautofailover.register_node('default', 'h', 1, 'postgres', node_kind => 'worker')
22023: select pgautofailover.register_node('default', 'h', 1, 'postgres', candidate_priority => 101)
22023: select pgautofailover.register_node('default', 'h', 0, 'postgres')
23P01: select from pgautofailover.set_node_system_identifier(2, 8); set constraints all immediate
55006: select pgautofailover.create_formation('f', 'pgsql', 'x', true, 0) is null where false; select from pgautofailover.create_formation('f', 'pgsql', 'x', true, 0); select pgautofailover.register_node('f', 'h', 1, 'x', candidate_priority => 0)
XX000: update pgautofailover.node set goalstate = 'dropped' where nodeid = 2; select pgautofailover.perform_failover()
XX000: update pgautofailover.node set goalstate = 'demoted' where nodeid = 1; select pgautofailover.perform_failover()
XX000: update pgautofailover.node set candidatepriority = 0 where nodeid = 2; select pgautofailover.perform_failover()
XX000: update pgautofailover.node set goalstate = 'maintenance' where nodeid = 2; select pgautofailover.perform_failover()
XX000: update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.perform_failover()
55000: update pgautofailover.node set goalstate = 'report_lsn' where nodeid = 2; select pgautofailover.perform_promotion('default', 'node_2')
t: update pgautofailover.node set reportedstate = 'report_lsn', goalstate = 'report_lsn' where nodeid = 2; select pgautofailover.perform_promotion('default', 'node_2')
55000: update pgautofailover.node set reportedstate = 'wait_standby' where nodeid = 2; select pgautofailover.start_maintenance(2)
55000: update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.start_maintenance(1)
55000: update pgautofailover.node set health = 0 where nodeid = 2; select pgautofailover.start_maintenance(1)
t: update pgautofailover.formation set number_sync_standbys = 1; select pgautofailover.start_maintenance(2)
t: update pgautofailover.node set reportedstate = 'maintenance', goalstate = 'maintenance' where nodeid = 2; select pgautofailover.stop_maintenance(2)
f: select pgautofailover.stop_maintenance(99)
22023: update pgautofailover.node set nodecluster = 'c' where nodeid = 2; select pgautofailover.set_node_candidate_priority('default', 'node_2', 1)
55000: update pgautofailover.node set reportedstate = 'apply_settings', goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.set_node_candidate_priority('default', 'node_2', 1)
55000: update pgautofailover.node set reportedstate = 'apply_settings', goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.set_node_replication_quorum('default', 'node_2', true)
22023: update pgautofailover.formation set number_sync_standbys = 1; select pgautofailover.set_node_replication_quorum('default', 'node_2', false)
42704: select pgautofailover.set_node_region('default', 'nope', 'x')
XX000: update pgautofailover.node set goalstate = 'demoted' where nodeid = 1; select pgautofailover.set_formation_number_sync_standbys('default', 0)
55000: update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.set_formation_number_sync_standbys('default', 0)
XX000: update pgautofailover.node set goalstate = 'dropped', reportedstate = 'dropped'; select pgautofailover.get_primary()
1: update pgautofailover.node set goalstate = 'demoted' where nodeid = 1; select primary_node_id from pgautofailover.get_primary()
END
verbosity=terse between=' <- '
calls "set local role autoctl" "" <<'END'
formation "nope" does not exist <- select pgautofailover.register_node('nope', 'h', 1, 'postgres')
node h:1 of kind "worker" can not be registered in formation "default" of kind "pgsql" <- select pgautofailover.register_node('default', 'h', 1, 'postgres', node_kind => 'worker')
node h:1 with dbname "other" can not be registered in formation "default" which expects dbname "postgres" <- select pgautofailover.register_node('default', 'h', 1, 'other')
node h:1 can not be registered in group 1 in formation "default" of type pgsql <- select pgautofailover.register_node('default', 'h', 1, 'postgres', desired_group_id => 1)
Formation "default" does not allow secondary nodes <- update pgautofailover.node set reportedstate = 'single', goalstate = 'single'; update pgautofailover.formation set opt_secondary = false; select pgautofailover.register_node('default', 'h', 1, 'postgres')
node h:1 can not be registered in state single, it should be in state wait_standby <- select pgautofailover.register_node('default', 'h', 1, 'postgres', initial_group_role => 'single')
couldn't find node with nodeid 99 <- select pgautofailover.node_active('default', 99, 0)
node 1 does not belong to formation other <- select pgautofailover.node_active('other', 1, 0)
group has no writable node right now <- select pgautofailover.get_primary('nope')
node 99 is not registered <- select pgautofailover.get_other_nodes(99)
no nodes found in group 0 of formation "nope" <- select pgautofailover.synchronous_standby_names('nope')
couldn't find node with nodeid 99 <- select pgautofailover.remove_node(99)
couldn't find node with hostname "h" and port 1 <- select pgautofailover.remove_node('h', 1)
cannot fail over: group 0 in formation nope currently has 0 node registered <- select pgautofailover.perform_failover('nope')
couldn't find the primary node in formation "default", group 0 <- update pgautofailover.node set goalstate = 'demoted' where nodeid = 1; select pgautofailover.perform_failover()
cannot fail over: standby node 2 "node_2" (10.0.0.2:5433) has candidate priority set to zero <- update pgautofailover.node set candidatepriority = 0 where nodeid = 2; select pgautofailover.perform_failover()
cannot fail over: standby node 2 "node_2" (10.0.0.2:5433) is in state "maintenance", which prevents the node for being a failover candidate <- update pgautofailover.node set goalstate = 'maintenance', reportedstate = 'maintenance' where nodeid = 2; select pgautofailover.perform_failover()
cannot fail over: primary node is not in a stable state <- update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.perform_failover()
node "nope" is not registered in formation "default" <- select pgautofailover.perform_promotion('default', 'nope')
NOTICE:  cannot perform promotion: node a in formation default is already a primary. f <- select pgautofailover.perform_promotion('default', 'a')
cannot perform promotion: node node_2 in formation default has reported state "catchingup" and assigned state "secondary" <- update pgautofailover.node set reportedstate = 'catchingup' where nodeid = 2; select pgautofailover.perform_promotion('default', 'node_2')
cannot start maintenance: node 2 "node_2" (10.0.0.2:5433) has reported state "wait_standby" and assigned state "secondary" <- update pgautofailover.node set reportedstate = 'wait_standby' where nodeid = 2; select pgautofailover.start_maintenance(2)
cannot start maintenance: current state for node 1 "a" (10.0.0.1:5432) is "primary" and its goal is "apply_settings" <- update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.start_maintenance(1)
Starting maintenance on node 1 "a" (10.0.0.1:5432) in state "primary" is not currently possible <- update pgautofailover.node set health = 0 where nodeid = 2; select pgautofailover.start_maintenance(1)
WARNING:  Starting maintenance on node 2 "node_2" (10.0.0.2:5433) will block writes on the primary t <- update pgautofailover.formation set number_sync_standbys = 1; select pgautofailover.start_maintenance(2)
cannot stop maintenance when current state for node 2 "node_2" (10.0.0.2:5433) is not "maintenance" <- select pgautofailover.stop_maintenance(2)
invalid value for candidate_priority "101" expected an integer value between 0 and 100 <- select pgautofailover.set_node_candidate_priority('default', 'a', 101)
NOTICE:  setting candidate priority to zero, preventing automated failover t <- select pgautofailover.set_node_candidate_priority('default', 'node_2', 0)
cannot set candidate priority when current state for primary node 1 "a" (10.0.0.1:5432) is "apply_settings" <- update pgautofailover.node set reportedstate = 'apply_settings', goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.set_node_candidate_priority('default', 'node_2', 1)
can't set replication quorum to false <- update pgautofailover.formation set number_sync_standbys = 1; select pgautofailover.set_node_replication_quorum('default', 'node_2', false)
invalid value for region: expected a non-empty string <- select pgautofailover.set_node_region('default', 'a', '')
unknown formation "nope" <- select pgautofailover.set_formation_number_sync_standbys('nope', 1)
invalid value for number_sync_standbys: "-1" <- select pgautofailover.set_formation_number_sync_standbys('default', -1)
Couldn't find the primary node in formation "default", group 0 <- update pgautofailover.node set goalstate = 'demoted' where nodeid = 1; select pgautofailover.set_formation_number_sync_standbys('default', 0)
cannot set number_sync_standbys when current goal state for primary node 1 "a" (10.0.0.1:5432) is "apply_settings" <- update pgautofailover.node set goalstate = 'apply_settings' where nodeid = 1; select pgautofailover.set_formation_number_sync_standbys('default', 0)
timeline 99 has never been reported by any node in formation "default" group 0 <- select pgautofailover.accept_timeline('default', 0, 99)
couldn't find formation "nope" <- select pgautofailover.drop_formation('nope')
formation has nodes that are not in SINGLE state <- update pgautofailover.formation set opt_secondary = false
END
verbosity=sqlstate between=': '

# ---- who may what ----

# what a node asks for that has proven nothing, and what it may always do
cat >"$root/operate" <<'END'
select pgautofailover.drop_formation('default')
select pgautofailover.enable_secondary('default')
select pgautofailover.disable_secondary('default')
select pgautofailover.set_formation_number_sync_standbys('default', 0)
select pgautofailover.update_node_metadata(2, 'z', null, null)
select pgautofailover.set_node_nodename(2, 'h')
select pgautofailover.remove_node(2)
select pgautofailover.remove_node(2, true)
select pgautofailover.remove_node('10.0.0.2', 5433)
select pgautofailover.perform_failover()
select pgautofailover.perform_promotion('default', 'node_2')
select pgautofailover.start_maintenance(2)
select pgautofailover.start_maintenance('10.0.0.2', 5433)
select pgautofailover.stop_maintenance(2)
select pgautofailover.stop_maintenance('10.0.0.2', 5433)
select pgautofailover.set_node_candidate_priority('default', 'a', 1)
select pgautofailover.set_node_candidate_priority(1, '10.0.0.1', 5432, 1)
select pgautofailover.set_node_replication_quorum('default', 'a', true)
select pgautofailover.set_node_replication_quorum(1, '10.0.0.1', 5432, true)
select pgautofailover.set_node_region('default', 'a', 'north')
select pgautofailover.accept_timeline('default', 0, 1)
select pgautofailover.resolve_accepted_timeline('default', 0)
select pgautofailover.testing_lock_formation('default')
select pgautofailover.testing_lock_node_group('default', 0)
select pgautofailover.testing_set_node_health(2, 0)
select pgautofailover.add_event(2, 'lie')
select pgautofailover.add_request('default', 0, 'failover')
select * from pgautofailover.node_key
update pgautofailover.node set goalstate = 'single'
insert into pgautofailover.setting values ('node_operations', 'on')
delete from pgautofailover.event
END
sed 's/^/42501: /' "$root/operate" >"$root/refused"
calls "set local role autoctl_node" "a node without proof: " <"$root/refused"
calls "delete from pgautofailover.node_key; set local role autoctl_node; set local pgautofailover.node = 'here'" \
	"somebody elsewhere: " <"$root/refused"
calls "update pgautofailover.node_key set digest = sha256('k'); set local role autoctl_node;
	set local pgautofailover.node = '2 wrong'" "a wrong key: " <"$root/refused"
calls "insert into pgautofailover.setting values ('node_operations', 'off');
	update pgautofailover.node_key set digest = sha256('k'), address = '127.0.0.1';
	set local role autoctl_node; set local pgautofailover.node = 'here'" "node_operations off: " \
	<"$root/refused"

calls "insert into pgautofailover.setting values ('node_operations', 'off'); set local role autoctl_node" \
	"node_operations off: " <<'END'
42501: select pgautofailover.create_formation('f', 'pgsql', 'db', true, 1)
42501: select pgautofailover.create_formation('f', 'pgsql', 'db', true)
END
calls "set local role autoctl_node" "before there is a node: " <<'END'
f|pgsql|db|t|1: select * from pgautofailover.create_formation('f', 'pgsql', 'db', true, 1)
END

may=": select pgautofailover.perform_failover()
t: select pgautofailover.start_maintenance(2)
t: select pgautofailover.remove_node(2)
t: select pgautofailover.set_node_region('default', 'a', 'north')"
calls "update pgautofailover.node_key set address = '127.0.0.1' where nodeid = 1;
	set local role autoctl_node; set local pgautofailover.node = 'here'" "on a node's host: " <<END
$may
END
calls "update pgautofailover.node_key set digest = sha256('k') where nodeid = 1;
	set local role autoctl_node; set local pgautofailover.node = '1 k'" "with a node's key: " <<END
$may
END
calls "update pgautofailover.node_key set digest = sha256('k') where nodeid = 1;
	insert into pgautofailover.nodegroup values ('default', 7);
	update pgautofailover.node set groupid = 7 where nodeid = 1; set local role autoctl_node;
	set local pgautofailover.node = '1 k'" "a node of another group: " <<END
42501: select pgautofailover.start_maintenance(2)
END
calls "insert into pgautofailover.setting values ('node_operations', 'off');
	update pgautofailover.node_key set digest = sha256('k'); set local role autoctl_node;
	set local pgautofailover.node = '2 k'" "a keeper that stops: " <<'END'
t: select pgautofailover.start_maintenance(2)
42501: select pgautofailover.start_maintenance(1)
END

# a host that is not listed gets no further than the door, whoever it says it is
for role in autoctl_node autoctl pgautofailover_monitor "$superuser"; do
	[ -n "$unlisted" ] || continue
	like "$(psql -XAtqw -h "$unlisted" -p "$mport" -U "$role" -d pg_auto_failover \
		-c 'select 1' 2>&1)" 'no pg_hba.conf entry' "$role from a host that is not listed"
done

# a keeper proves itself by the key that it showed first
report="select goal from pgautofailover.keeper_report(2, 0, 0, 'secondary', 'standby', false, true, 1, '0/3000000', 0, 0, '0/0', 0, '0/0', 0, 0, 0, false, 'none', 0, 0, '', '', '', '', '[]')"
calls "set local role autoctl_node; select pgautofailover.keeper_hello(2, 'k')" "its keeper: " <<END
secondary: $report
END
calls "update pgautofailover.node set reporttime = now();
	update pgautofailover.node_key set digest = sha256('k'), address = '10.0.0.7';
	set local role autoctl_node; set local pgautofailover.node = '1 k'" "another node's: " <<END
42501: $report
42501: select pgautofailover.keeper_hello(2, 'other')
42501: select pgautofailover.keeper_hello(2)
42501: select pgautofailover.node_active('default', 2, 0, 'secondary')
42501: select pgautofailover.node_active('default', '10.0.0.2', 5433, 2, 0, 'secondary')
42501: select pgautofailover.set_node_system_identifier(2, 9)
42501: select pgautofailover.report_postgres_version(2, 1)
42501: select pgautofailover.report_timeline_history(2, '[]')
: select pgautofailover.report_timeline_history(1, '[]')
END
# ... but it is not locked out: from where it was, or after a silence, it may come back
calls "update pgautofailover.node set reporttime = now();
	update pgautofailover.node_key set digest = sha256('k'), address =
		case nodeid when 2 then inet_client_addr() else '10.0.0.7' end;
	set local role autoctl_node; select pgautofailover.keeper_hello(2, 'new')" \
	"a lost key, the same host: " <<END
secondary: $report
t: select pgautofailover.start_maintenance(2)
42501: select pgautofailover.report_timeline_history(1, '[]')
t: reset role; select digest = sha256('new') from pgautofailover.node_key where nodeid = 2
1: reset role; select count(*) from pgautofailover.event where description ~ 'does not have the key'
END
calls "update pgautofailover.node set reporttime = now() - interval '21 s';
	update pgautofailover.node_key set digest = sha256('k'), address = '10.0.0.7';
	set local role autoctl_node; select pgautofailover.keeper_hello(2)" \
	"a lost key, another host, a silence: " <<END
secondary: $report
: select pgautofailover.report_timeline_history(2, '[]')
t: reset role; select digest = sha256('k') and address = '10.0.0.7' from pgautofailover.node_key where nodeid = 2
secondary: select pgautofailover.keeper_hello(2, 'k'); $report
END
# while it is there nobody from its host takes its place
calls "update pgautofailover.node set reporttime = now(), session_pid = (select min(pid)
		from pg_stat_activity where pid <> pg_backend_pid());
	update pgautofailover.node_key set digest = sha256('k'), address = inet_client_addr();
	set local role autoctl_node" "a keeper that is there: " <<END
42501: select pgautofailover.keeper_hello(2, 'new')
42501: select pgautofailover.keeper_hello(2)
42501: $report
: select pgautofailover.keeper_hello(2, 'k')
END
calls "set local role autoctl_node" "a keeper of old: " <<END
secondary: $report
2|0|secondary|100|t: select * from pgautofailover.node_active('default', 2, 0, 'secondary')
END

# ---- names that bite ----

for name in "x'; drop table pgautofailover.node; --" 'x"y' 'a b' '%s%n' '$(touch x)' '' \
	'-x' 'x
y' "$(printf '%070d' 1)" 'naïve'; do
	for sql in "select pgautofailover.register_node('default', 'h', 1, 'postgres', :'name')" \
		"select pgautofailover.register_node('default', :'name', 1, 'postgres')" \
		"select pgautofailover.update_node_metadata(1, :'name', null, null)" \
		"select pgautofailover.create_formation(:'name', 'pgsql', 'x', true, 0)"; do
		case $name in
		'') case $sql in *1,\ \'postgres\',\ :*) continue ;; esac ;; # no name: it gets one
		'%s%n' | 00*) case $sql in *default\',\ :*) continue ;; esac ;; # hosts may have those
		esac
		is "$(echo "begin; $sql; rollback" | psql_at "$mport" pg_auto_failover \
			-v VERBOSITY=sqlstate -v name="$name" 2>&1)" "ERROR:  22023" \
			"refused: $(printf %.30s "$sql" | cut -c 24-) ... $(printf %.20s "$name" | tr '\n' ' ')"
	done
done
# where text is free it stays text
odd='a'\''b"c\d%s
$x'
is "$(psql_at "$mport" pg_auto_failover -v odd="$odd" <<-'END'
	begin;
	select pgautofailover.set_node_region('default', 'a', :'odd');
	select region = :'odd' from pgautofailover.node where nodename = 'a';
	select pgautofailover.accept_timeline('default', 0, 1, :'odd');
	select decided_by = :'odd' from pgautofailover.accepted_timeline;
	select count(*) from pgautofailover.current_state(:'odd');
	rollback;
END
)" "t
t
t
t
0" "quotes, newlines and percent signs are text"

# nor does what a node says of itself steer the terminal of who looks
monitor_sql "update pgautofailover.node set error = E'disk \\x1b[2Jfull\\nnode a is fine', region = E'\\x1b]0;x'
	where nodeid = 2; select pgautofailover.add_event(2, E'seen \\x1b[1mby\\r')" >/dev/null
for what in state events settings; do
	shown=$("$autoctl" show "$what" --monitor "$(monitor_uri)" 2>&1)
	is "$(printf %s "$shown" | tr -d '\n' | tr -dc '[:cntrl:]' | wc -c)" 0 "show $what: nothing but text"
	[ "$what" != state ] || like "$shown" 'disk  ?\[2Jfull node a is fine' "what it says is shown, on a line"
	[ "$what" != events ] || like "$shown" 'seen  ?\[1mby' "what it says is shown"
done
monitor_sql "update pgautofailover.node set error = '', region = 'default' where nodeid = 2" >/dev/null

# ---- ids, old events ----

is "$(psql_at "$mport" pg_auto_failover -v VERBOSITY=sqlstate <<-'END' 2>&1
	begin;
	update pgautofailover.nodegroup set op_kind = 'elect', op_candidate = 77;
	select assigned_node_id from pgautofailover.register_node('default', 'h', 1, 'postgres',
		desired_node_id => 76);
	select assigned_node_id from pgautofailover.register_node('default', 'h', 2, 'postgres',
		desired_node_id => 77);
END
)" "76
ERROR:  55006" "an id that an operation refers to is not given again"
is "$(monitor_sql "begin; select setval('pgautofailover.node_nodeid_seq', 500) is null;
	select assigned_node_id from pgautofailover.register_node('default', 'h', 1, 'postgres',
		desired_node_id => 40);
	select assigned_node_id from pgautofailover.register_node('default', 'h', 2, 'postgres');
	select assigned_node_id from pgautofailover.register_node('default', 'h', 3, 'postgres',
		desired_node_id => 600);
	select assigned_node_id from pgautofailover.register_node('default', 'h', 4, 'postgres');
	rollback" | tr '\n' ' ')" "f 40 501 600 601 " "nor is that of a node that was removed"

monitor_sql "insert into pgautofailover.event (eventid, eventtime, formationid, nodeid, groupid,
	nodename, nodehost, nodeport, reportedstate, goalstate)
	select i - 1501, now() - interval '100 d', 'default', 1, 0, 'a', 'h', 1, 'single', 'single'
	  from generate_series(1, 1500) i;
	insert into pgautofailover.setting values ('event_retention', '200d')" >/dev/null
events() {
	monitor_sql "select count(*) from pgautofailover.event where eventtime < now() - interval '1 d'"
}
ok "the monitor stops" monitor_down
ok "the monitor runs, events live 200 days" monitor_up
decides() {
	[ "$(monitor_sql "select renewed > now() - interval '5 s' from pgautofailover.monitor")" = t ]
}
ok "it decides" within 20 decides
is "$(events)" 1500 "all are there"
monitor_sql "update pgautofailover.setting set value = '90d' where name = 'event_retention'" >/dev/null
ok "the monitor stops" monitor_down
ok "the monitor runs, events live 90 days" monitor_up
pruned() {
	[ "$(events)" -le 1000 ]
}
ok "old events go" within 20 pruned
ok "but the newest stay" [ "$(events)" -ge 900 ]

# NOTIFY, as others read it
said=$(monitor_sql "listen state; listen log;
	select pgautofailover.set_node_region('default', 'a', 'a\"b')" 2>&1)
like "$said" 'notification "log" with payload "Setting region to "a"b" for node 1 "a" \(10.0.0.1:5432\)"' \
	"the channel log has text"
json=$(echo "$said" | sed -n 's/.*"state" with payload "\(.*\)" received.*/\1/p')
is "$(psql_at "$mport" pg_auto_failover -v j="$json" <<-'END'
	select string_agg(k, ' ' order by k collate "C") from jsonb_object_keys(:'j') k
END
)" "formation goalState groupId health host name nodeId port reportedState type" \
	"the channel state has an object of these keys"

ok "the monitor stops" monitor_down
done_testing
