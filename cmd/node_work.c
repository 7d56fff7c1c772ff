/* Workers: the acts run in a process of their own, and this one never waits for them. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/node.h"
#include "ini/buf.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/limits.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CHECKPOINT_MS 600000
#define CHORE_AGAIN_MS 300

/* -- in the worker -- */

/* The child has copies of the keeper's descriptors: it must use none of them, and must
 * not say goodbye on its connections either. */
void
node_become_child(const char *name, pid_t parent, int keep)
{
	struct sigaction dflt = { .sa_handler = SIG_DFL };
	char title[16];

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	snprintf(title, sizeof title, "autoctl: %s", name);
	prctl(PR_SET_NAME, title);
	for (int s = 1; s < 32; s++)
		if (s != SIGPIPE)
			sigaction(s, &dflt, NULL);
	for (int fd = 3; fd < 1024; fd++)
		if (fd != keep)
			close(fd);
}

static void
work(struct node *n, int fd)
{
	struct act_message done = { .news = ACT_DONE };
	struct act_job *job = &n->work.job;

	job->fd = fd;
	job->host = &n->host;
	done.rc = act_run(job, &done, &done.err);
	done.news = ACT_DONE;
	_exit(send(fd, &done, sizeof done, MSG_NOSIGNAL) == sizeof done ? 0 : 1);
}

/* -- news -- */

static void
answer(const struct node_work *w)
{
	if (send(w->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		log_debug("the worker does not listen: %s", strerror(errno));
}

static void
keep_promise(struct node *n, const struct act_message *m)
{
	struct keeper *k = n->k;

	k->promise_term = m->promise_term;
	k->promise_tli = m->promise_tli;
	k->promise_lsn = m->promise_lsn;
	if (node_save(n) == 0)
		answer(&n->work);
	node_hurry(n);
}

static void
got_news(struct node *n, struct act_message *m)
{
	m->text[sizeof m->text - 1] = '\0';
	switch (m->news) {
	case ACT_PROGRESS:
		memcpy(n->work.progress, m->text, sizeof n->work.progress);
		log_debug("%s: %s", fsm_act_name(n->work.job.act), m->text);
		break;
	case ACT_FINAL:
		n->work.final = true;
		answer(&n->work);
		break;
	case ACT_PROMISE:
		keep_promise(n, m);
		break;
	case ACT_REWINDING:
		n->k->rewinding = m->value;
		if (node_save(n) == 0)
			answer(&n->work);
		break;
	case ACT_DONE:
		n->work.result = *m;
		n->work.done = true;
		break;
	}
}

static void
read_news(struct node *n)
{
	struct act_message m;
	ssize_t got;

	while ((got = recv(n->work.fd, &m, sizeof m, MSG_DONTWAIT)) == sizeof m)
		got_news(n, &m);
	if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
		loop_fd(&n->loop, n->work.fd, 0, NULL, NULL);
}

static void
on_news(void *arg, int fd, short revents)
{
	struct node *n = arg;

	(void)fd;
	(void)revents;
	read_news(n);
}

/* It may move the data directory, or the door, under whoever works there too. */
bool
node_work_moves(const struct node *n)
{
	return n->work.pid != 0 && n->work.job.act != FSM_ACT_SYNC;
}

/* -- the end of it -- */

static void
take_result(struct node *n, const struct act_job *job, const struct act_message *m)
{
	struct keeper *k = n->k;

	if (m->stopped) {
		k->stopped_term = job->keeper.term;
		k->final_lsn = m->final_lsn;
	}
	if (m->applied)
		k->applied_gen = m->applied_gen;
	if (m->system_identifier == 0)
		return;
	if (k->system_identifier == 0)
		n->asks |= 1U << ASK_SYSID;
	k->system_identifier = m->system_identifier;
	n->state.pg_version = n->host.version / 100;
	n->state.control_version = m->control_version;
	n->state.catalog_version = m->catalog_version;
}

/* What a node fences by itself is its goal too, until the monitor says another. */
static void
reach(struct node *n, enum fsm_state to)
{
	struct keeper *k = n->k;

	if (k->current != to)
		log_info(
		    "state %s -> %s", fsm_state_name(k->current), fsm_state_name(to));
	if (to == FSM_DEMOTE_TIMEOUT && k->goal != to &&
	    !(fsm_state_flags(k->goal) & ST_DOWN))
		k->goal = to;
	k->current = to;
}

static void
succeed(struct node *n)
{
	const struct act_job *job = &n->work.job;

	take_result(n, job, &n->work.result);
	n->shut = n->work.result.shut;
	reach(n, job->to);
	if (n->work.result.promoted) {
		n->chore_due = n->chore_checkpoint = true;
		n->pg = FSM_PG_RW; /* known before the next look */
		n->seen.valid = false;
		n->promoted_tli = n->work.result.tli;
	}
	if (job->act == FSM_ACT_FOLLOW || job->act == FSM_ACT_INIT)
		n->chore_due = true; /* the copy came with another node's rules */
	n->fails = 0;
	n->error[0] = '\0';
	node_save(n);
	if (job->from == FSM_INIT || job->from == FSM_WAIT_STANDBY)
		unlink(n->init_path);
}

static void
fail(struct node *n, int status)
{
	const struct err *e = &n->work.result.err;
	char text[64];

	node_disk_look(n);

	n->fails++;
	n->retry_at = mono_after(n->loop.now, keeper_backoff_ms(n->fails));
	if (n->work.done)
		snprintf(n->error, sizeof n->error, "%.*s%s%s", n->room ? 140 : 200,
		    e->msg, n->room ? ": " : "", n->disk_text);
	else {
		snprintf(text, sizeof text, "the worker ended with status 0x%x", status);
		snprintf(n->error, sizeof n->error, "%s: %s",
		    fsm_act_name(n->work.job.act), text);
	}
	log_once(&n->why, LOG_LEVEL_WARN, "%s for %s: %s", fsm_act_name(n->work.job.act),
	    fsm_state_name(n->work.job.to), n->error);
	if (n->work.done && e->detail[0] != '\0')
		log_debug("%s", e->detail);
}

static void
end_work(struct node_work *w, struct loop *l)
{
	if (w->fd >= 0) {
		loop_fd(l, w->fd, 0, NULL, NULL);
		close(w->fd);
	}
	w->fd = -1;
	w->pid = 0;
	w->final = false;
	w->progress[0] = '\0';
}

static void
worker_ended(void *arg, pid_t pid, int status)
{
	struct node *n = arg;
	int64_t ms = mono_between(n->work.began, n->loop.now);

	(void)pid;
	read_news(n);
	log_debug("%s ended after %lld ms", fsm_act_name(n->work.job.act), (long long)ms);
	if (n->work.done && n->work.result.rc == 0)
		succeed(n);
	else
		fail(n, status);
	end_work(&n->work, &n->loop);
	n->works++;
	n->seen.fresh = false;
	/* what it started is ours now, what it stopped is gone */
	node_postmaster_look(n);
	node_hurry(n);
}

static void
was_aborted(void *arg, pid_t pid, int status)
{
	(void)arg;
	(void)pid;
	(void)status;
}

void
node_work_abort(struct node *n)
{
	struct node_work *w = &n->work;

	if (w->pid == 0)
		return;
	log_info("%s for %s is called off", fsm_act_name(w->job.act),
	    fsm_state_name(w->job.to));
	loop_child_forget(&n->loop, w->pid);
	kill(-w->pid, SIGKILL);
	loop_child(&n->loop, w->pid, was_aborted, NULL);
	end_work(w, &n->loop);
	n->works++;
	n->seen.fresh = false;
	n->fails = 0;
	n->retry_at = n->loop.now;
	node_hurry(n);
}

/* What begins now may end what was true until now: forget it, on disk, first. */
static int
prepare(struct node *n, const struct keeper_step *s)
{
	struct keeper *k = n->k;

	switch ((int)s->act) {
	case FSM_ACT_RESUME:
	case FSM_ACT_OPEN:
	case FSM_ACT_INIT:
	case FSM_ACT_PROMOTE:
	case FSM_ACT_CLOSED:
		k->stopped_term = 0;
		k->final_lsn = 0;
		return node_save(n);
	case FSM_ACT_START:
		if (!(fsm_state_flags(k->current) & ST_RW) || k->stopped_term == 0)
			return 0;
		k->stopped_term = 0;
		k->final_lsn = 0;
		return node_save(n);
	case FSM_ACT_FOLLOW:
		/* the promise holds no longer; that no older term is followed is kept by
		 * the stored term, for answers of a lower one are refused */
		k->promise_term = 0;
		k->promise_lsn = 0;
		k->promise_tli = 0;
		return node_save(n);
	case FSM_ACT_STOP:
	case FSM_ACT_FENCE:
		n->was_up = false;
		return 0;
	default:
		return 0;
	}
}

static void
begin(struct node *n, int pair[2])
{
	struct node_work *w = &n->work;
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		close(pair[0]);
		node_become_child(fsm_act_name(w->job.act), parent, pair[1]);
		work(n, pair[1]);
	}
	close(pair[1]);
	if (pid == -1) {
		close(pair[0]);
		log_error("fork: %s", strerror(errno));
		n->retry_at = mono_after(n->loop.now, 1000);
		return;
	}
	setpgid(pid, pid); /* here too: whoever comes first */
	w->pid = pid;
	w->fd = pair[0];
	loop_fd(&n->loop, w->fd, POLLIN, on_news, n);
	loop_child(&n->loop, pid, worker_ended, n);
}

void
node_work_begin(struct node *n, const struct keeper_step *s)
{
	struct node_work *w = &n->work;
	int pair[2];

	if (prepare(n, s) == -1 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		n->retry_at = mono_after(n->loop.now, 1000);
		return;
	}
	if (n->chore.pid != 0 && s->act != FSM_ACT_SYNC)
		kill(-n->chore.pid, SIGKILL); /* it is due again when it ends badly */
	memset(w, 0, sizeof *w);
	w->job = (struct act_job){ .act = s->act,
		.to = s->to,
		.from = n->k->current,
		.planned = n->k->planned,
		.pg = n->pg,
		.keeper = *n->k,
		.fails = n->fails,
		.shut = n->shut };
	if (n->has_reply)
		w->job.reply = n->reply;
	n->shut = false;
	w->began = n->loop.now;
	log_info("%s for %s%s%s", fsm_act_name(s->act), fsm_state_name(s->to),
	    s->why ? ": " : "", s->why ? s->why : "");
	begin(n, pair);
	node_hurry(n);
}

/* -- the chore: small things that take a while, and may be done again -- */

static void
chore_ended(void *arg, pid_t pid, int status)
{
	struct node *n = arg;

	(void)pid;
	n->chore.pid = 0;
	n->chore.began = n->loop.now;
	if (status != 0)
		n->chore_due = true;
	else if (!n->chore_due) /* nothing was asked for since it began */
		n->chore_settings = n->chore_checkpoint = n->chore_limits = false;
}

/* How a standby reaches the one it follows anyway: encryption, password. 1: changed. */
static int
follow_anew(const struct node *n, struct err *e)
{
	struct conf_upstream up = { .id = n->reply.upstream_id,
		.port = n->seen.upstream_port };

	if (n->pg != FSM_PG_STANDBY || n->seen.upstream_host[0] == '\0' || up.id == 0)
		return 0;
	snprintf(up.host, sizeof up.host, "%s", n->seen.upstream_host);
	return conf_standby(&n->host, &up, e);
}

/* After a reload. Postgres reads its files again in any case: a certificate may have been
 * renewed under its old name. */
static int
apply_settings(const struct node *n, struct err *e)
{
	if (n->cfg.ssl_active && setup_certificate(&n->host, e) == -1)
		return err_wrap(e, "the settings are not passed on to Postgres");
	if (conf_main(&n->host, e) < 0 || follow_anew(n, e) < 0 ||
	    host_reload(&n->host, e) == -1)
		return -1;
	return n->pg == FSM_PG_RW ? host_passwords(&n->host, e) : 0;
}

/* A primary was given more of something: replay has stopped here, and a promotion would
 * end this Postgres. Its next start gives it as much. 1: it was stopped. */
static int
stop_for_limits(const struct node *n, struct err *e)
{
	struct postmaster_stop fast = { .mode = POSTMASTER_FAST };
	struct db d = { 0 };
	int rc;

	if (host_open(&n->host, &d, 0, e) == -1)
		return -1;
	rc = limits_check(&n->host, &d, e);
	db_close(&d);
	if (rc <= 0)
		return rc;
	log_err(LOG_LEVEL_WARN, e);
	return postmaster_stop(&n->host, &fast, e) == -1 ? -1 : 1;
}

static int
do_chore(struct node *n)
{
	struct buf monitor = { 0 };
	struct hba hba = { .peer = n->peer, .npeers = n->npeers };
	struct err e = { 0 };
	int rc = 0;

	if (n->chore_settings)
		rc = apply_settings(n, &e);
	if (!config_no_monitor(&n->cfg) &&
	    uri_get(n->cfg.monitor, "host", &monitor, NULL) == 0 && buf_len(&monitor) > 0)
		hba.monitor_host = buf_peek(&monitor);
	if (rc == 0)
		rc = hba_update(&n->host, &hba, &e);
	if (rc >= 0 && n->chore_checkpoint)
		rc = host_checkpoint(&n->host, CHECKPOINT_MS, &e);
	if (rc >= 0 && n->chore_limits)
		rc = stop_for_limits(n, &e);
	else if (rc >= 0)
		rc = 0;
	if (rc >= 0)
		return rc; /* 1: again, when Postgres is back */
	log_err(LOG_LEVEL_WARN, &e);
	return 1;
}

void
node_chore_turn(struct node *n)
{
	pid_t parent = getpid();
	pid_t pid;

	/* without the list of the others nobody would be let in any more */
	if (!n->chore_due || n->chore.pid != 0 || node_work_moves(n) || !n->seen.valid ||
	    !n->has_peers || mono_between(n->chore.began, n->loop.now) < CHORE_AGAIN_MS)
		return;
	pid = fork();
	if (pid == 0) {
		node_become_child("chores", parent, -1);
		_exit(do_chore(n));
	}
	if (pid == -1)
		return;
	setpgid(pid, pid);
	n->chore_due = false;
	n->chore.pid = pid;
	loop_child(&n->loop, pid, chore_ended, n);
}
