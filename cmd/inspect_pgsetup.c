/* inspect pgsetup: the local Postgres and what it would be run with. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/setup.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/hba.h"

#include "ini/ban.h"

#define WAIT_MS 30000
#define HBA_LAN_MS 60000
#define STEP_MS 100
#define LOG_LINES 25

int
cmd_inspect_pgsetup_pg_ctl(struct cmd_ctx *x)
{
	struct host h;

	if (cmd_local_programs(x, &h) == -1) {
		x->err.kind = ERR_SYSTEM; /* contract 6.10 */
		return -1;
	}
	log_info("\"%s/pg_ctl\" is of Postgres %d.%d", h.bindir, h.version / 10000,
	    h.version % 10000);
	return 0;
}

int
cmd_inspect_pgsetup_discover(struct cmd_ctx *x)
{
	struct show_setup s;
	struct host h;

	if (cmd_local_programs(x, &h) == -1 ||
	    show_setup_look(&s, &x->config, &x->err) == -1)
		return -1;
	if (x->args.hostname)
		printf("%-23s%s\n", "Node Name:", x->args.hostname);
	show_setup_text(&s);
	return 0;
}

static int
not_ready(struct cmd_ctx *x, const struct host *h, const char *status)
{
	return err_set(
	    &x->err, ERR_POSTGRES, "%s: Postgres status is: \"%s\"", h->pgdata, status);
}

int
cmd_inspect_pgsetup_ready(struct cmd_ctx *x)
{
	struct host h;
	const char *status;
	bool ready;

	if (cmd_local(x, &h) == -1)
		return -1;
	status = cmd_local_status(&h, &ready);
	if (!ready)
		return not_ready(x, &h, status);
	log_info("Postgres status is: \"%s\"", status);
	return 0;
}

/* Where the settings are still to come, there may be no directory either. */
static bool
has_settings(struct cmd_ctx *x)
{
	struct buf path = { 0 };
	bool there;

	there = config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &path, NULL) == 0 &&
		file_exists(buf_peek(&path));
	buf_drop(&path);
	return there;
}

/* 1: yes, 0: not yet. */
static int
is_writable(const struct host *h)
{
	struct host_position p;

	return host_position(h, &p, NULL) == 0 && !p.recovery;
}

static int
wait_ready(struct cmd_ctx *x, struct mono until, bool writable)
{
	struct host h;
	const char *status;
	bool ready;

	if (cmd_local(x, &h) == -1)
		return -1;
	do {
		status = cmd_local_status(&h, &ready);
		if (ready && (!writable || is_writable(&h))) {
			log_info("Postgres status is: \"%s\"", status);
			return 0;
		}
	} while (clock_nap_until(until, STEP_MS));
	if (ready)
		return err_set(&x->err, ERR_POSTGRES,
		    "%s: Postgres is still in recovery, no writes are accepted",
		    h.pgdata);
	return not_ready(x, &h, status);
}

int
cmd_inspect_pgsetup_wait(struct cmd_ctx *x)
{
	struct mono until;
	int64_t ms;

	if (cmd_seconds(x, "timeout", x->args.timeout, WAIT_MS, &ms) == -1)
		return -1;
	until = mono_after(clock_mono(), ms);
	while (!has_settings(x))
		if (!clock_nap_until(until, STEP_MS))
			return err_set(&x->err, ERR_POSTGRES,
			    "%s has no settings yet: nothing was created there",
			    buf_peek(&x->pgdata));
	return wait_ready(x, until, x->args.read_write);
}

/* The last lines of a file, each a line of our log. */
static void
log_tail(const char *path)
{
	struct buf text = { 0 };
	const char *p;
	int lines = 0;

	if (file_read(path, &text, NULL) == -1 || buf_len(&text) == 0) {
		buf_drop(&text);
		return;
	}
	p = buf_peek(&text) + buf_len(&text) - 1;
	while (p > buf_peek(&text) && (p[-1] != '\n' || ++lines < LOG_LINES))
		p--;
	log_info("%s:", path);
	for (; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (*p != '\n')
			log_info("%.*s", (int)strcspn(p, "\n"), p);
	buf_drop(&text);
}

int
cmd_inspect_pgsetup_logs(struct cmd_ctx *x)
{
	struct buf newest = { 0 };
	struct host h;
	char *startup;

	if (cmd_local(x, &h) == -1)
		return -1;
	startup = xasprintf("%s/startup.log", h.pgdata);
	log_tail(startup);
	free(startup);
	if (setup_newest_log(&h, &newest))
		log_tail(buf_peek(&newest));
	buf_drop(&newest);
	return 0;
}

int
cmd_inspect_pgsetup_tune(struct cmd_ctx *x)
{
	struct buf b = { 0 };

	(void)x;
	conf_tune(&b, conf_machine_memory(), conf_machine_cpus());
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
	return 0;
}

/* A node may just be in the making: settings, then pg_hba.conf, then Postgres. */
static int
wait_made(struct cmd_ctx *x)
{
	struct mono until = mono_after(clock_mono(), HBA_LAN_MS);
	char *path = xasprintf("%s/pg_hba.conf", buf_peek(&x->pgdata));
	bool there;

	while (!(there = has_settings(x) && file_exists(path)) &&
	       clock_nap_until(until, STEP_MS))
		;
	if (!there)
		err_set(&x->err, ERR_POSTGRES, "%s is not there", path);
	free(path);
	return there ? wait_ready(x, mono_after(clock_mono(), HBA_LAN_MS), false) : -1;
}

int
cmd_inspect_pgsetup_hba_lan(struct cmd_ctx *x)
{
	struct host h;
	int changed;

	if (wait_made(x) == -1 || cmd_local(x, &h) == -1)
		return -1;
	if (x->config.kind != CONFIG_KEEPER)
		return err_set(&x->err, ERR_CONFIG,
		    "%s is a monitor's: run this on a node", buf_peek(&x->pgdata));
	changed = hba_lan(&h, &x->err);
	if (changed == -1)
		return -1;
	if (str_eq(h.cfg->auth_method, "trust") && !str_eq(h.cfg->hba_level, "skip")) {
		log_warn("everybody in the local network may connect as anybody, without "
			 "a password");
		log_hint("\"config set postgresql.auth_method scram-sha-256\" asks for "
			 "one");
	}
	log_info(changed ? "pg_hba.conf lets the local network in"
			 : "pg_hba.conf had these rules before");
	return 0;
}
