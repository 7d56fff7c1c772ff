/* The end of recovery. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/db.h"
#include "pg/host.h"
#include "pg/limits.h"
#include "pg/postmaster.h"
#include "pg/proc.h"
#include "pg/setup.h"

#include "ini/ban.h"

#define IDLE_MS 30000
#define STEP_MS 3

static const char look_sql[] =
    "select pg_catalog.pg_is_in_recovery() as recovery,"
    " pg_catalog.pg_last_wal_replay_lsn() as replay,"
    " case when not pg_catalog.pg_is_in_recovery() then"
    "  ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name("
    "  pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int end as tli";

struct look {
	bool recovery;
	uint64_t replay;
	int tli;
};

static int
look(struct db *d, struct look *l, struct err *e)
{
	struct rows r = { 0 };
	int rc = db_query(d, e, &r, look_sql, DB_END);

	if (rc == 0) {
		struct row row = row_at(&r, 0);

		l->recovery = row_bool(&row, "recovery");
		l->replay = row_lsn(&row, "replay");
		l->tli = row_int(&row, "tli");
	}
	rows_drop(&r);
	return rc;
}

/* What pg_promote() does, for when no session does it. */
static int
ask_by_file(const struct host *h, struct err *e)
{
	char *path = xasprintf("%s/promote", h->pgdata);
	struct buf none = { 0 };
	struct postmaster pm;
	int rc = file_replace(path, &none, 0600, e);

	free(path);
	postmaster_find(h, &pm);
	if (rc == 0 && !host_process_signal(pm.pid, pm.start, SIGUSR1))
		rc = err_set(e, ERR_POSTGRES, "Postgres is not running");
	return rc;
}

/* All that was received is replayed first: as long as that goes on, so does the wait. */
static int
wait_promoted(
    const struct host *h, struct db *d, int64_t idle_ms, struct look *l, struct err *e)
{
	struct mono moved = clock_mono();
	struct look now = *l;
	struct postmaster pm;
	char text[STR_LSN_MAX];

	for (;;) {
		if (look(d, &now, e)) {
			postmaster_find(h, &pm);
			return pm.pid ? -1
				      : err_set(e, ERR_POSTGRES,
					    "Postgres ended while it was promoted");
		}
		if (now.replay != l->replay || now.recovery != l->recovery)
			moved = clock_mono();
		*l = now;
		if (!now.recovery)
			return 0;
		if (mono_between(moved, clock_mono()) >= idle_ms)
			return err_set(e, ERR_SYSTEM,
			    "promoting: no progress for %lld s after %s",
			    (long long)(idle_ms / 1000),
			    str_lsn_format(now.replay, text));
		/* no way back from here: what it says is not asked */
		host_progress(
		    h, "promoting, replayed up to %s", str_lsn_format(now.replay, text));
		clock_nap_ms(STEP_MS);
	}
}

static int
promote(
    const struct host *h, struct db *d, int64_t idle_ms, struct look *l, struct err *e)
{
	if (limits_check(h, d, e))
		return err_wrap(e, "a promotion would end this Postgres");
	if (db_run(d, NULL, "select pg_catalog.pg_promote(false)", DB_END)) {
		log_warn("pg_promote() failed: promoting by file and signal");
		if (ask_by_file(h, e))
			return -1;
	}
	return wait_promoted(h, d, idle_ms, l, e);
}

int
postmaster_promote(const struct host *h, int64_t idle_ms, int *tli, struct err *e)
{
	struct look l = { 0 };
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = look(&d, &l, e);
	if (rc == 0 && l.recovery)
		rc = promote(h, &d, idle_ms ? idle_ms : IDLE_MS, &l, e);
	db_close(&d);
	if (rc == 0 && tli)
		*tli = l.tli;
	return rc ? err_wrap(e, "promote") : 0;
}
