/* What must hold in every world of the checker, and what every world must come to. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/model.h"
#include "fsm/facts.h"
#include "ini/mem.h"

#include "ini/ban.h"

/* -- safety -- */

static void
check_one_ack(const struct m_world *w)
{
	int first = -1;

	for (int i = 0; i < m_run.nodes; i++) {
		if (!m_can_ack(w, i))
			continue;
		if (first >= 0)
			m_break("ONEACK",
			    "clients of node %d and of node %d get their writes "
			    "acknowledged",
			    first + 1, i + 1);
		first = i;
	}
}

/* Who says that it is stopped, is; and it would not come up writable if started. */
static void
check_stopped(const struct m_world *w, int i)
{
	const struct m_host *h = &w->h[i];
	const struct m_row *row = &w->m.row[i];

	if (!h->exists || !h->data)
		return;
	if (row->said.stopped_term != 0 && row->said.stopped_term >= w->m.term &&
	    h->stopped_term == row->said.stopped_term && h->pg == M_PG_RW)
		m_break("NOBOOT", "node %d counts as stopped and is writable", i + 1);
	if (fsm_state_flags(h->current) & ST_WAS_RW && h->act == FSM_ACT_NOTHING &&
	    h->stopped_term != 0 && (h->pg == M_PG_RW || !h->guard_file))
		m_break("NOBOOT", "node %d in %s could come up writable", i + 1,
		    fsm_state_name(h->current));
}

static bool
has_quorum_secondary(const struct m_world *w, int i)
{
	for (int q = 0; q < m_run.nodes; q++)
		if (q != i && w->m.row[q].present && w->m.row[q].quorum &&
		    w->m.row[q].goal == FSM_SECONDARY)
			return true;
	return false;
}

/* A primary is synchronous when there is somebody to be it with. */
static void
check_names(const struct m_world *w, int i)
{
	const struct m_host *h = &w->h[i];
	const struct m_row *row = &w->m.row[i];

	if (!row->present || w->m.writer != i + 1 || w->m.dirty || w->m.nconfigs != 1 ||
	    w->m.op.kind != FSM_OP_NONE)
		return;
	if (row->goal != FSM_PRIMARY || row->said.state != FSM_PRIMARY ||
	    h->current != FSM_PRIMARY || h->act != FSM_ACT_NOTHING || h->pg != M_PG_RW)
		return;
	if (h->applied == w->m.config[0].gen && h->applied == row->said.applied &&
	    memcmp(&h->conf, &w->m.config[0].names, sizeof h->conf) != 0)
		m_break("NAMES", "node %d has other names in force than it says", i + 1);
	if (has_quorum_secondary(w, i) && h->conf.k == 0)
		m_break("NAMES", "node %d is primary, has a quorum standby, and no names",
		    i + 1);
}

void
m_check(struct m_world *w)
{
	check_one_ack(w);
	for (int i = 0; i < m_run.nodes; i++) {
		check_stopped(w, i);
		check_names(w, i);
	}
}

/* -- liveness -- */

static bool
row_is(const struct m_world *w, int i, enum fsm_state s)
{
	const struct m_row *row = &w->m.row[i];

	return row->goal == s && row->said.state == s && w->h[i].current == s &&
	       w->h[i].act == FSM_ACT_NOTHING;
}

static bool
writer_is_good(const struct m_world *w, int i)
{
	int others = 0;

	for (int q = 0; q < m_run.nodes; q++)
		others += q != i && w->m.row[q].present && !w->h[q].gone;
	if (row_is(w, i, FSM_SINGLE)) /* it has nobody to be told about */
		return others == 0;
	if (w->m.dirty)
		return false;
	if (!m_can_ack(w, i) && w->m.nss == 0)
		return false;
	return row_is(w, i, FSM_PRIMARY) ||
	       (row_is(w, i, FSM_WAIT_PRIMARY) && !has_quorum_secondary(w, i));
}

/* One writer that takes writes, all others with it. */
bool
m_is_good(const struct m_world *w)
{
	int p = w->m.writer - 1;

	if (p < 0 || w->m.op.kind != FSM_OP_NONE || w->m.request.kind != FSM_REQ_NONE ||
	    w->m.nconfigs > 1)
		return false;
	for (int i = 0; i < m_run.nodes; i++) {
		if (w->h[i].gone || !w->m.row[i].present)
			continue;
		if (i == p && !writer_is_good(w, i))
			return false;
		if (i != p && !row_is(w, i, FSM_MAINTENANCE) &&
		    !(row_is(w, i, FSM_SECONDARY) && m_streams(w, i, p)))
			return false;
	}
	return w->m.row[p].present;
}

/* Whoever is left has a history of its own: the operator must say which one counts. */
static bool
all_forked(const struct m_world *w)
{
	static const struct m_look now;
	static struct fsm_group g;

	m_snapshot(w, &now, &g);
	for (int i = 0; i < g.n; i++)
		if (facts_member(&g.node[i]) && g.node[i].has_data &&
		    !w->h[g.node[i].id - 1].gone &&
		    facts_on_lineage(&g, g.node[i].tli, g.node[i].lsn))
			return false;
	return g.op.kind == FSM_OP_ELECT;
}

/* With so many standbys in maintenance no commit is complete, as number_sync_standbys
 * wants. */
static bool
too_few_standbys(const struct m_world *w)
{
	int left = 0;

	for (int i = 0; i < m_run.nodes; i++)
		left += i + 1 != w->m.writer && w->m.row[i].present &&
			w->m.row[i].quorum && !w->h[i].gone &&
			w->m.row[i].goal != FSM_MAINTENANCE;
	return w->m.writer != 0 && w->m.op.kind == FSM_OP_NONE && left < w->m.nss;
}

/* The writer was removed, and nobody who may be promoted holds all that it acknowledged,
 * or began with, and no more. */
static bool
taken_along(const struct m_world *w)
{
	static const struct m_look now;
	static struct fsm_group g;

	if (w->m.writer != 0 || w->m.op.kind != FSM_OP_ELECT || w->m.op.candidate != 0)
		return false;
	m_snapshot(w, &now, &g);
	for (int i = 0; i < g.n; i++) {
		const struct m_host *h = &w->h[g.node[i].id - 1];

		if (!h->gone && h->data && g.node[i].priority > 0 &&
		    m_holds(w, h, w->acked_line, w->acked_lsn) &&
		    facts_has_start(&g, g.node[i].tli, g.node[i].lsn) &&
		    facts_on_lineage(&g, g.node[i].tli, g.node[i].lsn))
			return false;
	}
	return true;
}

/* Commits may have waited for a node that nobody can ask any more. */
static bool
is_listed_one_removed(const struct m_world *w)
{
	static const struct m_look now;
	static struct fsm_group g;

	m_snapshot(w, &now, &g);
	for (int c = 0; c < g.nconfigs; c++)
		for (int i = 0; i < g.config[c].n; i++)
			if (g.config[c].member[i] != g.op.old_writer &&
			    !fsm_node_peek(&g, g.config[c].member[i]))
				return true;
	return false;
}

/* A documented place to wait for the operator; the reason, or NULL. */
const char *
m_is_parked(const struct m_world *w)
{
	int present = 0, eligible = 0, data = 0, maintenance = 0, gone = 0, left = 0;

	for (int i = 0; i < m_run.nodes; i++) {
		const struct m_row *row = &w->m.row[i];

		if (!row->present)
			continue;
		present++;
		gone += w->h[i].gone;
		left += row->goal == FSM_DROPPED && row->said.state == FSM_DROPPED;
		maintenance += row_is(w, i, FSM_MAINTENANCE) && !w->h[i].gone;
		if (!w->h[i].gone && !w->h[i].rewinding && row->said.state != FSM_INIT &&
		    row->said.state != FSM_WAIT_STANDBY &&
		    !row_is(w, i, FSM_MAINTENANCE)) {
			data++;
			eligible += row->priority > 0;
		}
	}
	if (present == 0)
		return "no node is left";
	if (maintenance + gone == present)
		return "all nodes are in maintenance, or burnt";
	if (data == 0)
		return "nobody has data";
	if (eligible == 0)
		return "nobody may be promoted";
	if (too_few_standbys(w))
		return "too many standbys are in maintenance";
	if (all_forked(w))
		return "nobody has the accepted history";
	if (gone > 0 && w->m.op.kind != FSM_OP_NONE)
		return "a node that is needed for a safe election is burnt";
	if (taken_along(w))
		return "the removed writer took acknowledged writes along";
	if ((left > 0 || is_listed_one_removed(w)) && w->m.op.kind == FSM_OP_ELECT &&
	    w->m.op.candidate == 0)
		return "a node that is needed for a safe election was removed";
	if (maintenance > 0 && w->m.op.kind == FSM_OP_ELECT && w->m.op.candidate == 0)
		return "a node that is needed for a safe election is in maintenance";
	return NULL;
}

static void
say(const struct m_world *before, enum m_kind kind, int a, int b)
{
	struct m_label l = { .kind = (uint8_t)kind, .a = (uint8_t)a, .b = (uint8_t)b };

	m_print_label(before, &l);
}

static bool
flow(struct m_world *w, int i, bool verbose)
{
	bool moved = false;
	struct m_host *h = &w->h[i];

	if (h->pg == M_PG_RW && memcmp(&h->force, &h->conf, sizeof h->conf) != 0) {
		h->force = h->conf;
		m_ack(w, i);
		moved = true;
	}
	for (int q = 0; q < m_run.nodes; q++)
		if (q != i && m_streams(w, q, i) &&
		    (w->h[q].line != h->line || w->h[q].lsn != h->lsn)) {
			if (verbose)
				say(w, M_SHIP, i, q);
			m_ship(w, i, q);
			moved = true;
		}
	if (h->lease == M_LEASE_HELD && w->m.op.revoked) {
		if (verbose)
			say(w, M_LEASE_ENDS, i, 0);
		h->lease = M_LEASE_OVER;
		moved = true;
	}
	return moved;
}

static void
node_turn(struct m_world *w, int i, bool verbose)
{
	if (w->h[i].exists && m_connected(w, i)) {
		if (verbose)
			say(w, M_EXCHANGE, i, 1);
		m_exchange(w, i);
	}
	for (int n = 0; n < 40; n++) {
		bool moved = false;
		struct m_world before = *w;

		for (int q = 0; q < m_run.nodes; q++)
			moved |= flow(w, q, verbose);
		if (m_tick(w, i, false)) {
			moved = true;
			if (verbose)
				say(&before, M_TICK, i, 0);
		} else if (m_act(w, i, 0)) {
			moved = true;
			if (verbose)
				say(&before, M_ACT, i, 0);
		}
		if (!moved)
			break;
	}
	if (w->h[i].exists && m_connected(w, i))
		m_exchange(w, i);
}

static bool
decide_fairly(struct m_world *w, const struct m_look *l, bool verbose)
{
	struct m_world before = *w;
	struct m_label label = { .kind = M_DECIDE, .look = *l };

	if (!m_decide(w, l))
		return false;
	if (verbose)
		m_print_label(&before, &label);
	return true;
}

/* Everybody has a turn, the monitor after each; when nothing moves, time passes. */
bool
m_fair_round(struct m_world *w, int round, bool verbose)
{
	static const struct m_look now;
	struct m_world before = *w;
	struct m_look l;

	(void)round;
	for (int i = 0; i < m_run.nodes; i++) {
		node_turn(w, i, verbose);
		for (int n = 0; n < 4 && decide_fairly(w, &now, verbose); n++)
			;
		m_canonical(w);
	}
	if (memcmp(&before, w, sizeof *w) != 0)
		return true;
	for (int i = 0; i < m_run.nodes; i++)
		if (m_give_up(w, i)) {
			if (verbose)
				say(w, M_GIVE_UP, i, 0);
			return true;
		}
	memset(&l, 0, sizeof l);
	for (l.timers = l.phase = 1; l.timers < 5; l.timers++, l.phase++)
		for (int over = 0; over < 2; over++) {
			l.lease_over = (uint8_t)over;
			for (int i = 0; i < m_run.nodes; i++)
				l.level[i] = (uint8_t)m_level_max(w, i);
			if (over && !m_lease_may_be_over(w))
				continue;
			if (decide_fairly(w, &l, verbose))
				return true;
		}
	return false;
}

/* The end of all faults. */
static void
heal(struct m_world *w)
{
	w->faults = w->delays = w->ops = w->commits = 0;
	w->cut = w->apart = w->slow = 0;
	w->monitor_down = 0;
	for (int i = 0; i < m_run.nodes; i++) {
		struct m_host *h = &w->h[i];

		h->late = h->hopeless = 0;
		if (h->gone)
			continue;
		h->up = 1;
		if (h->exists && !h->keeper)
			m_start_keeper(h);
	}
	m_canonical(w);
}

/* -- worlds that are known to come to a good end -- */

#define ROUNDS 40
#define SETTLED_BITS 22

static uint64_t *settled; /* not there before it is needed: every process would pay */

void
m_forget_settled(void)
{
	free(settled);
	settled = NULL;
}

bool
m_settles(const struct m_world *start, bool verbose)
{
	struct m_world w = *start;
	uint64_t path[ROUNDS] = { 0 };
	bool ok = false;
	int n = 0;

	if (!settled)
		settled = xcalloc((size_t)1 << SETTLED_BITS, sizeof *settled);
	heal(&w);
	while (n < (verbose ? 6 : ROUNDS) && !ok) {
		uint64_t key = m_hash(&w, 3);

		if (settled[key >> (64 - SETTLED_BITS)] == key && !verbose) {
			ok = true;
			break;
		}
		path[n++] = key;
		if (verbose) {
			printf("# - round %d\n", n);
			m_print_world(&w);
		}
		if (m_fair_round(&w, n, verbose) && !m_broken.name)
			continue;
		if (m_broken.name)
			return false;
		/* nothing moves any more, whatever time passes */
		ok = m_is_good(&w) || m_is_parked(&w);
		break;
	}
	for (int i = 0; ok && i < n; i++)
		settled[path[i] >> (64 - SETTLED_BITS)] = path[i];
	return ok;
}
