/* The service of a data directory: run, stop, reload, status. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/metadata.h"
#include "cmd/node_create.h"
#include "cmd/service.h"
#include "cmd/setup.h"
#include "ini/log.h"

#include "ini/ban.h"

/* A name or an address that the monitor refuses is none to start with; when it cannot be
 * asked, the keeper does so later. */
static int
tell_metadata(struct cmd_ctx *x)
{
	int n = cmd_metadata_options(x);
	pid_t pid;

	if (n <= 0 || service_find(buf_peek(&x->pgdata), &pid, NULL) == 1)
		return n < 0 ? -1 : 0;
	if (cmd_metadata_tell(x)) {
		if (x->err.sqlstate[0])
			return -1;
		log_warn("%s; the monitor is told later", x->err.msg);
		err_clear(&x->err);
	}
	return config_save(&x->config, buf_peek(&x->cfg_path), &x->err);
}

int
cmd_run(struct cmd_ctx *x)
{
	if (x->config.kind == CONFIG_KEEPER && tell_metadata(x))
		return -1;
	return x->config.kind == CONFIG_MONITOR ? cmd_monitor_run(x) : node_run(x);
}

int
cmd_stop(struct cmd_ctx *x)
{
	int how = x->args.fast + x->args.immediate + x->args.sigkill;
	int sig = x->args.fast ? SIGINT : x->args.immediate ? SIGQUIT : SIGTERM;
	pid_t pid;
	int found;

	if (how > 1)
		return err_set(&x->err, ERR_USAGE,
		    "one of --fast, --immediate, --sigkill at a time");
	if (x->args.sigkill && !getenv("PG_AUTOCTL_DEBUG"))
		return err_set(
		    &x->err, ERR_USAGE, "--sigkill needs PG_AUTOCTL_DEBUG to be set");
	found = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (found < 0)
		return -1;
	if (found == 0) {
		err_set(&x->err, ERR_SYSTEM, "%s: no service is running",
		    buf_peek(&x->pgdata));
		return -1;
	}
	if (x->args.sigkill && kill(-pid, SIGKILL) && kill(pid, SIGKILL))
		return err_sys(&x->err, "kill process %d", (int)pid);
	if (!x->args.sigkill && kill(pid, sig))
		return err_sys(&x->err, "signal process %d", (int)pid);
	return 0;
}

int
cmd_reload(struct cmd_ctx *x)
{
	pid_t pid;
	int found = service_find(buf_peek(&x->pgdata), &pid, &x->err);

	if (found < 0)
		return -1;
	if (found && kill(pid, SIGHUP))
		return err_sys(&x->err, "signal process %d", (int)pid);
	if (!found)
		log_info("%s: no service is running, there is nothing to reload",
		    buf_peek(&x->pgdata));
	return 0;
}

static int
status_json(struct cmd_ctx *x, const struct show_setup *s, pid_t pid)
{
	struct buf b = { 0 };
	struct buf path = { 0 };
	int rc = config_path(buf_peek(&x->pgdata), CONFIG_FILE_PID, &path, &x->err);

	if (rc == 0) {
		buf_str(&b, "{\n    \"postgres\": ");
		show_setup_json(s, "    ", &b);
		buf_str(&b, ",\n    \"pg_autoctl\": ");
		show_pid_json(buf_peek(&path), true, pid, "    ", &b);
		buf_str(&b, "\n}");
		puts(buf_peek(&b));
	}
	buf_drop(&path);
	buf_drop(&b);
	return rc;
}

static void
tell_service(struct cmd_ctx *x, pid_t pid)
{
	struct buf version = { 0 };

	if (service_version(buf_peek(&x->pgdata), &version, NULL))
		buf_str(&version, "unknown");
	log_info("the service of %s is running, process %d, version %s",
	    buf_peek(&x->pgdata), (int)pid, buf_peek(&version));
	if (strcmp(buf_peek(&version), AUTOCTL_VERSION) != 0)
		log_hint("this is version %s: \"%s reload --pgdata %s\" lets the service "
			 "go on as what its file is now, Postgres does not stop",
		    AUTOCTL_VERSION, x->program, buf_peek(&x->pgdata));
	buf_drop(&version);
}

int
cmd_status(struct cmd_ctx *x)
{
	struct show_setup s;
	const char *status;
	pid_t pid = 0;
	int found;

	if (cmd_load_config(x) || show_setup_look(&s, &x->config, &x->err))
		return -1;
	found = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (found < 0 || (x->args.json && status_json(x, &s, found ? pid : 0)))
		return -1;
	if (!found) {
		err_set(&x->err, ERR_STATE, "%s: no service is running",
		    buf_peek(&x->pgdata));
		if (s.postmaster.pid)
			err_detail(&x->err,
			    "Postgres is running all the same, process %d",
			    (int)s.postmaster.pid);
		return -1;
	}
	tell_service(x, pid);
	status = show_setup_status(&s);
	if (strcmp(status, "ready") != 0 && strcmp(status, "standby") != 0)
		return err_set(&x->err, ERR_PGCTL, "%s: Postgres is not ready (%s)",
		    buf_peek(&x->pgdata), status);
	log_info("Postgres is %s, process %d", status, (int)s.postmaster.pid);
	return 0;
}
