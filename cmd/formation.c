/* Formations: created, dropped, with and without standbys. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/log.h"

#include "ini/ban.h"

/* The default is no default here: a formation that is made or lost has a name. */
static int
named(struct cmd_ctx *x)
{
	if (x->args.formation)
		return 0;
	err_set(&x->err, ERR_USAGE, "which formation?");
	return err_hint(&x->err, "give --formation");
}

static bool
state_is(const struct cmd_ctx *x, const char *sqlstate)
{
	return strcmp(x->err.sqlstate, sqlstate) == 0;
}

static int
check_create(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;

	if (named(x))
		return -1;
	if (!a->kind) {
		err_set(&x->err, ERR_USAGE, "which kind of formation?");
		return err_hint(&x->err, "give --kind pgsql");
	}
	if (strcmp(a->kind, "citus") == 0)
		return cmd_no_citus(x);
	if (strcmp(a->kind, "pgsql") != 0) {
		err_set(
		    &x->err, ERR_MONITOR, "unknown kind of formation \"%s\"", a->kind);
		return err_hint(&x->err, "give --kind pgsql");
	}
	if (a->enable_secondary && a->disable_secondary)
		return err_set(&x->err, ERR_USAGE,
		    "--enable-secondary and --disable-secondary do not go together");
	return 0;
}

int
cmd_create_formation(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;

	if (check_create(x) || cmd_open_monitor(x))
		return -1;
	if (db_run(&x->monitor, &x->err,
		"select pgautofailover.create_formation($1, $2, $3, $4::bool, $5::int)",
		a->formation, a->kind, a->dbname ? a->dbname : "postgres",
		a->disable_secondary ? "false" : "true",
		a->number_sync_standbys ? a->number_sync_standbys : "0", DB_END)) {
		if (state_is(x, "23505"))
			err_set(&x->err, ERR_MONITOR, "formation \"%s\" exists already",
			    a->formation);
		return -1;
	}
	log_info("formation \"%s\" is created; its first node is registered with "
		 "\"%s create postgres --formation %s\"",
	    a->formation, x->program, a->formation);
	return 0;
}

int
cmd_drop_formation(struct cmd_ctx *x)
{
	const char *name = x->args.formation;

	if (named(x) || cmd_open_monitor(x))
		return -1;
	if (db_run(&x->monitor, &x->err, "select pgautofailover.drop_formation($1)", name,
		DB_END)) {
		if (!state_is(x, "23503"))
			return -1;
		err_set(&x->err, ERR_MONITOR, "formation \"%s\" has nodes", name);
		return err_hint(&x->err,
		    "\"%s show state --formation %s\" lists them, \"%s drop node\" takes "
		    "them out",
		    x->program, name, x->program);
	}
	log_info("formation \"%s\" is dropped", name);
	return 0;
}

static int
set_secondary(struct cmd_ctx *x, const char *sql)
{
	const char *name = x->args.formation;
	struct rows r = { 0 };

	if (named(x) || cmd_open_monitor(x) ||
	    db_query(&x->monitor, &x->err, &r,
		"select 1 from pgautofailover.formation where formationid = $1", name,
		DB_END))
		return -1;
	if (r.count == 0)
		err_set(&x->err, ERR_MONITOR, "unknown formation \"%s\"", name);
	rows_drop(&r);
	return x->err.kind ? -1 : db_run(&x->monitor, &x->err, sql, name, DB_END);
}

int
cmd_enable_secondary(struct cmd_ctx *x)
{
	return set_secondary(x, "select pgautofailover.enable_secondary($1)");
}

int
cmd_disable_secondary(struct cmd_ctx *x)
{
	if (set_secondary(x, "select pgautofailover.disable_secondary($1)") == 0)
		return 0;
	if (state_is(x, "55000"))
		err_hint(
		    &x->err, "drop the standbys first: \"%s drop node\"", x->program);
	return -1;
}
