/* What the keeper knows, as a report to the monitor and as an observation for its step.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>

#include "cmd/node.h"
#include "ini/file.h"
#include "ini/mem.h"

#include "ini/ban.h"

#define CRASH_PAUSE_MS 2000
#define FULL_PAUSE_MS 10000 /* somebody has to make room first */

static bool
follows_the_named(const struct node *n)
{
	return n->has_reply && n->seen.valid && n->seen.recovery &&
	       n->reply.upstream_id != 0 &&
	       strcmp(n->seen.upstream_host, n->reply.upstream_host) == 0 &&
	       n->seen.upstream_port == n->reply.upstream_port;
}

/* Whom Postgres is configured to follow, by id; 0: nobody we know. */
static int64_t
upstream_id(const struct node *n)
{
	if (follows_the_named(n))
		return n->reply.upstream_id;
	if (!n->seen.valid || !n->seen.recovery || n->seen.upstream_host[0] == '\0')
		return 0;
	for (int i = 0; i < n->npeers; i++)
		if (strcmp(n->peer[i].host, n->seen.upstream_host) == 0 &&
		    n->peer[i].port == n->seen.upstream_port)
			return n->peer[i].id;
	return 0;
}

/* Streaming counts on the timeline of the upstream only: before, it may be waiting there
 * for ever with a history of its own. */
static bool
is_streaming(const struct node *n)
{
	return n->pg == FSM_PG_STANDBY && n->seen.valid && n->seen.receiving &&
	       follows_the_named(n) && n->seen.tli >= n->reply.upstream_tli;
}

static void
copy_text(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size - 1);

	memcpy(to, from, len);
	to[len] = '\0';
}

static void
fill_stored(const struct keeper *k, struct report *r)
{
	r->node_id = k->node_id;
	r->epoch = k->epoch;
	r->seen_seq = k->goal_seq;
	r->seen_term = k->term;
	r->state = k->current;
	r->promise_term = k->promise_term;
	r->promise_tli = k->promise_tli;
	r->promise_lsn = k->promise_lsn;
	r->stopped_term = k->stopped_term;
	r->final_lsn = k->final_lsn;
	r->applied_gen = k->applied_gen;
	r->lease_gen = k->lease_gen;
}

static void
fill_peers(struct node *n, struct report *r)
{
	copy_text(r->rep_state, sizeof r->rep_state, n->seen.rep_state);
	for (int i = 0; i < n->seen.npeers; i++) {
		r->peer[i] = n->seen.peer[i];
		r->peer[i].reply_age_ms = mono_between(n->seen.reply_at[i], n->loop.now);
	}
	r->npeers = n->seen.npeers;
}

void
node_report_fill(struct node *n, struct report *r)
{
	struct keeper_obs o;

	node_observe(n, &o);
	memset(r, 0, sizeof *r);
	fill_stored(n->k, r);
	r->pg = n->pg;
	r->pg_retrying = keeper_retrying(n->k, &o);
	r->has_data = o.has_data;
	if (n->seen.valid && (n->pg == FSM_PG_STANDBY || n->pg == FSM_PG_RW)) {
		r->tli = n->seen.tli;
		r->lsn = n->seen.lsn;
		fill_peers(n, r);
	} else if (n->pg == FSM_PG_RW) {
		r->tli = n->promoted_tli; /* or it would be taken to be where it was */
	}
	r->upstream_id = upstream_id(n);
	r->streaming = is_streaming(n);
	r->heard = n->heard;
	r->heard_age_ms = n->heard == FSM_WITNESS_NONE
			      ? FSM_NEVER
			      : mono_between(n->heard_at, n->loop.now);
	r->fails = n->fails;
	if (n->work.pid != 0) {
		copy_text(r->act, sizeof r->act, fsm_act_name(n->work.job.act));
		copy_text(r->progress, sizeof r->progress, n->work.progress);
	}
	copy_text(r->error, sizeof r->error, n->error[0] ? n->error : n->disk_text);
}

/* Would the monitor decide differently? Positions alone do not count: they move. */
static bool
says_more(const struct report *a, const struct report *b)
{
	if (a->state != b->state || a->pg != b->pg || a->pg_retrying != b->pg_retrying ||
	    a->seen_seq != b->seen_seq || a->seen_term != b->seen_term ||
	    a->tli != b->tli || a->heard != b->heard || a->streaming != b->streaming ||
	    a->upstream_id != b->upstream_id || a->has_data != b->has_data)
		return true;
	if (a->promise_term != b->promise_term || a->promise_lsn != b->promise_lsn ||
	    a->stopped_term != b->stopped_term || a->final_lsn != b->final_lsn ||
	    a->applied_gen != b->applied_gen || a->lease_gen != b->lease_gen)
		return true;
	if (a->fails != b->fails || strcmp(a->act, b->act) != 0 ||
	    strcmp(a->error, b->error) != 0 || strcmp(a->rep_state, b->rep_state) != 0 ||
	    a->npeers != b->npeers)
		return true;
	for (int i = 0; i < a->npeers; i++)
		if (a->peer[i].node_id != b->peer[i].node_id ||
		    strcmp(a->peer[i].sync_state, b->peer[i].sync_state) != 0)
			return true;
	return false;
}

bool
node_report_due(struct node *n)
{
	struct report r;

	if (mono_reached(n->loop.now, n->report_at))
		return true;
	node_report_fill(n, &r);
	return says_more(&r, &n->report);
}

static bool
has_data(const struct node *n)
{
	char *path = xasprintf("%s/PG_VERSION", n->cfg.pgdata);
	bool yes = file_exists(path);

	free(path);
	return yes;
}

/* Did what the work began with change under it? */
static bool
is_stale(const struct node *n)
{
	const struct reply *was = &n->work.job.reply;
	const struct reply *is = &n->reply;
	bool moved = was->upstream_id != is->upstream_id ||
		     was->upstream_port != is->upstream_port ||
		     strcmp(was->upstream_host, is->upstream_host) != 0;

	if (n->work.pid == 0 || !n->has_reply)
		return false;
	switch ((int)n->work.job.act) {
	case FSM_ACT_FOLLOW:
		return moved;
	case FSM_ACT_FETCH:
		return moved || was->target_lsn != is->target_lsn;
	case FSM_ACT_CLOSED:
		return was->target_lsn != is->target_lsn || was->planned != is->planned;
	case FSM_ACT_SYNC:
		return was->gen != is->gen;
	default:
		return false;
	}
}

static int
recent_crashes(const struct node *n)
{
	int count = 0;

	for (int i = 0; i < n->ncrashes && i < KEEPER_CRASHES_MAX; i++)
		if (mono_between(n->crash[i], n->loop.now) < KEEPER_CRASH_MS)
			count++;
	return count;
}

/* One that dies again and again is not worth a busy machine; without room on the disk it
 * dies again for certain. */
static void
pause_after_crash(const struct node *n, struct keeper_obs *o)
{
	int64_t pause = 0;

	if (o->crashes >= KEEPER_CRASHES_MAX)
		pause = CRASH_PAUSE_MS;
	if (o->crashes > 0 && o->disk_full)
		pause = FULL_PAUSE_MS;
	if (pause > 0)
		o->pause_ms = pause - mono_between(n->crash[0], n->loop.now);
}

void
node_observe(const struct node *n, struct keeper_obs *o)
{
	struct mono now = n->loop.now;

	memset(o, 0, sizeof *o);
	o->pg = n->pg;
	o->pid_alive = n->postmaster != 0;
	o->was_up = n->was_up;
	o->has_data = has_data(n);
	o->sync = n->seen.valid && n->seen.names[0] != '\0';
	/* compared only when what is wanted is what was applied */
	o->drift = n->seen.fresh && n->seen.has_names && n->has_reply &&
		   n->k->applied_gen == n->reply.gen &&
		   strcmp(n->seen.names, n->reply.names) != 0;
	o->streaming = is_streaming(n);
	o->apart_ms = o->streaming ? 0 : mono_between(n->apart, now);
	o->heard = n->heard;
	o->has_upstream = n->has_reply && n->reply.upstream_id != 0 &&
			  n->reply.upstream_id != n->k->node_id;
	o->upstream_ok = !n->seen.valid || !n->seen.fresh || follows_the_named(n);
	o->shutting_down = n->svc.stop != 0;
	o->told = n->told == n->k->current;
	o->contact_age_ms = mono_between(n->contact, now);
	o->lease_left_ms = node_lease_left_ms(n);
	o->vouched_age_ms = mono_between(n->vouched, now);
	o->partition_ms = n->cfg.network_partition_ms;
	o->down_age_ms = o->pid_alive && n->pg != FSM_PG_DOWN && n->pg != FSM_PG_STARTING
			     ? 0
			     : mono_between(n->pg_up, now);
	o->grace_ms = n->cfg.restart_grace_ms;
	o->crashes = recent_crashes(n);
	o->working = n->work.pid != 0;
	o->act = n->work.job.act;
	o->act_goal = n->work.job.to;
	o->act_stale = is_stale(n);
	o->act_final = n->work.final;
	o->retry_in_ms = mono_between(now, n->retry_at);
	o->disk_full = n->room == NODE_ROOM_NONE;
	pause_after_crash(n, o);
}
