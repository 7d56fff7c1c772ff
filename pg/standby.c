/* A running standby: let go of its upstream, follow another one, wait for a position. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/standby.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/str.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define POLL_MS 3
#define DETACH_PATIENCE_MS 80 /* a reload does it in 10 ms, unless replay is blocked */
#define DETACH_MS 5000
#define DIVERGED_MS 2000
#define SETTLED_MS 150
#define SETTLE_MS INT64_C(3600000)

/* -- let go -- */

/* Also one that is still connecting, which pg_stat_wal_receiver does not show. */
static const char receiver_sql[] =
    "select coalesce((select pid from pg_catalog.pg_stat_activity"
    " where backend_type = 'walreceiver'), 0) as pid, pg_catalog.pg_is_in_recovery() as "
    "recovery";

static int
receiver_pid(struct db *d, int *pid, bool *recovery, struct err *e)
{
	struct rows r = { 0 };

	if (db_query(d, e, &r, receiver_sql, DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	*pid = row_int(&row, "pid");
	*recovery = row_bool(&row, "recovery");
	rows_drop(&r);
	return 0;
}

/*
 * The startup process ends the walreceiver when it sees the new setting, which it does
 * not while replay is blocked; then we do, and it does not come back (facts 1.4).
 */
static int
end_receiver(struct db *d, struct err *e)
{
	struct mono begin = clock_mono();
	struct mono deadline = mono_after(begin, DETACH_MS);
	bool recovery = true;
	int pid = 0;

	do {
		if (receiver_pid(d, &pid, &recovery, e))
			return -1;
		if (!recovery)
			return err_set(e, ERR_STATE, "not a standby any more");
		if (!pid)
			return 0;
		if (clock_mono().ms - begin.ms > DETACH_PATIENCE_MS && kill(pid, SIGTERM))
			continue; /* it has just gone: the next look tells */
	} while (clock_nap_until(deadline, POLL_MS));
	return err_set(e, ERR_POSTGRES, "the walreceiver, process %d, does not end", pid);
}

int
standby_detach(const struct host *h, struct host_position *p, struct err *e)
{
	struct db d = { 0 };
	int rc = -1;

	if (host_position(h, p, e))
		return -1;
	if (!p->recovery)
		return err_set(e, ERR_STATE, "not a standby: nothing to let go of");
	if (conf_standby(h, NULL, e) < 0 || host_reload(h, e) || host_open(h, &d, 0, e))
		return err_wrap(e, "let go of the upstream");
	/* twice: one that was just being started is seen by the second look */
	if (end_receiver(&d, e) == 0 && end_receiver(&d, e) == 0)
		rc = host_position(h, p, e);
	db_close(&d);
	return rc ? err_wrap(e, "let go of the upstream") : 0;
}

/* -- positions -- */

static int
reached(struct db *d, uint64_t *lsn, struct err *e)
{
	struct rows r = { 0 };

	if (db_query(d, e, &r,
		"select greatest(pg_catalog.pg_last_wal_receive_lsn(),"
		" pg_catalog.pg_last_wal_replay_lsn()) as lsn",
		DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	*lsn = row_lsn(&row, "lsn");
	rows_drop(&r);
	return 0;
}

int
standby_wait_lsn(const struct host *h, uint64_t lsn, int64_t deadline_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), deadline_ms);
	char have[STR_LSN_MAX], want[STR_LSN_MAX];
	struct db d = { 0 };
	uint64_t at = 0;
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	do
		rc = reached(&d, &at, e);
	while (rc == 0 && at < lsn && clock_nap_until(deadline, POLL_MS));
	db_close(&d);
	if (rc == 0 && at < lsn)
		rc = err_set(e, ERR_SYSTEM, "received up to %s, not up to %s",
		    str_lsn_format(at, have), str_lsn_format(lsn, want));
	return rc;
}

/* After a start all that is in pg_wal is replayed: wait until that has come to an end. */
static int
settle(const struct host *h, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), SETTLE_MS);
	struct mono still = clock_mono();
	struct db d = { 0 };
	uint64_t at = 0, last = 0;
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	do {
		rc = reached(&d, &at, e);
		if (at != last)
			still = clock_mono();
		last = at;
		if (rc || clock_mono().ms - still.ms >= SETTLED_MS)
			break;
	} while (clock_nap_until(deadline, 10));
	db_close(&d);
	return rc;
}

int
standby_start_alone(const struct host *h, struct host_position *p, struct err *e)
{
	if (conf_signal_write(h, e) || conf_standby(h, NULL, e) < 0 ||
	    postmaster_start(h, POSTMASTER_LISTEN, 0, e) || settle(h, e))
		return -1;
	return host_position(h, p, e);
}

/* -- follow -- */

struct receiver {
	char status[16]; /* "" none */
	int tli;
};

static int
look(struct db *d, struct receiver *w, struct err *e)
{
	struct rows r = { 0 };

	memset(w, 0, sizeof *w);
	if (db_query(d, e, &r,
		"select status, received_tli from pg_catalog.pg_stat_wal_receiver",
		DB_END))
		return -1;
	if (r.count) {
		struct row row = row_at(&r, 0);
		snprintf(w->status, sizeof w->status, "%s", row_text(&row, "status"));
		w->tli = row_int(&row, "received_tli");
	}
	rows_drop(&r);
	return 0;
}

/* Streaming on the right timeline; `waiting` for long is how a fork shows (facts 2.4). */
static int
wait_streaming(struct db *d, int tli, int64_t deadline_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), deadline_ms);
	struct mono good = clock_mono();
	struct receiver w;

	do {
		if (look(d, &w, e))
			return -1;
		if (strcmp(w.status, "streaming") == 0 && (tli == 0 || w.tli == tli))
			return 0;
		if (strcmp(w.status, "waiting") != 0)
			good = clock_mono();
		if (clock_mono().ms - good.ms > DIVERGED_MS)
			return err_set(e, ERR_STATE,
			    "the upstream has nothing to send on timeline %d: histories "
			    "have diverged",
			    w.tli);
	} while (clock_nap_until(deadline, POLL_MS));
	err_set(e, ERR_POSTGRES,
	    "not streaming after %lld s (walreceiver: %s, timeline %d)",
	    (long long)(deadline_ms / 1000), w.status[0] ? w.status : "none", w.tli);
	return err_hint(e, "the reason stands in the log of Postgres");
}

int
standby_follow(const struct host *h, const struct conf_upstream *up, int tli,
    int64_t deadline_ms, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (conf_signal_write(h, e) || conf_standby(h, up, e) < 0 || host_reload(h, e) ||
	    host_open(h, &d, 0, e))
		return -1;
	rc = wait_streaming(&d, tli, deadline_ms ? deadline_ms : 30000, e);
	db_close(&d);
	return rc ? err_wrap(e, "follow %s:%d", up->host, up->port) : 0;
}

int
standby_fetch(const struct host *h, const struct conf_upstream *up, uint64_t target,
    int64_t deadline_ms, struct host_position *p, struct err *e)
{
	if (conf_standby(h, up, e) < 0 || host_reload(h, e) ||
	    standby_wait_lsn(h, target, deadline_ms, e))
		return err_wrap(e, "fetch from %s:%d", up->host, up->port);
	return standby_detach(h, p, e);
}

int
standby_clear_queries(const struct host *h, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = db_run(&d, e,
	    "select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity"
	    " where backend_type = 'client backend' and state <> 'idle'"
	    " and pid <> pg_catalog.pg_backend_pid() and application_name <> 'autoctl'",
	    DB_END);
	db_close(&d);
	return rc;
}
