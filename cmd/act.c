/* The acts: enum fsm_act to functions on the host. Run in a worker, repeatable. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/act.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ini/buf.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/standby.h"
#include "pg/statefile.h"

#include "ini/ban.h"

#define PROGRESS_MS 100
#define ANSWER_MS 15000    /* of the main process: one write to disk */
#define CHECKPOINT_MS 5000 /* before a planned stop: it only shortens it */
#define STOP_MS 20000
#define FENCE_MS 500
#define SYNC_MS 60000
#define TARGET_MS 1000 /* until the tail of a planned handover is given up */

/* -- telling -- */

int
act_tell(struct act_job *job, struct act_message *m, struct err *e)
{
	struct pollfd p = { .fd = job->fd, .events = POLLIN };
	char answer;

	if (job->fd < 0)
		return 0;
	if (send(job->fd, m, sizeof *m, MSG_NOSIGNAL) != sizeof *m)
		return err_sys(e, "the keeper does not listen");
	if (m->news == ACT_PROGRESS || m->news == ACT_DONE)
		return 0;
	while (poll(&p, 1, ANSWER_MS) == -1)
		if (errno != EINTR)
			return err_sys(e, "poll");
	if (p.revents == 0 || recv(job->fd, &answer, 1, MSG_DONTWAIT) != 1)
		return err_set(e, ERR_SYSTEM, "the keeper did not take note");
	return 0;
}

static bool
on_progress(void *arg, const char *text)
{
	struct act_job *job = arg;
	struct act_message m = { .news = ACT_PROGRESS };
	static struct mono next;

	if (!mono_reached(clock_mono(), next))
		return true; /* more often nobody reads it */
	next = mono_after(clock_mono(), PROGRESS_MS);
	snprintf(m.text, sizeof m.text, "%s", text);
	return act_tell(job, &m, NULL) == 0;
}

static int
on_rewinding(void *arg, bool on, struct err *e)
{
	struct act_message m = { .news = ACT_REWINDING, .value = on };

	return act_tell(arg, &m, e);
}

static int
tell_final(struct act_job *job, struct err *e)
{
	struct act_message m = { .news = ACT_FINAL };

	return act_tell(job, &m, e);
}

/* The position is exact and stays: promise that nothing of an older term is added. */
static int
promise(struct act_job *job, const struct host_position *at, struct err *e)
{
	struct act_message m = { .news = ACT_PROMISE,
		.promise_term = job->keeper.term,
		.promise_tli = at->tli,
		.promise_lsn = at->lsn };

	return act_tell(job, &m, e);
}

/* -- what several acts need -- */

static bool
is_running(const struct act_job *job)
{
	struct postmaster p;

	postmaster_find(job->host, &p);
	return p.pid != 0;
}

static bool
has_cluster(const struct act_job *job)
{
	enum setup_state s;

	return setup_state(job->host, &s, NULL) == 0 &&
	       (s == SETUP_CLUSTER || s == SETUP_RUNNING);
}

static int
note_cluster(struct act_job *job, struct act_message *done, struct err *e)
{
	struct control c;

	if (setup_control(job->host, &c, e) == -1)
		return -1;
	done->system_identifier = c.system_identifier;
	done->control_version = c.control_version;
	done->catalog_version = c.catalog_version;
	return 0;
}

static int
stop(struct act_job *job, enum postmaster_mode mode, int64_t ms, struct err *e)
{
	struct postmaster_stop how = { .mode = mode, .deadline_ms = ms };

	return postmaster_stop(job->host, &how, e);
}

static int
listen_now(struct act_job *job, struct err *e)
{
	return postmaster_start(job->host, POSTMASTER_LISTEN, 0, e);
}

/* Was it a writer when it ended? Then it goes on where it was; a standby needs a
 * promotion to become one. */
static int
was_writer(struct act_job *job, bool *yes, struct err *e)
{
	struct control c;

	if (setup_control(job->host, &c, e) == -1)
		return -1;
	*yes = c.state != CONTROL_SHUT_DOWN_IN_RECOVERY &&
	       c.state != CONTROL_IN_ARCHIVE_RECOVERY;
	return 0;
}

static int
promote_now(struct act_job *job, struct act_message *done, struct err *e)
{
	if (tell_final(job, e) == -1 ||
	    postmaster_promote(job->host, 0, &done->tli, e) == -1)
		return -1;
	done->promoted = true;
	return conf_standby_clear(job->host, e) == -1 ? -1 : 0;
}

/* The granted names, and the proof that they are in force. */
static int
apply_names(struct act_job *job, struct act_message *done, struct err *e)
{
	const struct reply *r = &job->reply;

	if (host_sync(job->host, r->names, r->gen_k, SYNC_MS, e) == -1)
		return -1;
	done->applied = true;
	done->applied_gen = r->gen;
	return 0;
}

/* Without names nobody waits: a new session that shows none is all there is to know. */
static int
drop_names(struct act_job *job, struct err *e)
{
	int same = host_shows(job->host, "synchronous_standby_names", "", e);

	return same == 0 ? host_names(job->host, "", e) : same == 1 ? 0 : -1;
}

/* -- the acts -- */

static int
act_nothing(struct act_job *job, struct act_message *done, struct err *e)
{
	(void)job;
	(void)done;
	(void)e;
	return 0;
}

/* An initdb that was killed leaves what looks like a cluster: the mark is on disk before
 * it begins, in an empty directory, and gone when it is done. */
static int
new_cluster(struct act_job *job, struct err *e)
{
	if (job->keeper.rewinding && file_rmtree(job->host->pgdata, e) == -1)
		return -1;
	host_progress(job->host, "initdb");
	if (on_rewinding(job, true, e) == -1 || setup_initdb(job->host, e) == -1)
		return -1;
	return on_rewinding(job, false, e);
}

static int
make_cluster(struct act_job *job, struct err *e)
{
	const struct config *cfg = job->host->cfg;

	if ((job->keeper.rewinding || !has_cluster(job)) && new_cluster(job, e) == -1)
		return -1;
	if (cfg->ssl_active && setup_certificate(job->host, e) == -1)
		return -1;
	return conf_main(job->host, e) == -1 ? -1 : 0;
}

/* Did the creation begin with an empty directory? Also when it was interrupted since. */
static bool
made_here(const struct act_job *job)
{
	enum statefile_found found = STATEFILE_FOUND_UNKNOWN;
	struct buf path = { 0 };

	if (config_path(job->host->cfg->pgdata, CONFIG_FILE_INIT, &path, NULL) ||
	    statefile_init_read(buf_peek(&path), &found, NULL))
		found = STATEFILE_FOUND_UNKNOWN;
	buf_drop(&path);
	return found == STATEFILE_FOUND_NOTHING;
}

static int
act_init(struct act_job *job, struct act_message *done, struct err *e)
{
	struct hba none = { .made = made_here(job) };
	struct host_position at;
	bool ran = is_running(job);

	if (make_cluster(job, e) == -1 || note_cluster(job, done, e) == -1)
		return -1;
	if (ran ? host_reload(job->host, e) == -1 : listen_now(job, e) == -1)
		return -1;
	if (host_position(job->host, &at, e) == -1 ||
	    (at.recovery && promote_now(job, done, e) == -1))
		return -1;
	if (host_names(job->host, "", e) == -1 || host_objects(job->host, e) == -1)
		return -1;
	if (hba_update(job->host, &none, e) == -1 || hba_open(job->host, e) == -1)
		return -1;
	return apply_names(job, done, e);
}

static int
act_sync(struct act_job *job, struct act_message *done, struct err *e)
{
	if (!is_running(job))
		return err_set(e, ERR_POSTGRES, "Postgres does not run");
	return apply_names(job, done, e);
}

/* Writable again, on the same timeline if it was a writer when it stopped. */
static int
act_resume(struct act_job *job, struct act_message *done, struct err *e)
{
	struct host_position at;
	bool writer;

	if (is_running(job) && host_position(job->host, &at, NULL) == 0 && at.recovery &&
	    stop(job, POSTMASTER_FAST, STOP_MS, e) == -1)
		return -1;
	if (!is_running(job)) {
		if (was_writer(job, &writer, e) == -1 ||
		    host_names(job->host, job->reply.names, e) == -1)
			return -1;
		if (writer && (conf_signal_remove(job->host, e) == -1 ||
				  conf_standby_clear(job->host, e) == -1))
			return -1;
		if (writer ? listen_now(job, e) == -1
			   : standby_start_alone(job->host, &at, e) == -1 ||
				 promote_now(job, done, e) == -1)
			return -1;
	}
	if (host_read_only(job->host, false, e) == -1)
		return -1;
	return hba_open(job->host, e);
}

static int
act_promote(struct act_job *job, struct act_message *done, struct err *e)
{
	struct host_position at;

	if (!is_running(job) && standby_start_alone(job->host, &at, e) == -1)
		return -1;
	if (host_names(job->host, job->reply.names, e) == -1 ||
	    host_position(job->host, &at, e) == -1)
		return -1;
	if (at.recovery && promote_now(job, done, e) == -1)
		return -1;
	if (host_read_only(job->host, false, e) == -1 || hba_open(job->host, e) == -1)
		return -1;
	if (job->reply.gen_k > 0)
		return 0; /* confirmed later: standbys come back only now */
	return apply_names(job, done, e);
}

/* Names first, then the door: no commit is acknowledged by less than was granted. */
static int
act_open(struct act_job *job, struct act_message *done, struct err *e)
{
	const struct reply *r = &job->reply;

	if (r->gen_k > 0 && host_names(job->host, r->names, e) == -1)
		return -1;
	if (r->gen_k == 0 && !job->shut && drop_names(job, e) == -1)
		return -1;
	if (hba_open(job->host, e) == -1)
		return -1;
	if (r->gen_k == 0) {
		done->applied = true;
		done->applied_gen = r->gen;
	}
	return 0;
}

/* A checkpoint while writes still go on makes the stop short. With the disk full it
 * would be the end of it. */
static void
checkpoint_ahead(struct act_job *job)
{
	struct host_disk d;

	if (job->pg != FSM_PG_RW)
		return;
	if (host_disk(job->host, &d, NULL) == 0 &&
	    (d.data_free < d.data_total / 50 || d.wal_free < d.wal_total / 50))
		return;
	host_progress(job->host, "checkpoint");
	if (host_checkpoint(job->host, CHECKPOINT_MS, NULL) == -1)
		host_progress(job->host, "checkpoint not finished");
}

/* From now on a start by hand or by the system comes up as a standby. */
static int
guard(struct act_job *job, struct err *e)
{
	return has_cluster(job) ? conf_signal_write(job->host, e) : 0;
}

static int
act_stop(struct act_job *job, struct act_message *done, struct err *e)
{
	struct control c;

	if (job->planned && is_running(job))
		checkpoint_ahead(job);
	if (guard(job, e) == -1)
		return -1;
	host_progress(job->host, "stop");
	if (stop(job, POSTMASTER_FAST, STOP_MS, e) == -1)
		return -1;
	done->stopped = true;
	if (has_cluster(job) && setup_control(job->host, &c, NULL) == 0)
		done->final_lsn = setup_final_lsn(&c);
	return 0;
}

/* Let go of whoever feeds us, for certain, and promise it. */
static int
let_go(struct act_job *job, struct err *e)
{
	struct host_position at;
	bool runs = is_running(job);

	if (runs && (host_position(job->host, &at, e) == -1))
		return -1;
	if (runs && !at.recovery) {
		/* a promotion that was given up: it goes on as a standby */
		if (guard(job, e) == -1 || stop(job, POSTMASTER_FAST, STOP_MS, e) == -1)
			return -1;
		runs = false;
	}
	if (runs ? standby_detach(job->host, &at, e) == -1
		 : standby_start_alone(job->host, &at, e) == -1)
		return -1;
	return promise(job, &at, e);
}

/* What a standby holds is its word in an election that it leaves. It stops anyway. */
static int
act_drop(struct act_job *job, struct act_message *done, struct err *e)
{
	struct host_position at;
	struct err no = { 0 };

	if (is_running(job) && host_position(job->host, &at, &no) == 0 && at.recovery &&
	    let_go(job, &no) == -1)
		log_err(LOG_LEVEL_WARN, &no);
	return act_stop(job, done, e);
}

static int
act_fence(struct act_job *job, struct act_message *done, struct err *e)
{
	/* the signal file must not delay what is urgent */
	if (stop(job, POSTMASTER_IMMEDIATE, FENCE_MS, e) == -1)
		return -1;
	done->stopped = true;
	return guard(job, e);
}

static int
act_release(struct act_job *job, struct act_message *done, struct err *e)
{
	(void)done;
	/* a former writer must not come back by itself, nor follow anybody */
	if (!is_running(job) && has_cluster(job) &&
	    conf_standby(job->host, NULL, e) == -1)
		return -1;
	return 0;
}

static int
act_follow(struct act_job *job, struct act_message *done, struct err *e)
{
	const struct reply *r = &job->reply;
	struct standby_join join = { .upstream = { .id = r->upstream_id,
					 .port = r->upstream_port },
		.fails = job->fails,
		.may_copy = true,
		.rewinding = on_rewinding,
		.arg = job };
	enum standby_way way;

	snprintf(join.upstream.host, sizeof join.upstream.host, "%s", r->upstream_host);
	if (standby_join(job->host, &join, &way, e) == -1)
		return -1;
	/* a promotion that was called off had closed the door */
	if (hba_is_closed(job->host) && hba_open(job->host, e) == -1)
		return -1;
	return note_cluster(job, done, e);
}

static int
act_detach(struct act_job *job, struct act_message *done, struct err *e)
{
	struct host_position at;

	(void)done;
	/* in maintenance nothing is started, nor stopped */
	if (job->to == FSM_MAINTENANCE &&
	    (!is_running(job) || host_position(job->host, &at, e) == -1 || !at.recovery))
		return err_set(e, ERR_STATE, "in maintenance, and no standby that runs");
	return let_go(job, e);
}

/*
 * What can be done ahead of a promotion while the old writer drains: clients are shut
 * out, and the names of the old term go. Neither matters to a standby, and the door stays
 * closed, crash or not, until writes are granted.
 */
static int
shut_out(struct act_job *job, struct act_message *done, struct err *e)
{
	if (!job->shut && (hba_close(job->host, e) == -1 || drop_names(job, e) == -1))
		return -1;
	done->shut = true;
	return 0;
}

static int
act_prepare(struct act_job *job, struct act_message *done, struct err *e)
{
	if (!job->planned)
		return let_go(job, e);
	/* the tail of the old writer is still to come: stay attached */
	if (!is_running(job) && listen_now(job, e) == -1)
		return -1;
	return shut_out(job, done, e);
}

static int
act_fetch(struct act_job *job, struct act_message *done, struct err *e)
{
	const struct reply *r = &job->reply;
	struct conf_upstream from = { .id = r->upstream_id, .port = r->upstream_port };
	struct host_position at;

	(void)done;
	snprintf(from.host, sizeof from.host, "%s", r->upstream_host);
	if (!is_running(job) && standby_start_alone(job->host, &at, e) == -1)
		return -1;
	if (standby_fetch(job->host, &from, r->target_lsn, &at, e) == -1)
		return -1;
	return promise(job, &at, e);
}

static int
act_closed(struct act_job *job, struct act_message *done, struct err *e)
{
	struct host_position at = { .recovery = true };

	if (!is_running(job) && standby_start_alone(job->host, &at, e) == -1)
		return -1;
	if (job->pg != FSM_PG_STANDBY && host_position(job->host, &at, e) == -1)
		return -1;
	if (!at.recovery) /* promoted by an earlier attempt */
		return shut_out(job, done, e);
	if (job->planned && job->reply.target_lsn > 0) {
		/* the old writer has stopped, and this is all it had: there is nobody
		 * left to let go of */
		if (standby_wait_lsn(job->host, job->reply.target_lsn, TARGET_MS, e) ==
		    -1)
			return -1;
	} else if (job->keeper.promise_term < job->keeper.term && let_go(job, e) == -1) {
		return -1;
	}
	return shut_out(job, done, e) == -1 ? -1 : promote_now(job, done, e);
}

static int
act_start(struct act_job *job, struct act_message *done, struct err *e)
{
	unsigned flags = fsm_state_flags(job->to);
	struct host_position at;
	bool writer;

	(void)done;
	if (is_running(job))
		return listen_now(job, e); /* it is on its way up */
	if ((flags & ST_STANDBY) && conf_signal_write(job->host, e) == -1)
		return -1;
	if (job->to == FSM_REPORT_LSN)
		return standby_start_alone(job->host, &at, e);
	if (flags & ST_RW) {
		if (was_writer(job, &writer, e) == -1)
			return -1;
		if (writer && conf_signal_remove(job->host, e) == -1)
			return -1;
	}
	return listen_now(job, e);
}

typedef int act_fn(struct act_job *, struct act_message *, struct err *);

static act_fn *const acts[] = {
	[FSM_ACT_NOTHING] = act_nothing,
	[FSM_ACT_INIT] = act_init,
	[FSM_ACT_SYNC] = act_sync,
	[FSM_ACT_RESUME] = act_resume,
	[FSM_ACT_PROMOTE] = act_promote,
	[FSM_ACT_OPEN] = act_open,
	[FSM_ACT_STOP] = act_stop,
	[FSM_ACT_RELEASE] = act_release,
	[FSM_ACT_FOLLOW] = act_follow,
	[FSM_ACT_PREPARE] = act_prepare,
	[FSM_ACT_CLOSED] = act_closed,
	[FSM_ACT_DETACH] = act_detach,
	[FSM_ACT_FETCH] = act_fetch,
	[FSM_ACT_DROP] = act_drop, /* a removed writer tells what it leaves behind, too */
	[FSM_ACT_START] = act_start,
	[FSM_ACT_FENCE] = act_fence,
};
_Static_assert(sizeof acts / sizeof acts[0] == FSM_ACT_COUNT, "every act has a function");

int
act_run(struct act_job *job, struct act_message *done, struct err *e)
{
	job->host->progress = on_progress;
	job->host->arg = job;
	return acts[job->act](job, done, e);
}
