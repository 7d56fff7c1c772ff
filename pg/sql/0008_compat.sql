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

revoke all on all functions in schema pgautofailover from public;
grant select on pgautofailover.edge to autoctl_node;
grant execute on function
	pgautofailover.dump_fsm_edges(),
	pgautofailover.check_fsm_reachability(jsonb),
	pgautofailover.start_maintenance(text, int),
	pgautofailover.stop_maintenance(text, int),
	pgautofailover.set_node_candidate_priority(int, text, int, int),
	pgautofailover.set_node_replication_quorum(int, text, int, bool)
	to autoctl_node;
