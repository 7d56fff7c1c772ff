/* From argv to the exit status: find the command, read its options, set up, run, report.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 2000
#define AGAIN_MS 200

/* -- setting up -- */

static const char *
from_env(const char *given, const char *variable)
{
	const char *v = given ? NULL : getenv(variable);

	return given ? given : v && *v ? v : NULL;
}

static int
set_pgdata(struct cmd_ctx *x)
{
	const char *dir = from_env(x->args.pgdata, "PGDATA");

	if (!dir)
		return 0;
	if (file_absolute(dir, &x->pgdata, &x->err))
		return -1;
	if (x->args.pgdata && setenv("PGDATA", buf_peek(&x->pgdata), 1))
		return err_sys(&x->err, "set PGDATA");
	return 0;
}

int
cmd_load_config(struct cmd_ctx *x)
{
	if (x->have_config)
		return 0;
	if (!buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which data directory?");
		return err_hint(&x->err, "give --pgdata, or set PGDATA");
	}
	if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &x->cfg_path, &x->err))
		return -1;
	if (config_load(&x->config, buf_peek(&x->cfg_path), &x->err)) {
		if (errno == ENOENT) {
			err_set(&x->err, ERR_USAGE,
			    "%s: no settings for this data directory",
			    buf_peek(&x->pgdata));
			err_hint(&x->err,
			    "is PGDATA right? \"%s create postgres\" or \"%s create "
			    "monitor\" makes %s",
			    x->program, x->program, buf_peek(&x->cfg_path));
		}
		return -1;
	}
	x->have_config = true;
	return 0;
}

/* --monitor, PG_AUTOCTL_MONITOR, a node's setting, or the monitor's own database. */
static int
monitor_uri(struct cmd_ctx *x)
{
	const char *uri = from_env(x->args.monitor, "PG_AUTOCTL_MONITOR");

	buf_reset(&x->uri);
	if (uri) {
		if (x->args.monitor && x->args.pgdata)
			log_warn("--pgdata is not looked at: --monitor says whom to ask");
		if (uri_check(uri, &x->err))
			return err_wrap(&x->err, "the monitor's connection string");
		buf_str(&x->uri, uri);
		return 0;
	}
	if (!buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which monitor?");
		return err_hint(&x->err,
		    "give --monitor or --pgdata, or set PG_AUTOCTL_MONITOR or "
		    "PGDATA");
	}
	if (cmd_load_config(x))
		return -1;
	if (x->config.kind == CONFIG_KEEPER && config_no_monitor(&x->config))
		return err_set(&x->err, ERR_CONFIG, "%s: the monitor is disabled",
		    buf_peek(&x->cfg_path));
	if (!str_empty(x->config.monitor))
		buf_str(&x->uri, x->config.monitor);
	else if (!str_empty(x->config.dburi))
		buf_str(&x->uri, x->config.dburi);
	return 0;
}

/* The monitor's own host: over the socket, as the owner of the metadata. */
static int
open_local(struct cmd_ctx *x, struct db_target *t)
{
	static const char *const hosts[] = { "/var/run/postgresql", "/tmp", "localhost" };
	const char *host = x->config.host;

	t->port = x->config.port;
	t->dbname = "pg_auto_failover";
	t->user = "autoctl";
	if (!str_empty(host)) {
		t->host = host;
		return db_open(&x->monitor, t, &x->err);
	}
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		t->host = hosts[i];
		if (db_open(&x->monitor, t, &x->err) == 0)
			return 0;
	}
	return -1;
}

/* A node's role may ask for what concerns its own group: the monitor sees by our address
 * whether we are on a host of it. */
static int
say_here(struct cmd_ctx *x)
{
	return db_run(&x->monitor, &x->err,
	    "select set_config('pgautofailover.node', 'here', false)", DB_END);
}

/* Seconds, in PGCONNECT_TIMEOUT: of one attempt, and of all of them. */
static int64_t
connect_ms(const struct cmd_ctx *x)
{
	const char *seconds = getenv("PGCONNECT_TIMEOUT");
	int64_t ms;

	if (x->hurry_ms)
		return x->hurry_ms;
	return seconds && str_ms(seconds, 1000, &ms, NULL) == 0 && ms ? ms : CONNECT_MS;
}

int
cmd_try_monitor(struct cmd_ctx *x)
{
	struct db_target t = { .connect_ms = connect_ms(x),
		.statement_ms = x->hurry_ms ? x->hurry_ms : 10000 };

	if (db_is_open(&x->monitor))
		return 0;
	if (monitor_uri(x))
		return -1;
	t.uri = buf_len(&x->uri) ? buf_peek(&x->uri) : NULL;
	if (t.uri ? db_open(&x->monitor, &t, &x->err) : open_local(x, &t)) {
		err_wrap(&x->err, "connect to the monitor");
		x->err.kind = ERR_MONITOR;
		return -1;
	}
	err_clear(&x->err); /* of the places where it was looked for in vain */
	return t.uri ? say_here(x) : 0;
}

/* Nobody listens, or the server is starting, or full: that may change within seconds. */
static bool
may_pass(const struct err *e)
{
	return e->kind == ERR_MONITOR &&
	       (!e->sqlstate[0] || str_starts(e->sqlstate, "57P") ||
		   str_starts(e->sqlstate, "53"));
}

int
cmd_open_monitor(struct cmd_ctx *x)
{
	struct mono end = mono_after(clock_mono(), connect_ms(x));

	while (cmd_try_monitor(x)) {
		if (!may_pass(&x->err) || mono_between(clock_mono(), end) <= AGAIN_MS)
			return -1;
		clock_nap_ms(AGAIN_MS);
		err_clear(&x->err);
	}
	return 0;
}

static void
set_formation(struct cmd_ctx *x)
{
	const char *f = x->args.formation;

	if (!f && x->have_config && x->config.kind == CONFIG_KEEPER)
		f = x->config.formation;
	buf_reset(&x->formation);
	buf_str(&x->formation, str_empty(f) ? "default" : f);
}

int
cmd_group(struct cmd_ctx *x, int *group)
{
	struct rows r = { 0 };
	int rc = -1;

	if (x->args.group)
		return cmd_int(x, "group", x->args.group, 0, group);
	if (x->have_config && x->config.kind == CONFIG_KEEPER && x->config.group >= 0) {
		*group = x->config.group;
		return 0;
	}
	if (db_query(&x->monitor, &x->err, &r,
		"select distinct groupid from pgautofailover.node where formationid = $1",
		buf_peek(&x->formation), DB_END))
		return -1;
	if (r.count == 1) {
		struct row row = row_at(&r, 0);
		*group = row_int(&row, "groupid");
		rc = 0;
	} else if (r.count == 0)
		err_set(&x->err, ERR_STATE, "no node is registered in formation \"%s\"",
		    buf_peek(&x->formation));
	else
		err_set(&x->err, ERR_USAGE,
		    "formation \"%s\" has %d groups: say which with --group",
		    buf_peek(&x->formation), r.count);
	rows_drop(&r);
	return rc;
}

int
cmd_int(struct cmd_ctx *x, const char *option, const char *value, int dflt, int *to)
{
	*to = dflt;
	if (value && str_int_between(value, 0, INT_MAX, to, &x->err))
		return err_wrap(&x->err, "--%s", option);
	return 0;
}

int
cmd_seconds(struct cmd_ctx *x, const char *option, const char *value, int64_t dflt_ms,
    int64_t *to_ms)
{
	*to_ms = dflt_ms;
	if (value && str_ms(value, 1000, to_ms, &x->err))
		return err_wrap(&x->err, "--%s", option);
	return 0;
}

/* PG_AUTOCTL_MONITOR says whom to ask; formation, group and name may still be those of
 * the node whose directory PGDATA is, if it is one. */
static void
local_defaults(struct cmd_ctx *x)
{
	if (!buf_len(&x->pgdata) || !getenv("PG_AUTOCTL_MONITOR"))
		return;
	if (cmd_load_config(x))
		err_clear(&x->err);
}

static int
set_up(struct cmd_ctx *x)
{
	unsigned flags = x->cmd->flags;

	if (set_pgdata(x))
		return -1;
	if ((flags & CMD_PGDATA) && !buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which data directory?");
		return err_hint(&x->err, "give --pgdata, or set PGDATA");
	}
	if ((flags & CMD_CONFIG) && cmd_load_config(x))
		return -1;
	if ((flags & CMD_MONITOR) && !x->args.monitor)
		local_defaults(x);
	if ((flags & CMD_KEEPER) && x->config.kind != CONFIG_KEEPER)
		return err_set(&x->err, ERR_CONFIG,
		    "%s is a monitor's: run this on a node", buf_peek(&x->pgdata));
	if ((flags & CMD_MONITOR) && cmd_open_monitor(x))
		return -1;
	set_formation(x);
	return 0;
}

/* -- the whole -- */

static void
set_log(const struct cmd_ctx *x)
{
	if (x->args.quiet)
		log_level_set(LOG_LEVEL_ERROR);
	else if (x->args.verbose > 1)
		log_level_set(LOG_LEVEL_DEBUG);
	log_plain(x->cmd && (x->cmd->flags & CMD_SERVICE) ? NULL : x->program);
}

static int
report(struct cmd_ctx *x)
{
	if (x->err.kind == ERR_NONE)
		err_set(
		    &x->err, ERR_SYSTEM, "failed without a reason: please report this");
	log_err(LOG_LEVEL_ERROR, &x->err);
	return err_exit(&x->err);
}

/* Everything there is for who types nothing; two lines for who mistypes. */
static int
usage_error(struct cmd_ctx *x, const struct cmd_line *l, int best)
{
	struct buf b = { 0 };

	help_wrong_words(x, l, best);
	if (l->n == 0) {
		x->err.hint[0] = '\0';
		help_below(&b, x, 0, l->word);
	}
	report(x);
	fputs(buf_peek(&b), stderr);
	buf_drop(&b);
	return err_exit(&x->err);
}

static int
asked_for_help(struct cmd_ctx *x, const struct cmd_line *l, int best)
{
	struct buf b = { 0 };

	if (x->cmd)
		help_usage(&b, x, x->cmd);
	else
		help_below(&b, x, best, l->word);
	fputs(buf_peek(&b), stderr);
	buf_drop(&b);
	return 0;
}

/* An answer that did not get out is no success. */
static int
finish(struct cmd_ctx *x)
{
	if (fflush(stdout) || ferror(stdout)) {
		err_sys(&x->err, "write the answer");
		return report(x);
	}
	return x->exit;
}

/* A second service exits with 12, where "create" exits with 3 (contract, 6.8). */
static void
already_running(struct cmd_ctx *x)
{
	pid_t pid;

	if ((x->cmd->flags & CMD_SERVICE) && x->err.kind == ERR_STATE &&
	    service_find(buf_peek(&x->pgdata), &pid, NULL) == 1)
		x->err.kind = ERR_SYSTEM;
}

static int
run(struct cmd_ctx *x)
{
	if (!x->cmd->run)
		err_set(&x->err, ERR_USAGE, "%s: not available yet", x->cmd->usage);
	if (!x->cmd->run || set_up(x) || x->cmd->run(x)) {
		already_running(x);
		return report(x);
	}
	return finish(x);
}

/* "config get [key]" is "config get" to somebody who asks for help. */
static int
option_error(struct cmd_ctx *x)
{
	const char *u = x->cmd ? x->cmd->usage : "";
	size_t len = strcspn(u, "<[");

	if (x->cmd && (x->cmd->flags & CMD_REFUSED))
		return run(x);
	if (!x->err.hint[0])
		err_hint(&x->err, "\"%s help%s%.*s\" shows %s", x->program,
		    len ? " " : "", (int)(len && u[len] ? len - 1 : len), u,
		    len ? "its options" : "what there is");
	report(x);
	if (x->cmd)
		fprintf(stderr, "usage: %s %s%s\n", x->program, u,
		    *x->cmd->opts ? " [options]" : "");
	return err_exit(&x->err);
}

/* A link autoctl-monitor means "autoctl monitor". */
static char **
split_name(const char *base, int argc, char **argv)
{
	const char *dash = strchr(base, '-');
	struct cmd_line l = { 0 };
	static char **v; /* lives as long as the program, which reads it */
	int best = 0;
	int n = 0;

	v = xcalloc((size_t)argc + 2, sizeof *v);
	if (dash) {
		l.word[l.n++] = dash + 1;
		cmd_find(&l, &best);
	}
	v[n++] = argv[0];
	if (best)
		v[n++] = xstrdup(dash + 1);
	for (int i = 1; i < argc; i++)
		v[n++] = argv[i];
	return v;
}

int
cmd_main(int argc, char **argv)
{
	static struct cmd_ctx x;
	struct cmd_line l = { 0 };
	const char *base = argc && argv[0] ? argv[0] : "autoctl";
	int best = 0;
	int rc;

	base = strrchr(base, '/') ? strrchr(base, '/') + 1 : base;
	x.program = str_starts(base, "pg_autoctl") ? "pg_autoctl" : "autoctl";
	x.path = "/proc/self/exe";
	argv = split_name(base, argc, argv);
	log_plain(x.program);
	if (cmd_read(NULL, argv, &l, &x.args, &x.err)) {
		x.cmd = cmd_guess(&l);
		return option_error(&x);
	}
	x.cmd = cmd_find(&l, &best);
	if (x.args.help)
		return asked_for_help(&x, &l, best);
	if (x.args.version)
		return cmd_version(&x) ? report(&x) : finish(&x);
	if (!x.cmd)
		return usage_error(&x, &l, best);
	memset(&x.args, 0, sizeof x.args);
	if (cmd_read(x.cmd, argv, &l, &x.args, &x.err) || cmd_bind(&x, &l))
		return option_error(&x);
	set_log(&x);
	cmd_hide_secrets(&x);
	rc = run(&x);
	db_close(&x.monitor);
	return rc;
}
