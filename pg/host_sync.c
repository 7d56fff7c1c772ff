/* synchronous_standby_names: set, and known to be in force. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "ini/clock.h"
#include "ini/err.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/db.h"
#include "pg/host.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define STEP_MS 10
#define NAMES "synchronous_standby_names"
#define READ_ONLY "default_transaction_read_only"

int
host_shows(const struct host *h, const char *name, const char *value, struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	/* reset_val: what the session itself asked for does not count */
	rc = db_query(&d, e, &r,
	    "select reset_val = $2 as same from pg_catalog.pg_settings where name = $1",
	    name, value, DB_END);
	if (rc == 0 && r.count == 1) {
		struct row row = row_at(&r, 0);

		rc = row_bool(&row, "same");
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

static int
overruled(const char *name, struct err *e)
{
	err_set(e, ERR_CONFIG, "%s is not what we have set", name);
	return err_hint(e, "something stronger than ALTER SYSTEM sets it: the command "
			   "line, or a role's or a database's settings");
}

/*
 * One statement cannot set and reload, and a value is not in force because the file has
 * it: so both always, whatever we find.
 */
static int
set_running(const struct host *h, const char *name, const char *value, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = conf_alter(&d, name, value, e);
	db_close(&d);
	return rc ? rc : host_reload(h, e);
}

static bool
running(const struct host *h)
{
	struct postmaster pm;

	postmaster_find(h, &pm);
	return pm.pid != 0;
}

int
host_names(const struct host *h, const char *names, struct err *e)
{
	int same;

	if (!running(h))
		return conf_auto_set(h, NAMES, *names ? names : NULL, e);
	if (set_running(h, NAMES, names, e))
		return err_wrap(e, NAMES);
	same = host_shows(h, NAMES, names, e);
	return same < 0 ? -1 : same ? 0 : overruled(NAMES, e);
}

int
host_read_only(const struct host *h, bool on, struct err *e)
{
	if (!running(h))
		return conf_auto_set(h, READ_ONLY, on ? "on" : NULL, e);
	return set_running(h, READ_ONLY, on ? "on" : "off", e);
}

/* Those who wait are looked at again when a standby answers the next commit (facts 4.9):
 * make one. */
static int
kick(struct db *d, uint64_t *lsn, struct err *e)
{
	struct rows r = { 0 };
	int rc;

	if (db_run(d, e, "select pg_catalog.pg_logical_emit_message(true, 'autoctl', '')",
		DB_END))
		return -1;
	rc = db_query(
	    d, e, &r, "select pg_catalog.pg_current_wal_flush_lsn() as lsn", DB_END);
	if (rc == 0) {
		struct row row = row_at(&r, 0);

		*lsn = row_lsn(&row, "lsn");
	}
	rows_drop(&r);
	return rc;
}

static int
count_flushed(struct db *d, uint64_t lsn, int *n, struct err *e)
{
	char text[STR_LSN_MAX];
	struct rows r = { 0 };
	int rc;

	rc = db_query(d, e, &r,
	    "select pg_catalog.count(distinct application_name) as n"
	    " from pg_catalog.pg_stat_replication where state = 'streaming'"
	    " and sync_state in ('sync', 'quorum') and flush_lsn >= $1::pg_lsn",
	    str_lsn_format(lsn, text), DB_END);
	if (rc == 0) {
		struct row row = row_at(&r, 0);

		*n = row_int(&row, "n");
	}
	rows_drop(&r);
	return rc;
}

static int
wait_flushed(
    const struct host *h, struct db *d, int k, struct mono deadline, struct err *e)
{
	uint64_t lsn;
	int n = 0;

	if (kick(d, &lsn, e))
		return -1;
	do {
		if (count_flushed(d, lsn, &n, e))
			return -1;
		if (n >= k)
			return 0;
		if (!host_progress(h, "waiting for synchronous standbys, %d of %d", n, k))
			return err_set(e, ERR_SYSTEM, "given up on request");
	} while (clock_nap_until(deadline, STEP_MS));
	return err_set(
	    e, ERR_SYSTEM, "only %d of %d synchronous standbys have caught up", n, k);
}

/*
 * Whether commits wait is a flag that only the checkpointer sets, between its other work;
 * two checkpoints after a fresh session shows the value prove that it has (facts 4.3).
 */
int
host_sync(
    const struct host *h, const char *names, int k, int64_t deadline_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), deadline_ms);
	struct db d = { 0 };
	int rc;

	if (host_names(h, names, e))
		return -1;
	if (host_open(h, &d, deadline_ms, e))
		return -1;
	rc = 0;
	for (int i = 0; rc == 0 && k > 0 && i < 2; i++)
		rc = db_run(&d, e, "checkpoint", DB_END);
	if (rc == 0 && k > 0)
		rc = wait_flushed(h, &d, k, deadline, e);
	db_close(&d);
	return rc ? err_wrap(e, NAMES) : 0;
}
