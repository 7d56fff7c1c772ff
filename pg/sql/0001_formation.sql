-- What there is to manage: formations, their groups, and who decides.

-- Names of states are rows of table state, filled at start from the list the program is
-- made of. These are domains so that the casts of the API hold.
create domain pgautofailover.replication_state as text;
create domain pgautofailover.fsm_section as text;

create table pgautofailover.state (
	name text primary key,
	pos int not null,
	writable bool not null,
	up bool not null,
	down bool not null,
	standby bool not null,
	was_writable bool not null,
	promoting bool not null,
	maintenance bool not null,
	comment text not null
);

create table pgautofailover.fsm (
	pos int primary key,
	section text,
	comment text,
	active_node_current_state text,
	other_node_current_state text,
	candidate_node_current_state text,
	active_node_conditions text,
	other_node_conditions text,
	candidate_node_conditions text,
	group_conditions text,
	active_node_assigned_state pgautofailover.replication_state,
	other_node_assigned_state pgautofailover.replication_state,
	has_extra_action bool,
	section_path text
);

-- A setting of the monitor that is to differ from its default, whoever owns the server.
create table pgautofailover.setting (
	name text primary key,
	value text not null
);

-- One row. The process that holds the epoch decides; see store_epoch_take().
create table pgautofailover.monitor (
	epoch bigint primary key,
	holder text not null default '',
	session_pid int not null default 0,
	renewed timestamptz not null default '-infinity',
	node_operations bool not null default true
);
insert into pgautofailover.monitor (epoch) values (0);

create table pgautofailover.formation (
	formationid text not null default 'default' primary key,
	kind text not null default 'pgsql' check (kind in ('pgsql', 'citus')),
	dbname name not null default 'postgres',
	opt_secondary bool not null default true,
	number_sync_standbys int not null default 0
);
insert into pgautofailover.formation (formationid) values ('default');

-- What the monitor knows of a group. The row is locked, before those of its nodes, by
-- whoever decides, and by nobody else.
create table pgautofailover.nodegroup (
	formationid text not null
		references pgautofailover.formation on delete cascade,
	groupid int not null,
	writer bigint not null default 0,
	term bigint not null default 0,
	writer_tli int not null default 0,
	floor_lsn pg_lsn not null default '0/0',
	op_kind text not null default 'none',
	op_planned bool not null default false,
	op_maintenance bool not null default false,
	op_allow_loss bool not null default false,
	op_writer_gone bool not null default false,
	op_revoked bool not null default false,
	op_since bigint not null default 0,
	op_old_writer bigint not null default 0,
	op_candidate bigint not null default 0,
	op_preferred bigint not null default 0,
	op_excluded bigint not null default 0,
	op_source bigint not null default 0,
	op_target_lsn pg_lsn not null default '0/0',
	op_at timestamptz,
	op_phase int not null default 0,
	op_phase_at timestamptz,
	dirty bool not null default false,
	learning bool not null default false,
	learned_at timestamptz not null default '-infinity',
	lease_gen int not null default 0,
	lease_ms bigint not null default 0,
	failovers timestamptz[] not null default '{}',
	said int not null default 0,
	explain text not null default '',
	primary key (formationid, groupid)
);

-- The values of synchronous_standby_names that may be in force at the writer; the last one
-- is wanted.
create table pgautofailover.sync_config (
	formationid text not null,
	groupid int not null,
	gen bigint not null,
	k int not null,
	members bigint[] not null,
	names text not null,
	primary key (formationid, groupid, gen),
	foreign key (formationid, groupid)
		references pgautofailover.nodegroup on delete cascade
);
