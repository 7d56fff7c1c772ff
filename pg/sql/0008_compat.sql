-- What older programs and runbooks call: nodes by host and port, the table of edges.

-- How a keeper gets from state to state, by the list the program is made of.
create table pgautofailover.edge (
	current_state text not null references pgautofailover.state,
	assigned_state text not null references pgautofailover.state,
	act text not null,
	primary key (current_state, assigned_state)
);

create function pgautofailover.dump_fsm_edges(
	out pos int, out current_state pgautofailover.replication_state,
	out assigned_state pgautofailover.replication_state)
	returns setof record language sql stable security definer
	set search_path = pg_catalog, pg_temp as $$
	select (row_number() over (order by c.pos, a.pos))::int, e.current_state, e.assigned_state
	  from pgautofailover.edge e
	  join pgautofailover.state c on c.name = e.current_state
	  join pgautofailover.state a on a.name = e.assigned_state
$$;

-- The edges that a keeper's own table, [{"current": ..., "assigned": ...}], lacks.
create function pgautofailover.check_fsm_reachability(
	in keeper_edges jsonb, out pos int,
	out current_state pgautofailover.replication_state,
	out assigned_state pgautofailover.replication_state, out comment text)
	returns setof record language plpgsql stable security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	stranger text;
begin
	select s.name into stranger
	  from jsonb_to_recordset(keeper_edges) as k ("current" text, assigned text)
	 cross join lateral (values (k."current"), (k.assigned)) s (name)
	 where s.name <> 'any'
	   and not exists (select from pgautofailover.state t where t.name = s.name);
	if found then
		raise invalid_text_representation using
			message = format('there is no state "%s"', stranger);
	end if;
	return query
	select d.pos, d.current_state, d.assigned_state,
		format('the keeper cannot go from %s to %s', d.current_state, d.assigned_state)
	  from pgautofailover.dump_fsm_edges() d
	 where not exists (
		select from jsonb_to_recordset(keeper_edges) as k ("current" text, assigned text)
		 where k."current" in (d.current_state, 'any') and k.assigned = d.assigned_state);
end $$;

-- The id of the node at that address, or the error for it.
create function pgautofailover.node_at(node_host text, node_port int) returns bigint
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
	id bigint;
begin
	select nodeid into id from pgautofailover.node
	 where nodehost = node_host and nodeport = node_port;
	if not found then
		raise undefined_object using message = format('couldn''t find node with hostname "%s" and '
			'port %s', node_host, node_port);
	end if;
	return id;
end $$;

create function pgautofailover.start_maintenance(node_name text, node_port int = 5432)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	return pgautofailover.start_maintenance(pgautofailover.node_at(node_name, node_port));
end $$;

create function pgautofailover.stop_maintenance(node_name text, node_port int = 5432)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	return pgautofailover.stop_maintenance(pgautofailover.node_at(node_name, node_port));
end $$;

create function pgautofailover.set_node_candidate_priority(
	nodeid int, nodename text, nodeport int, candidate_priority int)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	return pgautofailover.set_node_candidate_priority(n.formationid, n.nodename,
			set_node_candidate_priority.candidate_priority)
	  from pgautofailover.node n
	 where n.nodeid = pgautofailover.node_at(set_node_candidate_priority.nodename,
		set_node_candidate_priority.nodeport);
end $$;

create function pgautofailover.set_node_replication_quorum(
	nodeid int, nodename text, nodeport int, replication_quorum bool)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	return pgautofailover.set_node_replication_quorum(n.formationid, n.nodename,
			set_node_replication_quorum.replication_quorum)
	  from pgautofailover.node n
	 where n.nodeid = pgautofailover.node_at(set_node_replication_quorum.nodename,
		set_node_replication_quorum.nodeport);
end $$;

-- ---- signatures of the versions 1.0 to 1.3, where a node's name was that of its host ----

create function pgautofailover.create_formation(
	inout formation_id text, inout kind text, inout dbname name, inout opt_secondary bool)
	returns record language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.create_formation(formation_id, kind, dbname, opt_secondary, 0);
end $$;

-- (The group has no default and another name: such calls would be those of two functions.)
create function pgautofailover.register_node(
	in formation_id text, in node_name text, in node_port int, in dbname name,
	in desired_group int,
	in initial_group_role pgautofailover.replication_state = 'init',
	in node_kind text = 'standalone', in candidate_priority int = 100,
	in replication_quorum bool = true,
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select r.assigned_node_id, r.assigned_group_id, r.assigned_group_state,
		r.assigned_candidate_priority, r.assigned_replication_quorum
	  from pgautofailover.register_node(formation_id => $1, node_host => $2, node_port => $3,
		dbname => $4, desired_group_id => $5, initial_group_role => $6, node_kind => $7,
		candidate_priority => $8, replication_quorum => $9) r
$$;

-- ... and for who names the arguments, in an order that no call without names has.
create function pgautofailover.register_node(
	in node_port int, in node_name text, in formation_id text, in dbname name,
	in desired_group_id int = -1,
	in initial_group_role pgautofailover.replication_state = 'init',
	in node_kind text = 'standalone', in candidate_priority int = 100,
	in replication_quorum bool = true,
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.register_node($3, $2, $1, $4, $5, $6, $7, $8, $9)
$$;

create function pgautofailover.node_active(
	in formation_id text, in node_name text, in node_port int,
	in current_node_id int = -1, in current_group_id int = -1,
	in current_group_role pgautofailover.replication_state = 'init',
	in current_pg_is_running bool = true, in current_lsn pg_lsn = '0/0',
	in current_rep_state text = '',
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select a.assigned_node_id, a.assigned_group_id, a.assigned_group_state,
		a.assigned_candidate_priority, a.assigned_replication_quorum
	  from pgautofailover.node_active($1, pgautofailover.node_at($2, $3), $5, $6, $7,
		0, $8, $9) a
$$;

-- 1.0 told how far behind a node was, which says nothing of where it is.
create function pgautofailover.node_active(
	in formation_id text, in node_name text, in node_port int,
	in current_node_id int, in current_group_id int,
	in current_group_role pgautofailover.replication_state,
	in current_pg_is_running bool, in current_wal_delta bigint,
	in current_rep_state text = '',
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.node_active($1, $2, $3, $4, $5, $6, $7, pg_lsn '0/0', $9)
$$;

-- ... and for a position whose type is left open, as in '0/3000000'.
create function pgautofailover.node_active(
	in formation_id text, in node_name text, in node_port int,
	in current_node_id int, in current_group_id int,
	in current_group_role pgautofailover.replication_state,
	in current_pg_is_running bool, in current_lsn text,
	in current_rep_state text = '',
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.node_active($1, $2, $3, $4, $5, $6, $7, $8::pg_lsn, $9)
$$;

create function pgautofailover.get_other_nodes(
	in nodename text, in nodeport int,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.get_other_nodes(pgautofailover.node_at($1, $2))
$$;

create function pgautofailover.get_other_nodes(
	in nodename text, in nodeport int, in current_state pgautofailover.replication_state,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.get_other_nodes(pgautofailover.node_at($1, $2), $3)
$$;

-- (As above: where the arguments are named.)
create function pgautofailover.remove_node(node_port int, node_name text) returns bool
	language sql strict security definer set search_path = pg_catalog, pg_temp as $$
	select pgautofailover.remove_node(node_host => $2, node_port => $1)
$$;

-- When there were two nodes to a group.
create function pgautofailover.get_other_node(
	in node_name text, in node_port int,
	out secondary_name text, out secondary_port int)
	returns record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select o.node_host, o.node_port
	  from pgautofailover.get_other_nodes(pgautofailover.node_at($1, $2)) o limit 1
$$;

create function pgautofailover.set_node_nodename(
	inout node_id bigint, in node_name text, out name text, out port int)
	returns record language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.update_node_metadata(node_id, null, node_name, null);
	select n.nodehost, n.nodeport into name, port
	  from pgautofailover.node n where n.nodeid = node_id;
end $$;

-- ---- for tests: the owner's ----

-- Registrations, decisions and reports wait until the end of the transaction.
create function pgautofailover.testing_lock_formation(formation_id text) returns void
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.lock_formation(formation_id);
	perform from pgautofailover.nodegroup where formationid = formation_id
	 order by groupid for update;
end $$;

create function pgautofailover.testing_lock_node_group(formation_id text, group_id int)
	returns void language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform from pgautofailover.nodegroup
	 where formationid = formation_id and groupid = group_id for update;
end $$;

-- What the tables say; what the monitor process has seen itself it does not forget.
create function pgautofailover.testing_set_node_health(
	node_id bigint, health int = null, report_time_ago interval = null,
	state_change_time_ago interval = null, health_check_time_ago interval = null)
	returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	update pgautofailover.node x set
		health = coalesce(testing_set_node_health.health, x.health),
		reporttime = coalesce(now() - report_time_ago, x.reporttime),
		statechangetime = coalesce(now() - state_change_time_ago, x.statechangetime),
		state_at = coalesce(now() - state_change_time_ago, x.state_at),
		healthchecktime = coalesce(now() - health_check_time_ago, x.healthchecktime)
	 where x.nodeid = node_id returning * into n;
	if not found then
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	perform pgautofailover.wake(n.formationid, n.groupid);
end $$;

revoke all on all functions in schema pgautofailover from public;
grant select on pgautofailover.edge to autoctl_node;
grant execute on function
	pgautofailover.create_formation(text, text, name, bool),
	pgautofailover.register_node(text, text, int, name, int,
		pgautofailover.replication_state, text, int, bool),
	pgautofailover.register_node(int, text, text, name, int,
		pgautofailover.replication_state, text, int, bool),
	pgautofailover.remove_node(int, text),
	pgautofailover.node_active(text, text, int, int, int, pgautofailover.replication_state,
		bool, pg_lsn, text),
	pgautofailover.node_active(text, text, int, int, int, pgautofailover.replication_state,
		bool, bigint, text),
	pgautofailover.node_active(text, text, int, int, int, pgautofailover.replication_state,
		bool, text, text),
	pgautofailover.get_other_nodes(text, int),
	pgautofailover.get_other_nodes(text, int, pgautofailover.replication_state),
	pgautofailover.get_other_node(text, int),
	pgautofailover.set_node_nodename(bigint, text),
	pgautofailover.dump_fsm_edges(),
	pgautofailover.check_fsm_reachability(jsonb),
	pgautofailover.start_maintenance(text, int),
	pgautofailover.stop_maintenance(text, int),
	pgautofailover.set_node_candidate_priority(int, text, int, int),
	pgautofailover.set_node_replication_quorum(int, text, int, bool)
	to autoctl_node;
