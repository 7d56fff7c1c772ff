/* Encryption is switched on and off while everything runs: host by host, cutting no one.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "cmd/settings.h"
#include "fsm/fsm.h"
#include "ini/clock.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define IN_FORCE_MS 30000
#define STEP_MS 200
#define ASK_MS 3000

static bool
verifies(const struct config *c)
{
	return str_starts(c->sslmode, "verify-");
}

static bool
insists(const char *sslmode)
{
	return str_eq(sslmode, "require") || str_starts(sslmode, "verify-");
}

/* -- the monitor, as seen from a node -- */

static int
changed(struct buf *uri, const char *keyword, const char *value, struct err *e)
{
	struct buf next = { 0 };
	int rc = uri_set(buf_peek(uri), keyword, value, &next, e);

	if (rc == 0) {
		buf_reset(uri);
		buf_str(uri, buf_peek(&next));
	}
	buf_drop(&next);
	return rc;
}

/* The connection string with the new ways; and it is tried before it is kept. */
static int
change_monitor(struct cmd_ctx *x)
{
	struct config *c = &x->config;
	struct db_target t = { .connect_ms = ASK_MS };
	struct buf uri = { 0 };
	int rc;

	buf_str(&uri, c->monitor);
	rc = changed(&uri, "sslmode", c->sslmode, &x->err) ||
	     changed(&uri, "sslrootcert", verifies(c) ? c->ca_file : NULL, &x->err) ||
	     changed(&uri, "sslcrl", verifies(c) ? c->crl_file : NULL, &x->err);
	t.uri = buf_peek(&uri);
	if (!rc && (rc = db_open(&x->monitor, &t, &x->err))) {
		err_wrap(&x->err, "the monitor, with sslmode=%s", c->sslmode);
		x->err.kind = ERR_MONITOR;
		if (c->ssl_active)
			err_hint(&x->err, "switch it on at the monitor first");
	}
	if (!rc) {
		free(c->monitor);
		c->monitor = xstrdup(buf_peek(&uri));
	}
	buf_drop(&uri);
	return rc ? -1 : 0;
}

/* -- the other nodes -- */

struct other {
	const char *name, *host;
	int port;
};

static int
open_other(struct cmd_ctx *x, const struct other *o, bool as_we_will, struct db *d,
    struct err *e)
{
	struct config *c = &x->config;
	struct config plain = *c; /* borrows */
	struct host h = { .cfg = as_we_will ? c : &plain };
	struct db_target t = {
		.password = c->replication_password, .connect_ms = ASK_MS, .local = true
	};
	struct buf words = { 0 };
	char prefer[] = "prefer";
	int rc;

	plain.sslmode = prefer;
	plain.ca_file = plain.crl_file = NULL;
	conf_conninfo(&h, o->host, o->port, "autoctl", &words);
	t.uri = buf_peek(&words);
	rc = db_open(d, &t, e);
	buf_drop(&words);
	return rc;
}

/* A standby that could not follow the writer any more would make every commit wait. */
static int
check_writer(struct cmd_ctx *x, const struct other *o)
{
	struct db d = { 0 };

	if (open_other(x, o, true, &d, &x->err)) {
		err_wrap(&x->err,
		    "%s, which this node has to follow, does not let it in with "
		    "sslmode=%s",
		    o->name, x->config.sslmode);
		x->err.kind = ERR_STATE;
		if (x->config.ssl_active)
			err_hint(&x->err, "switch it on at the primary first");
		return -1;
	}
	db_close(&d);
	return 0;
}

/* What a standby wants of the writer, which we are. "": it did not say. */
static void
ask_standby(struct cmd_ctx *x, const struct other *o, struct buf *sslmode)
{
	struct err e = { 0 };
	struct db d = { 0 };
	struct rows r = { 0 };

	if (open_other(x, o, false, &d, &e) ||
	    db_query(&d, &e, &r,
		"select pg_catalog.current_setting('primary_conninfo') as info",
		DB_END)) {
		log_warn(
		    "%s cannot be asked how it follows this node: %s", o->name, e.msg);
	} else {
		struct row row = row_at(&r, 0);

		if (uri_get(row_text(&row, "info"), "sslmode", sslmode, NULL))
			buf_reset(sslmode);
	}
	rows_drop(&r);
	db_close(&d);
}

static int
check_standby(struct cmd_ctx *x, const struct other *o)
{
	bool on = x->config.ssl_active;
	struct buf mode = { 0 };
	int rc = 0;

	ask_standby(x, o, &mode);
	if (!on && insists(buf_peek(&mode))) {
		rc = err_set(&x->err, ERR_STATE,
		    "%s insists on encryption when it follows this node: sslmode=%s",
		    o->name, buf_peek(&mode));
		err_hint(&x->err, "switch it off at the standbys first");
	} else if (on && str_eq(buf_peek(&mode), "disable")) {
		rc = err_set(&x->err, ERR_STATE,
		    "%s refuses encryption when it follows this node: sslmode=disable",
		    o->name);
		err_hint(&x->err, "set its ssl.sslmode to prefer first");
	}
	buf_drop(&mode);
	return rc;
}

static int
check_others(struct cmd_ctx *x)
{
	struct rows r = { 0 };
	char group[16];
	int writer = -1;
	int rc = 0;

	snprintf(group, sizeof group, "%d", x->config.group);
	if (db_query(&x->monitor, &x->err, &r,
		"select nodename, nodehost, nodeport, goalstate"
		" from pgautofailover.node where formationid = $1 and groupid = $2::int"
		" and nodename <> $3 order by nodeid",
		x->config.formation, group, x->config.name, DB_END))
		return -1;
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		int state = fsm_state_find(row_text(&row, "goalstate"));

		if (state >= 0 && (fsm_state_flags((enum fsm_state)state) & ST_RW))
			writer = i;
	}
	for (int i = 0; i < r.count && !rc; i++) {
		struct row row = row_at(&r, i);
		struct other o = { .name = row_text(&row, "nodename"),
			.host = row_text(&row, "nodehost"),
			.port = row_int(&row, "nodeport") };

		if (writer == i)
			rc = check_writer(x, &o);
		else if (writer == -1)
			rc = check_standby(x, &o);
	}
	rows_drop(&r);
	return rc;
}

/* -- here -- */

/* When Postgres read its files last, "" while it cannot be asked. */
static void
last_reload(const struct host *h, struct buf *when)
{
	struct db d = { 0 };
	struct rows r = { 0 };

	buf_reset(when);
	if (host_open(h, &d, 0, NULL) == 0 &&
	    db_query(&d, NULL, &r, "select pg_catalog.pg_conf_load_time() as t",
		DB_END) == 0) {
		struct row row = row_at(&r, 0);

		buf_str(when, row_text(&row, "t"));
	}
	rows_drop(&r);
	db_close(&d);
}

/* 1: Postgres has read its files since, and they say what we want; 0: not yet. */
static int
in_force(const struct host *h, const char *since, struct err *e)
{
	const struct config *c = h->cfg;
	struct db d = { 0 };
	struct rows r = { 0 };
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	rc = db_query(&d, e, &r,
	    "select pg_catalog.pg_conf_load_time() > $1::timestamptz"
	    " and pg_catalog.current_setting('ssl')::bool = $2::bool"
	    " and ($3 = '' or pg_catalog.current_setting('ssl_cert_file') = $3) as yes",
	    str_empty(since) ? "-infinity" : since, c->ssl_active ? "on" : "off",
	    c->ssl_active && c->cert_file ? c->cert_file : "", DB_END);
	if (rc == 0) {
		struct row row = row_at(&r, 0);

		rc = row_bool(&row, "yes");
	}
	rows_drop(&r);
	db_close(&d);
	return rc;
}

static int
wait_until_in_force(struct cmd_ctx *x, const struct host *h, const char *since)
{
	struct mono until = mono_after(clock_mono(), IN_FORCE_MS);
	int rc;

	while ((rc = in_force(h, since, &x->err)) != 1 && clock_nap_until(until, STEP_MS))
		;
	if (rc == 1) {
		log_info("ssl is %s", x->config.ssl_active ? "on" : "off");
		return 0;
	}
	if (rc == 0)
		err_set(&x->err, ERR_POSTGRES,
		    "Postgres has not taken over the changed settings in time");
	return err_hint(&x->err, "they are in %s; the service's log says what is wrong",
	    buf_peek(&x->cfg_path));
}

/* From here on it is done; what is waited for is only Postgres. */
static int
bring_into_force(struct cmd_ctx *x, const struct host *h)
{
	struct postmaster pm;
	struct buf since = { 0 };
	pid_t pid;
	int found = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	int rc;

	if (found == -1)
		return -1;
	postmaster_find(h, &pm);
	if (pm.pid)
		last_reload(h, &since);
	if (found == 1 && kill(pid, SIGHUP)) {
		buf_drop(&since);
		return err_sys(&x->err, "tell process %d to reload", (int)pid);
	}
	if (found != 1 || pm.pid == 0)
		log_info("%s does not run: its next start will have ssl = %s",
		    found == 1 ? "Postgres" : "the service",
		    x->config.ssl_active ? "on" : "off");
	rc = found != 1 || pm.pid == 0 ? 0 : wait_until_in_force(x, h, buf_peek(&since));
	buf_drop(&since);
	return rc;
}

static int
wants_a_family(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;

	if (a->ssl_self_signed || a->no_ssl || a->ssl_ca_file || a->ssl_crl_file ||
	    a->server_cert || a->server_key || (a->ssl_mode && x->config.ssl_active))
		return 0;
	err_set(&x->err, ERR_USAGE, "say how connections are encrypted");
	return err_hint(&x->err,
	    "Use --ssl-self-signed, or --ssl-ca-file, --server-cert and --server-key.");
}

static void
advise(const struct config *c)
{
	if (str_eq(c->hba_level, "skip"))
		log_warn(
		    "pg_hba.conf is yours (--skip-pg-hba): change host to hostssl, or "
		    "back, where it is needed");
	if (!c->ssl_active && c->kind == CONFIG_MONITOR)
		log_warn(
		    "nodes whose connection string insists on encryption cannot come "
		    "back: \"disable ssl\" on them is to be run before");
}

static int
switch_ssl(struct cmd_ctx *x)
{
	struct config *c = &x->config;
	struct host h;

	if (!str_empty(c->dburi))
		return err_set(&x->err, ERR_CONFIG,
		    "the metadata is in a database of its own (--dburi), which has its "
		    "own "
		    "encryption");
	if (wants_a_family(x) || settings_ssl(x) || config_check(c, &x->err) ||
	    host_init(&h, c, 0, &x->err))
		return -1;
	if (c->ssl_active && setup_certificate(&h, &x->err))
		return -1;
	if (c->kind == CONFIG_KEEPER && !config_no_monitor(c) &&
	    (change_monitor(x) || check_others(x)))
		return -1;
	if (config_save(c, buf_peek(&x->cfg_path), &x->err))
		return -1;
	advise(c);
	return bring_into_force(x, &h);
}

int
cmd_enable_ssl(struct cmd_ctx *x)
{
	return switch_ssl(x);
}

int
cmd_disable_ssl(struct cmd_ctx *x)
{
	x->args.no_ssl = true;
	return switch_ssl(x);
}
