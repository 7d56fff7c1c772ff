/* Settings: get, set, check. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"

#include "ini/ban.h"

int
cmd_config_get(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	int rc = 0;

	if (x->nwords)
		rc = config_get(&x->config, x->word[0], &b, &x->err);
	else if (x->args.json)
		config_dump_json(&x->config, &b);
	else
		config_dump_ini(&x->config, &b);
	if (rc == 0)
		puts(buf_peek(&b));
	buf_drop(&b);
	return rc;
}

/* A changed pg_ctl must be one: better to hear it now than at the next start. */
static int
check_programs(struct cmd_ctx *x, struct host *h)
{
	if (host_init(h, &x->config, 0, &x->err) || setup_find(h, &x->err)) {
		x->err.kind = ERR_CONFIG;
		return -1;
	}
	return 0;
}

int
cmd_config_set(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	struct host h;
	pid_t pid;
	int rc;

	if (config_set(&x->config, x->word[0], x->word[1], &x->err)) {
		x->err.kind = ERR_CONFIG;
		return -1;
	}
	if (config_check(&x->config, &x->err))
		return -1;
	if (strcmp(x->word[0], "postgresql.pg_ctl") == 0 && check_programs(x, &h))
		return -1;
	if (config_save(&x->config, buf_peek(&x->cfg_path), &x->err))
		return -1;
	rc = config_get(&x->config, x->word[0], &b, &x->err);
	if (rc == 0)
		puts(buf_peek(&b));
	buf_drop(&b);
	if (rc == 0 && service_find(buf_peek(&x->pgdata), &pid, NULL) == 1 &&
	    kill(pid, SIGHUP))
		log_warn("the service could not be told to reload, process %d", (int)pid);
	return rc;
}

static const char *
control_state(enum setup_control_state s)
{
	switch (s) {
	case CONTROL_SHUT_DOWN:
		return "shut down";
	case CONTROL_SHUT_DOWN_IN_RECOVERY:
		return "shut down in recovery";
	case CONTROL_SHUTTING_DOWN:
		return "shutting down";
	case CONTROL_IN_CRASH_RECOVERY:
		return "in crash recovery";
	case CONTROL_IN_ARCHIVE_RECOVERY:
		return "in archive recovery";
	case CONTROL_IN_PRODUCTION:
		return "in production";
	case CONTROL_STARTING:
		return "starting up";
	case CONTROL_UNKNOWN:
		break;
	}
	return "unknown";
}

static void
check_text(struct cmd_ctx *x, const struct host *h, const struct postmaster *p,
    const struct control *c)
{
	char lsn[STR_LSN_MAX];

	printf("%-23s%s\n", "pgdata:", h->pgdata);
	printf("%-23s%s/pg_ctl\n", "pg_ctl:", h->bindir);
	printf("%-23s%d.%d\n", "pg_version:", h->version / 10000, h->version % 10000);
	printf("%-23s%s\n", "pghost:", p->sockdir);
	printf("%-23s%d\n", "pgport:", x->config.port);
	printf("%-23s%d\n", "proxyport:", x->config.proxyport);
	printf("%-23s%d\n", "pid:", (int)p->pid);
	printf("%-23s%s\n",
	    "is in recovery:", strcmp(p->status, "standby") == 0 ? "yes" : "no");
	printf("%-23s%s\n", "Control cluster state:", control_state(c->state));
	printf("%-23s%u\n", "Control Version:", c->control_version);
	printf("%-23s%u\n", "Catalog Version:", c->catalog_version);
	printf("%-23s%llu\n",
	    "System Identifier:", (unsigned long long)c->system_identifier);
	printf("%-23s%s\n", "Latest checkpoint LSN:", str_lsn_format(c->checkpoint, lsn));
	printf("%-23s%s\n", "Postmaster status:", p->status);
}

static void
check_json(struct cmd_ctx *x, const struct host *h, const struct postmaster *p,
    const struct control *c)
{
	struct buf b = { 0 };

	buf_str(&b, "{\n\"postgres\": {\n    \"pgdata\": ");
	buf_json(&b, h->pgdata);
	buf_printf(&b, ",\n    \"version\": %d,\n    \"host\": ", h->version);
	buf_json(&b, p->sockdir);
	buf_printf(&b,
	    ",\n    \"port\": %d,\n    \"pid\": %d,\n    \"in_recovery\": %s,\n",
	    x->config.port, (int)p->pid,
	    strcmp(p->status, "standby") == 0 ? "true" : "false");
	buf_printf(&b,
	    "    \"control\": {\"version\": %u, \"catalog_version\": %u, "
	    "\"system_identifier\": \"%llu\"},\n    \"postmaster\": {\"status\": ",
	    c->control_version, c->catalog_version,
	    (unsigned long long)c->system_identifier);
	buf_json(&b, p->status);
	buf_str(&b, "}\n},\n\"config\": ");
	config_dump_json(&x->config, &b);
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

int
cmd_config_check(struct cmd_ctx *x)
{
	struct host h;
	struct postmaster p;
	struct control c = { 0 };

	if (config_check(&x->config, &x->err) || check_programs(x, &h))
		return -1;
	postmaster_find(&h, &p);
	if (setup_control(&h, &c, &x->err))
		return -1;
	(x->args.json ? check_json : check_text)(x, &h, &p, &c);
	if (!p.pid) {
		err_set(&x->err, ERR_CONFIG, "%s: Postgres is not running", h.pgdata);
		return -1;
	}
	if (x->config.kind == CONFIG_KEEPER && !config_no_monitor(&x->config))
		return cmd_open_monitor(x);
	return 0;
}
