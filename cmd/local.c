/* The local Postgres, for inspect and manual: by the settings, the options, the files. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "cmd/settings.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/postmaster.h"
#include "pg/setup.h"

#include "ini/ban.h"

/* Those there are, else the defaults: a Postgres can be looked at before it is ours. */
static int
load_settings(struct cmd_ctx *x)
{
	struct buf path = { 0 };
	bool there;
	int rc;

	if (x->have_config)
		return 0;
	if (!buf_len(&x->pgdata)) {
		config_init(&x->config, CONFIG_KEEPER);
		x->config.pgdata = xstrdup("/"); /* where no cluster is */
		return 0;
	}
	if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &path, &x->err))
		return -1;
	there = file_exists(buf_peek(&path));
	buf_drop(&path);
	if (!there)
		config_init(&x->config, CONFIG_KEEPER);
	rc = there ? cmd_load_config(x) : 0;
	if (rc == 0 && str_empty(x->config.pgdata)) {
		free(x->config.pgdata);
		x->config.pgdata = xstrdup(buf_peek(&x->pgdata));
	}
	return rc;
}

static int
options_over_settings(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;
	const struct {
		const char *key, *value;
	} table[] = { { "postgresql.pg_ctl", a->pgctl }, { "postgresql.host", a->pghost },
		{ "postgresql.port", a->pgport },
		{ "postgresql.listen_addresses", a->listen },
		{ "postgresql.username", a->username },
		{ "postgresql.dbname", a->dbname }, { "postgresql.auth_method", a->auth },
		{ "postgresql.hba_level", a->skip_pg_hba ? "skip" : NULL },
		{ "pg_autoctl.hostname", a->hostname },
		{ "pg_autoctl.formation", a->formation },
		{ "pg_autoctl.monitor",
		    a->disable_monitor ? CONFIG_NO_MONITOR : a->monitor } };

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (settings_text(x, table[i].key, table[i].value) == -1)
			return -1;
	return 0;
}

int
cmd_local(struct cmd_ctx *x, struct host *h)
{
	struct statefile s;
	int64_t id = 0;

	if (load_settings(x) == -1)
		return -1;
	if (x->config.kind == CONFIG_KEEPER && options_over_settings(x) == -1)
		return -1;
	if (x->have_config && x->config.kind == CONFIG_KEEPER) {
		if (cmd_local_state(x, &s) == 0)
			id = s.keeper.node_id;
		err_clear(&x->err);
	}
	if (host_init(h, &x->config, id, &x->err) == -1)
		return -1;
	if (setup_find(h, NULL) == -1)
		h->bindir[0] = '\0';
	return 0;
}

int
cmd_local_programs(struct cmd_ctx *x, struct host *h)
{
	if (cmd_local(x, h) == -1)
		return -1;
	return h->bindir[0] ? 0 : setup_find(h, &x->err);
}

static int
state_path(struct cmd_ctx *x, struct buf *path)
{
	return config_path(buf_peek(&x->pgdata), CONFIG_FILE_STATE, path, &x->err);
}

int
cmd_local_state(struct cmd_ctx *x, struct statefile *s)
{
	struct buf path = { 0 };
	int rc = state_path(x, &path);

	if (rc == 0)
		rc = statefile_read(buf_peek(&path), s, &x->err);
	if (rc == -1 && errno == ENOENT) {
		err_set(
		    &x->err, ERR_STATE, "%s: there is no state file", buf_peek(&path));
		err_hint(&x->err,
		    "\"%s create postgres\" makes it; without a monitor, \"%s manual fsm "
		    "init\"",
		    x->program, x->program);
	}
	buf_drop(&path);
	return rc;
}

int
cmd_local_state_write(struct cmd_ctx *x, const struct statefile *s)
{
	struct buf path = { 0 };
	int rc = state_path(x, &path);

	if (rc == 0)
		rc = file_mkdir_above(buf_peek(&path), 0700, &x->err);
	if (rc == 0)
		rc = statefile_write(buf_peek(&path), s, &x->err);
	buf_drop(&path);
	return rc;
}

int
cmd_local_alone(struct cmd_ctx *x)
{
	pid_t pid;
	int found = service_find(buf_peek(&x->pgdata), &pid, &x->err);

	if (found != 1)
		return found;
	err_set(&x->err, ERR_STATE, "%s is served by process %d, which would undo this",
	    buf_peek(&x->pgdata), (int)pid);
	return err_hint(&x->err, "first \"%s stop --pgdata %s\", or use \"%s perform\"",
	    x->program, buf_peek(&x->pgdata), x->program);
}

/* A server that refuses who we are is up all the same. */
static bool
spoke(const struct err *e)
{
	return str_starts(e->sqlstate, "28") || str_starts(e->sqlstate, "53");
}

const char *
cmd_local_status(const struct host *h, bool *ready)
{
	struct postmaster p;
	struct db d = { 0 };
	struct err e = { 0 };
	bool listed;

	*ready = false;
	postmaster_find(h, &p);
	if (!p.pid)
		return "unknown";
	listed = strcmp(p.status, "ready") == 0 || strcmp(p.status, "standby") == 0;
	if (listed)
		*ready = host_open(h, &d, 2000, &e) == 0 || spoke(&e);
	db_close(&d);
	if (!listed)
		return strcmp(p.status, "stopping") == 0 ? "stopping" : "starting";
	if (!*ready)
		return "starting";
	return strcmp(p.status, "standby") == 0 ? "standby" : "ready";
}
