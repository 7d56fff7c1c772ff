/* The service of a data directory: run, stop, reload, status. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "ini/file.h"
#include "ini/log.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"

#include "ini/ban.h"

int
cmd_run(struct cmd_ctx *x)
{
	return x->config.kind == CONFIG_MONITOR ? cmd_monitor_run(x) : cmd_node_run(x);
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

static const char *
postgres_status(const struct postmaster *p)
{
	if (!p->pid)
		return "unknown";
	return p->status[0] ? p->status : "starting";
}

static void
control_json(struct cmd_ctx *x, const struct host *h, struct buf *b)
{
	struct control c;

	(void)x;
	if (setup_control(h, &c, NULL))
		return;
	buf_printf(b,
	    "        \"control\": {\n            \"version\": %u,\n"
	    "            \"catalog_version\": %u,\n            \"system_identifier\": "
	    "\"%llu\"\n"
	    "        },\n",
	    c.control_version, c.catalog_version,
	    (unsigned long long)c.system_identifier);
}

static void
status_json(
    struct cmd_ctx *x, const struct host *h, const struct postmaster *p, pid_t pid)
{
	struct buf b = { 0 };

	buf_str(&b, "{\n    \"postgres\": {\n        \"pgdata\": ");
	buf_json(&b, h->pgdata);
	buf_str(&b, ",\n        \"pg_ctl\": ");
	buf_json(&b, x->config.pg_ctl);
	buf_printf(&b, ",\n        \"version\": %d,\n        \"host\": ", h->version);
	buf_json(&b, p->sockdir);
	buf_printf(&b,
	    ",\n        \"port\": %d,\n        \"proxyport\": 0,\n        \"pid\": %d,\n"
	    "        \"in_recovery\": %s,\n",
	    x->config.port, (int)p->pid,
	    strcmp(p->status, "standby") == 0 ? "true" : "false");
	control_json(x, h, &b);
	buf_printf(&b,
	    "        \"postmaster\": {\n            \"status\": \"%s\"\n        }\n    "
	    "},\n",
	    postgres_status(p));
	buf_printf(&b,
	    "    \"pg_autoctl\": {\n        \"pid\": %d,\n        \"status\": \"%s\",\n"
	    "        \"pgdata\": ",
	    (int)pid, pid ? "running" : "stale");
	buf_json(&b, h->pgdata);
	buf_str(&b, ",\n        \"version\": ");
	buf_json(&b, AUTOCTL_VERSION);
	buf_str(&b, ",\n        \"semId\": 0,\n        \"services\": []\n    }\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

int
cmd_status(struct cmd_ctx *x)
{
	struct host h;
	struct postmaster p = { 0 };
	pid_t pid = 0;
	int found;

	if (cmd_load_config(x) || host_init(&h, &x->config, 0, &x->err))
		return -1;
	if (setup_find(&h, &x->err))
		err_clear(&x->err);
	postmaster_find(&h, &p);
	found = service_find(h.pgdata, &pid, &x->err);
	if (found < 0)
		return -1;
	if (x->args.json)
		status_json(x, &h, &p, found ? pid : 0);
	if (!found) {
		err_set(&x->err, ERR_STATE, "%s: no service is running", h.pgdata);
		if (p.pid)
			err_detail(&x->err,
			    "Postgres is running all the same, process %d", (int)p.pid);
		return -1;
	}
	log_info("the service of %s is running, process %d", h.pgdata, (int)pid);
	if (strcmp(p.status, "ready") != 0 && strcmp(p.status, "standby") != 0)
		return err_set(&x->err, ERR_PGCTL, "%s: Postgres is not ready (%s)",
		    h.pgdata, postgres_status(&p));
	log_info("Postgres is %s, process %d", p.status, (int)p.pid);
	return 0;
}
