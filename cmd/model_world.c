/* The checker's adversary: all that may happen next, and worlds that are the same. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/model.h"

#include "ini/ban.h"

struct m_config_of_run m_run;

/* -- one form for worlds that differ in nothing that counts -- */

struct bytes {
	int n;
	uint8_t *p[192];
};

static void
take(struct bytes *b, uint8_t *p)
{
	b->p[b->n++] = p;
}

/* Only the order of these counts; 0 stays 0. With step 2 odd stays odd. */
static void
rank(struct bytes *b, int step)
{
	uint64_t used = 0;
	uint8_t to[64];
	int last = 0;

	for (int i = 0; i < b->n; i++) {
		if (*b->p[i] > 63) {
			m_break("MODEL", "numbers grow without end");
			return;
		}
		used |= UINT64_C(1) << *b->p[i];
	}
	to[0] = 0;
	for (used &= ~UINT64_C(1); used != 0; used &= used - 1) {
		int v = __builtin_ctzll(used);

		last++;
		if (step == 2 && (last - v) % 2 != 0)
			last++;
		to[v] = (uint8_t)last;
	}
	for (int i = 0; i < b->n; i++)
		*b->p[i] = to[*b->p[i]];
}

static void
rank_positions(struct m_world *w)
{
	struct bytes b;

	b.n = 0;
	take(&b, &w->acked_lsn);
	take(&b, &w->m.op.target);
	take(&b, &w->m.floor_lsn);
	for (int l = 0; l < M_LINES; l++)
		take(&b, &w->line[l].fork);
	for (int t = 0; t < M_TLIS; t++)
		take(&b, &w->m.lineage[t].at);
	for (int i = 0; i < m_run.nodes; i++) {
		struct m_host *h = &w->h[i];
		struct m_report *r[] = { &w->m.row[i].said, &h->late_report };

		take(&b, &h->lsn);
		take(&b, &w->m.row[i].fork_lsn);
		take(&b, &h->promise_lsn);
		take(&b, &h->final_lsn);
		take(&b, &h->reply.target);
		take(&b, &h->job.target);
		for (int j = 0; j < 2; j++) {
			take(&b, &r[j]->lsn);
			take(&b, &r[j]->promise_lsn);
			take(&b, &r[j]->final_lsn);
		}
	}
	rank(&b, 1);
}

static void
rank_terms(struct m_world *w)
{
	struct bytes b;

	b.n = 0;
	take(&b, &w->m.term);
	take(&b, &w->m.opened_term);
	take(&b, &w->m.op.since);
	for (int i = 0; i < m_run.nodes; i++) {
		struct m_host *h = &w->h[i];
		struct m_report *r[] = { &w->m.row[i].said, &h->late_report };

		take(&b, &h->term);
		take(&b, &h->promise_term);
		take(&b, &h->stopped_term);
		take(&b, &h->job.term);
		for (int j = 0; j < 2; j++) {
			take(&b, &r[j]->promise_term);
			take(&b, &r[j]->stopped_term);
		}
	}
	rank(&b, 1);
}

static void
rank_generations(struct m_world *w)
{
	struct bytes b;

	b.n = 0;
	for (int c = 0; c < M_CONFIGS; c++)
		take(&b, &w->m.config[c].gen);
	for (int i = 0; i < m_run.nodes; i++) {
		struct m_host *h = &w->h[i];

		take(&b, &h->applied);
		take(&b, &h->reply.config.gen);
		take(&b, &h->job.config.gen);
		take(&b, &w->m.row[i].said.applied);
		take(&b, &h->late_report.applied);
	}
	rank(&b, 1);
	b.n = 0;
	take(&b, &w->m.lease_gen);
	for (int i = 0; i < m_run.nodes; i++) {
		take(&b, &w->h[i].lease_gen);
		take(&b, &w->h[i].late_report.lease_gen);
		take(&b, &w->m.row[i].said.lease_gen);
	}
	rank(&b, 2);
}

static void
rank_sequences(struct m_world *w)
{
	for (int i = 0; i < m_run.nodes; i++) {
		struct bytes b;

		b.n = 0;
		take(&b, &w->m.row[i].seq);
		take(&b, &w->m.row[i].said.seen);
		take(&b, &w->h[i].seq);
		take(&b, &w->h[i].late_report.seen);
		rank(&b, 1);
	}
}

/* What is lost with a process is not remembered by the checker either. */
static void
forget(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (!h->exists && h->pg == M_PG_DOWN) {
		uint8_t up = h->up, gone = h->gone;

		memset(h, 0, sizeof *h);
		h->up = up;
		h->gone = gone;
	}
	if (!h->exists)
		h->keeper = 0;
	if (!h->keeper) {
		h->was_up = h->contact = h->told = h->replied = h->hopeless = 0;
		h->act = h->to = h->stage = h->final = h->fails = 0;
		memset(&h->reply, 0, sizeof h->reply);
		memset(&h->job, 0, sizeof h->job);
	} else if (h->pg == M_PG_RW)
		h->was_up = 1;
	if (!(fsm_state_flags(h->current) & ST_RW))
		h->was_up = h->hopeless = 0;
	if (h->pg != M_PG_DOWN)
		h->hopeless = 0;
	h->reply.term = 0;
	if (h->pg != M_PG_RW)
		memset(&h->force, 0, sizeof h->force);
	if (!h->late)
		memset(&h->late_report, 0, sizeof h->late_report);
	if (!w->m.row[i].present)
		memset(&w->m.row[i], 0, sizeof w->m.row[i]);
}

/*
 * What neither brain looks at any more is forgotten as well: promises and stops
 * of terms that are over, the settings of a Postgres that gets others before
 * it may write again. So a group after a failover is the group before it.
 */
static bool
is_opening(int act)
{
	return act == FSM_ACT_RESUME || act == FSM_ACT_OPEN || act == FSM_ACT_PROMOTE ||
	       act == FSM_ACT_SYNC || act == FSM_ACT_INIT || act == FSM_ACT_CLOSED;
}

static void
forget_settings(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	struct m_report *r = &w->m.row[i].said;
	bool writes = fsm_state_flags(h->current) & ST_RW || h->pg == M_PG_RW ||
		      is_opening(h->act) || h->current == FSM_STOP_REPLICATION;

	if (writes)
		return;
	memset(&h->conf, 0, sizeof h->conf);
	h->closed = 0;
	if (w->m.writer != i + 1 && w->m.op.old_writer != i + 1 &&
	    h->applied == r->applied)
		h->applied = r->applied = 0;
}

static void
forget_terms(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	struct m_report *r = &w->m.row[i].said;
	bool running = w->m.op.kind != FSM_OP_NONE;
	int promises = running ? w->m.op.since : w->m.term + 1;
	bool runs = h->pg == M_PG_STANDBY && fsm_state_flags(h->current) & ST_STANDBY &&
		    w->m.writer != i + 1;
	int stops = running ? w->m.op.since : w->m.term + runs;
	bool told = w->m.writer != i + 1 || r->tli == w->m.writer_tli;

	if (h->late || h->act != FSM_ACT_NOTHING || h->current == FSM_DROPPED)
		return;
	if (h->promise_term == r->promise_term && h->promise_term < promises && told &&
	    (h->promise_term < h->term || fsm_state_flags(h->current) & ST_RW)) {
		h->promise_term = h->promise_tli = h->promise_lsn = 0;
		r->promise_term = r->promise_tli = r->promise_lsn = 0;
	}
	if (h->stopped_term == r->stopped_term && h->stopped_term < stops &&
	    (h->stopped_term < h->term || runs)) {
		h->stopped_term = h->final_lsn = 0;
		r->stopped_term = r->final_lsn = 0;
	}
}

static void
rename_line(struct m_world *w, uint8_t from, uint8_t to)
{
	w->line[to] = w->line[from];
	memset(&w->line[from], 0, sizeof w->line[from]);
	for (int l = 1; l < M_LINES; l++)
		if (w->line[l].parent == from)
			w->line[l].parent = to;
	for (int i = 0; i < m_run.nodes; i++)
		if (w->h[i].line == from)
			w->h[i].line = to;
	if (w->acked_line == from)
		w->acked_line = to;
}

static bool
is_tip(const struct m_world *w, uint8_t l)
{
	if (w->acked_line == l)
		return true;
	for (int i = 0; i < m_run.nodes; i++)
		if (w->h[i].line == l)
			return true;
	return false;
}

/* Branches that nobody has a position on are history, and so is the common trunk. */
static void
prune_lines(struct m_world *w)
{
	for (bool again = true; again;) {
		again = false;
		for (uint8_t l = 1; l < M_LINES; l++) {
			int children = 0;
			uint8_t child = 0;

			if (w->line[l].tli == 0 || is_tip(w, l))
				continue;
			for (uint8_t c = 1; c < M_LINES; c++)
				if (w->line[c].parent == l) {
					children++;
					child = c;
				}
			if (children > 1 || (children == 1 && w->line[l].parent != 0) ||
			    (children == 1 && !w->m.lineage[w->line[child].tli].parent))
				continue;
			if (children == 1)
				w->line[child].parent = w->line[child].fork = 0;
			memset(&w->line[l], 0, sizeof w->line[l]);
			again = true;
		}
	}
	for (uint8_t l = 1, to = 1; l < M_LINES; l++)
		if (w->line[l].tli != 0) {
			if (l != to)
				rename_line(w, l, to);
			to++;
		}
}

/* Timelines are counted from the oldest that anybody still knows of. */
static void
shift_timelines(struct m_world *w)
{
	struct bytes b;
	int oldest = M_TLIS;

	b.n = 0;
	take(&b, &w->m.writer_tli);
	take(&b, &w->m.accepted_tli);
	for (int l = 1; l < M_LINES; l++)
		take(&b, &w->line[l].tli);
	for (int i = 0; i < m_run.nodes; i++) {
		struct m_host *h = &w->h[i];
		struct m_report *r[] = { &w->m.row[i].said, &h->late_report };

		take(&b, &h->promise_tli);
		take(&b, &w->m.row[i].fork_tli);
		take(&b, &h->reply.upstream_tli);
		take(&b, &h->job.upstream_tli);
		for (int j = 0; j < 2; j++) {
			take(&b, &r[j]->tli);
			take(&b, &r[j]->promise_tli);
		}
	}
	for (int i = 0; i < b.n; i++)
		if (*b.p[i] != 0 && *b.p[i] < oldest)
			oldest = *b.p[i];
	if (oldest == M_TLIS)
		return;
	for (int i = 0; i < b.n; i++)
		if (*b.p[i] != 0)
			*b.p[i] = (uint8_t)(*b.p[i] - oldest + 1);
	for (int t = 1; t < M_TLIS; t++) {
		struct m_lineage *to = &w->m.lineage[t];
		int from = t + oldest - 1;

		*to = from < M_TLIS ? w->m.lineage[from] : (struct m_lineage){ 0, 0 };
		if (to->parent < oldest)
			*to = (struct m_lineage){ 0, 0 };
		else
			to->parent = (uint8_t)(to->parent - oldest + 1);
	}
}

void
m_canonical(struct m_world *w)
{
	for (int i = 0; i < m_run.nodes; i++) {
		forget(w, i);
		forget_settings(w, i);
		forget_terms(w, i);
	}
	prune_lines(w);
	shift_timelines(w);
	rank_positions(w);
	rank_terms(w);
	rank_generations(w);
	rank_sequences(w);
}

/* -- the beginning -- */

static void
add_node(struct m_world *w, int i)
{
	struct m_row *row = &w->m.row[i];
	struct m_host *h = &w->h[i];

	memset(row, 0, sizeof *row);
	row->present = row->quorum = 1;
	row->priority = 50;
	row->said.state = row->goal = FSM_INIT;
	memset(h, 0, sizeof *h);
	h->exists = h->up = h->keeper = 1;
	h->current = h->goal = FSM_INIT;
}

/* Registered, nothing built. */
void
m_first(struct m_world *w)
{
	memset(w, 0, sizeof *w);
	w->faults = (uint8_t)m_run.faults;
	w->delays = (uint8_t)m_run.delays;
	w->ops = (uint8_t)m_run.ops;
	w->commits = (uint8_t)m_run.commits;
	for (int i = 0; i < m_run.nodes; i++)
		add_node(w, i);
}

void
m_start_keeper(struct m_host *h)
{
	h->keeper = 1;
}

/* -- what may happen -- */

struct out {
	m_emit *emit;
	void *arg;
	bool idle; /* nobody has anything to do: time passes */
	int busy;  /* steps that are taken at once */
};

/* Steps that cost the adversary nothing but time. */
#define TAKES_TIME                                                                       \
	(1U << M_PROMPT | 1U << M_HOPELESS | 1U << M_TICK | 1U << M_GIVE_UP |            \
	    1U << M_LEASE_ENDS | 1U << M_START_KEEPER | 1U << M_START_HOST |             \
	    1U << M_HEAL | 1U << M_JOIN | 1U << M_MONITOR_UP)

static void
emit(struct m_world *next, enum m_kind kind, int a, int b, struct out *o)
{
	struct m_label label = {
		.kind = (uint8_t)kind, .a = (uint8_t)a, .b = (uint8_t)b
	};

	if (!o->idle && TAKES_TIME >> kind & 1)
		return;
	m_ticks(next);
	o->emit(o->arg, next, &label);
}

/* A decision that time alone brings about is later than one that is due. */
static void
emit_decision(void *arg, struct m_world *next, const struct m_label *label)
{
	const struct out *o = arg;
	const struct m_look *l = &label->look;
	bool late = l->timers || l->phase || l->lease_over;

	for (int i = 0; i < m_run.nodes; i++)
		late |= l->level[i] > 0 && !(l->falsely >> i & 1);
	if (o->idle || !late)
		o->emit(o->arg, next, label);
}

static void
act_dies(const struct m_world *w, int i, struct out *o)
{
	struct m_world next = *w;

	next.faults--;
	next.h[i].keeper = 0;
	emit(&next, M_ACT_KEEPER_DIES, i, 0, o);
	next = *w;
	next.faults--;
	next.h[i].keeper = next.h[i].up = 0;
	m_crash(&next.h[i]);
	emit(&next, M_ACT_HOST_DIES, i, 0, o);
}

/* Does nobody see the difference, as long as the keeper lives? */
static bool
is_quiet(const struct m_host *a, const struct m_host *b)
{
	struct m_host x = *a;

	if (b->act == FSM_ACT_NOTHING)
		return false;
	x.guard_file = b->guard_file;
	x.stage = b->stage;
	x.final = b->final;
	x.clean = b->clean;
	if (x.pg == M_PG_DOWN)
		x.upstream = b->upstream;
	return memcmp(&x, b, sizeof x) == 0;
}

/* On to where others see a difference; it may die at any point on the way. */
static void
act_goes_on(const struct m_world *w, int i, int variant, struct out *o)
{
	struct m_world next = *w;
	struct m_world was = *w;
	enum m_progress p;

	/* that a walsender is cut off before the end is a fault */
	if (variant && w->faults == 0)
		return;
	p = m_act(&next, i, variant);
	if (p == M_BLOCKED)
		return;
	next.faults = (uint8_t)(next.faults - (variant != 0));
	/* what fails is tried again later; who is slow takes its time */
	o->busy += p == M_STEPPED && !variant && !(w->slow >> i & 1);
	while (is_quiet(&was.h[i], &next.h[i])) {
		was = next;
		if (was.faults > 0)
			act_dies(&was, i, o);
		if (!m_act(&next, i, variant))
			break;
	}
	emit(&next, M_ACT, i, variant, o);
}

static void
reports_get_late(const struct m_world *w, int i, struct out *o)
{
	struct m_world next = *w;

	if (w->slow >> i & 1) {
		next.slow ^= (uint8_t)(1 << i);
		emit(&next, M_PROMPT, i, 0, o);
	} else if (w->delays > 0 && m_connected(w, i) && w->h[i].exists) {
		next.slow ^= (uint8_t)(1 << i);
		next.delays--;
		emit(&next, M_SLOW, i, 0, o);
	}
}

static void
keeper_waits(const struct m_world *w, int i, struct out *o)
{
	struct m_world next = *w;
	struct m_report r;

	m_fill_report(w, i, &r);
	if (r.retrying && w->h[i].keeper) {
		next.h[i].hopeless = 1;
		emit(&next, M_HOPELESS, i, 0, o);
	}
	next = *w;
	if (m_alone(w, i) && m_tick(&next, i, true))
		emit(&next, M_TICK, i, 1, o);
	next = *w;
	if (m_give_up(&next, i))
		emit(&next, M_GIVE_UP, i, 0, o);
}

static void
late_reports(const struct m_world *w, int i, struct out *o)
{
	struct m_world next;

	if (w->h[i].late && !w->monitor_down) {
		next = *w;
		if (w->m.row[i].present)
			m_store_report(&next, i, &w->h[i].late_report);
		next.h[i].late = 0;
		emit(&next, M_LATE_REPORT, i, 0, o);
	}
	if (m_run.late_reports && !w->h[i].late && w->faults > 0 && m_connected(w, i) &&
	    w->h[i].exists && w->m.row[i].present) {
		next = *w;
		m_fill_report(w, i, &next.h[i].late_report);
		next.h[i].late = 1;
		next.faults--;
		emit(&next, M_HOLD_REPORT, i, 0, o);
	}
}

/* What runs does what it has to do. */
static void
postgres_runs(const struct m_world *w, int i, struct out *o)
{
	const struct m_host *h = &w->h[i];
	struct m_world next;

	if (h->pg == M_PG_RW && memcmp(&h->force, &h->conf, sizeof h->conf) != 0) {
		next = *w;
		next.h[i].force = h->conf;
		m_ack(&next, i);
		o->busy++;
		emit(&next, M_RELOAD, i, 0, o);
	}
	for (int q = 0; q < m_run.nodes; q++)
		if (q != i && m_streams(w, q, i) &&
		    (w->h[q].line != h->line || w->h[q].lsn != h->lsn)) {
			next = *w;
			m_ship(&next, i, q);
			o->busy++;
			emit(&next, M_SHIP, i, q, o);
		}
}

static void
clients_move(const struct m_world *w, int i, struct out *o)
{
	const struct m_host *h = &w->h[i];
	struct m_world next = *w;

	if (m_open(h) && w->commits > 0) {
		next.commits--;
		next.h[i].lsn++;
		m_ack(&next, i);
		emit(&next, M_COMMIT, i, 0, o);
	}
	next = *w;
	if (h->lease == M_LEASE_HELD && (!m_connected(w, i) || w->m.op.revoked)) {
		next.h[i].lease = M_LEASE_OVER;
		if (!h->keeper && m_run.guarded_lease && h->pg == M_PG_RW)
			m_crash(&next.h[i]);
		emit(&next, M_LEASE_ENDS, i, 0, o);
	}
}

static void
deaths(const struct m_world *w, int i, struct out *o)
{
	const struct m_host *h = &w->h[i];
	struct m_world next;

	if (h->up && h->exists && w->faults > 0) {
		next = *w;
		next.faults--;
		next.h[i].up = next.h[i].keeper = 0;
		m_crash(&next.h[i]);
		emit(&next, M_KILL_HOST, i, 0, o);
	}
	if (h->keeper && h->exists && w->faults > 0) {
		next = *w;
		next.faults--;
		next.h[i].keeper = 0;
		emit(&next, M_KILL_KEEPER, i, 0, o);
	}
	if (h->pg != M_PG_DOWN && w->faults > 0) {
		next = *w;
		next.faults--;
		m_crash(&next.h[i]);
		emit(&next, M_KILL_PG, i, 0, o);
	}
	if (!h->up && !h->gone) {
		next = *w;
		next.h[i].up = 1;
		m_start_keeper(&next.h[i]);
		emit(&next, M_START_HOST, i, 0, o);
	} else if (h->up && h->exists && !h->keeper) {
		next = *w;
		m_start_keeper(&next.h[i]);
		emit(&next, M_START_KEEPER, i, 0, o);
	}
}

static void
links(const struct m_world *w, int i, struct out *o)
{
	struct m_world next = *w;
	bool cut = w->cut >> i & 1;

	next.cut ^= (uint8_t)(1 << i);
	if (!cut && w->faults > 0)
		next.faults--;
	if (cut || w->faults > 0)
		emit(&next, cut ? M_HEAL : M_CUT, i, 0, o);
	for (int j = i + 1; j < m_run.nodes; j++) {
		bool apart = w->apart >> m_pair(i, j) & 1;

		next = *w;
		next.apart ^= (uint8_t)(1 << m_pair(i, j));
		if (!apart && w->faults > 0)
			next.faults--;
		if (apart || w->faults > 0)
			emit(&next, apart ? M_JOIN : M_SPLIT, i, j, o);
	}
}

static void
monitor_process(const struct m_world *w, struct out *o)
{
	struct m_world next = *w;

	if (!w->monitor_down && w->faults == 0)
		return;
	next.monitor_down = !w->monitor_down;
	if (!w->monitor_down)
		next.faults--;
	emit(&next, w->monitor_down ? M_MONITOR_UP : M_MONITOR_DOWN, 0, 0, o);
}

/* Has it anything to say, or to be told? */
static bool
has_news(const struct m_world *w, int i, struct m_world *next)
{
	if (!m_connected(w, i) || !w->h[i].exists || w->slow >> i & 1)
		return false;
	*next = *w;
	m_exchange(next, i);
	m_ticks(next);
	m_canonical(next);
	return memcmp(next, w, sizeof *next) != 0;
}

/*
 * Keepers report at once what is new, and the monitor decides at once; an
 * adversary who wants it otherwise pays for it. True: this comes first, and
 * only what may prevent it is of interest.
 */
static bool
news(const struct m_world *w, struct out *o)
{
	struct m_world next;

	for (int i = 0; i < m_run.nodes; i++) {
		if (!has_news(w, i, &next))
			continue;
		emit(&next, M_EXCHANGE, i, 0, o);
		if (w->faults > 0) {
			next = *w;
			m_exchange(&next, i);
			next.h[i] = w->h[i];
			next.faults--;
			next.slow |= (uint8_t)(1 << i);
			emit(&next, M_LOST_REPLY, i, 0, o);
		}
		deaths(w, i, o);
		links(w, i, o);
		reports_get_late(w, i, o);
		monitor_process(w, o);
		return true;
	}
	if (w->monitor_down || !m_decides_now(w))
		return false;
	m_decide_each(w, emit_decision, o);
	return true;
}

/* -- the operator -- */

enum {
	OP_FAILOVER,
	OP_FAILOVER_LOSS,
	OP_NSS,
	OP_OF_NODE, /* the rest, times the nodes */
	OP_PROMOTION = 0,
	OP_MAINTENANCE_ON,
	OP_MAINTENANCE_OFF,
	OP_REMOVE,
	OP_REMOVE_FORCE,
	OP_PRIORITY,
	OP_QUORUM,
	OP_ADD,
	OP_KINDS
};

static const char *const operation[] = { "promotion of", "maintenance on for",
	"maintenance off for", "remove", "remove with force", "priority of", "quorum of",
	"add" };

void
m_operator_text(int which, char *to, size_t size)
{
	if (which < OP_OF_NODE)
		snprintf(to, size, "%s",
		    which == OP_NSS        ? "number_sync_standbys"
		    : which == OP_FAILOVER ? "failover"
					   : "failover, loss allowed");
	else
		snprintf(to, size, "%s node %d",
		    operation[(which - OP_OF_NODE) % OP_KINDS],
		    (which - OP_OF_NODE) / OP_KINDS + 1);
}

static bool
ask(struct m_world *w, enum fsm_request_kind kind, int node, bool loss_or_force)
{
	struct m_request *r = &w->m.request;

	if (r->kind != FSM_REQ_NONE)
		return false; /* one after the other */
	r->kind = (uint8_t)kind;
	r->node = (uint8_t)node;
	r->allow_loss = kind == FSM_REQ_FAILOVER && loss_or_force;
	r->force = kind == FSM_REQ_REMOVE && loss_or_force;
	return true;
}

/* Quorum standbys besides the writer, as the SQL functions count them. */
static int
quorum_standbys(const struct m_world *w)
{
	int count = 0;

	for (int i = 0; i < m_run.nodes; i++)
		count += w->m.row[i].present && w->m.row[i].quorum;
	return count - 1;
}

static bool
set_nss(struct m_world *w)
{
	if (w->m.nss == 0 && quorum_standbys(w) < 2)
		return false;
	w->m.nss = !w->m.nss;
	w->m.dirty = 1;
	return true;
}

static bool
is_class_sync(const struct m_world *w)
{
	for (int c = 0; c < w->m.nconfigs; c++)
		if (w->m.config[c].names.k == 0)
			return false;
	return w->m.nconfigs > 0;
}

static bool
operate_on(struct m_world *w, int what, int i)
{
	struct m_row *row = &w->m.row[i];

	if (what == OP_ADD) {
		if (row->present || w->h[i].exists || w->h[i].gone ||
		    w->h[i].pg != M_PG_DOWN || w->m.op.old_writer == i + 1)
			return false; /* an id is not used again while it means somebody
				       */
		add_node(w, i);
		return true;
	}
	if (!row->present)
		return false;
	switch (what) {
	case OP_PROMOTION:
		return ask(w, FSM_REQ_PROMOTION, i + 1, false);
	case OP_MAINTENANCE_ON:
		return ask(w, FSM_REQ_MAINTENANCE_ON, i + 1, false);
	case OP_MAINTENANCE_OFF:
		return ask(w, FSM_REQ_MAINTENANCE_OFF, i + 1, false);
	case OP_REMOVE:
		return ask(w, FSM_REQ_REMOVE, i + 1, false);
	case OP_REMOVE_FORCE: /* the operator has seen to it that it is dead */
		if (w->h[i].up)
			return false;
		w->h[i].gone = 1;
		/* ... and that writes which nobody has to confirm may die with it */
		if (w->m.writer == i + 1 && !is_class_sync(w))
			w->loss = 1;
		return ask(w, FSM_REQ_REMOVE, i + 1, true);
	case OP_PRIORITY:
		row->priority = row->priority ? 0 : 50;
		break;
	default:
		if (row->quorum && w->m.nss > 0 && quorum_standbys(w) - 1 < w->m.nss + 1)
			return false;
		row->quorum = !row->quorum;
	}
	w->m.dirty = 1;
	return true;
}

static bool
operate(struct m_world *w, int which)
{
	int rest = which - OP_OF_NODE;

	if (which == OP_NSS)
		return set_nss(w);
	if (rest < 0)
		return ask(w, FSM_REQ_FAILOVER, 0, which == OP_FAILOVER_LOSS);
	return operate_on(w, rest % OP_KINDS, rest / OP_KINDS);
}

static void
operators(const struct m_world *w, struct out *o)
{
	if (w->ops == 0 || w->monitor_down)
		return;
	for (int which = 0; which < OP_OF_NODE + OP_KINDS * m_run.nodes; which++) {
		struct m_world next = *w;

		next.ops--;
		if (operate(&next, which))
			emit(&next, M_OPERATOR, which, 0, o);
	}
}

/*
 * With m_run.prompt all that happens by itself happens at once, and time passes only
 * when nothing is left to do: machines are faster than timers, repairs and operators'
 * patience. Faults, commits and operations still come at any point between; that
 * somebody is slow at what it does is one of the faults. In which order different
 * machines do what they have to do remains open.
 */
void
m_expand(const struct m_world *w, m_emit *f, void *farg)
{
	struct out o = { .emit = f, .arg = farg, .idle = !m_run.prompt };

	if (news(w, &o))
		return;
	for (int i = 0; i < m_run.nodes; i++) {
		act_goes_on(w, i, 0, &o);
		act_goes_on(w, i, 1, &o);
		postgres_runs(w, i, &o);
	}
	o.idle |= o.busy == 0;
	monitor_process(w, &o);
	for (int i = 0; i < m_run.nodes; i++) {
		deaths(w, i, &o);
		links(w, i, &o);
		reports_get_late(w, i, &o);
		keeper_waits(w, i, &o);
		clients_move(w, i, &o);
		late_reports(w, i, &o);
	}
	operators(w, &o);
	if (!w->monitor_down)
		m_decide_each(w, emit_decision, &o);
}
