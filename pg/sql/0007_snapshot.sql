-- What the monitor process sees of a group, evidence in its memory included, when somebody
-- asks (see pg/store_snapshot.c). Not worth a write-ahead log.

create unlogged table pgautofailover.snapshot (
	formationid text not null,
	groupid int not null,
	at timestamptz not null,
	text text not null,
	primary key (formationid, groupid),
	foreign key (formationid, groupid)
		references pgautofailover.nodegroup on delete cascade
);

grant select on pgautofailover.snapshot to autoctl_node;
