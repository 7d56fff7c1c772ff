/* The checker's monitor: tables as bytes, what is seen of the nodes, the real decisions.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/mem.h"
#include "cmd/model.h"

#include "ini/ban.h"

#define MS_HOUR 3600000
/* Fresh, and for longer than any timer runs: what is renewed all the time is not waited
 * for. */
#define MS_FRESH (-4 * MS_HOUR)
#define MS_SOON (2 * MS_HOUR)

/*
 * There is no clock. What is wrong with a node has been so for a time of the
 * adversary's choice, its level: 0 nobody has noticed, 1 noticed, 2 as long as
 * the window of the fast verdict, 3 for ever. With a node that is well and
 * reached there is only level 0, unless the adversary pays for a false look.
 * Timers of the monitor are as old as it likes.
 */
static const int64_t level_ms[] = { 0, 1600, 4000, MS_HOUR };
static const int64_t timer_ms[] = { 0, 600, 5000, 12000, MS_HOUR };
#define LEVELS 4
#define TIMERS 5

long long m_decisions, m_decisions_made;

/* -- reports -- */

void
m_fill_report(const struct m_world *w, int i, struct m_report *r)
{
	const struct m_host *h = &w->h[i];
	struct keeper k;
	struct keeper_obs o;

	m_keeper(w, i, &k);
	m_observe(w, i, false, &o);
	memset(r, 0, sizeof *r);
	r->state = h->current;
	r->seen = h->seq;
	r->pg = (uint8_t)o.pg;
	r->retrying = !h->hopeless && keeper_retrying(&k, &o);
	r->data = h->data;
	if (h->pg != M_PG_DOWN) {
		r->tli = w->line[h->line].tli;
		r->lsn = h->lsn;
		for (int q = 0; q < m_run.nodes; q++)
			if (q != i && m_streams(w, q, i))
				r->peers |= (uint8_t)(1 << q);
	}
	r->promise_term = h->promise_term;
	r->promise_tli = h->promise_tli;
	r->promise_lsn = h->promise_lsn;
	r->stopped_term = h->stopped_term;
	r->final_lsn = h->final_lsn;
	r->applied = h->applied;
	r->lease_gen = h->lease_gen;
	r->upstream = h->pg == M_PG_STANDBY ? h->upstream : 0;
	r->streaming = o.streaming;
	r->fails = h->fails;
}

/* A timeline is known with the history of whoever is on it. */
static void
publish_history(struct m_world *w, int i)
{
	uint8_t l = w->h[i].line;

	for (; l != 0 && w->line[l].parent != 0; l = w->line[l].parent) {
		struct m_lineage *g = &w->m.lineage[w->line[l].tli];

		/* of two timelines with one number the writer's is believed */
		if (g->parent == 0 || w->m.writer == i + 1) {
			g->parent = w->line[w->line[l].parent].tli;
			g->at = w->line[l].fork;
		}
	}
}

void
m_store_report(struct m_world *w, int i, const struct m_report *r)
{
	struct m_report *s = &w->m.row[i].said;
	uint8_t tli = s->tli, lsn = s->lsn;

	*s = *r;
	if (r->tli == 0)
		s->tli = tli;
	if (r->lsn == 0)
		s->lsn = lsn;
}

/* pgautofailover.standing_order() */
static void
standing_order(const struct m_world *w, int i, struct m_order *o)
{
	const struct m_store *m = &w->m;

	memset(o, 0, sizeof *o);
	o->term = m->term;
	o->planned = m->op.planned;
	o->target = m->op.target;
	o->upstream = m->row[i].goal == FSM_FAST_FORWARD ? m->op.source : m->writer;
	if (o->upstream == i + 1 ||
	    (m->row[i].goal == FSM_MAINTENANCE && m->op.kind == FSM_OP_ELECT &&
		m->op.phase == 2 && !m->op.planned))
		o->upstream = 0;
	if (o->upstream != 0)
		o->upstream_tli = o->upstream == m->writer && m->writer_tli > 0
				      ? m->writer_tli
				      : m->row[o->upstream - 1].said.tli;
	if (m->nconfigs > 0)
		o->config = m->config[m->nconfigs - 1];
}

static void
accept_lease(struct m_world *w, int i)
{
	const struct m_store *m = &w->m;
	struct m_host *h = &w->h[i];

	if (m->lease_gen % 2 != 0 && m->op.revoked &&
	    (i + 1 == m->op.old_writer || i + 1 == m->writer))
		return; /* what is held runs out */
	h->lease = m->lease_gen % 2 != 0 && i + 1 == m->writer ? M_LEASE_HELD
							       : M_LEASE_UNLIMITED;
	h->lease_gen = m->lease_gen;
}

/* A report and its answer, as one statement. */
void
m_exchange(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	struct m_row *row = &w->m.row[i];
	struct m_report r;

	if (!row->present) {
		h->exists = 0; /* the keeper leaves; Postgres is the operator's */
		return;
	}
	m_fill_report(w, i, &r);
	m_store_report(w, i, &r);
	if (h->pg != M_PG_DOWN)
		publish_history(w, i);
	if (w->m.term < h->term)
		return;
	if (h->seq != row->seq)
		h->fails = 0;
	h->goal = row->goal;
	h->seq = row->seq;
	h->term = w->m.term;
	accept_lease(w, i);
	standing_order(w, i, &h->reply);
	h->replied = h->contact = 1;
	h->told = h->current == FSM_DROPPED;
}

/* -- the snapshot -- */

static uint64_t
lsn_out(uint8_t lsn)
{
	return lsn * m_run.lsn_unit;
}

static uint8_t
lsn_in(uint64_t lsn)
{
	if (lsn % m_run.lsn_unit != 0)
		m_break("MODEL", "a position that nobody reported");
	return (uint8_t)(lsn / m_run.lsn_unit);
}

static void
stored_node(const struct m_world *w, int i, struct fsm_node *n)
{
	const struct m_row *row = &w->m.row[i];
	const struct m_report *s = &row->said;

	n->id = i + 1;
	memcpy(n->name, "node_1", 7);
	n->name[5] = (char)('1' + i);
	n->priority = row->priority;
	n->quorum = row->quorum;
	n->lost = row->lost;
	n->fork_tli = row->fork_tli;
	n->fork_lsn = lsn_out(row->fork_lsn);
	n->reported = s->state;
	n->goal = row->goal;
	n->goal_seq = row->seq;
	n->seen_seq = s->seen;
	n->pg = s->pg;
	n->pg_retrying = s->retrying;
	n->has_data = s->data;
	n->tli = s->tli;
	n->lsn = lsn_out(s->lsn);
	n->promise_term = s->promise_term;
	n->promise_tli = s->promise_tli;
	n->promise_lsn = lsn_out(s->promise_lsn);
	n->stopped_term = s->stopped_term;
	n->final_lsn = lsn_out(s->final_lsn);
	n->applied_gen = s->applied;
	n->lease_gen = s->lease_gen;
	n->upstream_id = s->upstream;
	n->streaming = s->streaming;
	n->fails = s->fails;
	n->attached = w->m.writer != 0 && w->m.row[w->m.writer - 1].said.peers >> i & 1;
}

/* Nothing is wrong with this keeper, as far as the monitor could know. */
static bool
keeper_fresh(const struct m_world *w, int i, const struct m_look *l)
{
	if (l->falsely >> i & 1)
		return false;
	return m_connected(w, i) || l->level[i] == 0;
}

static void
see_keeper(const struct m_world *w, int i, const struct m_look *l, struct fsm_node *n)
{
	const struct m_host *h = &w->h[i];
	bool closed = h->up && !h->keeper && !(w->cut >> i & 1);

	n->session = true;
	n->report_age_ms = MS_FRESH;
	if (keeper_fresh(w, i, l))
		return;
	n->report_age_ms = level_ms[l->level[i]];
	if (closed && !(l->falsely >> i & 1))
		n->session = false;
}

static void
see_probe(const struct m_world *w, int i, const struct m_look *l, struct fsm_node *n)
{
	const struct m_host *h = &w->h[i];
	bool silent = l->falsely >> i & 1 || !h->up || w->cut >> i & 1;

	n->probe = FSM_WITNESS_OK;
	if (l->level[i] == 0 || (!silent && h->pg != M_PG_DOWN))
		return;
	n->probe = silent ? FSM_WITNESS_SILENT : FSM_WITNESS_REFUSED;
	n->probe_ok_age_ms = level_ms[l->level[i]];
	n->probe_failed = l->level[i];
}

/* What this node hears of the writer. */
static void
hear_writer(const struct m_world *w, int i, const struct m_look *l, struct fsm_node *n)
{
	int p = w->m.writer - 1;
	int level;

	if (p < 0 || p == i)
		return;
	level = l->level[p];
	n->heard = FSM_WITNESS_OK;
	n->heard_age_ms = n->report_age_ms;
	if (level == 0)
		return;
	if (l->falsely >> p & 1 || !m_linked(w, i, p))
		n->heard = FSM_WITNESS_SILENT;
	else if (w->h[p].pg == M_PG_DOWN)
		n->heard = FSM_WITNESS_REFUSED;
	else
		return;
	n->heard_age_ms = level_ms[level];
}

/* The writer's walsender hears from this node. */
static bool
writer_hears(const struct m_world *w, int i, const struct m_look *l)
{
	int p = w->m.writer - 1;

	return p >= 0 && p != i && w->h[i].up && w->h[i].pg != M_PG_DOWN &&
	       m_linked(w, i, p) && !(l->falsely >> i & 1);
}

static void
see_node(const struct m_world *w, int i, const struct m_look *l, struct fsm_node *n)
{
	int64_t timer = timer_ms[l->timers];

	see_keeper(w, i, l, n);
	see_probe(w, i, l, n);
	hear_writer(w, i, l, n);
	n->goal_age_ms = n->state_age_ms = timer;
	n->detached_age_ms = n->attached ? 0 : timer;
	n->ack_age_ms = writer_hears(w, i, l) ? 0 : FSM_NEVER;
	if (n->pg == FSM_PG_DOWN || n->pg == FSM_PG_UNKNOWN)
		n->pg_down_age_ms = level_ms[l->level[i]];
}

static void
stored_op(const struct m_op *o, struct fsm_op *op)
{
	op->kind = o->kind;
	op->planned = o->planned;
	op->maintenance = o->maintenance;
	op->allow_loss = o->allow_loss;
	op->writer_gone = o->writer_gone;
	op->revoked = o->revoked;
	op->since = o->since;
	op->old_writer = o->old_writer;
	op->candidate = o->candidate;
	op->preferred = o->preferred;
	op->excluded = o->excluded;
	op->source = o->source;
	op->target_lsn = lsn_out(o->target);
	op->phase = o->phase;
}

/* In the order of their priorities, as they are granted. */
static void
add_members(const struct m_store *m, uint8_t set, bool eligible, struct fsm_config *to)
{
	for (int i = 0; i < m_run.nodes; i++)
		if (set >> i & 1 && (m->row[i].priority > 0) == eligible)
			to->member[to->n++] = i + 1;
}

static void
stored_configs(const struct m_store *m, struct fsm_group *g)
{
	g->nconfigs = m->nconfigs;
	for (int c = 0; c < m->nconfigs; c++) {
		struct fsm_config *to = &g->config[c];

		to->gen = m->config[c].gen;
		to->k = m->config[c].names.k;
		add_members(m, m->config[c].names.set, true, to);
		add_members(m, m->config[c].names.set, false, to);
	}
}

static void
stored_lineage(const struct m_store *m, struct fsm_group *g)
{
	for (int t = 1; t < M_TLIS; t++)
		if (m->lineage[t].parent != 0)
			g->lineage[g->nlineage++] = (struct fsm_lineage){ t,
				m->lineage[t].parent, lsn_out(m->lineage[t].at) };
}

void
m_snapshot(const struct m_world *w, const struct m_look *l, struct fsm_group *g)
{
	const struct m_store *m = &w->m;

	memset(g, 0, sizeof *g);
	memcpy(g->formation, "default", 8);
	g->secondary_allowed = true;
	g->nss = m->nss;
	g->writer = m->writer;
	g->term = m->term;
	g->dirty = m->dirty;
	g->lease_gen = m->lease_gen;
	g->accepted_tli = m->accepted_tli;
	g->writer_tli = m->writer_tli;
	g->floor_lsn = lsn_out(m->floor_lsn);
	g->watch_age_ms = MS_HOUR;
	g->lease_age_ms = l->lease_over ? MS_HOUR : MS_FRESH;
	fsm_settings_default(&g->settings);
	stored_op(&m->op, &g->op);
	g->op.age_ms = timer_ms[l->timers];
	g->op.phase_age_ms = timer_ms[l->phase];
	stored_configs(m, g);
	stored_lineage(m, g);
	g->request.kind = m->request.kind;
	g->request.node = m->request.node;
	g->request.allow_loss = m->request.allow_loss;
	g->request.force = m->request.force;
	g->request.id = m->request.kind != FSM_REQ_NONE;
	for (int i = 0; i < m_run.nodes; i++)
		if (m->row[i].present) {
			stored_node(w, i, &g->node[g->n]);
			see_node(w, i, l, &g->node[g->n++]);
		}
}

/* -- the plan -- */

static void
store_op(const struct fsm_op *op, struct m_op *o)
{
	o->kind = (uint8_t)op->kind;
	o->planned = op->planned;
	o->maintenance = op->maintenance;
	o->allow_loss = op->allow_loss;
	o->writer_gone = op->writer_gone;
	o->revoked = op->revoked;
	o->since = (uint8_t)op->since;
	o->old_writer = (uint8_t)op->old_writer;
	o->candidate = (uint8_t)op->candidate;
	o->preferred = (uint8_t)op->preferred;
	o->excluded = (uint8_t)op->excluded;
	o->source = (uint8_t)op->source;
	o->target = lsn_in(op->target_lsn);
	o->phase = (uint8_t)op->phase;
}

static void
store_configs(const struct fsm_group *g, struct m_store *m)
{
	memset(m->config, 0, sizeof m->config);
	if (g->nconfigs > M_CONFIGS) {
		m_break("MODEL", "too many configurations");
		return;
	}
	m->nconfigs = (uint8_t)g->nconfigs;
	for (int c = 0; c < g->nconfigs; c++) {
		m->config[c].gen = (uint8_t)g->config[c].gen;
		m->config[c].names.k = (uint8_t)g->config[c].k;
		for (int j = 0; j < g->config[c].n; j++)
			m->config[c].names.set |=
			    (uint8_t)(1 << (g->config[c].member[j] - 1));
	}
}

static void
store_node(const struct fsm_node *n, struct m_row *row)
{
	if (n->dead) {
		memset(row, 0, sizeof *row);
		return;
	}
	row->goal = (uint8_t)n->goal;
	row->seq = (uint8_t)n->goal_seq;
	row->lost = n->lost;
	row->fork_tli = (uint8_t)n->fork_tli;
	row->fork_lsn = lsn_in(n->fork_lsn);
	row->priority = (uint8_t)n->priority;
	row->quorum = n->quorum;
}

/* A decision may tell of a timeline before the node that is on it does. */
static void
store_lineage(const struct fsm_group *g, struct m_store *m)
{
	for (int i = 0; i < g->nlineage; i++) {
		const struct fsm_lineage *l = &g->lineage[i];

		if (l->tli > 0 && l->tli < M_TLIS && m->lineage[l->tli].parent == 0) {
			m->lineage[l->tli].parent = (uint8_t)l->parent;
			m->lineage[l->tli].at = lsn_in(l->switch_lsn);
		}
	}
}

static void
store_plan(const struct fsm_group *g, struct m_store *m)
{
	m->nss = (uint8_t)g->nss;
	m->writer = (uint8_t)g->writer;
	m->term = (uint8_t)g->term;
	m->dirty = g->dirty;
	m->lease_gen = (uint8_t)g->lease_gen;
	m->accepted_tli = (uint8_t)g->accepted_tli;
	m->writer_tli = (uint8_t)g->writer_tli;
	m->floor_lsn = lsn_in(g->floor_lsn);
	store_op(&g->op, &m->op);
	store_configs(g, m);
	store_lineage(g, m);
	if (g->request.outcome != FSM_OUTCOME_PENDING)
		memset(&m->request, 0, sizeof m->request);
	for (int i = 0; i < g->n; i++)
		store_node(&g->node[i], &m->row[g->node[i].id - 1]);
}

/* -- what a decision must never do -- */

static void
check_edge(const struct m_world *w, int i, enum fsm_state goal)
{
	const struct m_host *h = &w->h[i];
	enum fsm_state from[] = { w->m.row[i].said.state, h->current,
		h->act != FSM_ACT_NOTHING ? h->to : h->current,
		fsm_state_flags(h->current) & ST_RW ? FSM_DEMOTE_TIMEOUT : h->current };

	if (!h->exists || h->gone)
		return;
	for (size_t f = 0; f < sizeof from / sizeof *from; f++)
		if (from[f] != goal && !fsm_edge(from[f], goal))
			m_break("EDGE", "node %d is to go from %s to %s", i + 1,
			    fsm_state_name(from[f]), fsm_state_name(goal));
}

static void
check_terms(const struct fsm_group *was, const struct fsm_group *is, struct m_store *m)
{
	if (is->term < was->term)
		m_break("TERM", "the term goes back");
	if (is->writer != was->writer && is->writer != 0) {
		if (m->opened_term == is->term)
			m_break("TERM", "two writers in one term");
		m->opened_term = (uint8_t)is->term;
	}
	if (was->op.candidate != 0 && is->op.candidate != 0 &&
	    is->op.candidate != was->op.candidate && is->term == was->term)
		m_break("CAND", "two candidates in one term");
}

static void
check_candidate(const struct fsm_group *was, const struct fsm_group *is)
{
	const struct fsm_node *c = fsm_node_peek(is, is->op.candidate);

	if (is->op.candidate == 0 || is->op.candidate == was->op.candidate)
		return;
	if (c == NULL || (c->priority == 0 && is->op.preferred != c->id))
		m_break("CAND", "the candidate may not be promoted");
	else if (is->op.excluded == c->id)
		m_break("CAND", "the node that is switched away from is chosen");
}

/* Goals that must be seen are not replaced in the decision that made them. */
static void
check_visible(const struct fsm_plan *p)
{
	const uint32_t seen = FSM_BIT(DRAINING) | FSM_BIT(DEMOTE_TIMEOUT) |
			      FSM_BIT(REPORT_LSN) | FSM_BIT(PREPARE_PROMOTION) |
			      FSM_BIT(STOP_REPLICATION);

	for (int a = 0; a < p->nsteps; a++)
		for (int b = a + 1; b < p->nsteps; b++)
			if (p->step[a].node == p->step[b].node &&
			    p->step[a].from != p->step[a].to &&
			    p->step[b].from != p->step[b].to && seen >> p->step[a].to & 1)
				m_break("VISIBLE",
				    "node %d: rule %d replaces %s of rule %d",
				    (int)p->step[a].node, p->step[b].rule,
				    fsm_state_name(p->step[a].to), p->step[a].rule);
}

static bool
same_goals(const struct fsm_group *a, const struct fsm_group *b)
{
	for (int i = 0; i < a->n; i++)
		if (a->node[i].goal != b->node[i].goal)
			return false;
	return a->term == b->term && a->writer == b->writer && a->op.kind == b->op.kind;
}

static void
note_permission(struct m_world *w, const struct fsm_plan *p)
{
	w->loss = p->next.op.allow_loss || (w->loss && p->next.op.kind != FSM_OP_NONE);
}

/* Where a loss is allowed, what a new writer lacks is lost, whoever follows it. */
static void
accept_loss(const struct m_world *before, struct m_world *w)
{
	if (w->loss && w->m.writer && w->m.writer != before->m.writer)
		m_check_history(w, w->m.writer - 1, "is the writer");
}

/* -- decide -- */

static void
check_edges(const struct m_world *before, const struct m_world *w)
{
	for (int i = 0; i < m_run.nodes; i++) {
		const struct m_row *was = &before->m.row[i];

		if (w->m.row[i].present && w->m.row[i].goal != was->goal)
			check_edge(before, i, w->m.row[i].goal);
	}
}

/* A failed assertion is a finding like any other, and has a story to tell. */
static sigjmp_buf asserted;

static void
on_abort(int number)
{
	(void)number;
	siglongjmp(asserted, 1);
}

static void
call_decide(const struct fsm_group *g, struct fsm_plan *p)
{
	static bool ready;

	if (!ready) /* without a mask to restore, a jump costs no system call */
		sigaction(SIGABRT,
		    &(struct sigaction){ .sa_handler = on_abort, .sa_flags = SA_NODEFER },
		    NULL);
	ready = true;
	if (sigsetjmp(asserted, 0) == 0) {
		monitor_decide(g, p);
		return;
	}
	p->next = *g;
	p->nsteps = 0;
	m_break("NOFLAP", "an assertion of monitor_decide() failed");
}

/* Deciding again on the same changes nothing. */
static void
check_fixpoint(const struct fsm_plan *p)
{
	static struct fsm_plan again;
	static struct fsm_group g;

	g = p->next;
	for (int i = g.n - 1; i >= 0; i--)
		if (g.node[i].dead) {
			memmove(&g.node[i], &g.node[i + 1],
			    (size_t)(g.n - i - 1) * sizeof *g.node);
			g.n--;
		}
	memset(&g.request, 0, sizeof g.request);
	call_decide(&g, &again);
	if (!same_goals(&g, &again.next)) {
		for (int i = 0; i < again.nsteps; i++)
			m_break("NOFLAP", "decided again, rule %d moves node %d to %s",
			    again.step[i].rule, (int)again.step[i].node,
			    fsm_state_name(again.step[i].to));
		m_break("NOFLAP", "decided again, something else comes out");
	}
}

static int64_t wake_ms; /* of the last decision: when another may come out of time alone
			 */

static bool
decide(struct m_world *w, const struct m_look *l)
{
	static struct fsm_group g;
	static struct fsm_plan p;
	struct m_store was = w->m;

	m_decisions_made++;
	m_snapshot(w, l, &g);
	call_decide(&g, &p);
	wake_ms = p.wake_in_ms < MS_SOON ? p.wake_in_ms : FSM_NEVER;
	store_plan(&p.next, &w->m);
	check_terms(&g, &p.next, &w->m);
	check_candidate(&g, &p.next);
	check_visible(&p);
	if (memcmp(&was, &w->m, sizeof was) == 0)
		return false;
	check_fixpoint(&p);
	note_permission(w, &p);
	return true;
}

/* How long can something have been wrong with this node? 0: nothing is. */
int
m_level_max(const struct m_world *w, int i)
{
	const struct m_host *h = &w->h[i];

	if (!w->m.row[i].present || !h->exists)
		return w->m.row[i].present ? LEVELS - 1 : 0;
	if (!m_connected(w, i) || (h->data && h->pg == M_PG_DOWN))
		return LEVELS - 1;
	return w->m.row[i].said.pg == FSM_PG_DOWN ? LEVELS - 1 : 0;
}

static bool
is_opening(int act)
{
	return act == FSM_ACT_START || act == FSM_ACT_RESUME || act == FSM_ACT_OPEN ||
	       act == FSM_ACT_PROMOTE;
}

/* The writer's lease is over here only after it is over there. */
bool
m_lease_may_be_over(const struct m_world *w)
{
	int p = (w->m.op.old_writer ? w->m.op.old_writer : w->m.writer) - 1;

	if (p < 0 || w->m.lease_gen % 2 == 0 || !w->m.op.revoked)
		return false;
	if (!w->h[p].exists || w->h[p].gone || !w->h[p].up)
		return true;
	/* by then its keeper has called off what it was about to open, or its guard has
	 */
	return w->h[p].lease == M_LEASE_OVER &&
	       ((!m_open(&w->h[p]) && !is_opening(w->h[p].act)) || !m_run.guarded_lease);
}

/*
 * What can be decided depends on the tables and on what can be seen, and on
 * little of the latter: the different decisions for that are remembered.
 */
struct outcome {
	struct m_look look;
	struct m_store m;
	uint8_t loss;
	struct m_broken broken;
};

#define MEMO_BITS 20
#define OUTCOMES 64

static struct memo {
	uint64_t key;
	int n;
	struct outcome *o;
} * memo;

static uint64_t
visible(const struct m_world *w)
{
	struct m_world v = { .m = w->m, .loss = w->loss };

	v.delays = m_lease_may_be_over(w);
	v.faults = w->faults > 0;
	v.cut = w->cut;
	v.apart = w->apart;
	v.monitor_down = w->monitor_down;
	for (int i = 0; i < m_run.nodes; i++) {
		v.h[i].up = w->h[i].up;
		v.h[i].keeper = w->h[i].keeper;
		v.h[i].exists = w->h[i].exists;
		v.h[i].data = w->h[i].data;
		v.h[i].pg = w->h[i].pg != M_PG_DOWN;
	}
	return m_hash(&v, 7 + fsm_broken_guards);
}

struct outcomes {
	int n;
	struct outcome o[OUTCOMES + 1];
};

/* When something else may come out of the same look, but later; 0: at once. */
static int64_t
decide_one(const struct m_world *w, const struct m_look *l, struct outcomes *to)
{
	struct m_world next = *w;
	struct outcome *o = &to->o[to->n];
	struct m_broken was = m_broken;
	bool changed;

	memset(&m_broken, 0, sizeof m_broken);
	changed = decide(&next, l);
	o->broken = m_broken;
	m_broken = was;
	if (!changed && !o->broken.name)
		return wake_ms;
	for (int i = 0; i < to->n; i++)
		if (memcmp(&to->o[i].m, &next.m, sizeof next.m) == 0)
			return 0;
	if (to->n == OUTCOMES) {
		m_break("MODEL", "too many different decisions");
		return 0;
	}
	o->look = *l;
	o->m = next.m;
	o->loss = next.loss;
	to->n++;
	return 0;
}

/*
 * All ages that matter. Time alone changes nothing before the decision that was to do
 * nothing wants to be woken: the monitor relies on that, so the checker may. -u tries
 * all of them nevertheless. False: nothing is decided, and never will be.
 */
static bool
each_timer(const struct m_world *w, struct m_look l, struct outcomes *o)
{
	int last = m_lease_may_be_over(w) ? 1 : 0;
	bool alive = false;

	for (l.lease_over = 0; l.lease_over <= last; l.lease_over++) {
		int64_t wait = 0, at = 0;

		for (l.timers = 0; l.timers < TIMERS; l.timers++) {
			if (timer_ms[l.timers] - at < wait && !m_run.unreduced)
				continue;
			at = timer_ms[l.timers];
			l.phase = l.timers;
			wait = decide_one(w, &l, o);
			l.phase = 0;
			if (w->m.op.kind != FSM_OP_NONE && l.timers > 0) {
				int64_t other = decide_one(w, &l, o);

				wait = other < wait ? other : wait;
			}
			alive |= wait != FSM_NEVER;
		}
	}
	return alive;
}

/* How long something is wrong with a node counts only where it is waited for. */
static bool
each_level(const struct m_world *w, int i, struct m_look *l, struct outcomes *o)
{
	bool alive = false, more = true;

	if (i == m_run.nodes)
		return each_timer(w, *l, o);
	for (int v = 0; v <= m_level_max(w, i) && (more || m_run.unreduced); v++) {
		l->level[i] = (uint8_t)v;
		more = each_level(w, i + 1, l, o) || v == 0;
		alive |= more;
	}
	l->level[i] = 0;
	if (w->faults > 0 && l->falsely == 0 && m_connected(w, i) &&
	    w->m.row[i].present) {
		l->falsely = (uint8_t)(1 << i);
		for (l->level[i] = 2; l->level[i] < LEVELS; l->level[i]++)
			alive |= each_level(w, i + 1, l, o);
		l->falsely = l->level[i] = 0;
	}
	return alive;
}

static const struct memo *
outcomes_of(const struct m_world *w)
{
	static struct outcomes o;
	uint64_t key = visible(w) | 1;
	struct memo *m;
	struct m_look l = { 0 };

	if (!memo)
		memo = xcalloc((size_t)1 << MEMO_BITS, sizeof *memo);
	m = &memo[key >> (64 - MEMO_BITS)];
	if (m->key == key)
		return m;
	o.n = 0;
	each_level(w, 0, &l, &o);
	m->key = key;
	m->n = o.n;
	m->o = xrealloc(m->o, (size_t)(o.n + 1) * sizeof *m->o);
	memcpy(m->o, o.o, (size_t)o.n * sizeof *m->o);
	return m;
}

/* Is there anything to decide, before anything else is seen? */
bool
m_decides_now(const struct m_world *w)
{
	static const struct m_look now;
	const struct memo *m = outcomes_of(w);

	return m->n > 0 && memcmp(&m->o[0].look, &now, sizeof now) == 0;
}

/* All different decisions that may be taken now. */
void
m_decide_each(const struct m_world *w, m_emit *emit, void *arg)
{
	const struct memo *m = outcomes_of(w);

	m_decisions += m->n;
	for (int i = 0; i < m->n; i++) {
		const struct outcome *o = &m->o[i];
		struct m_world next = *w;
		struct m_label label = { .kind = M_DECIDE, .look = o->look };

		if (o->broken.name)
			m_break(o->broken.name, "%s", o->broken.text);
		next.m = o->m;
		next.loss = o->loss;
		accept_loss(w, &next);
		next.faults = (uint8_t)(next.faults - (o->look.falsely != 0));
		check_edges(w, &next);
		emit(arg, &next, &label);
	}
}

/* Ways to a good end pass the same places again and again. */
#define LOOKS_BITS 16

static struct looked {
	uint64_t key;
	bool changed;
	uint8_t loss;
	struct m_store m;
} * looked;

static bool
decide_again(struct m_world *w, const struct m_look *l)
{
	uint64_t key = visible(w) ^ m_hash_bytes(l, sizeof *l, 5);
	struct looked *k;

	if (!looked)
		looked = xcalloc((size_t)1 << LOOKS_BITS, sizeof *looked);
	k = &looked[key >> (64 - LOOKS_BITS)];
	if (k->key == key) {
		w->m = k->m;
		w->loss = k->loss;
		return k->changed;
	}
	k->changed = decide(w, l);
	k->m = w->m;
	k->loss = w->loss;
	k->key = m_broken.name ? 0 : key;
	return k->changed;
}

/* What is decided at this look; false: nothing. */
bool
m_decide(struct m_world *w, const struct m_look *l)
{
	struct m_world before = *w;

	if (!decide_again(w, l))
		return false;
	accept_loss(&before, w);
	check_edges(&before, w);
	return true;
}
