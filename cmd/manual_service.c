/* inspect getpid, manual service: the processes of a service, and its Postgres. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/service.h"
#include "cmd/setup.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define RESTART_MS 30000
#define PGCTL_MS 10000
#define STEP_MS 50

/* The process of that name, by the pid file of a running service. -1: ERR_SYSTEM. */
static int
part_pid(struct cmd_ctx *x, const char *name, pid_t *pid)
{
	struct buf path = { 0 }, text = { 0 };
	const char *line;
	pid_t service;
	int found = service_find(buf_peek(&x->pgdata), &service, &x->err);

	*pid = 0;
	if (found == -1)
		return -1;
	if (found == 0)
		return err_set(&x->err, ERR_SYSTEM, "%s: no service is running",
		    buf_peek(&x->pgdata));
	if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_PID, &path, &x->err) == -1 ||
	    file_read(buf_peek(&path), &text, &x->err) == -1)
		found = -1;
	for (line = buf_peek(&text); line && *line; line = strchr(line, '\n')) {
		size_t digits;

		line += *line == '\n';
		digits = strspn(line, "0123456789");
		if (digits && line[digits] == ' ' &&
		    strlen(name) == strcspn(line + digits + 1, "\n") &&
		    str_starts(line + digits + 1, name))
			*pid = (pid_t)strtol(line, NULL, 10);
	}
	buf_drop(&path);
	buf_drop(&text);
	if (found == 1 && *pid == 0)
		return err_set(&x->err, ERR_SYSTEM, "there is no service \"%s\" in %s",
		    name, buf_peek(&x->pgdata));
	return found == 1 ? 0 : -1;
}

int
cmd_inspect_getpid(struct cmd_ctx *x)
{
	pid_t pid;

	if (part_pid(x, x->word[0], &pid) == -1)
		return -1;
	printf("%d\n", (int)pid);
	return 0;
}

/* -- restart -- */

/* A restart is asked for by the signal that makes the service become its binary anew. */
static int
restart_self(struct cmd_ctx *x, pid_t pid)
{
	if (kill(pid, SIGUSR1))
		return err_sys(&x->err, "signal process %d", (int)pid);
	return 0;
}

/* The service starts it again, as after a crash. Sessions end at once. */
static int
restart_postgres(struct cmd_ctx *x, pid_t pid)
{
	if (kill(pid, SIGINT))
		return err_sys(&x->err, "signal process %d", (int)pid);
	return 0;
}

static int
wait_part(struct cmd_ctx *x, const char *name, pid_t not_this)
{
	struct mono until = mono_after(clock_mono(), RESTART_MS);
	pid_t pid = 0;

	do {
		if (part_pid(x, name, &pid) == 0 && pid != not_this) {
			err_clear(&x->err);
			printf("%d\n", (int)pid);
			return 0;
		}
	} while (clock_nap_until(until, STEP_MS));
	return err_set(&x->err, ERR_SYSTEM, "\"%s\" did not come back within %d s", name,
	    RESTART_MS / 1000);
}

int
cmd_manual_service_restart(struct cmd_ctx *x)
{
	const char *name = x->word[0];
	pid_t pid;

	if (part_pid(x, name, &pid) == -1)
		return -1;
	if (strcmp(name, "postgres") != 0)
		return restart_self(x, pid) || wait_part(x, name, 0) ? -1 : 0;
	return restart_postgres(x, pid) || wait_part(x, name, pid) ? -1 : 0;
}

/* -- Postgres on and off -- */

static int
failed(struct cmd_ctx *x)
{
	x->err.kind = ERR_PGCTL;
	return -1;
}

/* What the state says about a start by hand. */
static int
may_start(struct cmd_ctx *x)
{
	struct statefile s;

	if (x->config.kind != CONFIG_KEEPER)
		return 0;
	if (cmd_local_state(x, &s) == -1) {
		err_clear(&x->err);
		return 0;
	}
	if (!(fsm_state_flags(s.keeper.current) & ST_DOWN))
		return 0;
	err_set(&x->err, ERR_PGCTL, "this node is %s: its Postgres must not run",
	    fsm_state_name(s.keeper.current));
	return err_hint(&x->err, "\"%s run\" brings the node back", x->program);
}

/* A service does it by itself, unless it holds its hands off. */
static bool
comes_up(struct cmd_ctx *x, const struct host *h, int64_t ms)
{
	struct mono until = mono_after(clock_mono(), ms);
	pid_t pid;
	bool ready;

	if (service_find(buf_peek(&x->pgdata), &pid, NULL) != 1)
		return false;
	do {
		cmd_local_status(h, &ready);
	} while (!ready && clock_nap_until(until, STEP_MS));
	return ready;
}

static bool
hands_off(struct cmd_ctx *x)
{
	struct statefile s;
	bool off = x->config.kind == CONFIG_KEEPER && cmd_local_state(x, &s) == 0 &&
		   (fsm_state_flags(s.keeper.current) & ST_HANDS_OFF);

	err_clear(&x->err);
	return off;
}

int
cmd_manual_service_pgctl_on(struct cmd_ctx *x)
{
	struct show_setup s;
	struct host h;
	struct buf b = { 0 };

	if (cmd_local_programs(x, &h) == -1 || may_start(x) == -1)
		return -1;
	if (!comes_up(x, &h, hands_off(x) ? 0 : PGCTL_MS) &&
	    postmaster_start(&h, POSTMASTER_LISTEN, PGCTL_MS, &x->err) == -1)
		return failed(x);
	if (show_setup_look(&s, &x->config, &x->err) == -1)
		return failed(x);
	log_info("Postgres runs, process %d", (int)s.postmaster.pid);
	if (x->args.json) {
		show_setup_json(&s, "", &b);
		puts(buf_peek(&b));
		buf_drop(&b);
	}
	return 0;
}

int
cmd_manual_service_pgctl_off(struct cmd_ctx *x)
{
	static const struct postmaster_stop fast = { .mode = POSTMASTER_FAST,
		.deadline_ms = PGCTL_MS };
	struct host h;
	pid_t pid;

	if (cmd_local_programs(x, &h) == -1)
		return -1;
	if (postmaster_stop(&h, &fast, &x->err) == -1)
		return failed(x);
	log_info("Postgres is stopped");
	if (service_find(buf_peek(&x->pgdata), &pid, NULL) == 1 && !hands_off(x)) {
		log_warn("the service, process %d, starts it again if the state of the "
			 "node wants it to run",
		    (int)pid);
		log_hint("\"%s enable maintenance\" leaves it alone", x->program);
	}
	return 0;
}
