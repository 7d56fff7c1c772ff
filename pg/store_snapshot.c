/* Ask the monitor process what it sees of a group; its answer. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/store_snapshot.h"

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "pg/db.h"

#include "ini/ban.h"

#define LOOK_MS 200

/* A formation's name may have a slash in it, a group's number has none. */
#define OF_GROUP                                                                         \
	" formationid = regexp_replace($1, '/[0-9]+$', '') and"                          \
	" groupid = substring($1 from '[0-9]+$')::int"

/* 1: an answer that is younger than the question. */
static int
look(struct db *d, const char *group, const char *since, struct buf *text, struct err *e)
{
	struct rows r = { 0 };
	int found;

	if (db_query(d, e, &r,
		"select text from pgautofailover.snapshot where" OF_GROUP
		" and at >= $2::timestamptz",
		group, since, DB_END))
		return -1;
	found = r.count;
	if (found) {
		struct row row = row_at(&r, 0);

		buf_reset(text);
		buf_str(text, row_text(&row, "text"));
	}
	rows_drop(&r);
	return found;
}

struct asked {
	const char *group, *since;
};

static int
await(
    struct db *d, const struct asked *a, struct mono end, struct buf *text, struct err *e)
{
	struct db_notice n;

	for (;;) {
		int rc = look(d, a->group, a->since, text, e);
		int64_t left = mono_between(clock_mono(), end);

		if (rc || left <= 0)
			return rc;
		if (db_wait_notice(d, &n, left < LOOK_MS ? left : LOOK_MS, e) < 0)
			return -1;
	}
}

int
store_snapshot_ask(
    struct db *d, const char *group, int64_t wait_ms, struct buf *text, struct err *e)
{
	struct rows r = { 0 };
	int rc;

	if (db_run(d, e, "listen " STORE_SNAPSHOT, DB_END) ||
	    db_query(d, e, &r,
		"select clock_timestamp()::text as at,"
		" pg_catalog.pg_notify('" STORE_ASK "', $1)",
		group, DB_END))
		return err_wrap(e, "ask the monitor what it sees");
	struct row row = row_at(&r, 0);
	rc = await(d, &(struct asked){ group, row_text(&row, "at") },
	    mono_after(clock_mono(), wait_ms), text, e);
	rows_drop(&r);
	return rc < 0 ? err_wrap(e, "ask the monitor what it sees") : rc;
}

int
store_snapshot_put(struct db *d, const char *group, const char *text, struct err *e)
{
	return db_run(d, e,
	    "with put as (insert into pgautofailover.snapshot"
	    " select formationid, groupid, clock_timestamp(), $2"
	    " from pgautofailover.nodegroup where" OF_GROUP
	    " on conflict (formationid, groupid) do update"
	    " set at = excluded.at, text = excluded.text returning true)"
	    " select pg_catalog.pg_notify('" STORE_SNAPSHOT "', $1) from put",
	    group, text, DB_END);
}

int
store_setting(struct db *d, const char *name, struct buf *to, struct err *e)
{
	struct rows r = { 0 };

	buf_reset(to);
	if (db_query(d, e, &r,
		"select coalesce((select value from pgautofailover.setting where name = "
		"$1),"
		" (select substr(c, strpos(c, '=') + 1) from "
		"pg_catalog.pg_db_role_setting s"
		" cross join unnest(s.setconfig) c where s.setrole = 0 and s.setdatabase "
		"="
		" (select oid from pg_catalog.pg_database where datname = "
		"current_database())"
		" and split_part(c, '=', 1) = 'pgautofailover.' || $1),"
		" current_setting('pgautofailover.' || $1, true)) as value",
		name, DB_END))
		return err_wrap(e, "read the setting pgautofailover.%s", name);
	struct row row = row_at(&r, 0);
	buf_str(to, row_text(&row, "value"));
	rows_drop(&r);
	return 0;
}
