/* The checker's stories: worlds and steps as text. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/model.h"

#include "ini/ban.h"

static const char *const pg_name[] = { "down", "standby", "rw" };

static void
print_names(const char *what, struct m_names n)
{
	printf(" %s=%d", what, n.k);
	if (n.set != 0)
		printf(":%s%s%s", n.set & 1 ? "1" : "", n.set & 2 ? "2" : "",
		    n.set & 4 ? "3" : "");
}

static void
print_host(const struct m_world *w, int i)
{
	const struct m_host *h = &w->h[i];

	printf("#       node %d: %s", i + 1, fsm_state_name(h->current));
	if (h->goal != h->current)
		printf("->%s", fsm_state_name(h->goal));
	if (h->act != FSM_ACT_NOTHING)
		printf(" [%s/%d]", fsm_act_name(h->act), h->stage);
	printf(" term %d pg=%s%s", h->term, pg_name[h->pg],
	    h->pg == M_PG_RW && h->closed ? "(closed)" : "");
	if (h->line)
		printf(" at %d.%d(tli %d)", h->line, h->lsn, w->line[h->line].tli);
	if (h->upstream)
		printf(" follows %d", h->upstream);
	print_names("conf", h->conf);
	if (h->pg == M_PG_RW)
		print_names("in force", h->force);
	if (h->promise_term)
		printf(" promised %d@%d", h->promise_term, h->promise_lsn);
	if (h->stopped_term)
		printf(" stopped %d@%d", h->stopped_term, h->final_lsn);
	printf(" gen %d%s%s%s%s%s%s%s%s\n", h->applied, h->guard_file ? " signal" : "",
	    h->rewinding ? " rewinding" : "", h->lease == M_LEASE_HELD ? " lease" : "",
	    h->lease == M_LEASE_OVER ? " lease-over" : "", h->up ? "" : " HOST-DOWN",
	    h->up && !h->keeper ? " KEEPER-DOWN" : "", w->cut >> i & 1 ? " CUT" : "",
	    h->gone ? " BURNT" : "");
}

static void
print_row(const struct m_world *w, int i)
{
	const struct m_row *r = &w->m.row[i];

	if (!r->present)
		return;
	printf(" | %d %s>%s%s", i + 1, fsm_state_name(r->said.state),
	    fsm_state_name(r->goal), r->seq != r->said.seen ? "(unseen)" : "");
	if (r->said.promise_term)
		printf(" p%d@%d", r->said.promise_term, r->said.promise_lsn);
	if (r->said.stopped_term)
		printf(" s%d@%d", r->said.stopped_term, r->said.final_lsn);
	printf(" %s%s@%d.%d gen %d%s%s", fsm_pg_name(r->said.pg),
	    r->said.retrying ? "(retrying)" : "", r->said.tli, r->said.lsn,
	    r->said.applied,
	    r->lost       ? " lost"
	    : r->fork_tli ? " fork"
			  : "",
	    r->priority ? "" : " prio 0");
}

void
m_print_world(const struct m_world *w)
{
	const struct m_store *m = &w->m;

	for (int i = 0; i < m_run.nodes; i++)
		if (w->h[i].exists || w->h[i].pg != M_PG_DOWN)
			print_host(w, i);
	printf("#       monitor: writer %d term %d lease %d%s configs", m->writer,
	    m->term, m->lease_gen, m->dirty ? " dirty" : "");
	for (int c = 0; c < m->nconfigs; c++) {
		printf(" %d", m->config[c].gen);
		print_names("k", m->config[c].names);
	}
	if (m->op.kind != FSM_OP_NONE)
		printf(" op %s%s%s%s old %d cand %d since %d target %d phase %d",
		    fsm_op_name(m->op.kind), m->op.planned ? " planned" : "",
		    m->op.revoked ? " revoked" : "", m->op.allow_loss ? " LOSS" : "",
		    m->op.old_writer, m->op.candidate, m->op.since, m->op.target,
		    m->op.phase);
	if (m->request.kind != FSM_REQ_NONE)
		printf(" request %s(%d)", fsm_request_name(m->request.kind),
		    m->request.node);
	for (int i = 0; i < m_run.nodes; i++)
		print_row(w, i);
	printf("\n#       acknowledged %d.%d; faults %d ops %d%s%s\n", w->acked_line,
	    w->acked_lsn, w->faults, w->ops, w->monitor_down ? " MONITOR-DOWN" : "",
	    w->apart ? " NODES-APART" : "");
}

static void
print_look(const struct m_world *w, const struct m_look *l)
{
	static const char *const level[] = { "", "noticed", "past the window",
		"for ever" };
	static const char *const timer[] = { "", "600 ms", "5 s", "12 s", "1 h" };
	static struct fsm_group g;
	static struct fsm_plan p;

	printf("monitor decides:");
	for (int i = 0; i < m_run.nodes; i++)
		if (l->level[i])
			printf(" node %d %s %s,", i + 1,
			    l->falsely >> i & 1 ? "FALSELY silent" : "trouble",
			    level[l->level[i]]);
	if (l->timers)
		printf(" timers %s phase %s,", timer[l->timers],
		    l->phase ? timer[l->phase] : "new");
	if (l->lease_over)
		printf(" lease over,");
	m_snapshot(w, l, &g);
	monitor_decide(&g, &p);
	for (int i = 0; i < p.nsteps; i++)
		printf(" #%d(%d %s)", p.step[i].rule, (int)p.step[i].node,
		    fsm_state_name(p.step[i].to));
	printf("\n");
}

/* What keeper_step() says, and the act it begins. */
static void
print_tick(const struct m_world *w, const struct m_label *l)
{
	static const char *const what[] = { "waits", "begins", "aborts", "moves to",
		"exits" };
	struct keeper k;
	struct keeper_obs o;
	struct keeper_step s;

	m_keeper(w, l->a, &k);
	m_observe(w, l->a, l->b, &o);
	keeper_step(&k, &o, &s);
	printf("keeper %d%s %s %s -> %s%s%s\n", l->a + 1, l->b ? " (alone)" : "",
	    what[s.what], fsm_act_name(s.act), fsm_state_name(s.to), s.why ? ": " : "",
	    s.why ? s.why : "");
}

void
m_print_label(const struct m_world *w, const struct m_label *l)
{
	static const char *const name[] = { "reports and is answered",
		"reports, the answer is lost", "its reports get late",
		"its reports are prompt again", "restarting Postgres takes too long", "",
		"goes on with its act", "keeper killed in the middle of its act",
		"host killed in the middle of its act", "its act fails again and again",
		"Postgres takes over its settings", "the lease is over",
		"a client commits", "ships to", "", "keeper killed", "Postgres killed",
		"host killed", "keeper started", "host started",
		"link to the monitor cut", "link to the monitor healed", "cannot reach",
		"reaches again", "a report is held up", "the late report arrives",
		"monitor stopped", "monitor started" };
	char text[80];

	switch (l->kind) {
	case M_TICK:
		print_tick(w, l);
		break;
	case M_DECIDE:
		print_look(w, &l->look);
		break;
	case M_OPERATOR:
		m_operator_text(l->a, text, sizeof text);
		printf("operator: %s\n", text);
		break;
	case M_SHIP:
	case M_SPLIT:
	case M_JOIN:
		printf("node %d: %s node %d\n", l->a + 1, name[l->kind], l->b + 1);
		break;
	default:
		printf("node %d: %s%s\n", l->a + 1, name[l->kind],
		    l->kind == M_ACT && l->b ? " (the tail is lost)" : "");
	}
}
