/* An upstream, asked before anything is done for it: who it is, and what it has. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/str.h"
#include "pg/standby.h"

#include "ini/ban.h"

#define CONNECT_MS 3000
#define CHECKPOINT_MS 120000
#define RELEASE_MS 10000

static int
open_source(
    const struct host *h, const struct conf_upstream *up, struct db *d, struct err *e)
{
	struct buf uri = { 0 };
	struct db_target t = { .password = h->cfg->replication_password,
		.replication = "database",
		.options = "-c synchronous_commit=local",
		.connect_ms = CONNECT_MS,
		.statement_ms = 10000,
		.local = true };
	int rc;

	conf_conninfo(h, up->host, up->port, "autoctl", &uri);
	t.uri = buf_peek(&uri);
	rc = db_open(d, &t, e);
	buf_drop(&uri);
	return rc ? err_wrap(e, "ask %s:%d", up->host, up->port) : 0;
}

/* A line of a history file: "1\t0/3000148\tno recovery target specified". */
static bool
take_fork(const char *line, struct standby_fork *f)
{
	unsigned tli, high, low;

	if (sscanf(line, "%u %X/%X", &tli, &high, &low) != 3)
		return false;
	f->tli = (int)tli;
	f->end = (uint64_t)high << 32 | low;
	return true;
}

static const char *
next_line(const char *at)
{
	at += strcspn(at, "\n");
	return at + (*at == '\n');
}

static void
take_history(const char *text, struct standby_source *s)
{
	const int room = (int)(sizeof s->history / sizeof s->history[0]);

	for (; *text && s->nhistory < room; text = next_line(text))
		if (take_fork(text, &s->history[s->nhistory]))
			s->nhistory++;
}

bool
standby_same_history(const char *text, const struct standby_source *s)
{
	struct standby_fork own;

	for (; *text; text = next_line(text)) {
		if (!take_fork(text, &own))
			continue;
		for (int i = 0; i < s->nhistory; i++)
			if (s->history[i].tli == own.tli && s->history[i].end != own.end)
				return false;
	}
	return true;
}

static int
ask_system(struct db *d, struct standby_source *s, struct err *e)
{
	struct rows r = { 0 };

	if (db_simple(d, &r, "IDENTIFY_SYSTEM", e))
		return -1;
	struct row row = row_at(&r, 0);
	s->system_identifier = (uint64_t)row_i64(&row, "systemid");
	s->tli = row_int(&row, "timeline");
	s->lsn = row_lsn(&row, "xlogpos");
	rows_drop(&r);
	return 0;
}

static int
ask_history(struct db *d, struct standby_source *s, struct err *e)
{
	struct rows r = { 0 };
	char sql[64];

	s->nhistory = 0;
	if (s->tli < 2)
		return 0;
	snprintf(sql, sizeof sql, "TIMELINE_HISTORY %d", s->tli);
	if (db_simple(d, &r, sql, e))
		return -1;
	struct row row = row_at(&r, 0);
	take_history(row_text(&row, "content"), s);
	rows_drop(&r);
	return 0;
}

static const char more_sql[] =
    "select pg_catalog.pg_is_in_recovery() as recovery,"
    " (select timeline_id from pg_catalog.pg_control_checkpoint()) as tli,"
    " (select sum(pg_catalog.pg_database_size(oid)) from pg_catalog.pg_database"
    "  where datallowconn)::bigint as bytes";

static int
ask_more(struct db *d, struct standby_source *s, struct err *e)
{
	struct rows r = { 0 };

	if (db_simple(d, &r, more_sql, e))
		return -1;
	struct row row = row_at(&r, 0);
	s->recovery = row_bool(&row, "recovery");
	s->checkpoint_tli = row_int(&row, "tli");
	s->bytes = row_i64(&row, "bytes");
	rows_drop(&r);
	return 0;
}

int
standby_identify(const struct host *h, const struct conf_upstream *up,
    struct standby_source *s, struct err *e)
{
	struct db d = { 0 };
	int rc;

	memset(s, 0, sizeof *s);
	if (open_source(h, up, &d, e))
		return -1;
	rc = ask_system(&d, s, e) || ask_history(&d, s, e) || ask_more(&d, s, e) ? -1 : 0;
	db_close(&d);
	return rc ? err_wrap(e, "ask %s:%d", up->host, up->port) : 0;
}

int
standby_source_spaces(
    const struct host *h, const struct conf_upstream *up, struct rows *r, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (open_source(h, up, &d, e))
		return -1;
	/* those in place have no path of their own */
	rc = db_simple(&d, r,
	    "select oid, pg_catalog.pg_tablespace_location(oid) as location"
	    " from pg_catalog.pg_tablespace"
	    " where pg_catalog.pg_tablespace_location(oid) like '/%' order by oid",
	    e);
	db_close(&d);
	return rc ? err_wrap(e, "tablespaces of %s:%d", up->host, up->port) : 0;
}

/* One value of the first row; 0 when there is none. */
static int
ask_one(const struct host *h, const struct conf_upstream *up, const char *sql, int *x,
    struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (open_source(h, up, &d, e))
		return -1;
	rc = db_simple(&d, &r, sql, e);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);

		*x = row_int(&row, "x");
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

int
standby_source_text(const struct host *h, const struct conf_upstream *up, const char *sql,
    struct buf *x, struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (open_source(h, up, &d, e))
		return -1;
	rc = db_simple(&d, &r, sql, e);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);

		buf_str(x, row_text(&row, "x"));
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

int
standby_source_slot(const struct host *h, const struct conf_upstream *up, struct err *e)
{
	char sql[512];
	int made = 0;

	/* the id is ours, and a number: nothing to quote */
	snprintf(sql, sizeof sql,
	    "select 1 as x, pg_catalog.pg_create_physical_replication_slot('" HOST_STANDBY
	    "%lld', true) where not exists (select from"
	    " pg_catalog.pg_replication_slots where slot_name = '" HOST_STANDBY "%lld')",
	    (long long)h->node_id, (long long)h->node_id);
	if (ask_one(h, up, sql, &made, e))
		return err_wrap(e, "slot on %s:%d", up->host, up->port);
	return 0;
}

int
standby_source_release(
    const struct host *h, const struct conf_upstream *up, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), RELEASE_MS);
	char sql[256];
	int held = 0;

	snprintf(sql, sizeof sql,
	    "select pg_catalog.count(pg_catalog.pg_terminate_backend(active_pid)) as x"
	    " from pg_catalog.pg_replication_slots where active"
	    " and slot_name = '" HOST_STANDBY "%lld'",
	    (long long)h->node_id);
	do {
		if (ask_one(h, up, sql, &held, e))
			return err_wrap(e, "slot on %s:%d", up->host, up->port);
		if (held == 0)
			return 0;
	} while (clock_nap_until(deadline, 50));
	return err_set(e, ERR_POSTGRES, "slot on %s:%d: somebody keeps using it",
	    up->host, up->port);
}

int
standby_source_attached(
    const struct host *h, const struct conf_upstream *up, struct err *e)
{
	char sql[256];
	int yes = 0;

	snprintf(sql, sizeof sql,
	    "select 1 as x from pg_catalog.pg_stat_replication where application_name ="
	    " '" HOST_STANDBY "%lld' and state in ('streaming', 'catchup')",
	    (long long)h->node_id);
	return ask_one(h, up, sql, &yes, e) ? -1 : yes;
}

/* Until a promoted server has checkpointed, its control file says the old timeline, and
 * pg_rewind finds nothing to do (facts 6.3). */
int
standby_source_checkpoint(const struct host *h, const struct conf_upstream *up,
    struct standby_source *s, struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (s->checkpoint_tli == s->tli)
		return 0;
	if (open_source(h, up, &d, e))
		return -1;
	d.statement_ms = CHECKPOINT_MS;
	rc = db_simple(&d, &r, "checkpoint", e);
	rows_drop(&r);
	db_close(&d);
	if (rc == 0)
		rc = standby_identify(h, up, s, e);
	if (rc == 0 && s->checkpoint_tli != s->tli)
		rc = err_set(e, ERR_POSTGRES,
		    "%s:%d is on timeline %d, but its last checkpoint on %d", up->host,
		    up->port, s->tli, s->checkpoint_tli);
	return rc;
}

enum standby_way
standby_compare(const struct host_position *p, const struct standby_source *s)
{
	if (p->system_identifier != s->system_identifier)
		return STANDBY_COPY;
	if (p->tli == s->tli)
		return p->lsn <= s->lsn ? STANDBY_FOLLOW : STANDBY_AHEAD;
	for (int i = 0; i < s->nhistory; i++)
		if (s->history[i].tli == p->tli)
			return p->lsn <= s->history[i].end ? STANDBY_FOLLOW
							   : STANDBY_REWIND;
	return STANDBY_REWIND;
}
