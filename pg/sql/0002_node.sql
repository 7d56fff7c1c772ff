-- The nodes, what happened to them, what was asked for.

create table pgautofailover.node (
	formationid text not null default 'default' references pgautofailover.formation,
	nodeid bigserial primary key,
	groupid int not null,
	nodename text not null,
	nodehost text not null,
	nodeport int not null,
	sysidentifier bigint,
	goalstate pgautofailover.replication_state not null default 'init'
		references pgautofailover.state,
	reportedstate pgautofailover.replication_state not null
		references pgautofailover.state,
	reportedpgisrunning bool default true,
	reportedrepstate text default 'async',
	reporttime timestamptz not null default now(),
	reportedtli int not null default 1 check (reportedtli > 0),
	reportedlsn pg_lsn not null default '0/0',
	walreporttime timestamptz not null default now(),
	health int not null default -1,
	healthchecktime timestamptz not null default now(),
	statechangetime timestamptz not null default now(),
	candidatepriority int not null default 100,
	replicationquorum bool not null default true,
	nodecluster text not null default 'default',
	region text not null default 'default',
	replication_stall_since timestamptz,
	pg_versionnum int,
	pg_version text,
	pg_versionstring text,
	citus_version text,

	-- the goal: its count, its age, and what the keeper said it has seen of it
	goal_seq bigint not null default 0,
	seen_seq bigint not null default 0,
	seen_term bigint not null default 0,
	seen_epoch bigint not null default 0,
	lost bool not null default false,
	fork_tli int not null default 0,
	fork_lsn pg_lsn not null default '0/0',
	goal_at timestamptz not null default now(),
	state_at timestamptz not null default now(),

	-- as reported; pgautofailover.keeper_report() says what each one is
	pg text not null default 'unknown',
	pg_retrying bool not null default false,
	pg_down_at timestamptz,
	has_data bool not null default false,
	promise_term bigint not null default 0,
	promise_tli int not null default 0,
	promise_lsn pg_lsn not null default '0/0',
	stopped_term bigint not null default 0,
	final_lsn pg_lsn not null default '0/0',
	applied_gen bigint not null default 0,
	lease_gen int not null default 0,
	upstream_id bigint not null default 0,
	streaming bool not null default false,
	peers jsonb not null default '[]',
	heard text not null default 'none',
	heard_age bigint not null default 0,
	fails int not null default 0,
	act text not null default '',
	progress text not null default '',
	error text not null default '',
	report_seq bigint not null default 0,
	session_pid int not null default 0,

	unique (formationid, nodename),
	unique (nodehost, nodeport)
) with (fillfactor = 25);

-- How a keeper is known: by the key it showed first, of which the digest is kept, and where
-- its sessions come from. Not for autoctl_node to read.
create table pgautofailover.node_key (
	nodeid bigint primary key references pgautofailover.node on delete cascade,
	digest bytea,
	address inet
);

-- All nodes of a group hold the same database cluster. Checked at commit, for a new node
-- learns its identifier in the transaction that registers it.
create function pgautofailover.check_system_identifier() returns trigger
	language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
	other bigint;
begin
	select n.nodeid into other
	  from pgautofailover.node me
	  join pgautofailover.node n on n.formationid = me.formationid
		and n.groupid = me.groupid and n.sysidentifier <> me.sysidentifier
	 where me.nodeid = new.nodeid
	 order by n.nodeid
	 limit 1;
	if found then
		raise exclusion_violation using
			message = format('node %s has system identifier %s, node %s of the same '
				'group has another one', new.nodeid, new.sysidentifier, other),
			constraint = 'same_system_identifier_within_group',
			hint = 'A node''s data directory must be a copy of the group''s.';
	end if;
	return null;
end $$;

create constraint trigger same_system_identifier_within_group
	after insert or update of sysidentifier on pgautofailover.node
	deferrable initially deferred
	for each row execute function pgautofailover.check_system_identifier();

create table pgautofailover.event (
	eventid bigserial primary key,
	eventtime timestamptz not null default now(),
	formationid text not null,
	nodeid bigint not null,
	groupid int not null,
	nodename text not null,
	nodehost text not null,
	nodeport int not null,
	reportedstate pgautofailover.replication_state not null,
	goalstate pgautofailover.replication_state not null,
	reportedrepstate text,
	reportedtli int not null default 1 check (reportedtli > 0),
	reportedlsn pg_lsn not null default '0/0',
	candidatepriority int,
	replicationquorum bool,
	description text,
	rule_pos int,
	rule_section pgautofailover.fsm_section
);

-- What an operator asked for; the monitor writes the outcome.
create table pgautofailover.request (
	requestid bigserial primary key,
	formationid text not null,
	groupid int not null,
	kind text not null,
	nodeid bigint not null default 0,
	allow_loss bool not null default false,
	force bool not null default false,
	asked_by text not null default session_user,
	asked_at timestamptz not null default now(),
	outcome text check (outcome in ('done', 'refused')),
	sqlstate text,
	message text,
	decided_at timestamptz
);
create index request_pending on pgautofailover.request (formationid, groupid, requestid)
	where outcome is null;

create table pgautofailover.node_timeline_history (
	nodeid bigint not null references pgautofailover.node on delete cascade,
	tli int not null,
	parenttli int not null,
	switchpoint_lsn pg_lsn not null,
	primary key (nodeid, tli)
);

create table pgautofailover.accepted_timeline (
	formationid text not null,
	groupid int not null,
	accepted_tli int not null,
	decided_by text,
	decided_at timestamptz not null default now(),
	resolved_at timestamptz,
	primary key (formationid, groupid, decided_at)
);

