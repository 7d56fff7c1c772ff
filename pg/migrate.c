/* Bring the schema of the monitor's database to what this program needs. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>

#include "fsm/fsm.h"
#include "ini/buf.h"
#include "ini/err.h"
#include "ini/log.h"
#include "pg/db.h"
#include "pg/schema.h"

#include "ini/ban.h"

/* Two programs that start at once take turns; the key is ours by convention only. */
#define LOCK_SQL                                                                         \
	"select pg_advisory_xact_lock(hashtextextended('pgautofailover schema', 0))"

static int
read_version(struct db *d, int *version, struct err *e)
{
	struct rows r = { 0 };
	struct row row;

	if (db_query(d, e, &r,
		"select coalesce(max(version), 0) as version from "
		"pgautofailover.schema_version",
		DB_END))
		return -1;
	row = row_at(&r, 0);
	*version = row_int(&row, "version");
	rows_drop(&r);
	return 0;
}

int
schema_version(struct db *d, int *version, struct err *e)
{
	struct rows r = { 0 };
	struct row row;
	bool there;

	if (db_query(d, e, &r,
		"select to_regclass('pgautofailover.schema_version') is not null as "
		"there",
		DB_END))
		return -1;
	row = row_at(&r, 0);
	there = row_bool(&row, "there");
	rows_drop(&r);
	*version = 0;
	return there ? read_version(d, version, e) : 0;
}

static int
apply_step(struct db *d, const struct schema_step *s, struct err *e)
{
	char version[16];

	snprintf(version, sizeof version, "%d", s->version);
	if (db_script(d, s->sql, e) || db_run(d, e,
					   "insert into pgautofailover.schema_version "
					   "(version, name) values ($1, $2)",
					   version, s->name, DB_END))
		return err_wrap(e, "apply %s", s->name);
	log_info("schema: applied %s", s->name);
	return 0;
}

static int
prepare(struct db *d, struct err *e)
{
	if (db_run(d, e, LOCK_SQL, DB_END))
		return -1;
	return db_script(d,
	    "create schema if not exists pgautofailover;"
	    "create table if not exists pgautofailover.schema_version ("
	    "	version int primary key,"
	    "	name text not null,"
	    "	at timestamptz not null default now())",
	    e);
}

/* Only look when there is nothing to do: no lock, no right to create anything is needed.
 */
static int
check(struct db *d, int *have, struct err *e)
{
	int newest = (int)schema_count;

	if (schema_version(d, have, e))
		return -1;
	if (*have > newest)
		return err_set(e, ERR_STATE,
		    "the schema pgautofailover has version %d, this program knows %d",
		    *have, newest);
	return 0;
}

static int
apply_all(struct db *d, int *have, struct err *e)
{
	if (prepare(d, e) || check(d, have, e))
		return -1;
	for (size_t i = (size_t)*have; i < schema_count; i++)
		if (apply_step(d, &schema_list[i], e))
			return -1;
	return 0;
}

int
schema_migrate(struct db *d, struct err *e)
{
	int have = 0;

	if (check(d, &have, e))
		return -1;
	if (have == (int)schema_count)
		return 0;
	if (db_run(d, e, "begin", DB_END))
		return -1;
	if (apply_all(d, &have, e)) {
		if (db_is_open(d))
			(void)!db_run(d, NULL, "rollback", DB_END);
		return err_wrap(e, "migrate the schema");
	}
	if (db_run(d, e, "commit", DB_END))
		return err_wrap(e, "migrate the schema");
	return (int)schema_count - have;
}

static const char *
yes(unsigned flags, unsigned bit)
{
	return flags & bit ? "t" : "f";
}

static int
fill_states(struct db *d, struct err *e)
{
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		unsigned f = fsm_state_flags((enum fsm_state)i);
		char pos[16];

		snprintf(pos, sizeof pos, "%d", i);
		if (db_run(d, e,
			"insert into pgautofailover.state values ($1, $2, $3, $4, $5, "
			"$6, $7, $8, $9,"
			" $10) on conflict (name) do update set pos = excluded.pos,"
			" writable = excluded.writable, up = excluded.up, down = "
			"excluded.down,"
			" standby = excluded.standby, was_writable = "
			"excluded.was_writable,"
			" promoting = excluded.promoting, maintenance = "
			"excluded.maintenance,"
			" comment = excluded.comment",
			fsm_state_name((enum fsm_state)i), pos, yes(f, ST_RW),
			yes(f, ST_UP), yes(f, ST_DOWN), yes(f, ST_STANDBY),
			yes(f, ST_WAS_RW), yes(f, ST_PROMOTING), yes(f, ST_MAINT),
			fsm_state_text((enum fsm_state)i), DB_END))
			return -1;
	}
	return 0;
}

/* One statement: there are hundreds. Names of states and acts need no quotes in an array.
 */
static int
fill_edges(struct db *d, struct err *e)
{
	struct buf list[3] = { 0 };
	int rc;

	for (int from = 0; from < FSM_STATE_COUNT; from++)
		for (int to = 0; to < FSM_STATE_COUNT; to++) {
			const struct fsm_edge *x =
			    fsm_edge((enum fsm_state)from, (enum fsm_state)to);
			char sep = buf_len(&list[0]) ? ',' : '{';

			if (!x)
				continue;
			buf_printf(
			    &list[0], "%c%s", sep, fsm_state_name((enum fsm_state)from));
			buf_printf(
			    &list[1], "%c%s", sep, fsm_state_name((enum fsm_state)to));
			buf_printf(&list[2], "%c%s", sep, fsm_act_name(x->act));
		}
	for (int i = 0; i < 3; i++)
		buf_char(&list[i], '}');
	rc = db_run(d, e,
	    "with new as (select * from unnest($1::text[], $2::text[], $3::text[]) n (c, "
	    "a, x)),"
	    " gone as (delete from pgautofailover.edge where (current_state, "
	    "assigned_state) not in"
	    "  (select c, a from new))"
	    " insert into pgautofailover.edge select * from new on conflict "
	    "(current_state,"
	    " assigned_state) do update set act = excluded.act where edge.act <> "
	    "excluded.act",
	    buf_peek(&list[0]), buf_peek(&list[1]), buf_peek(&list[2]), DB_END);
	for (int i = 0; i < 3; i++)
		buf_drop(&list[i]);
	return rc;
}

int
schema_fill(struct db *d, struct err *e)
{
	if (db_run(d, e, "begin", DB_END))
		return -1;
	if (db_run(d, e, LOCK_SQL, DB_END) || fill_states(d, e) ||
	    schema_fill_rules(d, e) || fill_edges(d, e) ||
	    db_run(d, e, "commit", DB_END)) {
		if (db_is_open(d))
			(void)!db_run(d, NULL, "rollback", DB_END);
		return err_wrap(e, "fill the tables of states and rules");
	}
	return 0;
}
