-- What operators call: refuse what one look at the tables can refuse, then record a request
-- or a setting; the monitor process decides.

-- As the monitor process reads the setting: a session could set it for itself.
create function pgautofailover.node_operations() returns bool
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select coalesce((select value::bool from pgautofailover.setting
			where name = 'node_operations'),
		(select bool_and(node_operations) from pgautofailover.monitor))
$$;

-- May nodes ask for anything at all? The owner of the schema always may.
create function pgautofailover.check_node_operations() returns void
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
	if not pgautofailover.is_owner() and not pgautofailover.node_operations() then
		raise insufficient_privilege using
			message = format('role "%s" may not do that here', session_user),
			hint = 'The setting pgautofailover.node_operations is off.';
	end if;
end $$;

-- Commands that run on a data node come as autoctl_node. They may ask for what concerns
-- their own group, if node_operations is on.
create function pgautofailover.check_operator(formation_id text, group_id int) returns void
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_node_operations();
	if not pgautofailover.is_owner()
		and not pgautofailover.speaks_for(formation_id, group_id)
	then
		raise insufficient_privilege using
			message = format('role "%s" may not do that: this session does not belong to a node '
				'of the group', session_user),
			hint = 'Run the command of autoctl on a node of the group or on the monitor''s '
				'host, or connect as the owner of the schema.';
	end if;
end $$;

-- As long as a formation is empty any node will do.
create function pgautofailover.check_formation_operator(formation_id text) returns void
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select pgautofailover.check_operator((select formationid from pgautofailover.node
		 where formationid = formation_id limit 1), null)
$$;

-- A node with what its states mean.
create view pgautofailover.node_status as
	select n.*, r.writable and g.writable as is_writer, n.reportedstate = n.goalstate as stable,
		g.maintenance as in_maintenance, g.standby as is_standby, r.standby as was_standby,
		pgautofailover.label(n.*::pgautofailover.node) as label
	  from pgautofailover.node n
	  join pgautofailover.state r on r.name = n.reportedstate
	  join pgautofailover.state g on g.name = n.goalstate
	 where n.goalstate <> 'dropped';

-- A keeper that is told to stop may always ask to be let go, and to come back.
create function pgautofailover.check_maintenance(n pgautofailover.node_status) returns void
	language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
	if pgautofailover.is_own(n.nodeid) is not true then
		perform pgautofailover.check_operator(n.formationid, n.groupid);
	end if;
end $$;

-- The session's setting pgautofailover.request tells the caller which row to wait for.
create function pgautofailover.add_request(
	formation_id text, group_id int, what text, node_id bigint = 0, forced bool = false)
	returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	id bigint;
begin
	insert into pgautofailover.request (formationid, groupid, kind, nodeid, allow_loss, force)
	values (formation_id, group_id, what, node_id, not pgautofailover.guard_data_loss(), forced)
	returning requestid into id;
	perform set_config('pgautofailover.request', id::text, false);
	perform pgautofailover.wake(formation_id, group_id);
end $$;

-- By whoever asked and does not want to wait any longer: nothing may happen later that
-- nobody expects any more. False: it has been decided.
create function pgautofailover.withdraw_request(request_id bigint) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_operator(q.formationid, q.groupid)
	   from pgautofailover.request q where q.requestid = request_id;
	update pgautofailover.request set outcome = 'refused', sqlstate = '57014',
		message = 'withdrawn: it was not decided in time', decided_at = now()
	 where requestid = request_id and outcome is null;
	return found;
end $$;

create function pgautofailover.no_request() returns void
	language sql set search_path = pg_catalog, pg_temp as $$
	select set_config('pgautofailover.request', '', false)
$$;

create function pgautofailover.perform_failover(formation_id text = 'default', group_id int = 0)
	returns void language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	members int;
	waits bool;
	writer pgautofailover.node_status;
	other pgautofailover.node_status;
begin
	perform pgautofailover.check_operator(formation_id, group_id);
	select count(*) into members from pgautofailover.node_status
	 where formationid = formation_id and groupid = group_id;
	-- one in progress may wait for the permission that comes with this request
	select op_kind <> 'none' and not op_planned into waits from pgautofailover.nodegroup
	 where formationid = formation_id and groupid = group_id;
	if members < 2 and waits is not true then
		raise internal_error using message = format('cannot fail over: group %s in formation %s '
			'currently has %s node registered', group_id, formation_id, members);
	end if;
	select * into writer from pgautofailover.node_status
	 where formationid = formation_id and groupid = group_id and is_writer
	 order by nodeid limit 1;
	if not found then
		perform from pgautofailover.node_status
		 where formationid = formation_id and groupid = group_id
		   and reportedstate = 'report_lsn';
		if not found then
			raise internal_error using message = format('couldn''t find the primary node in '
				'formation "%s", group %s', formation_id, group_id);
		end if;
	elsif members = 2 and waits is not true and pgautofailover.guard_data_loss() then
		select * into other from pgautofailover.node_status
		 where formationid = formation_id and groupid = group_id and nodeid <> writer.nodeid;
		if other.candidatepriority = 0 then
			raise internal_error using message = format('cannot fail over: standby %s has '
				'candidate priority set to zero', other.label);
		elsif not (other.is_standby and other.was_standby) then
			raise internal_error using message = format('cannot fail over: standby %s is in state '
				'"%s", which prevents the node for being a failover candidate', other.label,
				other.reportedstate);
		elsif not (writer.stable and other.stable) then
			raise internal_error using message = 'cannot fail over: primary node is not in a '
				'stable state';
		end if;
	end if;
	perform pgautofailover.add_request(formation_id, group_id, 'failover');
end $$;

create function pgautofailover.perform_promotion(formation_id text, node_name text)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node_status;
begin
	select * into n from pgautofailover.node_status
	 where formationid = formation_id and nodename = node_name;
	if not found then
		raise undefined_object using message = format('node "%s" is not registered in formation '
			'"%s"', node_name, formation_id);
	end if;
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	if n.is_writer then
		perform pgautofailover.no_request();
		raise notice using errcode = 'object_not_in_prerequisite_state', message = format(
			'cannot perform promotion: node %s in formation %s is already a primary.',
			node_name, formation_id);
		return false;
	end if;
	-- who allows loss may have to make do with one that had not caught up
	if not (n.stable and n.goalstate in ('secondary', 'report_lsn'))
		and pgautofailover.guard_data_loss()
	then
		raise object_not_in_prerequisite_state using message = format('cannot perform promotion: '
			'node %s in formation %s has reported state "%s" and assigned state "%s"',
			node_name, formation_id, n.reportedstate, n.goalstate);
	end if;
	perform pgautofailover.add_request(formation_id, n.groupid, 'promotion', n.nodeid);
	return true;
end $$;

create function pgautofailover.start_maintenance(node_id bigint) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node_status;
	f pgautofailover.formation;
	candidates int;
	remaining int;
begin
	perform pgautofailover.no_request();
	select * into n from pgautofailover.node_status where nodeid = node_id;
	if not found then
		return false;
	end if;
	perform pgautofailover.check_maintenance(n);
	if n.in_maintenance then
		return true;
	end if;
	select * into f from pgautofailover.formation where formationid = n.formationid;
	select count(*) filter (where o.stable and o.is_standby and o.candidatepriority > 0
			and o.health <> 0 and o.reportedpgisrunning),
		count(*) filter (where o.is_standby and o.replicationquorum and o.health <> 0)
	  into candidates, remaining
	  from pgautofailover.node_status o
	 where o.formationid = n.formationid and o.groupid = n.groupid and o.nodeid <> n.nodeid;
	if n.is_writer then
		if not n.stable then
			raise object_not_in_prerequisite_state using message = format('cannot start '
				'maintenance: current state for %s is "%s" and its goal is "%s"', n.label,
				n.reportedstate, n.goalstate);
		elsif candidates = 0 then
			raise object_not_in_prerequisite_state using
				message = format('Starting maintenance on %s in state "%s" is not currently '
					'possible', n.label, n.reportedstate),
				detail = 'there are 0 healthy candidate nodes';
		end if;
	elsif not n.was_standby then
		raise object_not_in_prerequisite_state using message = format('cannot start maintenance: '
			'%s has reported state "%s" and assigned state "%s"', n.label, n.reportedstate,
			n.goalstate);
	elsif f.number_sync_standbys > 0 and remaining < f.number_sync_standbys then
		raise warning using errcode = 'object_not_in_prerequisite_state', message = format(
			'Starting maintenance on %s will block writes on the primary', n.label),
			detail = format('number_sync_standbys is %s, %s healthy quorum standbys remain',
				f.number_sync_standbys, remaining);
	end if;
	perform pgautofailover.add_request(n.formationid, n.groupid, 'maintenance_on', n.nodeid);
	return true;
end $$;

create function pgautofailover.stop_maintenance(node_id bigint) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node_status;
begin
	perform pgautofailover.no_request();
	select * into n from pgautofailover.node_status where nodeid = node_id;
	if not found then
		return false;
	end if;
	perform pgautofailover.check_maintenance(n);
	if not (n.in_maintenance and n.stable) then
		raise object_not_in_prerequisite_state using message = format('cannot stop maintenance '
			'when current state for %s is not "maintenance"', n.label),
			detail = format('its reported state is "%s", its assigned state "%s"',
				n.reportedstate, n.goalstate);
	end if;
	perform pgautofailover.add_request(n.formationid, n.groupid, 'maintenance_off', n.nodeid);
	return true;
end $$;

create function pgautofailover.remove_node(node_id bigint, force bool = false) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	select * into n from pgautofailover.node where nodeid = node_id;
	if not found then
		raise undefined_object using message = format('couldn''t find node with nodeid %s', node_id);
	end if;
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	perform pgautofailover.add_request(n.formationid, n.groupid, 'remove', n.nodeid, force);
	return true;
end $$;

create function pgautofailover.remove_node(
	node_host text, node_port int = 5432, force bool = false) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	select * into n from pgautofailover.node
	 where nodehost = node_host and nodeport = node_port;
	if not found then
		raise undefined_object using message = format('couldn''t find node with hostname "%s" and '
			'port %s', node_host, node_port);
	end if;
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	perform pgautofailover.add_request(n.formationid, n.groupid, 'remove', n.nodeid, force);
	return true;
end $$;

-- The node of that name, or the error that every setter of a node gives.
create function pgautofailover.named_node(formation_id text, node_name text)
	returns pgautofailover.node language plpgsql stable
	set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	select * into n from pgautofailover.node
	 where formationid = formation_id and nodename = node_name;
	if not found then
		raise undefined_object using message = format('node "%s" is not registered in formation '
			'"%s"', node_name, formation_id);
	end if;
	return n;
end $$;

-- A setting that the primary takes over through the state apply_settings.
create function pgautofailover.settings_changed(n pgautofailover.node, text) returns void
	language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	update pgautofailover.nodegroup set dirty = true
	 where formationid = n.formationid and groupid = n.groupid;
	perform pgautofailover.add_event(n.nodeid, $2);
	perform pgautofailover.wake(n.formationid, n.groupid);
end $$;

create function pgautofailover.check_not_applying(n pgautofailover.node, what text)
	returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
	p pgautofailover.node_status;
begin
	select * into p from pgautofailover.node_status s
	 where s.formationid = n.formationid and s.groupid = n.groupid
	   and s.reportedstate = 'apply_settings' and s.stable;
	if found then
		raise object_not_in_prerequisite_state using message = format('cannot set %s when current '
			'state for primary %s is "apply_settings"', what, p.label);
	end if;
end $$;

create function pgautofailover.set_node_candidate_priority(
	formation_id text, node_name text, candidate_priority int)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	n := pgautofailover.named_node(formation_id, node_name);
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	if candidate_priority not between 0 and 100 then
		raise invalid_parameter_value using message = format('invalid value for '
			'candidate_priority "%s" expected an integer value between 0 and 100',
			candidate_priority);
	elsif n.nodecluster <> 'default' and candidate_priority <> 0 then
		raise invalid_parameter_value using message = 'invalid value for candidate_priority: '
			'read-replica nodes in a citus cluster must always have candidate priority '
			'set to zero';
	end if;
	perform pgautofailover.check_not_applying(n, 'candidate priority');
	update pgautofailover.node set candidatepriority = candidate_priority
	 where nodeid = n.nodeid;
	if candidate_priority = 0 and (select count(*) from pgautofailover.node_status o
		where o.formationid = n.formationid and o.groupid = n.groupid
		  and o.candidatepriority > 0) < 2
	then
		raise notice 'setting candidate priority to zero, preventing automated failover';
	end if;
	perform pgautofailover.settings_changed(n, format(
		'Setting candidate priority to %s for %s', candidate_priority,
		pgautofailover.label(n)));
	return true;
end $$;

create function pgautofailover.set_node_replication_quorum(
	formation_id text, node_name text, replication_quorum bool)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
	nss int;
	members int;
begin
	n := pgautofailover.named_node(formation_id, node_name);
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	perform pgautofailover.check_not_applying(n, 'replication quorum');
	select number_sync_standbys into nss from pgautofailover.formation
	 where formationid = formation_id;
	select count(*) into members from pgautofailover.node_status o
	 where o.formationid = n.formationid and o.groupid = n.groupid and o.nodeid <> n.nodeid
	   and o.replicationquorum and not o.is_writer;
	if not replication_quorum and nss > 0 and members < nss + 1 then
		raise invalid_parameter_value using message = 'can''t set replication quorum to false',
			detail = format('At least %s standby nodes are required in formation %s with '
				'number_sync_standbys = %s, and only %s would be participating in the '
				'replication quorum', nss + 1, formation_id, nss, members);
	end if;
	update pgautofailover.node set replicationquorum = replication_quorum
	 where nodeid = n.nodeid;
	perform pgautofailover.settings_changed(n, format(
		'Setting replication quorum to %s for %s', replication_quorum,
		pgautofailover.label(n)));
	return true;
end $$;

create function pgautofailover.set_node_region(formation_id text, node_name text, region text)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	n pgautofailover.node;
begin
	n := pgautofailover.named_node(formation_id, node_name);
	perform pgautofailover.check_operator(n.formationid, n.groupid);
	if region = '' then
		raise invalid_parameter_value using
			message = 'invalid value for region: expected a non-empty string';
	end if;
	update pgautofailover.node x set region = set_node_region.region where nodeid = n.nodeid;
	perform pgautofailover.add_event(n.nodeid, format('Setting region to "%s" for %s', region,
		pgautofailover.label(n)));
	return true;
end $$;

create function pgautofailover.set_formation_number_sync_standbys(
	formation_id text, number_sync_standbys int)
	returns bool language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	p pgautofailover.node_status;
	members int;
begin
	perform pgautofailover.check_operator(formation_id, null);
	perform from pgautofailover.formation where formationid = formation_id;
	if not found then
		raise invalid_parameter_value using message = format('unknown formation "%s"', formation_id);
	elsif number_sync_standbys < 0 then
		raise invalid_parameter_value using message = format('invalid value for '
			'number_sync_standbys: "%s"', number_sync_standbys),
			detail = 'a non-negative integer is expected';
	end if;
	select * into p from pgautofailover.node_status
	 where formationid = formation_id and groupid = 0 and is_writer order by nodeid limit 1;
	if not found then
		raise internal_error using message = format('Couldn''t find the primary node in formation '
			'"%s", group 0', formation_id);
	elsif not p.stable or p.reportedstate not in ('primary', 'wait_primary', 'single') then
		raise object_not_in_prerequisite_state using message = format('cannot set '
			'number_sync_standbys when current goal state for primary %s is "%s"', p.label,
			p.goalstate),
			detail = format('its reported state is "%s"', p.reportedstate);
	end if;
	select count(*) into members from pgautofailover.node_status
	 where formationid = formation_id and groupid = 0 and nodeid <> p.nodeid
	   and replicationquorum;
	if number_sync_standbys > 0 and members < number_sync_standbys + 1 then
		raise invalid_parameter_value using message = format('invalid value for '
			'number_sync_standbys: "%s"', number_sync_standbys),
			detail = format('at least %s standby nodes are required, there are %s',
				number_sync_standbys + 1, members);
	end if;
	update pgautofailover.formation f
	   set number_sync_standbys = set_formation_number_sync_standbys.number_sync_standbys
	 where f.formationid = formation_id;
	update pgautofailover.nodegroup set dirty = true where formationid = formation_id;
	perform pgautofailover.add_event(p.nodeid, format('Setting number_sync_standbys to %s for '
		'formation "%s"', number_sync_standbys, formation_id));
	perform pgautofailover.wake(formation_id, groupid)
	   from pgautofailover.nodegroup where formationid = formation_id;
	return true;
end $$;

-- By whoever is about to register the first node of it.
create function pgautofailover.create_formation(
	inout formation_id text, inout kind text, inout dbname name, inout opt_secondary bool,
	inout number_sync_standbys int)
	returns record language plpgsql strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_node_operations();
	perform pgautofailover.check_name('formation name', formation_id);
	insert into pgautofailover.formation
	values (formation_id, kind, dbname, opt_secondary, number_sync_standbys);
end $$;

create function pgautofailover.drop_formation(formation_id text) returns void
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_formation_operator(formation_id);
	delete from pgautofailover.formation where formationid = formation_id;
	if not found then
		raise internal_error using message = format('couldn''t find formation "%s"', formation_id);
	end if;
end $$;

create function pgautofailover.enable_secondary(formation_id text) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_formation_operator(formation_id);
	update pgautofailover.formation set opt_secondary = true where formationid = formation_id;
	return found;
end $$;

create function pgautofailover.disable_secondary(formation_id text) returns bool
	language plpgsql strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_formation_operator(formation_id);
	update pgautofailover.formation set opt_secondary = false where formationid = formation_id;
	return found;
end $$;

create function pgautofailover.update_secondary_check() returns trigger
	language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
	if old.opt_secondary and not new.opt_secondary and exists (
		select from pgautofailover.node n
		 where n.formationid = new.formationid and n.goalstate <> 'dropped'
		   and n.reportedstate <> 'single')
	then
		raise object_not_in_prerequisite_state using
			message = 'formation has nodes that are not in SINGLE state';
	end if;
	return new;
end $$;

create trigger disable_secondary_check before update on pgautofailover.formation
	for each row execute function pgautofailover.update_secondary_check();

create function pgautofailover.accept_timeline(
	formation_id text, group_id int, target_tli int, decided_by text = null)
	returns bool language plpgsql security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_operator(formation_id, group_id);
	perform from pgautofailover.node n
	  left join pgautofailover.node_timeline_history h on h.nodeid = n.nodeid
	 where n.formationid = formation_id and n.groupid = group_id
	   and target_tli in (n.reportedtli, h.tli, h.parenttli);
	if not found then
		raise internal_error using message = format('timeline %s has never been reported by any '
			'node in formation "%s" group %s', target_tli, formation_id, group_id);
	end if;
	update pgautofailover.accepted_timeline set resolved_at = now()
	 where formationid = formation_id and groupid = group_id and resolved_at is null;
	insert into pgautofailover.accepted_timeline (formationid, groupid, accepted_tli, decided_by)
	values (formation_id, group_id, target_tli, decided_by);
	perform pgautofailover.wake(formation_id, group_id);
	return true;
end $$;

create function pgautofailover.resolve_accepted_timeline(formation_id text, group_id int)
	returns bool language plpgsql security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform pgautofailover.check_operator(formation_id, group_id);
	update pgautofailover.accepted_timeline set resolved_at = now()
	 where formationid = formation_id and groupid = group_id and resolved_at is null;
	perform pgautofailover.wake(formation_id, group_id);
	return true;
end $$;

-- The rule table as edges, and those of it that a keeper's table lacks.
create function pgautofailover.dump_fsm() returns setof pgautofailover.fsm
	language sql stable security definer set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.fsm order by pos
$$;
