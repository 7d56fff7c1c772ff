/* A running standby: let go of its upstream, follow another one, wait for a position. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/standby.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/limits.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define POLL_MS 3
#define DETACH_PATIENCE_MS 80 /* a reload does it in 10 ms, unless replay is blocked */
#define DETACH_MS 2000
#define HARD_STOP_MS 10000
#define DIVERGED_MS 2000
#define SETTLE_MS 10000 /* without progress */
#define SETTLE_STEP_MS 10
#define SURE_MS 30
#define FETCH_IDLE_MS 10000
#define RESUME_MS 500

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
 * not while replay is blocked; then we do, and it does not come back (facts 1.4). 0: it
 * is gone; else the pid of one that does not end.
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
	return pid;
}

/* Deaf to SIGTERM, as one that was stopped is: what it would still write if it woke up
 * must not come after the promise. Postgres does not outlive such an end, and restarts.
 */
static int
end_hard(const struct host *h, int pid, struct host_position *p, struct err *e)
{
	struct postmaster_stop how = { .mode = POSTMASTER_IMMEDIATE,
		.deadline_ms = HARD_STOP_MS };

	host_progress(h, "the walreceiver, process %d, does not end: killed", pid);
	if (kill(pid, SIGKILL) && errno != ESRCH)
		return err_sys(e, "kill the walreceiver, process %d", pid);
	return postmaster_stop(h, &how, e) || standby_start_alone(h, p, e) ? -1 : 0;
}

/*
 * Say whom to follow, to a running Postgres too. Our file is read before the operator's,
 * so a line of theirs would win: that is an error, not something to be quiet about.
 */
static int
point(const struct host *h, const struct conf_upstream *up, struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (conf_standby(h, up, e) < 0 || host_open(h, &d, 0, e))
		return -1;
	rc = conf_alter_follow(&d, e);
	db_close(&d);
	if (rc || host_reload(h, e) || host_open(h, &d, 0, e))
		return -1;
	rc = db_query(&d, e, &r,
	    "select sourcefile, sourceline from pg_catalog.pg_settings"
	    " where name = 'primary_conninfo' and sourcefile !~ '/" CONF_STANDBY "$'",
	    DB_END);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);

		rc = err_set(e, ERR_CONFIG, "%s line %s sets primary_conninfo",
		    row_text(&row, "sourcefile"), row_text(&row, "sourceline"));
		err_hint(e, "remove that line: whom to follow is decided by autoctl");
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

int
standby_detach(const struct host *h, struct host_position *p, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_position(h, p, e))
		return -1;
	if (!p->recovery)
		return err_set(e, ERR_STATE, "not a standby: nothing to let go of");
	if (point(h, NULL, e) || host_open(h, &d, 0, e))
		return err_wrap(e, "let go of the upstream");
	rc = end_receiver(&d, e);
	/* twice: one that was just being started is seen by the second look */
	if (rc == 0)
		rc = end_receiver(&d, e);
	db_close(&d);
	if (rc >= 0)
		rc = rc > 0 ? end_hard(h, rc, p, e) : host_position(h, p, e);
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
standby_wait_lsn(const struct host *h, uint64_t lsn, int64_t still_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), still_ms);
	char have[STR_LSN_MAX], want[STR_LSN_MAX];
	struct db d = { 0 };
	uint64_t at = 0, before = 0;
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	do {
		before = at;
		rc = reached(&d, &at, e);
		if (at != before)
			deadline = mono_after(clock_mono(), still_ms);
	} while (rc == 0 && at < lsn && clock_nap_until(deadline, POLL_MS));
	db_close(&d);
	if (rc == 0 && at < lsn)
		rc = err_set(e, ERR_SYSTEM, "received up to %s, not up to %s",
		    str_lsn_format(at, have), str_lsn_format(lsn, want));
	return rc;
}

struct replay {
	uint64_t lsn;
	bool waits;  /* for WAL that is not here */
	bool paused; /* it does not go on by itself */
};

static int
look_replay(struct db *d, struct replay *now, struct err *e)
{
	struct rows r = { 0 };

	if (db_query(d, e, &r,
		"select greatest(pg_catalog.pg_last_wal_receive_lsn(),"
		" pg_catalog.pg_last_wal_replay_lsn()) as lsn, (select wait_event from"
		" pg_catalog.pg_stat_activity where backend_type = 'startup') as event",
		DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	now->lsn = row_lsn(&row, "lsn");
	now->waits = str_eq(row_text(&row, "event"), "RecoveryRetrieveRetryInterval") ||
		     str_eq(row_text(&row, "event"), "RecoveryWalStream");
	now->paused = str_eq(row_text(&row, "event"), "RecoveryPause");
	rows_drop(&r);
	return 0;
}

/*
 * After a start all that is in pg_wal is replayed: wait until that has come to an end,
 * which is when the startup process waits for more, as two looks see it.
 */
static int
settle(const struct host *h, struct err *e)
{
	struct mono moved = clock_mono();
	struct replay now = { 0 }, last = { 0 };
	struct db d = { 0 };
	char text[STR_LSN_MAX];
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	do {
		last = now;
		rc = look_replay(&d, &now, e);
		if (rc || (now.waits && last.waits && now.lsn == last.lsn))
			break;
		if (now.lsn != last.lsn)
			moved = clock_mono();
		if (!host_progress(
			h, "replaying WAL, at %s", str_lsn_format(now.lsn, text)))
			rc = err_set(e, ERR_SYSTEM, "given up on request");
		else if (mono_between(moved, clock_mono()) > SETTLE_MS)
			rc = err_set(e, ERR_POSTGRES, "replay %s at %s",
			    now.paused ? "is paused" : "makes no progress",
			    str_lsn_format(now.lsn, text));
		else
			clock_nap_ms(SETTLE_STEP_MS);
	} while (rc == 0);
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
	int pid;
};

static int
look(struct db *d, struct receiver *w, struct err *e)
{
	struct rows r = { 0 };

	memset(w, 0, sizeof *w);
	if (db_query(d, e, &r,
		"select status, received_tli, pid from pg_catalog.pg_stat_wal_receiver",
		DB_END))
		return -1;
	if (r.count) {
		struct row row = row_at(&r, 0);
		snprintf(w->status, sizeof w->status, "%s", row_text(&row, "status"));
		w->tli = row_int(&row, "received_tli");
		w->pid = row_int(&row, "pid");
	}
	rows_drop(&r);
	return 0;
}

/*
 * A walreceiver says "streaming" before it has asked for anything, and the one of the
 * former upstream may be seen still. So: the same one for a moment, and the upstream must
 * say that it sends.
 */
struct follow {
	const struct host *h;
	const struct conf_upstream *up;
	int tli;
	int pid; /* of the walreceiver that was seen streaming */
	struct mono since, good;
};

/* 1: it streams, 0: not yet. */
static int
judge(struct follow *f, const struct receiver *w, struct err *e)
{
	struct mono now = clock_mono();

	if (strcmp(w->status, "waiting") != 0)
		f->good = now;
	/* facts 2.4: how a fork shows */
	if (mono_between(f->good, now) > DIVERGED_MS)
		return err_set(e, ERR_STATE,
		    "the upstream has nothing to send on timeline %d: histories have "
		    "diverged",
		    w->tli);
	if (strcmp(w->status, "streaming") != 0 || (f->tli && w->tli != f->tli)) {
		f->pid = 0;
		return 0;
	}
	if (w->pid != f->pid) {
		f->pid = w->pid;
		f->since = now;
	}
	if (mono_between(f->since, now) < SURE_MS)
		return 0;
	return standby_source_attached(f->h, f->up, e);
}

/* While replay is paused nobody starts a walreceiver for another upstream, and commits
 * there may wait for it: streaming is worth more than the pause. */
static int
resume_replay(const struct host *h, struct db *d, struct err *e)
{
	struct rows r = { 0 };
	int rc = db_query(
	    d, e, &r, "select where pg_catalog.pg_is_wal_replay_paused()", DB_END);
	bool paused = rc == 0 && r.count > 0;

	rows_drop(&r);
	if (!paused)
		return rc;
	if (limits_check(h, d, e) ||
	    db_run(d, e, "select pg_catalog.pg_wal_replay_resume()", DB_END))
		return -1;
	log_warn("replay was paused, which kept it from following: resumed");
	return 0;
}

static int
wait_streaming(struct follow *f, struct db *d, int64_t deadline_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), deadline_ms);
	struct mono resume = mono_after(clock_mono(), RESUME_MS);
	bool resumed = false;
	struct receiver w = { 0 };
	int rc;

	f->good = clock_mono();
	do {
		rc = look(d, &w, e);
		if (rc == 0)
			rc = judge(f, &w, e);
		if (rc)
			return rc > 0 ? 0 : -1;
		if (!resumed && mono_reached(clock_mono(), resume)) {
			if (w.status[0] == '\0' && resume_replay(f->h, d, e))
				return -1;
			resumed = true;
		}
		if (!host_progress(f->h, "connecting to %s:%d", f->up->host, f->up->port))
			return err_set(e, ERR_SYSTEM, "given up on request");
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
	struct follow f = { .h = h, .up = up, .tli = tli };
	struct db d = { 0 };
	int rc;

	if (conf_signal_write(h, e) || standby_source_slot(h, up, e) || point(h, up, e) ||
	    host_open(h, &d, 0, e))
		return err_wrap(e, "follow %s:%d", up->host, up->port);
	rc = wait_streaming(&f, &d, deadline_ms ? deadline_ms : 30000, e);
	db_close(&d);
	return rc ? err_wrap(e, "follow %s:%d", up->host, up->port) : 0;
}

/* Until it is there, as long as anything comes. */
static int
wait_fetched(const struct host *h, uint64_t target, struct err *e)
{
	struct mono moved = clock_mono();
	char have[STR_LSN_MAX], want[STR_LSN_MAX];
	uint64_t at = 0, last = 0;
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	while ((rc = reached(&d, &at, e)) == 0 && at < target) {
		struct mono now = clock_mono();

		if (at != last)
			moved = now;
		last = at;
		str_lsn_format(at, have);
		if (!host_progress(h, "fetching WAL, at %s", have))
			rc = err_set(e, ERR_SYSTEM, "given up on request");
		else if (mono_between(moved, now) > FETCH_IDLE_MS)
			rc = err_set(e, ERR_SYSTEM, "nothing comes after %s, wanted %s",
			    have, str_lsn_format(target, want));
		if (rc)
			break;
		clock_nap_ms(POLL_MS);
	}
	db_close(&d);
	return rc;
}

int
standby_fetch(const struct host *h, const struct conf_upstream *up, uint64_t target,
    struct host_position *p, struct err *e)
{
	if (standby_source_slot(h, up, e) || point(h, up, e) ||
	    wait_fetched(h, target, e))
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
