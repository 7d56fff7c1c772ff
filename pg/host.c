/* The machine a Postgres of ours lives on: where it is, how to reach it, what it has. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/host.h"

#include <dirent.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define CONNECT_MS 3000
#define RELOAD_MS 10000
#define RELOAD_STEP_MS 3

/* What is behind a socket directory in the address: "/.s.PGSQL.65535" and NUL. */
#define SOCKET_NAME 16

static const char session_options[] =
    "-c synchronous_commit=local -c default_transaction_read_only=off "
    "-c lock_timeout=0 -c idle_in_transaction_session_timeout=0";

static int
find_user(struct host *h, struct err *e)
{
	const struct passwd *pw = getpwuid(geteuid());
	const char *name = pw ? pw->pw_name : getenv("USER");

	if (str_empty(name))
		return err_set(
		    e, ERR_SYSTEM, "no name for user id %u", (unsigned)geteuid());
	if (str_copy(h->osuser, sizeof h->osuser, name, e))
		return err_wrap(e, "the operating system's user");
	memcpy(h->user, h->osuser, sizeof h->user);
	return 0;
}

/* A server of a distribution wants a directory that may not be there, or not for us. */
static void
find_sockdir(struct host *h)
{
	static const char usual[] = "/var/run/postgresql";
	const char *test = getenv("PG_REGRESS_SOCK_DIR");
	const char *dir = "";

	if (test && !*test) {
		h->no_socket = true;
		return;
	}
	if (test)
		dir = test;
	else if (!str_empty(h->cfg->host) && h->cfg->host[0] == '/')
		dir = h->cfg->host;
	else if (access(usual, W_OK | X_OK) != 0)
		dir = "/tmp";
	if (strlen(dir) + SOCKET_NAME > sizeof h->sockdir) {
		log_warn("socket directory %s: its name is too long, using /tmp", dir);
		dir = "/tmp";
	}
	snprintf(h->sockdir, sizeof h->sockdir, "%s", dir);
}

int
host_init(struct host *h, const struct config *cfg, int64_t node_id, struct err *e)
{
	struct buf path = { 0 };
	int rc;

	memset(h, 0, sizeof *h);
	h->cfg = cfg;
	h->node_id = node_id;
	if (str_empty(cfg->pgdata))
		return err_set(e, ERR_CONFIG, "no data directory is set");
	rc = file_absolute(cfg->pgdata, &path, e);
	if (rc == 0)
		rc = str_copy(h->pgdata, sizeof h->pgdata, buf_peek(&path), e);
	buf_drop(&path);
	if (rc || find_user(h, e))
		return -1;
	find_sockdir(h);
	return 0;
}

bool
host_progress(const struct host *h, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	if (!h->progress)
		return true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return h->progress(h->arg, text);
}

/* -- sessions -- */

void
host_target(const struct host *h, struct host_target *t)
{
	struct postmaster pm;

	memset(t, 0, sizeof *t);
	postmaster_find(h, &pm);
	if (pm.pid && pm.sockdir[0])
		snprintf(t->host, sizeof t->host, "%s", pm.sockdir);
	else if (h->sockdir[0] && !pm.pid)
		snprintf(t->host, sizeof t->host, "%s", h->sockdir);
	else
		snprintf(t->host, sizeof t->host, "127.0.0.1");
	t->t.host = t->host;
	t->t.port = pm.pid ? pm.port : h->cfg->port;
	t->t.dbname = "postgres";
	t->t.user = h->user;
	t->t.sslmode = "disable";
	t->t.options = session_options;
	t->t.connect_ms = CONNECT_MS;
	t->t.local = true;
}

/* An adopted cluster may have been made by another name, or lost its database postgres.
 */
static int
open_some_way(struct host_target *t, const struct host *h, struct db *d, struct err *e)
{
	struct err own = { 0 };

	if (!e)
		e = &own;
	if (db_open(d, &t->t, e) == 0)
		return 0;
	if (strcmp(e->sqlstate, "28000") == 0 && !str_empty(h->cfg->username) &&
	    h->cfg->kind == CONFIG_KEEPER) {
		t->t.user = h->cfg->username;
		if (db_open(d, &t->t, NULL) == 0)
			return 0;
		t->t.user = h->user;
	}
	if (strcmp(e->sqlstate, "3D000") == 0) {
		t->t.dbname = "template1";
		return db_open(d, &t->t, e);
	}
	return -1;
}

int
host_open(const struct host *h, struct db *d, int64_t statement_ms, struct err *e)
{
	struct host_target t;

	host_target(h, &t);
	t.t.statement_ms = statement_ms;
	if (open_some_way(&t, h, d, e))
		return err_wrap(e, "connect to the local Postgres");
	return 0;
}

int
host_open_in(const struct host *h, struct db *d, const char *dbname, int64_t statement_ms,
    struct err *e)
{
	struct host_target t;

	host_target(h, &t);
	t.t.statement_ms = statement_ms;
	t.t.dbname = dbname;
	if (open_some_way(&t, h, d, e))
		return err_wrap(e, "connect to the local database %s", dbname);
	return 0;
}

/* -- reload -- */

/* A new session has the time at which the postmaster last read its files. */
static int
load_time(const struct host *h, char out[64], struct err *e)
{
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = db_query(
	    &d, e, &r, "select pg_catalog.pg_conf_load_time()::text as t", DB_END);
	if (rc == 0) {
		struct row row = row_at(&r, 0);

		snprintf(out, 64, "%s", row_text(&row, "t"));
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

static int
not_reloaded(const struct host *h, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = conf_check(&d, e);
	db_close(&d);
	return rc ? rc
		  : err_set(e, ERR_SYSTEM, "Postgres did not read its settings again");
}

int
host_reload(const struct host *h, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), RELOAD_MS);
	char before[64], now[64];

	if (load_time(h, before, e))
		return -1;
	if (postmaster_hup(h, e))
		return -1;
	do {
		if (load_time(h, now, e))
			return -1;
		if (strcmp(before, now) != 0)
			return 0;
	} while (clock_nap_until(deadline, RELOAD_STEP_MS));
	return not_reloaded(h, e);
}

int
host_checkpoint(const struct host *h, int64_t deadline_ms, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, deadline_ms, e))
		return -1;
	rc = db_run(&d, e, "checkpoint", DB_END);
	db_close(&d);
	return rc;
}

/* -- where it stands -- */

/*
 * The timeline of received WAL that is not replayed yet: the highest one that has a file
 * for that place. (The view of the walreceiver is empty when it has gone.)
 */
static int
received_tli(const struct host *h, uint64_t lsn, uint64_t segment_bytes)
{
	char *path = xasprintf("%s/pg_wal", h->pgdata);
	DIR *d = opendir(path);
	uint64_t want = segment_bytes ? (lsn - 1) / segment_bytes : 0;
	const struct dirent *entry;
	int best = 0;

	free(path);
	while (d && (entry = readdir(d))) {
		unsigned tli, log, seg;
		char rest;

		if (sscanf(entry->d_name, "%8X%8X%8X%c", &tli, &log, &seg, &rest) != 3 ||
		    strlen(entry->d_name) != 24)
			continue;
		if (log * (UINT64_C(0x100000000) / segment_bytes) + seg == want &&
		    (int)tli > best)
			best = (int)tli;
	}
	if (d)
		closedir(d);
	return best;
}

static const char where_sql[] =
    "select pg_catalog.pg_is_in_recovery() as recovery,"
    " case when pg_catalog.pg_is_in_recovery() then 0 else"
    "  ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name("
    "  pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int end as tli,"
    " case when not pg_catalog.pg_is_in_recovery() then"
    "  pg_catalog.pg_current_wal_flush_lsn() end as flush,"
    " case when pg_catalog.pg_is_in_recovery() then"
    "  pg_catalog.pg_last_wal_receive_lsn() end as receive,"
    " case when pg_catalog.pg_is_in_recovery() then"
    "  pg_catalog.pg_last_wal_replay_lsn() end as replay,"
    " (select setting from pg_catalog.pg_settings"
    "  where name = 'wal_segment_size') as segment,"
    " (select system_identifier from pg_catalog.pg_control_system()) as sysid";

static void
fill_position(const struct host *h, struct host_position *p, const struct row *w,
    const struct row *id)
{
	uint64_t receive = row_lsn(w, "receive");
	uint64_t replay = row_lsn(w, "replay");
	int tli;

	memset(p, 0, sizeof *p);
	p->recovery = row_bool(w, "recovery");
	p->system_identifier = (uint64_t)row_i64(w, "sysid");
	if (!p->recovery) {
		p->tli = row_int(w, "tli");
		p->lsn = row_lsn(w, "flush");
		return;
	}
	p->tli = row_int(id, "timeline"); /* of replay */
	p->lsn = replay;
	if (receive > replay) {
		tli = received_tli(h, receive, (uint64_t)row_i64(w, "segment"));
		p->lsn = receive;
		if (tli > p->tli)
			p->tli = tli;
	}
}

/* IDENTIFY_SYSTEM is the only one to tell a standby's timeline of replay; it and SQL
 * both work in a replication session with a database. */
int
host_position(const struct host *h, struct host_position *p, struct err *e)
{
	struct host_target t;
	struct db d = { 0 };
	struct rows where = { 0 };
	struct rows id = { 0 };
	int rc = -1;

	host_target(h, &t);
	t.t.replication = "database";
	if (open_some_way(&t, h, &d, e))
		return err_wrap(e, "connect to the local Postgres");
	if (db_simple(&d, &where, where_sql, e) == 0 &&
	    db_simple(&d, &id, "IDENTIFY_SYSTEM", e) == 0) {
		struct row w = row_at(&where, 0);
		struct row i = row_at(&id, 0);

		fill_position(h, p, &w, &i);
		rc = 0;
	}
	rows_drop(&where);
	rows_drop(&id);
	db_close(&d);
	return rc;
}

int
host_disk(const struct host *h, struct host_disk *disk, struct err *e)
{
	char *wal = xasprintf("%s/pg_wal", h->pgdata);
	struct statvfs v;
	int rc = 0;

	if (statvfs(h->pgdata, &v))
		rc = err_sys(e, "look at the file system of %s", h->pgdata);
	if (rc == 0) {
		disk->data_free = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
		disk->data_total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
		if (statvfs(wal, &v))
			rc = err_sys(e, "look at the file system of %s", wal);
	}
	if (rc == 0) {
		disk->wal_free = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
		disk->wal_total = (int64_t)v.f_blocks * (int64_t)v.f_frsize;
	}
	free(wal);
	return rc;
}
