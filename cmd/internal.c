/* internal, do: what a supervisor of an older program would start. */
/* SPDX-License-Identifier: PostgreSQL */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/loop.h"
#include "cmd/service.h"
#include "ini/log.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

#define AGAIN_MS 1000
#define STOP_MS 60000

/* -- Postgres alone, kept running -- */

struct keep {
	struct loop loop;
	struct service svc;
	struct host host;
	int pidfd;
	struct mono again_at;
	struct log_once trouble;
};

static void
on_signal(void *arg, int number)
{
	struct keep *k = arg;

	service_signal(&k->svc, number);
}

static void
on_end(void *arg, int fd, short revents)
{
	struct keep *k = arg;

	(void)revents;
	loop_fd(&k->loop, fd, 0, NULL, NULL);
	close(fd);
	k->pidfd = -1;
	k->again_at = mono_after(k->loop.now, AGAIN_MS);
	log_warn("Postgres has exited");
}

/* Find it or start it, and watch it. */
static void
see_to_it(struct keep *k)
{
	struct postmaster p;
	struct err e = { 0 };

	if (k->pidfd >= 0 || !mono_reached(k->loop.now, k->again_at))
		return;
	k->again_at = mono_after(k->loop.now, AGAIN_MS);
	if (postmaster_start(&k->host, POSTMASTER_LISTEN, 0, &e) == -1) {
		log_once_err(&k->trouble, LOG_LEVEL_ERROR, &e);
		return;
	}
	postmaster_find(&k->host, &p);
	k->pidfd = p.pid ? postmaster_pidfd(&p) : -1;
	if (k->pidfd < 0)
		return;
	loop_fd(&k->loop, k->pidfd, POLLIN, on_end, k);
	log_info("Postgres runs, process %d", (int)p.pid);
	if (service_part(&k->svc, "postgres", p.pid, &e) == -1)
		log_err(LOG_LEVEL_WARN, &e);
}

static int
keep_running(struct keep *k, struct err *e)
{
	static const struct postmaster_stop fast = { .mode = POSTMASTER_FAST,
		.deadline_ms = STOP_MS };

	k->loop.now = k->again_at = clock_mono();
	while (k->svc.stop == 0 && service_is_ours(&k->svc)) {
		see_to_it(k);
		if (loop_once(&k->loop, AGAIN_MS / 2, e) == -1)
			return -1;
	}
	log_info("stopping Postgres");
	return postmaster_stop(&k->host, &fast, e);
}

/* What the state says of a node's Postgres holds here, too. */
static int
may_run(struct cmd_ctx *x)
{
	struct statefile s;

	if (x->config.kind != CONFIG_KEEPER)
		return 0;
	if (cmd_local_state(x, &s) == -1)
		return -1;
	if (!(fsm_state_flags(s.keeper.current) & ST_DOWN))
		return 0;
	return err_set(&x->err, ERR_STATE, "this node is %s: its Postgres must not run",
	    fsm_state_name(s.keeper.current));
}

int
cmd_internal_service_postgres(struct cmd_ctx *x)
{
	static struct keep k;
	int rc;

	k = (struct keep){ .pidfd = -1, .loop.wake = { -1, -1 }, .svc.lock_fd = -1 };
	if (may_run(x) == -1 || cmd_local_programs(x, &k.host) == -1)
		return -1;
	rc = loop_init(&k.loop, on_signal, &k, &x->err);
	if (rc == 0)
		rc = service_open(&k.svc, buf_peek(&x->pgdata), &x->err);
	if (rc == 0)
		rc = keep_running(&k, &x->err);
	loop_drop(&k.loop);
	service_close(&k.svc);
	return rc;
}

/* -- the two that are whole services here -- */

int
cmd_internal_service_listener(struct cmd_ctx *x)
{
	if (x->config.kind != CONFIG_MONITOR)
		return err_set(
		    &x->err, ERR_CONFIG, "%s is a node's", buf_peek(&x->pgdata));
	return cmd_run(x);
}

int
cmd_internal_service_node_active(struct cmd_ctx *x)
{
	if (x->config.kind != CONFIG_KEEPER)
		return err_set(
		    &x->err, ERR_CONFIG, "%s is a monitor's", buf_peek(&x->pgdata));
	return cmd_run(x);
}

int
cmd_internal_none(struct cmd_ctx *x)
{
	return err_set(
	    &x->err, ERR_USAGE, "the demo and tmux tools are not a part of this program");
}
