/* Simulated monitor: the real monitor_decide over a store in memory that survives
 * crashes. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

static void
append_node(struct sim *s, int h, int64_t id)
{
	struct fsm_node *n = &s->group.node[s->group.n++];

	memset(n, 0, sizeof *n);
	n->id = id;
	snprintf(n->name, sizeof n->name, "node_%d", h);
	n->priority = 50;
	n->quorum = true;
	n->reported = FSM_INIT;
	n->goal = FSM_INIT;
	memset(&s->seen[h], 0, sizeof s->seen[h]);
	s->seen[h].report_at = s->seen[h].goal_at = s->seen[h].state_at = s->now;
}

void
simmonitor_register(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (!s->monitor_up || x->k.node_id || s->group.n == FSM_NODES_MAX)
		return;
	append_node(s, h, ++s->next_node_id);
	s->durable = s->group;
	x->k.node_id = s->next_node_id;
	x->k.current = x->k.goal = FSM_INIT;
	x->k.goal_seq = 0;
	x->disk = x->k;
	x->report_due = s->now;
	s->decide_at = s->now + 2;
	sim_log(s, "monitor: host %d is registered as node %lld", h,
	    (long long)s->next_node_id);
}

/* As node_active() does: what a decision may rest on is flushed. */
static bool
matters(const struct fsm_node *n, const struct fsm_node *r)
{
	return n->reported != r->reported || n->pg != r->pg ||
	       n->promise_term != r->promise_term || n->promise_lsn != r->promise_lsn ||
	       n->stopped_term != r->stopped_term || n->final_lsn != r->final_lsn ||
	       n->applied_gen != r->applied_gen || n->lease_gen != r->lease_gen ||
	       n->upstream_id != r->upstream_id || n->streaming != r->streaming ||
	       n->heard != r->heard || n->fails != r->fails ||
	       n->seen_seq != r->seen_seq || (r->tli && n->tli != r->tli);
}

static void
store_report(struct sim *s, const struct sim_message *m, struct fsm_node *n)
{
	const struct fsm_node *r = &m->report;
	int h = m->from;

	if (n->reported != r->reported)
		s->seen[h].state_at = s->now;
	if (r->pg == FSM_PG_STANDBY || r->pg == FSM_PG_RW)
		s->seen[h].down_at = 0;
	else if (!s->seen[h].down_at)
		s->seen[h].down_at = s->now;
	n->reported = r->reported;
	n->seen_seq = r->seen_seq;
	n->pg = r->pg;
	n->pg_retrying = r->pg_retrying;
	n->has_data = r->has_data;
	if (r->tli)
		n->tli = r->tli;
	if (r->lsn)
		n->lsn = r->lsn;
	n->promise_term = r->promise_term;
	n->promise_tli = r->promise_tli;
	n->promise_lsn = r->promise_lsn;
	n->stopped_term = r->stopped_term;
	n->final_lsn = r->final_lsn;
	n->applied_gen = r->applied_gen;
	n->lease_gen = r->lease_gen;
	n->upstream_id = r->upstream_id;
	n->streaming = r->streaming;
	n->heard = r->heard;
	n->heard_age_ms = s->now - r->heard_age_ms; /* kept as a time, see snapshot() */
	n->fails = r->fails;
	s->seen[h].report_at = s->now;
	if (n->id == s->group.writer) {
		for (int i = 0; i < s->nhosts; i++) {
			struct fsm_node *o =
			    fsm_node_find(&s->group, s->host[i].k.node_id);
			if (o && o != n) {
				o->attached = (m->attached >> i) & 1;
				if (o->attached)
					s->seen[i].attached_at = s->now;
				s->seen[i].ack_age_ms =
				    o->attached ? m->ack_age_ms[i] : FSM_NEVER;
			}
		}
		s->lease_seen_at = s->now;
	}
}

static void
note_lineage(struct sim *s, int h)
{
	const struct sim_wal *w = &s->host[h].wal;

	for (int i = 1; i < w->n; i++) {
		bool known = false;
		for (int j = 0; j < s->group.nlineage; j++)
			known |= s->group.lineage[j].tli == w->seg[i].tli;
		if (known || s->group.nlineage == FSM_LINEAGE_MAX)
			continue;
		s->group.lineage[s->group.nlineage++] =
		    (struct fsm_lineage){ w->seg[i].tli, w->seg[i - 1].tli,
			    w->seg[i].start };
	}
}

void
simmonitor_report(struct sim *s, const struct sim_message *m)
{
	struct fsm_node *n = fsm_node_find(&s->group, m->report.id);

	if (!s->monitor_up)
		return;
	struct sim_message *a = sim_send(s, MSG_REPLY, SIM_MONITOR, m->from);
	if (!n) { /* unknown: it was removed */
		if (a) {
			sim_unsend(s, a);
			s->host[m->from].disk.node_id = s->host[m->from].k.node_id = 0;
		}
		return;
	}
	bool flush = matters(n, &m->report);
	store_report(s, m, n);
	note_lineage(s, m->from);
	if (flush)
		s->durable = s->group;
	s->decide_at = s->now + 2;
	if (!a)
		return;
	const struct fsm_group *g = &s->group;
	a->sent = m->sent;
	a->report.reported = m->report.reported;
	a->goal = n->goal;
	a->goal_seq = n->goal_seq;
	a->term = g->term;
	a->planned = g->op.planned;
	a->target = g->op.target_lsn;
	a->upstream = n->goal == FSM_FAST_FORWARD ? g->op.source : g->writer;
	if (n->goal == FSM_MAINTENANCE && g->op.kind == FSM_OP_ELECT &&
	    g->op.phase == 2 && !g->op.planned)
		a->upstream = 0;
	if (g->nconfigs)
		a->config = g->config[g->nconfigs - 1];
	a->lease_gen = g->lease_gen;
	a->lease_ms = -1;
	if (n->id == g->writer && g->lease_gen % 2)
		a->lease_ms = g->op.revoked ? 0 : g->settings.lease_ms;
}

static int64_t
age(const struct sim *s, int64_t at)
{
	return at > s->monitor_since ? s->now - at : s->now - s->monitor_since;
}

static void
snapshot(const struct sim *s, struct fsm_group *g)
{
	*g = s->group;
	g->watch_age_ms = s->now - s->monitor_since;
	g->lease_age_ms = age(s, s->lease_seen_at);
	g->op.age_ms = s->now - s->op_at;
	g->op.phase_age_ms = s->now - s->phase_at;
	for (int i = 0; i < g->n; i++) {
		struct fsm_node *n = &g->node[i];
		int h = sim_host_of(s, n->id);
		if (h < 0)
			continue;
		const struct sim_evidence *e = &s->seen[h];
		n->goal_age_ms = s->now - e->goal_at;
		n->state_age_ms = s->now - e->state_at;
		n->pg_down_age_ms = e->down_at ? s->now - e->down_at : 0;
		n->report_age_ms = age(s, e->report_at);
		n->heard_age_ms = s->now - n->heard_age_ms;
		n->detached_age_ms = n->attached ? 0 : s->now - e->attached_at;
		n->ack_age_ms = e->ack_age_ms;
		n->probe = e->probe;
		n->probe_failed = e->probe_failed;
		n->probe_ok_age_ms = e->probe_ok_at ? age(s, e->probe_ok_at) : FSM_NEVER;
		n->session = !sim_linked(s, h, SIM_MONITOR) ||
			     (s->host[h].keeper_up && s->host[h].powered);
	}
}

static void
forget_dead(struct sim *s)
{
	struct fsm_group *g = &s->group;
	int n = 0;

	for (int i = 0; i < g->n; i++) {
		int h = sim_host_of(s, g->node[i].id);
		if (!g->node[i].dead)
			g->node[n++] = g->node[i];
		else if (h >= 0)
			sim_log(
			    s, "monitor: node %lld is gone", (long long)g->node[i].id);
	}
	g->n = n;
}

static void
store_plan(struct sim *s, const struct fsm_plan *p)
{
	for (int i = 0; i < p->nsteps; i++)
		sim_log(s, "monitor: rule %d node %lld: %s -> %s: %s", p->step[i].rule,
		    (long long)p->step[i].node, fsm_state_name(p->step[i].from),
		    fsm_state_name(p->step[i].to), p->step[i].text);
	if (p->next.op.kind != FSM_OP_NONE && s->group.op.kind == FSM_OP_NONE) {
		s->op_at = s->phase_at = s->now;
		if (!p->next.op.planned)
			s->failovers++;
	}
	if (p->next.op.phase != s->group.op.phase)
		s->phase_at = s->now;
	if (p->next.term < s->group.term)
		sim_fail(s, "TERM: %lld after %lld", (long long)p->next.term,
		    (long long)s->group.term);
	for (int i = 0; i < p->next.n; i++) {
		const struct fsm_node *n = &p->next.node[i];
		const struct fsm_node *o = fsm_node_peek(&s->group, n->id);
		int h = sim_host_of(s, n->id);
		if (o && h >= 0 && n->goal_seq != o->goal_seq) {
			s->seen[h].goal_at = s->now;
			sim_send(s, MSG_HINT, SIM_MONITOR, h);
		}
	}
	struct fsm_group old = s->group;
	s->group = p->next;
	for (int i = 0; i < s->group.n; i++) { /* ages are times in the store */
		const struct fsm_node *o = fsm_node_peek(&old, s->group.node[i].id);
		s->group.node[i].heard_age_ms = o ? o->heard_age_ms : s->now;
	}
	if (memcmp(&old.lease_gen, &s->group.lease_gen, sizeof old.lease_gen) != 0)
		sim_log(s, "monitor: lease generation %d", s->group.lease_gen);
	forget_dead(s);
}

static void
probe(struct sim *s, int h)
{
	struct sim_evidence *e = &s->seen[h];
	bool linked = sim_linked(s, h, SIM_MONITOR);
	const struct sim_host *x = &s->host[h];

	e->probe_next = s->now + 1000;
	if (!linked)
		e->probe = FSM_WITNESS_SILENT;
	else if (!x->powered || x->pg == FSM_PG_DOWN)
		e->probe = FSM_WITNESS_REFUSED;
	else
		e->probe = x->pg == FSM_PG_STARTING ? FSM_WITNESS_REJECT : FSM_WITNESS_OK;
	if (e->probe == FSM_WITNESS_OK) {
		e->probe_ok_at = s->now;
		e->probe_failed = 0;
	} else
		e->probe_failed++;
}

static void
decide(struct sim *s)
{
	static struct fsm_group g, again;
	static struct fsm_plan p;

	snapshot(s, &g);
	monitor_decide(&g, &p);
	s->decisions++;
	if (!s->calm && sim_chance(s, 2)) { /* 40001: nothing of it was stored */
		s->retries++;
		s->decide_at = s->now + sim_between(s, 1, 100);
		return;
	}
	if (p.nsteps && sim_chance(s, 10)) { /* NOFLAP: the same again changes nothing */
		static struct fsm_plan q;
		again = p.next;
		again.request.kind = FSM_REQ_NONE;
		monitor_decide(&again, &q);
		for (int i = 0; i < q.nsteps; i++)
			if (q.step[i].from != q.step[i].to)
				sim_fail(s,
				    "NOFLAP: rule %d fires on its own result, node %lld "
				    "%s -> %s",
				    q.step[i].rule, (long long)q.step[i].node,
				    fsm_state_name(q.step[i].from),
				    fsm_state_name(q.step[i].to));
	}
	store_plan(s, &p);
	if (s->group.request.kind != FSM_REQ_NONE &&
	    s->group.request.outcome != FSM_OUTCOME_PENDING) {
		sim_log(s, "monitor: %s is %s %s",
		    fsm_request_name(s->group.request.kind),
		    s->group.request.outcome == FSM_OUTCOME_DONE ? "done" : "refused",
		    s->group.request.text);
		memset(&s->group.request, 0, sizeof s->group.request);
	}
	if (p.nsteps)
		s->durable = s->group;
	s->decide_at =
	    s->now + (p.wake_in_ms > 0 && p.wake_in_ms < 250 ? p.wake_in_ms : 250);
}

void
simmonitor_step(struct sim *s)
{
	if (!s->monitor_up)
		return;
	for (int h = 0; h < s->nhosts; h++)
		if (s->host[h].used && s->now >= s->seen[h].probe_next)
			probe(s, h);
	if (s->now >= s->decide_at && s->group.n)
		decide(s);
}

/* Heartbeats are not flushed: a database that crashes forgets the last of them. */
void
simmonitor_crash(struct sim *s)
{
	bool forgets = sim_chance(s, 50);

	s->monitor_up = false;
	if (forgets)
		s->group = s->durable;
	sim_log(s, "monitor: dies%s", forgets ? ", and its last commits are lost" : "");
}

void
simmonitor_start(struct sim *s)
{
	s->monitor_up = true;
	s->monitor_since = s->now;
	s->decide_at = s->now + 100;
	for (int h = 0; h < s->nhosts; h++) {
		s->seen[h].probe = FSM_WITNESS_NONE;
		s->seen[h].probe_failed = 0;
		s->seen[h].probe_ok_at = 0;
		s->seen[h].probe_next = s->now;
	}
	sim_log(s, "monitor: starts");
}

bool
simmonitor_ask(struct sim *s, enum fsm_request_kind kind, int64_t node)
{
	if (s->group.request.kind != FSM_REQ_NONE || !s->monitor_up)
		return false;
	s->group.request.id = ++s->next_request;
	s->group.request.kind = kind;
	s->group.request.node = node;
	s->group.request.outcome = FSM_OUTCOME_PENDING;
	s->decide_at = s->now + 1;
	sim_log(s, "operator: asks for %s of node %lld", fsm_request_name(kind),
	    (long long)node);
	return true;
}
