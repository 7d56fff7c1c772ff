/* autoctl node run: the keeper's loop. It looks, reports, steps, and never waits. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cmd/node.h"
#include "cmd/node_alone.h"
#include "ini/buf.h"
#include "ini/mem.h"
#include "pg/conf.h"
#include "pg/postmaster.h"
#include "pg/setup.h"

#include "ini/ban.h"

#define STEPS_MAX 8          /* of one turn; what is left waits for the next */
#define FLUX_MS 3000         /* after a change things are looked at more often */
#define PEERS_MS 10000       /* the others' positions, for the slots here */
#define GENTLE_STOP_MS 30000 /* a handover that takes longer is given up */
#define GRANT_MS 5000
#define STOP_MS 60000
#define CREATE_FAILS_MAX 15 /* attempts at the first state, without --run */
#define CREATE_CONTACT_MS 60000
#define CREATE_MS 900000 /* to wait for one's turn */

void
node_hurry(struct node *n)
{
	n->hurry = true;
	n->flux_until = mono_after(n->loop.now, FLUX_MS);
	n->look_at = n->loop.now;
}

int
node_save(struct node *n)
{
	struct err e = { 0 };

	if (statefile_write(n->state_path, &n->state, &e) == 0)
		return 0;
	log_once_err(&n->why, LOG_LEVEL_ERROR, &e);
	return -1;
}

/* -- steps -- */

/* Nothing is left to do here, however it came about: what failed before is over. */
static void
note_rest(struct node *n, const struct keeper_step *s)
{
	if (n->fails == 0 || s->why != NULL || n->work.pid != 0 ||
	    n->k->current != n->k->goal)
		return;
	n->fails = 0;
	n->error[0] = '\0';
}

static bool
take_step(struct node *n)
{
	struct keeper_obs o;
	struct keeper_step s;

	node_observe(n, &o);
	keeper_step(n->k, &o, &s);
	switch (s.what) {
	case KEEPER_BEGIN:
		node_work_begin(n, &s);
		return false;
	case KEEPER_ABORT:
		node_work_abort(n);
		return true;
	case KEEPER_MOVE:
		log_info("state %s -> %s", fsm_state_name(n->k->current),
		    fsm_state_name(s.to));
		n->k->current = s.to;
		n->fails = 0;
		node_save(n);
		node_hurry(n);
		return true;
	case KEEPER_EXIT:
		log_info("this node was dropped");
		n->exit_kind = ERR_NONE;
		n->leave = true;
		return false;
	case KEEPER_WAIT:
		note_rest(n, &s);
		if (s.why != NULL && n->work.pid == 0 && n->retry_at.ms <= n->loop.now.ms)
			log_once(&n->why, LOG_LEVEL_INFO, "%s -> %s: %s",
			    fsm_state_name(n->k->current), fsm_state_name(n->k->goal),
			    s.why);
		break;
	}
	return false;
}

/* The first state is reached, and known. */
static bool
is_built(const struct node *n)
{
	return n->k->current != FSM_INIT && n->k->current != FSM_WAIT_STANDBY &&
	       n->k->current == n->k->goal && n->told == n->k->current;
}

/* Steps begin where a creation ends. */
static void
suspend(struct node *n)
{
	if (!n->step.wanted || n->step.suspended || n->work.pid != 0 || !is_built(n))
		return;
	log_info("step mode: from now on this node waits for steps");
	n->step.suspended = true;
}

static void
turn(struct node *n)
{
	suspend(n);
	if (config_no_monitor(&n->cfg))
		node_alone_turn(n);
	node_local_turn(n);
	node_disk_turn(n);
	node_ping_turn(n);
	node_monitor_turn(n);
	for (int i = 0; i < STEPS_MAX && !n->leave && node_step_moves(n) && take_step(n);
	     i++)
		;
	node_step_turn(n);
	node_lease_turn(n);
	node_chore_turn(n);
	if (n->hurry) {
		/* the steps changed something: say so in this turn */
		n->hurry = false;
		node_monitor_turn(n);
	}
	if (mono_reached(n->loop.now, n->peers_at)) {
		n->peers_at = mono_after(n->loop.now, PEERS_MS);
		n->asks |= 1U << ASK_PEERS;
	}
}

static int64_t
wait_ms(const struct node *n)
{
	int64_t ms = node_monitor_wait_ms(n);
	int64_t other[] = { node_local_wait_ms(n), node_ping_wait_ms(n),
		n->lease_limited ? node_lease_left_ms(n) : 500,
		n->fails > 0 ? mono_between(n->loop.now, n->retry_at) : 500 };

	for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
		if (other[i] < ms)
			ms = other[i];
	if (ms < 0)
		return n->hurry ? 0 : 10; /* late, but never a busy loop */
	return ms > 500 ? 500 : ms;
}

/* -- signals -- */

static void
log_change(void *arg, const struct config_key *k, enum config_outcome outcome,
    const char *before, const char *after)
{
	static const char *const text[] = { "", ", after the next start",
		", refused: decided when the node was created" };
	struct node *n = arg;

	log_at(outcome == CONFIG_APPLIED ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
	    "%s.%s: \"%s\" -> \"%s\"%s", k->section, k->name, before, after,
	    text[outcome]);
	if (outcome == CONFIG_APPLIED &&
	    (strcmp(k->name, "name") == 0 || strcmp(k->name, "hostname") == 0))
		n->asks |= 1U << ASK_METADATA;
}

/* The other monitor knows nothing of what the last one said. */
static void
meet_monitor(struct node *n)
{
	log_info("this node has another monitor");
	node_work_abort(n);
	keeper_other_monitor(n->k);
	n->has_reply = n->has_peers = false;
	n->told = FSM_UNKNOWN;
	n->asks = 0;
	node_save(n);
	node_hurry(n);
}

static void
reload(struct node *n)
{
	struct config fresh;
	struct err e = { 0 };
	bool alone = config_no_monitor(&n->cfg);

	n->svc.reload = false;
	n->upgrade = n->mode == NODE_RUN && service_binary_changed();
	if (config_load(&fresh, n->cfg_path, &e) == -1) {
		log_err(LOG_LEVEL_ERROR, &e);
		return;
	}
	if (config_reload(&n->cfg, &fresh, log_change, n, &e) == -1)
		log_err(LOG_LEVEL_ERROR, &e);
	config_drop(&fresh);
	if (alone && !config_no_monitor(&n->cfg))
		meet_monitor(n);
	log_context(n->cfg.name);
	watch_close(&n->mon.w);
	node_session_watch(n, &n->mon);
	n->mon.retry_at = n->loop.now;
	n->chore_due = true;
	n->chore_settings = true;
	if (node_step_open(n, &e) == -1)
		log_err(LOG_LEVEL_WARN, &e);
}

/* Nothing under way is lost: works end first, and what is running is adopted. */
static void
upgrade(struct node *n)
{
	struct err e = { 0 };

	if (n->work.pid != 0 || n->chore.pid != 0)
		return;
	n->upgrade = false;
	if (node_save(n) == -1)
		return;
	watch_close(&n->mon.w);
	watch_close(&n->local.w);
	watch_close(&n->ping.w);
	if (service_binary_exec(&e) == -1)
		log_err(LOG_LEVEL_ERROR, &e);
	node_session_watch(n, &n->mon);
	node_session_watch(n, &n->local);
	node_session_watch(n, &n->ping);
}

static void
on_signal(void *arg, int number)
{
	struct node *n = arg;
	int before = n->svc.stop;

	service_signal(&n->svc, number);
	if (n->svc.stop == before)
		return;
	if (before == 0)
		service_stopping();
	node_hurry(n);
}

/* -- leaving -- */

static bool
hands_over(const struct node *n)
{
	enum fsm_state s = n->k->current;

	return n->svc.stop == SIGTERM && !n->step.suspended &&
	       !config_no_monitor(&n->cfg) &&
	       (s == FSM_PRIMARY || s == FSM_SECONDARY || s == FSM_CATCHINGUP ||
		   s == FSM_PREPARE_MAINTENANCE || s == FSM_WAIT_MAINTENANCE ||
		   s == FSM_MAINTENANCE || n->parking == 2);
}

/* The gentle way: the group goes on without us before Postgres stops. */
static bool
is_parked(struct node *n)
{
	if (n->parking == 0) {
		/* a maintenance that is under way is an operator's: it stays theirs */
		n->parking = (fsm_state_flags(n->k->goal) & ST_MAINT) ? 2 : 1;
		n->stop_at = mono_after(n->loop.now, GENTLE_STOP_MS);
		if (n->parking == 1)
			log_info("asking the monitor to go on without this node");
	}
	/* the monitor took the request; whether it is granted shows in the goal */
	if (n->parking == 2 && !(fsm_state_flags(n->k->goal) & ST_MAINT) &&
	    mono_between(n->loop.now, n->stop_at) < GENTLE_STOP_MS - GRANT_MS)
		n->parking = 3;
	if (n->parking == 3 || mono_reached(n->loop.now, n->stop_at))
		return true;
	if (n->k->current != FSM_MAINTENANCE || n->k->goal != FSM_MAINTENANCE)
		return false;
	return n->told == FSM_MAINTENANCE;
}

/* A start by hand must not make a second writer of what may be replaced meanwhile. */
static bool
wants_guard(const struct node *n)
{
	return (fsm_state_flags(n->k->current) & ST_RW) && n->k->current != FSM_SINGLE &&
	       n->pg == FSM_PG_RW;
}

static void
stop_postgres(struct node *n)
{
	static const struct postmaster_stop how = { .mode = POSTMASTER_FAST,
		.deadline_ms = STOP_MS };
	struct err e = { 0 };

	node_work_abort(n);
	if (n->postmaster == 0)
		return;
	log_info("stopping Postgres");
	if (wants_guard(n) && conf_signal_write(&n->host, &e) == -1)
		log_err(LOG_LEVEL_WARN, &e);
	if (postmaster_stop(&n->host, &how, &e) == -1)
		log_err(LOG_LEVEL_ERROR, &e);
}

/* One last word, so that nobody has to find out by silence; best effort. */
static void
say_goodbye(struct node *n)
{
	struct mono until = mono_after(clock_mono(), n->svc.stop == SIGTERM ? 1000 : 300);
	struct err e = { 0 };

	n->report_at = n->loop.now;
	n->told = FSM_UNKNOWN;
	while (n->told == FSM_UNKNOWN && n->mon.w.state != WATCH_CLOSED &&
	       !mono_reached(clock_mono(), until)) {
		node_monitor_turn(n);
		if (loop_once(&n->loop, 50, &e) == -1)
			return;
	}
}

static void
leave(struct node *n)
{
	struct err e = { 0 };

	if ((n->svc.stop == 0 && n->keeps_postgres) || n->mode == NODE_ADOPT)
		return; /* dropped, or not wanted: what runs is not ours to stop */
	stop_postgres(n);
	(void)!loop_once(&n->loop, 0, &e);
	node_postmaster_look(n);
	say_goodbye(n);
}

/* create without --run ends when the first state is reached and known, or out of reach.
 */
static bool
is_created(struct node *n)
{
	if (n->mode == NODE_RUN)
		return false;
	if (is_built(n))
		return true;
	if (n->fails > CREATE_FAILS_MAX)
		n->exit_kind = ERR_INIT;
	else if (mono_between(n->contact, n->loop.now) > CREATE_CONTACT_MS)
		n->exit_kind = ERR_MONITOR;
	else if (mono_between(n->began, n->loop.now) > CREATE_MS && n->work.pid == 0)
		n->exit_kind = ERR_INIT;
	return n->exit_kind != ERR_NONE;
}

static void
run(struct node *n)
{
	struct err e = { 0 };

	while (!n->leave) {
		if (loop_once(&n->loop, wait_ms(n), &e) == -1) {
			log_err(LOG_LEVEL_ERROR, &e);
			n->exit_kind = ERR_SYSTEM;
			return;
		}
		if (n->svc.reload)
			reload(n);
		if (n->upgrade && n->svc.stop == 0)
			upgrade(n);
		if (!service_is_ours(&n->svc)) {
			log_warn("the pid file is gone: leaving");
			n->svc.stop = SIGINT;
		}
		if (n->svc.stop != 0 && (!hands_over(n) || is_parked(n)))
			break;
		turn(n);
		if (is_created(n))
			break;
	}
	leave(n);
}

/* -- the beginning -- */

static void
set_paths(struct node *n)
{
	static const enum config_file file[] = { CONFIG_FILE_CFG, CONFIG_FILE_STATE,
		CONFIG_FILE_INIT, CONFIG_FILE_PID };
	char **to[] = { &n->cfg_path, &n->state_path, &n->init_path, &n->lease_path };

	for (int i = 0; i < 4; i++) {
		struct buf b = { 0 };
		struct err e = { 0 };

		if (config_path(n->cfg.pgdata, file[i], &b, &e) == -1)
			die("%s", e.msg);
		if (file[i] == CONFIG_FILE_PID) /* the lease lies beside it */
			buf_cut(&b, buf_len(&b) - strlen("pid"));
		if (file[i] == CONFIG_FILE_PID)
			buf_str(&b, "lease");
		*to[i] = buf_take(&b);
	}
}

static void
set_times(struct node *n)
{
	struct mono now = clock_mono();

	n->loop.now = now;
	n->began = n->contact = n->vouched = n->apart = n->pg_up = n->heard_at = now;
	n->retry_at = n->report_at = n->look_at = n->slots_at = now;
	n->mon.retry_at = n->local.retry_at = n->ping.retry_at = now;
	n->disk_at = now;
	n->peers_at = mono_after(now, PEERS_MS);
	n->flux_until = mono_after(now, FLUX_MS);
	n->step.asked = now;
}

static void
forget_all(struct node *n)
{
	node_step_close(n);
	node_lease_close(n);
	watch_close(&n->mon.w);
	watch_close(&n->local.w);
	watch_close(&n->ping.w);
	node_name_close(&n->mon_name);
	node_name_close(&n->ping_name);
	loop_drop(&n->loop);
	service_close(&n->svc);
	config_drop(&n->cfg);
	free(n->cfg_path);
	free(n->state_path);
	free(n->init_path);
	free(n->lease_path);
	free(n);
}

/* Stored before it is shown: the monitor knows this node by it from then on. A node can
 * do without, as it must when its disk is full. */
static void
make_key(struct node *n)
{
	struct err e = { 0 };
	int rc = statefile_key(&n->state, &e);

	if (rc == 1)
		rc = statefile_write(n->state_path, &n->state, &e);
	if (rc == 0)
		return;
	log_warn("no key for the monitor to know this node by: %s", e.msg);
	memset(n->state.key, 0, sizeof n->state.key);
}

static int
open_all(struct node *n, struct err *e)
{
	/* first: whoever finds the pid file may send a signal */
	if (loop_init(&n->loop, on_signal, n, e) == -1)
		return -1;
	if (service_open(&n->svc, n->cfg.pgdata, e) == -1 ||
	    service_part(&n->svc, "node-active", getpid(), e) == -1)
		return -1;
	if (statefile_read(n->state_path, &n->state, e) == -1)
		return err_wrap(e, "state file");
	make_key(n);
	if (host_init(&n->host, &n->cfg, n->k->node_id, e) == -1 ||
	    setup_find(&n->host, e) == -1)
		return -1;
	set_times(n);
	/* what a worker leaves behind comes to us, not to pid 1 */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (n->step.wanted && n->k->current != FSM_INIT &&
	    n->k->current != FSM_WAIT_STANDBY) {
		n->step.suspended = true;
		n->step.phase = STEP_STARTING;
	}
	if (n->mode == NODE_RUN && node_step_open(n, e) == -1)
		return -1;
	return node_lease_open(n, e);
}

static struct node *
new_node(const struct config *cfg, enum node_mode mode)
{
	struct node *n = xcalloc(1, sizeof *n);

	config_copy(&n->cfg, cfg);
	n->mode = mode;
	n->keeps_postgres = mode != NODE_CREATE;
	n->k = &n->state.keeper;
	n->mon_name.fd = n->ping_name.fd = -1;
	n->mon.fd = n->local.fd = n->ping.fd = n->work.fd = n->pidfd = -1;
	n->loop.wake[0] = n->loop.wake[1] = -1;
	n->svc.lock_fd = n->step.fd = n->step.client = -1;
	n->step.wanted = mode == NODE_RUN && getenv("PG_AUTOCTL_SUSPENDED") != NULL;
	n->told = FSM_UNKNOWN;
	set_paths(n);
	return n;
}

int
node_serve(const struct config *cfg, enum node_mode mode, struct err *e)
{
	struct node *n = new_node(cfg, mode);
	int rc = open_all(n, e);

	if (rc == 0) {
		log_context(n->cfg.name);
		log_info("keeper of node %lld, state %s, goal %s",
		    (long long)n->k->node_id, fsm_state_name(n->k->current),
		    fsm_state_name(n->k->goal));
		service_ready("running");
		run(n);
		if (n->exit_kind != ERR_NONE)
			rc = err_set(e, (enum err_kind)n->exit_kind, "%s",
			    n->error[0] != '\0' ? n->error : "the keeper has ended");
	}
	forget_all(n);
	return rc;
}

int
node_step_once(const struct config *cfg, enum node_step_kind kind, char *answer,
    size_t size, struct err *e)
{
	struct node *n = new_node(cfg, NODE_ADOPT);
	int rc;

	n->step.suspended = n->keeps_lease = true;
	rc = open_all(n, e);
	if (rc == 0)
		node_step_begin(n, kind);
	while (rc == 0 && n->step.phase != STEP_IDLE && n->svc.stop == 0 && !n->leave) {
		rc = loop_once(&n->loop, wait_ms(n), e);
		if (rc == 0)
			turn(n);
	}
	snprintf(answer, size, "%s", n->step.answer);
	if (rc == 0 && n->step.phase != STEP_IDLE)
		rc = err_set(e, ERR_SYSTEM, "the step was called off");
	node_work_abort(n);
	forget_all(n);
	return rc;
}
