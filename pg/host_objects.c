/* What a data node of ours has inside: roles, a database, extensions. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/db.h"
#include "pg/host.h"

#include "ini/ban.h"

#define CREATE_MS 120000 /* a database is a copy of another one */

/* Run the statement that a query makes: the server quotes names and values. */
static int
run_made(struct db *d, struct err *e, const char *maker, const char *a, const char *b)
{
	struct rows r = { 0 };
	const char *value[] = { a, b };
	int rc = db_exec(d, &r, maker, db_args(b ? 2 : 1, value), e);

	for (int i = 0; rc == 0 && i < r.count; i++) {
		struct row row = row_at(&r, i);

		if (!row_null(&row, "sql"))
			rc = db_run(d, e, row_text(&row, "sql"), DB_END);
	}
	rows_drop(&r);
	return rc;
}

static int
make_role(struct db *d, const char *role, const char *how, struct err *e)
{
	struct buf sql = { 0 };
	int rc;

	buf_printf(&sql,
	    "select pg_catalog.format('create role %%I %s', $1::text) as sql"
	    " where not exists (select from pg_catalog.pg_roles where rolname = "
	    "$1::text)",
	    how);
	rc = run_made(d, e, buf_peek(&sql), role, NULL);
	buf_drop(&sql);
	return rc ? err_wrap(e, "create role %s", role) : 0;
}

int
host_password(struct db *d, const char *role, const char *password, struct err *e)
{
	char *verifier;
	int rc;

	if (str_empty(password))
		return 0;
	verifier = PQencryptPasswordConn(d->conn, password, role, NULL);
	if (!verifier)
		return db_conn_err(d->conn, d->local, e);
	/* not even that needs to be in the server's log */
	rc = db_run(d, e,
	    "select pg_catalog.set_config(n, v, false) from (values"
	    " ('log_statement', 'none'), ('log_min_error_statement', 'panic'),"
	    " ('log_min_duration_statement', '-1'), ('log_duration', 'off')) as s (n, v)"
	    " where (select rolsuper from pg_catalog.pg_roles"
	    "  where rolname = current_user)",
	    DB_END);
	if (rc == 0)
		rc = run_made(d, e,
		    "select pg_catalog.format('alter role %I password %L', $1::text,"
		    " $2::text) as sql",
		    role, verifier);
	PQfreemem(verifier);
	return rc ? err_wrap(e, "password of role %s", role) : 0;
}

/* The role of the probes may do nothing: its password is no secret until one is set. */
static int
set_passwords(struct db *d, const struct config *c, struct err *e)
{
	const char *health =
	    str_empty(c->monitor_password) ? HOST_HEALTH : c->monitor_password;

	if (!config_no_monitor(c) && host_password(d, HOST_HEALTH, health, e))
		return -1;
	return host_password(d, HOST_REPLICATOR, c->replication_password, e);
}

static int
make_roles(struct db *d, const struct config *c, struct err *e)
{
	if (!config_no_monitor(c) &&
	    make_role(d, HOST_HEALTH, "login connection limit 1", e))
		return -1;
	if (make_role(d, HOST_REPLICATOR, "login superuser replication", e) ||
	    set_passwords(d, c, e))
		return -1;
	if (!str_empty(c->username))
		return make_role(d, c->username, "login superuser", e);
	return 0;
}

int
host_passwords(const struct host *h, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = set_passwords(&d, h->cfg, e);
	db_close(&d);
	return rc;
}

static int
make_database(struct db *d, const struct config *c, struct err *e)
{
	if (str_empty(c->dbname))
		return 0;
	if (run_made(d, e,
		"select pg_catalog.format('create database %I', $1::text) ||"
		" case when $2::text <> '' then pg_catalog.format(' owner %I', $2::text)"
		" else '' end as sql"
		" where not exists (select from pg_catalog.pg_database"
		" where datname = $1::text)",
		c->dbname, str_empty(c->username) ? "" : c->username))
		return err_wrap(e, "create database %s", c->dbname);
	return 0;
}

/* Useful, not needed: a failure is a warning. */
static void
make_extension(const struct host *h)
{
	const char *dbname = str_empty(h->cfg->dbname) ? "postgres" : h->cfg->dbname;
	struct err e = { 0 };
	struct db d = { 0 };

	if (host_open_in(h, &d, dbname, CREATE_MS, &e) ||
	    run_made(&d, &e,
		"select 'create extension if not exists pg_stat_statements"
		" with schema public' as sql"
		" where pg_catalog.current_setting('shared_preload_libraries') ~ $1::text"
		" and exists (select from pg_catalog.pg_available_extensions"
		" where name = 'pg_stat_statements' and installed_version is null)",
		"pg_stat_statements", NULL))
		log_err(LOG_LEVEL_WARN, &e);
	db_close(&d);
}

int
host_objects(const struct host *h, struct err *e)
{
	struct db d = { 0 };
	int rc;

	if (host_open(h, &d, CREATE_MS, e))
		return -1;
	rc = make_roles(&d, h->cfg, e);
	if (rc == 0)
		rc = make_database(&d, h->cfg, e);
	db_close(&d);
	if (rc == 0)
		make_extension(h);
	return rc;
}
