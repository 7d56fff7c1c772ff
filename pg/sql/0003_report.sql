-- What keepers call: registration, reports, facts about their Postgres.

-- How a node is called in messages.
create function pgautofailover.label(n pgautofailover.node) returns text
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select format('node %s "%s" (%s:%s)', n.nodeid, n.nodename, n.nodehost, n.nodeport)
$$;

-- (Not in language sql: such a function is planned anew at each call.)
create function pgautofailover.wake(formation_id text, group_id int) returns void
	language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	perform pg_notify('pgautofailover_wake', formation_id || '/' || group_id);
end $$;

-- The one place where a change becomes an event row, a line of channel log and a line of
-- channel state.
create function pgautofailover.add_event(
	node_id bigint, description text, rule int = null, section text = null,
	goal text = null)
	returns void
	language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	select * into n from pgautofailover.node where nodeid = node_id;
	if not found then
		return;
	end if;
	n.goalstate := coalesce(goal, n.goalstate);
	insert into pgautofailover.event (formationid, nodeid, groupid, nodename, nodehost,
		nodeport, reportedstate, goalstate, reportedrepstate, reportedtli, reportedlsn,
		candidatepriority, replicationquorum, description, rule_pos, rule_section)
	values (n.formationid, n.nodeid, n.groupid, n.nodename, n.nodehost, n.nodeport,
		n.reportedstate, n.goalstate, n.reportedrepstate, n.reportedtli, n.reportedlsn,
		n.candidatepriority, n.replicationquorum, description, rule, section);
	perform pg_notify('log', left(description, 1000));
	perform pg_notify('state', json_build_object('type', 'state',
		'formation', n.formationid, 'groupId', n.groupid, 'nodeId', n.nodeid,
		'name', n.nodename, 'host', n.nodehost, 'port', n.nodeport,
		'reportedState', n.reportedstate, 'goalState', n.goalstate,
		'health', case n.health when 1 then 'good' when 0 then 'bad' else 'unknown' end)::text);
end $$;

-- May the caller act as the owner of the schema? "set role" counts, unlike the functions
-- that are run as their owner.
create function pgautofailover.is_owner() returns bool
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select pg_has_role((case current_setting('role') when 'none' then session_user::text
			else current_setting('role') end)::name, nspowner, 'usage')
	  from pg_namespace where nspname = 'pgautofailover'
$$;

-- What is stored of a key; null when there is none.
create function pgautofailover.key_digest(key text) returns bytea
	language sql immutable set search_path = pg_catalog, pg_temp as $$
	select sha256(convert_to(nullif(key, ''), 'UTF8'))
$$;

-- Is this session that of the node's keeper? It has shown its key, or was let in without.
create function pgautofailover.is_own(node_id bigint) returns bool
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
	said text[] := string_to_array(current_setting('pgautofailover.node', true), ' ');
begin
	return exists (select from pgautofailover.node n
		 where n.nodeid = node_id and n.session_pid = pg_backend_pid())
		or (said[1] = node_id::text and exists (select from pgautofailover.node_key k
			 where k.nodeid = node_id
			   and k.digest = pgautofailover.key_digest(said[2])));
end $$;

/*
 * What lets this session speak for the node, or an error. A key goes before all, but none
 * is locked out for lack of it: a state file may be lost, a monitor restored, an older
 * program come back. So who comes from where the keeper was is let in when that one's
 * session is gone, and anybody when nothing was heard of the node for as long as makes it
 * unhealthy: whoever has the key takes over again at any time.
 */
create function pgautofailover.check_keeper(node_id bigint) returns text
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
	k pgautofailover.node_key;
begin
	select * into k from pgautofailover.node_key x where x.nodeid = node_id;
	if k.digest is null then
		return 'no key';
	elsif pgautofailover.is_own(node_id) then
		return 'key';
	elsif pgautofailover.is_owner() then
		return 'owner';
	end if;
	select * into n from pgautofailover.node x where x.nodeid = node_id;
	if n.reporttime < now() - interval '20 s' then
		return 'silence';
	elsif coalesce(k.address = inet_client_addr(), k.address is null and inet_client_addr() is null)
		and not exists (select from pg_stat_activity a where a.pid = n.session_pid)
	then
		return 'address';
	end if;
	raise insufficient_privilege using
		message = format('this session is not that of the keeper of node %s', node_id),
		hint = 'A keeper that has lost its key is let in when nothing was heard of the node '
			'for 20 s.';
end $$;

/*
 * Does this session belong to a node of that group (null: of any)? Either it has shown the
 * key of one, or it says that it is "here": on the host where a keeper of the group is, or
 * on the monitor's own. That is as good as the addresses in pg_hba.conf are.
 */
create function pgautofailover.speaks_for(formation_id text, group_id int) returns bool
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
	here bool := coalesce(current_setting('pgautofailover.node', true) = 'here', false);
begin
	if here and coalesce(inet_client_addr() = inet_server_addr(), true) then
		return true;
	end if;
	return exists (
		select from pgautofailover.node n
		  join pgautofailover.node_key k on k.nodeid = n.nodeid
		 where n.formationid = coalesce(formation_id, n.formationid)
		   and n.groupid = coalesce(group_id, n.groupid)
		   and case when here then k.address = inet_client_addr()
			else pgautofailover.is_own(n.nodeid) end);
end $$;

/*
 * The first statement of a keeper's session: from now on the node's reports come from it
 * alone. A report that was stuck in the network with an older session, and arrives now,
 * must not undo what was said since. The key that is shown first is the node's.
 */
create function pgautofailover.keeper_hello(node_id bigint, key text = '') returns void
	language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	proof text;
begin
	perform set_config('pgautofailover.node', node_id || ' ' || key, false);
	proof := pgautofailover.check_keeper(node_id);
	update pgautofailover.node set session_pid = pg_backend_pid() where nodeid = node_id;
	if found and proof in ('no key', 'key', 'address') then
		insert into pgautofailover.node_key as k (nodeid, digest, address)
		values (node_id, pgautofailover.key_digest(key), inet_client_addr())
		on conflict (nodeid) do update
		set digest = coalesce(excluded.digest, k.digest), address = excluded.address
		where (k.digest, k.address) is distinct from
			(coalesce(excluded.digest, k.digest), excluded.address);
	end if;
	if proof in ('address', 'silence') then
		perform pgautofailover.add_event(node_id, format('The keeper of node %s does not have '
			'the key it had: let in %s', node_id, case proof when 'address'
				then 'because it comes from where it was'
				else 'after a silence, from ' || coalesce(host(inet_client_addr()), 'here') end));
	end if;
	listen pgautofailover_goal;
end $$;

-- What people may call things: it is shown on terminals, and stands in configuration.
create function pgautofailover.check_name(what text, name text) returns void
	language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
	if name !~ '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$' then
		raise invalid_parameter_value using
			message = format('invalid %s %L', what, left(name, 100)),
			hint = 'It is made of at most 63 letters, digits, "_", "-" and ".", and begins '
				'with a letter, a digit or "_".';
	end if;
end $$;

create function pgautofailover.check_address(host text, port int) returns void
	language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
	if host !~ '^[A-Za-z0-9_:%][A-Za-z0-9_.:%-]{0,252}$' then
		raise invalid_parameter_value using
			message = format('invalid host %L', left(host, 100)),
			hint = 'It is the name or the address of a host.';
	elsif port not between 1 and 65535 then
		raise invalid_parameter_value using message = format('invalid port %s', port);
	end if;
end $$;

/*
 * A keeper's report, and what it is told. What only says "as before" is one update in
 * place without a wait for the disk and wakes nobody; whatever may change a decision is
 * durable before the keeper hears back, and wakes the monitor.
 */
create function pgautofailover.keeper_report(
	node_id bigint, epoch_seen bigint, goal_seen bigint, state text, postgres text,
	retrying bool, data bool, current_tli int, current_lsn pg_lsn,
	promised_term bigint, promised_tli int, promised_lsn pg_lsn,
	stopped bigint, final pg_lsn, applied bigint, lease int,
	upstream bigint, is_streaming bool, writer_heard text, writer_heard_age bigint,
	failed int, rep_state text, doing text, done_so_far text, last_error text,
	attached jsonb, term_seen bigint = 0,
	out goal text, out goal_seq bigint, out term bigint, out epoch bigint,
	out planned bool, out target_lsn pg_lsn, out upstream_id bigint,
	out upstream_host text, out upstream_port int, out upstream_tli int,
	out gen bigint, out gen_k int, out names text, out lease_gen int,
	out lease_ms bigint, out peers_gen bigint, out priority int, out quorum bool,
	out formation text, out groupid int, out nodename text)
	language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
	matters bool;
	sync text := coalesce(nullif(rep_state, ''), 'unknown');
begin
	select * into n from pgautofailover.node where nodeid = node_id for no key update;
	if not found then
		if epoch_seen > 0 and pgautofailover.is_younger(node_id) then
			raise no_data_found using message = format('node %s is not known here yet', node_id);
		end if;
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	if n.session_pid <> pg_backend_pid() then
		perform pgautofailover.check_keeper(node_id);
	end if;
	if n.session_pid not in (0, pg_backend_pid())
		and exists (select from pg_stat_activity a where a.pid = n.session_pid)
	then
		raise object_not_in_prerequisite_state using
			message = format('another session reports for %s', pgautofailover.label(n));
	end if;

	matters := (n.reportedstate, n.pg, n.pg_retrying, n.has_data, n.promise_term,
			n.promise_tli, n.promise_lsn, n.stopped_term, n.final_lsn, n.applied_gen,
			n.lease_gen, n.upstream_id, n.streaming, n.heard, n.fails, n.seen_seq,
			n.seen_term, n.seen_epoch, n.reportedrepstate, n.session_pid)
		is distinct from
		(state, postgres, retrying, data, promised_term, promised_tli, promised_lsn,
			stopped, final, applied, lease, upstream, is_streaming, writer_heard,
			failed, goal_seen, term_seen, epoch_seen, sync, pg_backend_pid())
		or (current_tli > 0 and n.reportedtli <> current_tli)
		or n.error <> last_error
		or n.reporttime < now() - interval '1.5 s'
		or (n.peers is distinct from attached
			and jsonb_path_query_array(n.peers, '$[*].id') is distinct from
				jsonb_path_query_array(attached, '$[*].id'));
	-- a position is news only while an operation waits for one, or a standby catches up
	if not matters and n.reportedlsn <> current_lsn then
		select s.promoting or g.op_kind <> 'none' or n.goalstate = 'catchingup'
		  into matters
		  from pgautofailover.nodegroup g, pgautofailover.state s
		 where g.formationid = n.formationid and g.groupid = n.groupid
		   and s.name = n.goalstate;
	end if;
	if not matters then
		perform set_config('synchronous_commit', 'off', true);
	end if;

	update pgautofailover.node x set
		reportedstate = state, pg = postgres, pg_retrying = retrying, has_data = data,
		reportedpgisrunning = postgres in ('standby', 'rw'),
		pg_down_at = case when postgres in ('standby', 'rw') then null
			else coalesce(x.pg_down_at, now()) end,
		reportedtli = case when current_tli > 0 then current_tli else x.reportedtli end,
		reportedlsn = case when current_lsn > '0/0' then current_lsn else x.reportedlsn end,
		walreporttime = case when current_lsn > '0/0' then now() else x.walreporttime end,
		promise_term = promised_term, promise_tli = promised_tli, promise_lsn = promised_lsn,
		stopped_term = stopped, final_lsn = final, applied_gen = applied,
		lease_gen = lease, upstream_id = upstream, streaming = is_streaming,
		heard = writer_heard, heard_age = writer_heard_age, fails = failed,
		seen_seq = goal_seen, seen_term = term_seen, seen_epoch = epoch_seen,
		reportedrepstate = sync, peers = attached,
		act = doing, progress = done_so_far, error = last_error,
		replication_stall_since = case when state <> 'primary' or sync <> 'unknown' then null
			else coalesce(x.replication_stall_since, now()) end,
		reporttime = now(), report_seq = x.report_seq + 1, session_pid = pg_backend_pid(),
		state_at = case when x.reportedstate <> state then now() else x.state_at end,
		statechangetime = case when x.reportedstate <> state then now()
			else x.statechangetime end
	 where nodeid = node_id;

	if n.reportedstate <> state then
		perform pgautofailover.add_event(node_id, format('New state is reported by %s: "%s"%s',
			pgautofailover.label(n), state,
			case when state = 'report_lsn' then ' with LSN ' || current_lsn else '' end));
	end if;
	-- what it complains of without having failed at anything: its disk fills up
	if n.error <> last_error and n.fails = 0 and failed = 0 then
		perform pgautofailover.add_event(node_id, format('%s: %s%s',
			pgautofailover.label(n), case when last_error = '' then 'over: ' else '' end,
			coalesce(nullif(last_error, ''), n.error)));
	end if;
	if matters then
		perform pgautofailover.wake(n.formationid, n.groupid);
	end if;

	-- Read after the report was stored: the lock on the row puts that before or after a
	-- decision, never in the middle of one. peers_gen is another number whenever a node of
	-- the group comes, goes or moves.
	select me.goalstate, me.goal_seq, g.term, m.epoch, g.op_planned, g.op_target_lsn,
		coalesce(u.nodeid, 0), coalesce(u.nodehost, ''), coalesce(u.nodeport, 0),
		case when u.nodeid is null then 0
			when u.nodeid = g.writer and g.writer_tli > 0 then g.writer_tli
			else u.reportedtli end,
		coalesce(c.gen, 0), coalesce(c.k, 0), coalesce(c.names, ''), g.lease_gen,
		case when g.lease_gen % 2 = 0 then -1
			when g.op_revoked and me.nodeid in (g.op_old_writer, g.writer) then 0
			when me.nodeid = g.writer then g.lease_ms
			else -1 end,
		(select hashtextextended(string_agg(format('%s %s %s %s', o.nodeid, o.nodename,
				o.nodehost, o.nodeport), ',' order by o.nodeid), 0)
		   from pgautofailover.node o
		  where o.formationid = me.formationid and o.groupid = me.groupid
		    and (o.goalstate <> 'dropped' or o.nodeid = me.nodeid)),
		me.candidatepriority, me.replicationquorum, me.formationid, me.groupid, me.nodename
	  into goal, goal_seq, term, epoch, planned, target_lsn, upstream_id, upstream_host,
		upstream_port, upstream_tli, gen, gen_k, names, lease_gen, lease_ms, peers_gen,
		priority, quorum, formation, groupid, nodename
	  from pgautofailover.node me
	  join pgautofailover.nodegroup g
		on g.formationid = me.formationid and g.groupid = me.groupid
	 cross join pgautofailover.monitor m
	  left join pgautofailover.node u on u.nodeid <> me.nodeid and u.nodeid =
		case when me.goalstate = 'fast_forward' then g.op_source
			-- nobody, and that asks for its word: fsm/keeper.c, phases in fsm/monitor.c
			when me.goalstate = 'maintenance' and g.op_kind = 'elect'
				and g.op_phase = 2 and not g.op_planned then 0
			else g.writer end
	  left join lateral (
		select s.gen, s.k, s.names from pgautofailover.sync_config s
		 where s.formationid = g.formationid and s.groupid = g.groupid and s.k >= 0
		 order by s.gen desc limit 1) c on true
	 where me.nodeid = node_id;
end $$;

-- Until the end of the transaction nobody else adds a node to the formation.
create function pgautofailover.lock_formation(formation_id text) returns void
	language sql set search_path = pg_catalog, pg_temp as $$
	select pg_advisory_xact_lock(hashtextextended('pgautofailover ' || formation_id, 0))
$$;

-- A number that was not taken from the sequence: the sequence goes on above it. It never
-- goes back: the ids of removed nodes are in the names of slots and standbys.
create function pgautofailover.take_node_id(node_id bigint) returns void
	language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	if node_id >= (select last_value from pgautofailover.node_nodeid_seq) then
		perform setval('pgautofailover.node_nodeid_seq', node_id);
	end if;
end $$;

-- Numbers rise: who was removed has one that was known here, who came after this copy of
-- the tables was made has a higher one.
create function pgautofailover.is_younger(node_id bigint) returns bool
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select node_id > greatest((select max(nodeid) from pgautofailover.node),
		(select max(nodeid) from pgautofailover.event))
$$;

/*
 * A node that these tables do not know yet, because they are an older copy: it comes back
 * with its number, as what it is, if the others have the same data. Who had its name or
 * its address then, and has not been heard of since, is no more.
 */
create function pgautofailover.keeper_return(
	formation_id text, group_id int, node_id bigint, node_name text, node_host text,
	node_port int, sysidentifier bigint, state text, goal_seen bigint, priority int,
	quorum bool) returns void
	language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	g pgautofailover.nodegroup;
	follows bool;
begin
	perform pgautofailover.check_name('node name', node_name);
	perform pgautofailover.lock_formation(formation_id);
	select * into g from pgautofailover.nodegroup x
	 where x.formationid = formation_id and x.groupid = group_id;
	if not exists (select from pgautofailover.node n where n.formationid = formation_id
			and n.groupid = group_id and n.sysidentifier = keeper_return.sysidentifier)
		or not pgautofailover.is_younger(node_id)
	then
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	select s.standby and not s.promoting and not s.maintenance into follows
	  from pgautofailover.state s where s.name = state;
	delete from pgautofailover.node n
	 where (n.formationid = formation_id and n.nodename = node_name
			or n.nodehost = node_host and n.nodeport = node_port)
	   and n.reporttime < g.learned_at
	   and not exists (select from pg_stat_activity a where a.pid = n.session_pid);
	insert into pgautofailover.node (formationid, nodeid, groupid, nodename, nodehost, nodeport,
		sysidentifier, goalstate, reportedstate, candidatepriority, replicationquorum,
		has_data, goal_seq, reportedrepstate)
	values (formation_id, node_id, group_id, node_name, node_host, node_port,
		keeper_return.sysidentifier, case when follows then 'catchingup' else state end, state,
		priority, quorum, true, goal_seen + 1, 'unknown');
	insert into pgautofailover.node_key (nodeid, digest, address)
	values (node_id, pgautofailover.key_digest(split_part(current_setting('pgautofailover.node',
		true), ' ', 2)), inet_client_addr());
	perform pgautofailover.take_node_id(node_id);
	perform pgautofailover.add_event(node_id, format('%s is back: it came after this copy '
		'of the tables', pgautofailover.label(n))) from pgautofailover.node n where n.nodeid = node_id;
	perform pgautofailover.tell_others(node_id);
	perform pgautofailover.wake(formation_id, group_id);
end $$;

-- The others of a node's group, for slots and pg_hba.conf.
create function pgautofailover.keeper_peers(node_id bigint)
	returns table (id bigint, name text, host text, port int, lsn pg_lsn, goal text)
	language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select o.nodeid, o.nodename, o.nodehost, o.nodeport, o.reportedlsn, o.goalstate::text
	  from pgautofailover.node me
	  join pgautofailover.node o on o.formationid = me.formationid
		and o.groupid = me.groupid and o.nodeid <> me.nodeid
	 where me.nodeid = node_id and o.goalstate <> 'dropped'
	 order by o.nodeid
$$;

-- The report as older programs send it: what they do not say stays as it was.
create function pgautofailover.node_active(
	in formation_id text, in node_id bigint, in group_id int,
	in current_group_role pgautofailover.replication_state = 'init',
	in current_pg_is_running bool = true, in current_tli int = 1,
	in current_lsn pg_lsn = '0/0', in current_rep_state text = '',
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool)
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
	writes bool;
begin
	select * into n from pgautofailover.node where nodeid = node_id;
	if not found then
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	if n.formationid <> formation_id then
		raise invalid_object_definition using
			message = format('node %s does not belong to formation %s', node_id, formation_id);
	end if;
	select s.writable into writes from pgautofailover.state s where s.name = current_group_role;
	perform r.goal from pgautofailover.keeper_report(node_id, 0, n.goal_seq, current_group_role,
		case when not current_pg_is_running then 'down' when writes then 'rw' else 'standby' end,
		false, n.has_data or current_pg_is_running, current_tli, current_lsn,
		n.promise_term, n.promise_tli, n.promise_lsn, n.stopped_term, n.final_lsn,
		n.applied_gen, n.lease_gen, n.upstream_id, n.streaming, n.heard, n.heard_age, 0,
		current_rep_state, '', '', '', n.peers) r;
	select x.nodeid, x.groupid, x.goalstate, x.candidatepriority, x.replicationquorum
	  into assigned_node_id, assigned_group_id, assigned_group_state,
		assigned_candidate_priority, assigned_replication_quorum
	  from pgautofailover.node x where x.nodeid = node_id;
end $$;

-- Which group a new node belongs to; -1 was asked when it does not care.
create function pgautofailover.choose_group(f pgautofailover.formation, desired int, kind text)
	returns int
	language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	g int := 1;
	members int;
begin
	if f.kind = 'pgsql' or kind = 'coordinator' then
		return 0;
	end if;
	if desired >= 0 then
		return desired;
	end if;
	loop
		select count(*) into members from pgautofailover.node
		 where formationid = f.formationid and groupid = g and goalstate <> 'dropped';
		exit when members = 0 or (members = 1 and f.opt_secondary);
		g := g + 1;
	end loop;
	return g;
end $$;

-- Does a group that lives on refer to a node of this id, which is not there any more?
create function pgautofailover.is_referred_to(node_id bigint) returns bool
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select not exists (select from pgautofailover.node where nodeid = node_id)
		and exists (select from pgautofailover.nodegroup g
		 where exists (select from pgautofailover.node n
			 where n.formationid = g.formationid and n.groupid = g.groupid)
		   and (g.op_kind <> 'none' and node_id in (g.op_old_writer, g.op_candidate,
				g.op_preferred, g.op_excluded, g.op_source)
			or exists (select from pgautofailover.sync_config c
				 where c.formationid = g.formationid and c.groupid = g.groupid
				   and node_id = any (c.members))
			or exists (select from pgautofailover.request q
				 where q.formationid = g.formationid and q.groupid = g.groupid
				   and q.nodeid = node_id and q.outcome is null)))
$$;

create function pgautofailover.register_node(
	in formation_id text, in node_host text, in node_port int, in dbname name,
	in node_name text = '', in sysidentifier bigint = 0, in desired_node_id bigint = -1,
	in desired_group_id int = -1,
	in initial_group_role pgautofailover.replication_state = 'init',
	in node_kind text = 'standalone', in candidate_priority int = 100,
	in replication_quorum bool = true, in node_cluster text = 'default',
	in node_region text = 'default',
	out assigned_node_id bigint, out assigned_group_id int,
	out assigned_group_state pgautofailover.replication_state,
	out assigned_candidate_priority int, out assigned_replication_quorum bool,
	out assigned_node_name text)
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	f pgautofailover.formation;
	wanted_kind text := case when node_kind in ('coordinator', 'worker') then 'citus' else 'pgsql' end;
	where_it_is text := format('node %s:%s', node_host, node_port);
	empty bool;
	members int;
	letter text;
begin
	-- registrations of a formation go one by one; no decision waits for them
	perform pgautofailover.lock_formation(formation_id);
	select * into f from pgautofailover.formation where formationid = formation_id;
	if not found then
		raise invalid_object_definition using
			message = format('formation "%s" does not exist', formation_id),
			hint = 'Create it with: autoctl create formation';
	end if;
	perform pgautofailover.check_address(node_host, node_port);
	if node_name <> '' then
		perform pgautofailover.check_name('node name', node_name);
	end if;
	if desired_node_id < 1 and desired_node_id <> -1 then
		raise invalid_parameter_value using
			message = format('invalid node id %s', desired_node_id);
	elsif pgautofailover.is_referred_to(desired_node_id) then
		raise object_in_use using message = format('node id %s is that of a node that was '
				'removed, and an operation still refers to it', desired_node_id),
			hint = 'Retry in a moment, or let the monitor choose an id.';
	end if;
	-- who has built nothing yet, and whose keeper is gone, is the same node when it comes
	-- again: the answer to its first registration was lost
	select n.nodeid, n.groupid, n.goalstate, n.candidatepriority, n.replicationquorum, n.nodename
	  into assigned_node_id, assigned_group_id, assigned_group_state,
		assigned_candidate_priority, assigned_replication_quorum, assigned_node_name
	  from pgautofailover.node n
	 where n.formationid = formation_id and n.nodename = node_name
	   and n.nodehost = node_host and n.nodeport = node_port
	   and n.reportedstate in ('init', 'wait_standby') and not n.has_data
	   and n.goalstate <> 'dropped'
	   and not exists (select from pg_stat_activity a where a.pid = n.session_pid);
	if found then
		delete from pgautofailover.node_key where nodeid = assigned_node_id;
		insert into pgautofailover.node_key (nodeid, address)
		values (assigned_node_id, inet_client_addr());
		return;
	end if;
	empty := not exists (select from pgautofailover.node where formationid = formation_id);
	if f.kind <> wanted_kind or f.dbname <> dbname then
		if not empty and f.kind <> wanted_kind then
			raise internal_error using message = format(
				'%s of kind "%s" can not be registered in formation "%s" of kind "%s"',
				where_it_is, node_kind, formation_id, f.kind);
		elsif not empty then
			raise internal_error using message = format('%s with dbname "%s" can not be '
				'registered in formation "%s" which expects dbname "%s"',
				where_it_is, dbname, formation_id, f.dbname);
		end if;
		update pgautofailover.formation x set kind = wanted_kind, dbname = register_node.dbname
		 where x.formationid = formation_id returning * into f;
	end if;
	if f.kind = 'pgsql' and desired_group_id > 0 then
		raise internal_error using message = format(
			'%s can not be registered in group %s in formation "%s" of type pgsql',
			where_it_is, desired_group_id, formation_id);
	end if;
	if candidate_priority not between 0 and 100 then
		raise invalid_parameter_value using message = format('invalid value for '
			'candidate_priority "%s" expected an integer value between 0 and 100',
			candidate_priority);
	end if;
	assigned_group_id := pgautofailover.choose_group(f, desired_group_id, node_kind);

	select count(*) into members from pgautofailover.node
	 where formationid = formation_id and groupid = assigned_group_id;
	perform from pgautofailover.node where formationid = formation_id
		and groupid = assigned_group_id and goalstate <> 'dropped';
	if found then
		if not f.opt_secondary then
			raise object_not_in_prerequisite_state using
				message = format('Formation "%s" does not allow secondary nodes', formation_id),
				hint = 'Allow them with: autoctl enable secondary';
		end if;
		if initial_group_role <> 'init' then
			raise internal_error using message = format('%s can not be registered in state %s, '
				'it should be in state %s', where_it_is, initial_group_role, 'wait_standby');
		end if;
	elsif candidate_priority = 0 then
		raise object_in_use using
			message = format('there is no primary in formation "%s", group %s, and a node '
				'with candidate priority zero cannot be the first one', formation_id,
				assigned_group_id),
			hint = 'Register the primary first, then retry.';
	end if;

	if desired_node_id <> -1 then
		assigned_node_id := desired_node_id;
	else
		assigned_node_id := nextval('pgautofailover.node_nodeid_seq');
	end if;
	letter := chr(97 + members % 26);
	assigned_node_name := case when node_name <> '' then node_name
		when node_kind = 'coordinator' then 'coord0' || letter
		when node_kind = 'worker' then 'worker' || assigned_group_id || letter
		else 'node_' || assigned_node_id end;

	insert into pgautofailover.nodegroup (formationid, groupid)
	values (formation_id, assigned_group_id) on conflict do nothing;
	insert into pgautofailover.node (formationid, nodeid, groupid, nodename, nodehost, nodeport,
		sysidentifier, goalstate, reportedstate, reportedpgisrunning, candidatepriority,
		replicationquorum, nodecluster, region, has_data, reportedrepstate)
	values (formation_id, assigned_node_id, assigned_group_id, assigned_node_name, node_host,
		node_port, nullif(register_node.sysidentifier, 0), 'init', initial_group_role,
		initial_group_role <> 'init', candidate_priority, replication_quorum, node_cluster,
		node_region, register_node.sysidentifier <> 0, 'unknown');
	perform pgautofailover.take_node_id(desired_node_id);
	insert into pgautofailover.node_key (nodeid, address)
	values (assigned_node_id, inet_client_addr());

	assigned_group_state := 'init';
	assigned_candidate_priority := candidate_priority;
	assigned_replication_quorum := replication_quorum;
	perform pg_notify('log', format('Registering node %s "%s" (%s:%s) to formation "%s" with '
		'replication quorum %s and candidate priority %s', assigned_node_id,
		assigned_node_name, node_host, node_port, formation_id, replication_quorum,
		candidate_priority));
	perform pgautofailover.tell_others(assigned_node_id);
	perform pgautofailover.wake(formation_id, assigned_group_id);
end $$;

-- The keepers of a node's group are to look again: somebody came, went or moved.
create function pgautofailover.tell_others(node_id bigint) returns void
	language sql set search_path = pg_catalog, pg_temp as $$
	select pg_notify('pgautofailover_goal', o.nodeid::text)
	  from pgautofailover.node me
	  join pgautofailover.node o on o.formationid = me.formationid
		and o.groupid = me.groupid and o.nodeid <> me.nodeid
	 where me.nodeid = node_id
$$;

create function pgautofailover.set_node_system_identifier(
	inout node_id bigint, in node_sysidentifier bigint,
	out node_name text, out node_host text, out node_port int)
	returns record language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_keeper(node_id);
	update pgautofailover.node n set sysidentifier = node_sysidentifier
	 where n.nodeid = node_id
	returning n.nodeid, n.nodename, n.nodehost, n.nodeport
	  into node_id, node_name, node_host, node_port;
end $$;

-- Only rows that came from an old version and have 0, and only those of the caller's group.
create function pgautofailover.set_group_system_identifier(
	in group_id bigint, in node_sysidentifier bigint,
	out node_id bigint, out node_name text, out node_host text, out node_port int)
	returns setof record language sql strict security definer
	set search_path = pg_catalog, pg_temp as $$
	update pgautofailover.node n set sysidentifier = node_sysidentifier
	 where n.groupid = group_id and n.sysidentifier = 0
	   and (pgautofailover.is_owner() or pgautofailover.speaks_for(n.formationid, n.groupid))
	returning nodeid, nodename, nodehost, nodeport
$$;

create function pgautofailover.update_node_metadata(
	node_id bigint, node_name text, node_host text, node_port int)
	returns bool language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	if node_id is null then
		raise null_value_not_allowed using message = 'a node id is required';
	end if;
	perform pgautofailover.check_name('node name', node_name);
	perform pgautofailover.check_address(node_host, node_port);
	if pgautofailover.is_own(node_id) is not true then
		perform pgautofailover.check_operator(x.formationid, x.groupid)
		   from pgautofailover.node x where x.nodeid = node_id;
	end if;
	select * into n from pgautofailover.node where nodeid = node_id;
	if not found then
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	-- keepers say it at every start
	if (coalesce(node_name, n.nodename), coalesce(node_host, n.nodehost),
		coalesce(node_port, n.nodeport)) = (n.nodename, n.nodehost, n.nodeport)
	then
		return true;
	end if;
	update pgautofailover.node set nodename = coalesce(node_name, nodename),
		nodehost = coalesce(node_host, nodehost), nodeport = coalesce(node_port, nodeport)
	 where nodeid = node_id returning * into n;
	perform pgautofailover.add_event(node_id, format('%s has new metadata', pgautofailover.label(n)));
	perform pgautofailover.tell_others(node_id);
	perform pgautofailover.wake(n.formationid, n.groupid);
	return true;
end $$;

create function pgautofailover.report_postgres_version(
	node_id bigint, pg_versionnum int = null, pg_version text = null,
	pg_versionstring text = null, citus_version text = null)
	returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_keeper(node_id);
	update pgautofailover.node n set pg_versionnum = $2, pg_version = $3,
		pg_versionstring = $4, citus_version = $5
	 where n.nodeid = $1;
end $$;

create function pgautofailover.report_timeline_history(node_id bigint, history jsonb)
	returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_keeper(node_id);
	insert into pgautofailover.node_timeline_history (nodeid, tli, parenttli, switchpoint_lsn)
	select node_id, h.tli, h.parenttli, h.switchpoint
	  from jsonb_to_recordset(history) as h (tli int, parenttli int, switchpoint pg_lsn)
	on conflict do nothing;
	if found then
		perform pgautofailover.wake(n.formationid, n.groupid)
		   from pgautofailover.node n where n.nodeid = node_id;
	end if;
end $$;
