/* What would be decided if a node were lost now: the real decisions, obedient keepers. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/whatif.h"

#include <assert.h>
#include <string.h>

#include "fsm/facts.h"

#include "ini/ban.h"

#define ROUNDS_MAX 400 /* decisions that change something */
#define LOOK_MS 1000   /* at least every second */
#define PATIENCE                                                                         \
	10000 /* on top of all timers in a row, until nothing more is expected           \
	       */

struct world {
	struct fsm_group g;
	struct fsm_whatif *w;
	int64_t now;
	int64_t changed_at;
	int64_t commits_at;
	bool commits;
};

static bool
is_alive(const struct world *x, const struct fsm_node *n)
{
	return n && n->id != x->w->lost && n->session && n->report_age_ms == 0;
}

static bool
is_rw(enum fsm_state s)
{
	return fsm_state_flags(s) & ST_RW;
}

static int64_t
later(int64_t age, int64_t ms)
{
	return age >= FSM_NEVER - ms ? FSM_NEVER : age + ms;
}

/* ---- the blow ---- */

static void
strike(struct world *x)
{
	struct fsm_group *g = &x->g;
	enum fsm_witness says = x->w->silent ? FSM_WITNESS_SILENT : FSM_WITNESS_REFUSED;

	for (int i = 0; i < g->n; i++) {
		struct fsm_node *n = &g->node[i];

		if (n->id == x->w->lost) {
			n->session = x->w->silent;
			n->report_age_ms = n->probe_ok_age_ms = 0;
			n->probe = says;
			n->probe_failed = 1;
			continue;
		}
		if (facts_fresh(n) && n->session)
			n->report_age_ms = 0;
		if (x->w->lost == g->writer && n->heard != FSM_WITNESS_NONE) {
			n->heard = says;
			n->heard_age_ms = 0;
		}
		if (n->upstream_id == x->w->lost)
			n->streaming = false;
	}
	if (!x->w->silent && x->w->lost != g->writer)
		fsm_node_find(g, x->w->lost)->attached = false;
}

/* ---- time ---- */

static void
pass(struct world *x, int64_t ms)
{
	struct fsm_group *g = &x->g;
	const struct fsm_node *w = fsm_node_peek(g, g->writer);

	g->lease_age_ms =
	    !g->op.revoked && is_alive(x, w) ? 0 : later(g->lease_age_ms, ms);
	for (int i = 0; i < g->n; i++) {
		struct fsm_node *n = &g->node[i];
		bool alive = is_alive(x, n);

		n->goal_age_ms = later(n->goal_age_ms, ms);
		n->state_age_ms = later(n->state_age_ms, ms);
		n->detached_age_ms = n->attached ? 0 : later(n->detached_age_ms, ms);
		if (!alive || !n->attached)
			n->ack_age_ms = later(n->ack_age_ms, ms);
		if (n->pg == FSM_PG_DOWN)
			n->pg_down_age_ms = later(n->pg_down_age_ms, ms);
		if (n->heard != FSM_WITNESS_OK)
			n->heard_age_ms = later(n->heard_age_ms, ms);
		if (!alive) {
			n->report_age_ms = later(n->report_age_ms, ms);
			n->probe_ok_age_ms = later(n->probe_ok_age_ms, ms);
		}
	}
	g->op.age_ms = later(g->op.age_ms, ms);
	g->op.phase_age_ms = later(g->op.phase_age_ms, ms);
	g->watch_age_ms = later(g->watch_age_ms, ms);
	x->now += ms;
}

/* ---- obedient keepers ---- */

/* How many of a configuration's members could acknowledge a commit now. */
static int
attached(const struct world *x, const struct fsm_config *c)
{
	int n = 0;

	for (int i = 0; i < c->n; i++) {
		const struct fsm_node *m = fsm_node_peek(&x->g, c->member[i]);

		n += is_alive(x, m) && m->attached && m->streaming;
	}
	return n;
}

static bool
confirm(const struct world *x, struct fsm_node *n)
{
	const struct fsm_group *g = &x->g;
	const struct fsm_config *last = g->nconfigs ? &g->config[g->nconfigs - 1] : NULL;

	if (n->id != g->writer || !last || attached(x, last) < last->k)
		return !last || n->id != g->writer;
	n->applied_gen = last->gen;
	return true;
}

static void
let_go(const struct world *x, struct fsm_node *n)
{
	n->upstream_id = 0;
	n->streaming = n->attached = false;
	if (n->promise_term >= x->g.term)
		return;
	n->promise_term = x->g.term;
	n->promise_tli = n->tli;
	n->promise_lsn = n->lsn;
}

static void
promote(struct world *x, struct fsm_node *n)
{
	for (int i = 0; i < x->g.n; i++)
		if (x->g.node[i].tli > n->tli)
			n->tli = x->g.node[i].tli;
	n->tli++;
	n->pg = FSM_PG_RW;
}

/* Writable, whatever it was: the standbys have yet to come. */
static void
serve(struct world *x, struct fsm_node *n)
{
	n->pg = FSM_PG_RW;
	n->lease_gen = x->g.lease_gen;
	n->streaming = n->attached = false;
	for (int i = 0; i < x->g.n; i++)
		if (x->g.node[i].upstream_id != n->id)
			x->g.node[i].attached = false;
	(void)confirm(x, n);
}

static bool
follow(struct world *x, struct fsm_node *n)
{
	const struct fsm_node *w = fsm_node_peek(&x->g, x->g.writer);

	if (!is_alive(x, w) || w->pg != FSM_PG_RW || !is_rw(w->reported))
		return false;
	n->pg = FSM_PG_STANDBY;
	n->has_data = true;
	n->tli = w->tli;
	n->lsn = w->lsn;
	n->upstream_id = w->id;
	n->streaming = n->attached = true;
	n->heard = FSM_WITNESS_OK;
	n->heard_age_ms = 0;
	return true;
}

static bool
fetch(struct world *x, struct fsm_node *n)
{
	if (!is_alive(x, fsm_node_peek(&x->g, x->g.op.source)))
		return false;
	if (n->lsn < x->g.op.target_lsn)
		n->lsn = x->g.op.target_lsn;
	n->promise_term = 0; /* promised again, at the new position */
	let_go(x, n);
	return true;
}

static void
stop(struct world *x, struct fsm_node *n)
{
	n->final_lsn = n->pg == FSM_PG_RW ? n->lsn : n->final_lsn;
	n->pg = FSM_PG_DOWN;
	n->pg_down_age_ms = 0;
	n->stopped_term = x->g.term;
	n->upstream_id = 0;
	n->streaming = n->attached = false;
}

static void
close_door(struct world *x, struct fsm_node *n)
{
	if (x->g.op.planned && n->lsn < x->g.op.target_lsn)
		n->lsn = x->g.op.target_lsn;
	let_go(x, n);
	promote(x, n);
}

/* false: it has to wait for something. */
static bool
carry_out(struct world *x, struct fsm_node *n, enum fsm_act act)
{
	switch (act) {
	case FSM_ACT_SYNC:
		return confirm(x, n);
	case FSM_ACT_PROMOTE:
		let_go(x, n);
		promote(x, n);
		serve(x, n);
		break;
	case FSM_ACT_INIT:
	case FSM_ACT_RESUME:
	case FSM_ACT_OPEN:
		serve(x, n);
		break;
	case FSM_ACT_STOP:
	case FSM_ACT_DROP:
	case FSM_ACT_FENCE:
		stop(x, n);
		break;
	case FSM_ACT_FOLLOW:
		return follow(x, n);
	case FSM_ACT_PREPARE:
		if (!x->g.op.planned)
			let_go(x, n);
		break;
	case FSM_ACT_CLOSED:
		close_door(x, n);
		break;
	case FSM_ACT_DETACH:
		n->pg = FSM_PG_STANDBY;
		let_go(x, n);
		break;
	case FSM_ACT_FETCH:
		return fetch(x, n);
	case FSM_ACT_NOTHING:
	case FSM_ACT_RELEASE:
	case FSM_ACT_START:
	case FSM_ACT_COUNT:
		break;
	}
	return true;
}

static bool
obey(struct world *x, struct fsm_node *n)
{
	const struct fsm_edge *e;
	int64_t applied = n->applied_gen;
	bool news = n->seen_seq < n->goal_seq || n->lease_gen != x->g.lease_gen;

	n->seen_seq = n->goal_seq;
	if (n->id == x->g.writer)
		n->lease_gen = x->g.lease_gen;
	else
		news = false;
	if (n->reported == n->goal) {
		/* what it is told may have changed under the same goal */
		if (n->id == x->g.writer && is_rw(n->goal))
			(void)confirm(x, n);
		return news || n->applied_gen != applied;
	}
	e = fsm_edge(n->reported, n->goal);
	if (!e || !carry_out(x, n, e->act))
		return news;
	n->reported = n->goal;
	n->state_age_ms = 0;
	n->fails = 0;
	if (n->pg != FSM_PG_DOWN)
		n->pg_down_age_ms = 0;
	return true;
}

static bool
obey_all(struct world *x)
{
	bool news = false;

	for (int i = 0; i < x->g.n; i++)
		if (is_alive(x, &x->g.node[i]))
			news |= obey(x, &x->g.node[i]);
	return news;
}

/* ---- what it comes to ---- */

/* Would a commit complete now? By what the writer has in force. */
static bool
completes(const struct world *x)
{
	const struct fsm_group *g = &x->g;
	const struct fsm_node *w = fsm_node_peek(g, g->writer);

	if (!is_alive(x, w) || w->pg != FSM_PG_RW || !is_rw(w->reported))
		return false;
	for (int i = 0; i < g->nconfigs; i++)
		if (g->config[i].gen == w->applied_gen)
			return attached(x, &g->config[i]) >= g->config[i].k;
	return true;
}

static void
note(struct world *x, const struct fsm_plan *plan)
{
	struct fsm_whatif *w = x->w;
	bool commits = completes(x);

	for (int i = 0; i < plan->nsteps && w->nsteps < FSM_WHATIF_STEPS; i++) {
		w->step[w->nsteps].at_ms = x->now;
		w->step[w->nsteps++].step = plan->step[i];
	}
	if (commits && !x->commits)
		x->commits_at = x->now;
	x->commits = commits;
}

/* Take over what was decided; rows that are to be deleted go. */
static void
store(struct world *x, const struct fsm_plan *plan)
{
	struct fsm_group *g = &x->g;
	int n = 0;

	*g = plan->next;
	for (int i = 0; i < g->n; i++)
		if (!g->node[i].dead)
			g->node[n++] = g->node[i];
	g->n = n;
	if (g->request.outcome != FSM_OUTCOME_PENDING)
		g->request = (struct fsm_request){ .kind = FSM_REQ_NONE };
}

/* So long after the last change nothing is expected any more. */
static int64_t
patience(const struct fsm_settings *s)
{
	return s->fast_verdict_window_ms + s->unhealthy_timeout_ms + s->restart_grace_ms +
	       s->demote_timeout_ms + s->drain_grace_ms + s->stall_timeout_ms +
	       s->startup_grace_ms + s->lease_ms + s->lease_ms / 50 + s->lease_margin_ms +
	       s->election_grace_ms + PATIENCE;
}

static void
go_on(struct world *x)
{
	struct fsm_plan plan;
	int rounds = 0;

	for (;;) {
		int64_t ms;
		bool news;

		monitor_decide(&x->g, &plan);
		store(x, &plan);
		news = obey_all(x) || plan.nsteps > 0;
		note(x, &plan);
		if (plan.nsteps > 0)
			x->changed_at = x->now;
		if (news && ++rounds < ROUNDS_MAX)
			continue;
		if (x->now - x->changed_at > patience(&x->g.settings))
			return;
		ms = plan.wake_in_ms < LOOK_MS ? plan.wake_in_ms : LOOK_MS;
		pass(x, ms > 0 ? ms : 1);
	}
}

static void
judge(const struct fsm_group *before, struct world *x)
{
	struct fsm_whatif *w = x->w;
	const struct fsm_node *old = fsm_node_peek(before, w->lost);
	const struct fsm_node *new = fsm_node_peek(before, x->g.writer);

	w->end = x->g;
	w->settled_ms = x->changed_at;
	w->commits_ms = x->commits ? x->commits_at : FSM_NEVER;
	w->writer = x->commits ? x->g.writer : 0;
	monitor_explain(&x->g, w->waits, sizeof w->waits);
	if (!w->was_writer || !w->writer || w->writer == w->lost)
		return;
	w->may_lose = !w->sync || before->op.allow_loss;
	if (w->may_lose && new && old->lsn > new->lsn)
		w->lost_bytes = old->lsn - new->lsn;
}

void
fsm_whatif(const struct fsm_group *g, int64_t lost, bool silent, struct fsm_whatif *w)
{
	struct world x = { .g = *g, .w = w, .commits = true };

	assert(fsm_node_peek(g, lost) != NULL);
	memset(w, 0, sizeof *w);
	w->lost = lost;
	w->silent = silent;
	w->was_writer = lost == g->writer;
	w->sync = facts_class_sync(g);
	strike(&x);
	go_on(&x);
	judge(g, &x);
}
