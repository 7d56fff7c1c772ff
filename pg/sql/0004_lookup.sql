-- Questions: who is where, in which state, with which settings.

-- May elections lose acknowledged writes? The session's word, then the database's.
create function pgautofailover.guard_data_loss() returns bool
	language sql stable set search_path = pg_catalog, pg_temp as $$
	select coalesce(nullif(current_setting('pgautofailover.guard_data_loss', true), ''),
		(select value from pgautofailover.setting where name = 'guard_data_loss'), 'on')::bool
$$;

create function pgautofailover.get_nodes(
	in formation_id text = 'default', in group_id int = null,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language sql stable security definer
	set search_path = pg_catalog, pg_temp as $$
	select n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn, s.writable
	  from pgautofailover.node n
	  join pgautofailover.state s on s.name = n.reportedstate
	 where n.formationid = formation_id and (group_id is null or n.groupid = group_id)
	 order by n.groupid, n.nodeid
$$;

create function pgautofailover.get_primary(
	in formation_id text = 'default', in group_id int = 0,
	out primary_node_id bigint, out primary_name text, out primary_host text,
	out primary_port int)
	language plpgsql stable strict security definer set search_path = pg_catalog, pg_temp as $$
begin
	select n.nodeid, n.nodename, n.nodehost, n.nodeport
	  into primary_node_id, primary_name, primary_host, primary_port
	  from pgautofailover.node n
	  join pgautofailover.state s on s.name = n.goalstate
	 where n.formationid = formation_id and n.groupid = group_id
	   and (s.writable or s.was_writable)
	 order by s.writable desc, n.nodeid
	 limit 1;
	if not found then
		raise internal_error using message = 'group has no writable node right now';
	end if;
end $$;

create function pgautofailover.get_other_nodes(
	in nodeid bigint, in current_state pgautofailover.replication_state,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language plpgsql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
begin
	perform from pgautofailover.node n where n.nodeid = get_other_nodes.nodeid;
	if not found then
		raise undefined_object using message = format('node %s is not registered', nodeid);
	end if;
	return query
	select o.nodeid, o.nodename, o.nodehost, o.nodeport, o.reportedlsn, s.writable
	  from pgautofailover.node me
	  join pgautofailover.node o on o.formationid = me.formationid
		and o.groupid = me.groupid and o.nodeid <> me.nodeid
	  join pgautofailover.state s on s.name = o.reportedstate
	 where me.nodeid = get_other_nodes.nodeid
	   and o.goalstate <> 'dropped'
	   and (current_state = '' or o.goalstate = current_state)
	 order by o.nodeid;
end $$;

create function pgautofailover.get_other_nodes(
	in nodeid bigint,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from pgautofailover.get_other_nodes(nodeid, '')
$$;

create function pgautofailover.get_coordinator(
	in formation_id text = 'default', out node_host text, out node_port int)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select n.nodehost, n.nodeport
	  from pgautofailover.node n
	  join pgautofailover.state r on r.name = n.reportedstate and r.writable
	  join pgautofailover.state g on g.name = n.goalstate and g.writable
	 where n.formationid = formation_id and n.groupid = 0
$$;

create function pgautofailover.get_most_advanced_standby(
	in formationid text = 'default', in groupid int = 0, in caller_node_id bigint = 0,
	out node_id bigint, out node_name text, out node_host text, out node_port int,
	out node_lsn pg_lsn, out node_is_primary bool)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select n.nodeid, n.nodename, n.nodehost, n.nodeport, n.reportedlsn, false
	  from pgautofailover.node n
	 where n.formationid = $1 and n.groupid = $2 and n.nodeid <> $3
	   and n.reportedstate = 'report_lsn'
	   and (n.health > 0 or pgautofailover.guard_data_loss())
	 order by n.reportedlsn desc, n.health desc
	 limit 1
$$;

create function pgautofailover.current_state(
	in formation_id text = 'default',
	out formation_kind text, out nodename text, out nodehost text, out nodeport int,
	out group_id int, out node_id bigint,
	out current_group_state pgautofailover.replication_state,
	out assigned_group_state pgautofailover.replication_state,
	out candidate_priority int, out replication_quorum bool, out reported_tli int,
	out reported_lsn pg_lsn, out health int, out nodecluster text, out noderegion text)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select f.kind, n.nodename, n.nodehost, n.nodeport, n.groupid, n.nodeid,
		n.reportedstate, n.goalstate, n.candidatepriority, n.replicationquorum,
		n.reportedtli, n.reportedlsn, n.health, n.nodecluster, n.region
	  from pgautofailover.node n
	  join pgautofailover.formation f on f.formationid = n.formationid
	 where n.formationid = $1
	 order by n.groupid, n.nodeid
$$;

create function pgautofailover.current_state(
	in formation_id text, in group_id int,
	out formation_kind text, out nodename text, out nodehost text, out nodeport int,
	out group_id int, out node_id bigint,
	out current_group_state pgautofailover.replication_state,
	out assigned_group_state pgautofailover.replication_state,
	out candidate_priority int, out replication_quorum bool, out reported_tli int,
	out reported_lsn pg_lsn, out health int, out nodecluster text, out noderegion text)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select f.kind, n.nodename, n.nodehost, n.nodeport, n.groupid, n.nodeid,
		n.reportedstate, n.goalstate, n.candidatepriority, n.replicationquorum,
		n.reportedtli, n.reportedlsn, n.health, n.nodecluster, n.region
	  from pgautofailover.node n
	  join pgautofailover.formation f on f.formationid = n.formationid
	 where n.formationid = $1 and n.groupid = $2
	 order by n.groupid, n.nodeid
$$;

create function pgautofailover.last_events(count int = 10)
	returns setof pgautofailover.event language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from (select * from pgautofailover.event
		 order by eventid desc limit $1) e
	 order by eventtime, eventid
$$;

create function pgautofailover.last_events(formation_id text = 'default', count int = 10)
	returns setof pgautofailover.event language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from (select * from pgautofailover.event
		 where formationid = $1 order by eventid desc limit $2) e
	 order by eventtime, eventid
$$;

create function pgautofailover.last_events(formation_id text, group_id int, count int = 10)
	returns setof pgautofailover.event language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select * from (select * from pgautofailover.event
		 where formationid = $1 and groupid = $2 order by eventid desc limit $3) e
	 order by eventtime, eventid
$$;

-- What the primary has, or is about to have: the wanted configuration.
create function pgautofailover.synchronous_standby_names(
	formation_id text = 'default', group_id int = 0)
	returns text language plpgsql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
declare
	wanted text;
begin
	perform from pgautofailover.node
	 where formationid = formation_id and groupid = group_id;
	if not found then
		raise invalid_object_definition using message =
			format('no nodes found in group %s of formation "%s"', group_id, formation_id);
	end if;
	select names into wanted from pgautofailover.sync_config
	 where formationid = formation_id and groupid = group_id
	 order by gen desc limit 1;
	return coalesce(wanted, '');
end $$;

create function pgautofailover.formation_settings(
	in formation_id text = 'default',
	out context text, out group_id int, out node_id bigint, out nodename text,
	out setting text, out value text)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select 'formation', null::int, null::bigint, f.formationid, 'number_sync_standbys',
		f.number_sync_standbys::text
	  from pgautofailover.formation f where f.formationid = $1
	union all
	(select 'primary', n.groupid, n.nodeid, n.nodename, 'synchronous_standby_names',
		quote_literal(pgautofailover.synchronous_standby_names(n.formationid, n.groupid))
	  from pgautofailover.node n
	  join pgautofailover.state s on s.name = n.goalstate and s.writable
	 where n.formationid = $1 order by n.groupid, n.nodeid)
	union all
	(select 'node', n.groupid, n.nodeid, n.nodename, v.setting, v.value
	  from pgautofailover.node n
	 cross join lateral (values ('candidate priority', n.candidatepriority::text),
		('replication quorum', n.replicationquorum::text)) v (setting, value)
	 where n.formationid = $1 order by v.setting, n.groupid, n.nodeid)
$$;

-- A part of a URI: every byte that may mean something there as %XX. (A host's ":" is none.)
create function pgautofailover.uri_part(part text, plain text = '/') returns text
	language sql immutable strict set search_path = pg_catalog, pg_temp as $$
	select coalesce(string_agg(case when c.c ~ '[A-Za-z0-9_.~-]' and octet_length(c.c) = 1
				or position(c.c in plain) > 0 then c.c
			else regexp_replace(upper(encode(convert_to(c.c, 'UTF8'), 'hex')), '(..)',
				'%\1', 'g') end, '' order by c.n), '')
	  from unnest(string_to_array(part, null)) with ordinality c (c, n)
$$;

create function pgautofailover.formation_uri(
	formation_id text = 'default', cluster_name text = 'default', sslmode text = 'prefer',
	sslrootcert text = '', sslcrl text = '')
	returns text language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	select format('postgres://%s/%s?%ssslmode=%s%s%s',
		string_agg(format(case when n.nodehost like '%:%' then '[%s]:%s' else '%s:%s' end,
			pgautofailover.uri_part(n.nodehost, ':'), n.nodeport), ',' order by n.nodeid),
		pgautofailover.uri_part(f.dbname),
		case cluster_name when 'default' then 'target_session_attrs=read-write&' else '' end,
		pgautofailover.uri_part(sslmode),
		case sslrootcert when '' then '' else '&sslrootcert=' || pgautofailover.uri_part(sslrootcert) end,
		case sslcrl when '' then '' else '&sslcrl=' || pgautofailover.uri_part(sslcrl) end)
	  from pgautofailover.node n
	  join pgautofailover.formation f on f.formationid = n.formationid
	 where n.formationid = formation_id and n.groupid = 0 and n.nodecluster = cluster_name
	 group by f.dbname
$$;

-- Is a node's history a part of the reference's: the pinned timeline, or the highest one.
create function pgautofailover.node_timeline_status(
	in formation_id text, in group_id int,
	out node_id bigint, out node_name text, out tli int, out lsn pg_lsn,
	out reference_tli int, out on_accepted_lineage bool)
	returns setof record language sql stable strict security definer
	set search_path = pg_catalog, pg_temp as $$
	with recursive nodes as (
		select * from pgautofailover.node
		 where formationid = formation_id and groupid = group_id),
	reference as (
		select coalesce((select a.accepted_tli from pgautofailover.accepted_timeline a
			 where a.formationid = formation_id and a.groupid = group_id
			   and a.resolved_at is null
			 order by a.decided_at desc limit 1), max(reportedtli)) as tli from nodes),
	history as (
		select distinct on (h.tli) h.tli, h.parenttli, h.switchpoint_lsn
		  from pgautofailover.node_timeline_history h
		  join nodes n on n.nodeid = h.nodeid
		 order by h.tli, h.nodeid),
	lineage (tli, until) as (
		select r.tli, null::pg_lsn from reference r
		union all
		select h.parenttli, h.switchpoint_lsn from lineage l
		  join history h on h.tli = l.tli and h.parenttli < l.tli)
	select n.nodeid, n.nodename, n.reportedtli, n.reportedlsn, r.tli,
		exists (select from lineage l where l.tli = n.reportedtli
			and (l.until is null or n.reportedlsn <= l.until))
	  from nodes n, reference r
	 order by n.nodeid
$$;
