#!/bin/sh
# The schema: whichever way it is applied, it is the one that was agreed on.
# SPDX-License-Identifier: PostgreSQL
#
# ACCEPT=1 writes test/golden/schema.txt anew; read the difference before you commit it.
. test/pg/lib.sh

cluster_init
golden=test/golden/schema.txt

# What is in the schema, in an order and a form that no version of Postgres changes.
describe() {
	psql_at "$mport" "$1" >"$root/described" <<-'END' || return 1
		select 'table ' || c.relname || ' ' || to_char(a.attnum, 'FM00') || ' ' || a.attname || ' ' ||
			format_type(a.atttypid, a.atttypmod) ||
			case when a.attnotnull then ' not null' else '' end ||
			coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
		  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
		  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
		 where c.relnamespace = 'pgautofailover'::regnamespace and c.relkind in ('r', 'v')
		   and not a.attisdropped;
		select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
		  from pg_constraint where connamespace = 'pgautofailover'::regnamespace
		   and contype in ('c', 'f', 'p', 'u');
		select 'index ' || indexdef from pg_indexes where schemaname = 'pgautofailover';
		select 'trigger ' || tgrelid::regclass || ' ' || tgname from pg_trigger
		 where not tgisinternal;
		select 'function ' || p.oid::regprocedure || ' returns ' ||
			pg_get_function_result(p.oid) ||
			case when p.prosecdef then ' as owner' else '' end ||
			case when p.proisstrict then ' strict' else '' end ||
			case when has_function_privilege('autoctl_node', p.oid, 'execute')
				then ' for nodes' else '' end
		  from pg_proc p where p.pronamespace = 'pgautofailover'::regnamespace;
		select 'step ' || version || ' ' || name from pgautofailover.schema_version;
	END
	LC_ALL=C sort "$root/described"
}

# Run the monitor on database $1 for as long as it takes to see the schema complete.
migrate() {
	start "on_$1" "$autoctl" monitor run --pgdata "$root/on_$1" \
		--dburi "postgres://$superuser@127.0.0.1:$mport/$1"
	within 20 holds_epoch "$1"
	migrate_rc=$?
	kill -TERM "$(pid_of "on_$1")"
	within 10 gone "$(pid_of "on_$1")"
	return $migrate_rc
}

holds_epoch() {
	[ "$(psql_at "$mport" "$1" -c 'select epoch from pgautofailover.monitor')" -ge 1 ]
}

ok "the monitor runs" monitor_up
describe pg_auto_failover >"$root/fresh"
if [ -n "${ACCEPT:-}" ]; then
	cp "$root/fresh" "$golden" || exit 1
fi
ok "the schema is $golden" diff -u "$golden" "$root/fresh"
is "$(monitor_sql "select string_agg(distinct r.rolname, ' ') from pg_class c
	join pg_roles r on r.oid = c.relowner where relnamespace = 'pgautofailover'::regnamespace")" \
	autoctl "it belongs to autoctl"
is "$(monitor_sql "select count(*) from pg_proc p cross join aclexplode(p.proacl) a
	where p.pronamespace = 'pgautofailover'::regnamespace and a.grantee = 0")" 0 \
	"PUBLIC may execute none of it"
is "$(monitor_sql "select count(*) from pg_proc p where proacl is null
	and p.pronamespace = 'pgautofailover'::regnamespace")" 0 "not even by default"

# started again: nothing is applied twice
ok "it stops" monitor_down
ok "it runs again" monitor_up
describe pg_auto_failover >"$root/again"
ok "started again, the schema is the same" diff -u "$root/fresh" "$root/again"

# from each earlier version: apply its steps by hand, then let the monitor do the rest
steps=$(ls pg/sql/[0-9]*.sql | wc -l)
from=1
while [ "$from" -lt "$steps" ]; do
	db=from_$from
	monitor_sql "create database $db" >/dev/null
	set -- -c 'create schema pgautofailover' -c 'create table pgautofailover.schema_version
		(version int primary key, name text not null, at timestamptz not null default now())'
	i=0
	for f in pg/sql/[0-9]*.sql; do
		i=$((i + 1))
		[ "$i" -le "$from" ] || break
		set -- "$@" -f "$f" -c "insert into pgautofailover.schema_version (version, name)
			values ($i, '${f##*/}')"
	done
	ok "version $from by hand" psql_at "$mport" "$db" "$@"
	ok "version $from is brought to $steps" migrate "$db"
	describe "$db" >"$root/$db"
	ok "and is like a fresh one" diff -u "$root/fresh" "$root/$db"
	from=$((from + 1))
done

# a database from the future
monitor_sql "create database future" >/dev/null
ok "a schema is made" migrate future
psql_at "$mport" future -c "insert into pgautofailover.schema_version (version, name)
	values (9999, '9999_future.sql')"
"$autoctl" create monitor --pgdata "$root/on_future" >"$root/out" 2>&1 </dev/null
is "$?" 3 "a newer schema is refused"
like "$(cat "$root/out")" 'version 9999' "in these words"

ok "the monitor stops" monitor_down
done_testing
