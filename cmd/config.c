/* Settings: get, set, check. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "cmd/setup.h"
#include "ini/log.h"
#include "ini/str.h"

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

static void
check_json(struct cmd_ctx *x, const struct show_setup *s)
{
	struct buf b = { 0 };

	buf_str(&b, "{\n\"postgres\": ");
	show_setup_json(s, "", &b);
	buf_str(&b, ",\n\"config\": ");
	config_dump_json(&x->config, &b);
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

/* The settings, the programs, the running Postgres, and the monitor. */
int
cmd_config_check(struct cmd_ctx *x)
{
	struct show_setup s;
	struct db d = { 0 };
	int rc;

	if (config_check(&x->config, &x->err) || check_programs(x, &s.host) ||
	    show_setup_look(&s, &x->config, &x->err))
		return -1;
	if (x->args.json)
		check_json(x, &s);
	else
		show_setup_text(&s);
	if (!s.postmaster.pid)
		return err_set(
		    &x->err, ERR_CONFIG, "%s: Postgres is not running", s.host.pgdata);
	rc = host_open(&s.host, &d, 0, &x->err);
	db_close(&d);
	if (rc == 0 && x->config.kind == CONFIG_KEEPER && !config_no_monitor(&x->config))
		rc = cmd_open_monitor(x);
	return rc;
}
