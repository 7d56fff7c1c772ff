/* All decisions: the table is applied to a copy of the group until nothing fires. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "fsm/rules.h"

#include "ini/ban.h"

#define BIT(f) (UINT64_C(1) << (f))
#define RW                                                                               \
	(FSM_BIT(SINGLE) | FSM_BIT(WAIT_PRIMARY) | FSM_BIT(PRIMARY) |                    \
	    FSM_BIT(JOIN_PRIMARY) | FSM_BIT(APPLY_SETTINGS))
/* states whose names go into synchronous_standby_names */
#define COUNTED                                                                          \
	(FSM_BIT(SECONDARY) | FSM_BIT(MAINTENANCE) | FSM_BIT(WAIT_MAINTENANCE) |         \
	    FSM_BIT(REPORT_LSN) | FSM_BIT(JOIN_SECONDARY))

/* Phases of an operation; each has a clock of its own. */
enum phase { PHASE_DRAIN = 1, PHASE_ASK, PHASE_PREPARE, PHASE_PROMOTE, PHASE_OPEN };

struct work {
	struct fsm_group *g; /* plan->next */
	struct fsm_plan *plan;
	struct facts f;
	uint32_t assigned; /* nodes that got a goal in this decision, by index */
	bool crowned;      /* the new writer's configuration is granted already */
};

/* Who plays which part in a rule that fires; -1: nobody. */
struct cast {
	int x;
	int w;
	int c;
};

static bool
in(enum fsm_state s, uint32_t mask)
{
	return mask >> s & 1;
}

static const char *
name_of(const struct fsm_group *g, int i)
{
	return i < 0 ? "nobody" : g->node[i].name;
}

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The sentence of a rule with the names of those it is about. */
static void
tell(const struct work *w, const struct cast *a, const char *why, char to[FSM_TEXT_MAX])
{
	size_t used = 0;
	char before = ' ';

	for (const char *p = why; *p && used + 1 < FSM_TEXT_MAX; before = *p++) {
		char one[2] = { *p, '\0' };
		const char *word = one;
		size_t n;

		if (!is_word(before) && !is_word(p[1])) {
			if (*p == 'X')
				word = name_of(w->g, a->x);
			else if (*p == 'W')
				word = name_of(w->g, a->w);
			else if (*p == 'C')
				word = name_of(w->g, a->c);
			else if (*p == 'E')
				word = w->f.elect.why;
		}
		n = strnlen(word, FSM_TEXT_MAX - 1 - used);
		memcpy(to + used, word, n);
		used += n;
	}
	to[used] = '\0';
}

/* ---- configurations of synchronous_standby_names ---- */

static void
add_member(struct fsm_config *c, const struct fsm_group *g, const struct fsm_node *n)
{
	int at = c->n++;

	while (at > 0) {
		const struct fsm_node *o = fsm_node_peek(g, c->member[at - 1]);

		if (o->priority > n->priority ||
		    (o->priority == n->priority && o->id < n->id))
			break;
		c->member[at] = c->member[at - 1];
		at--;
	}
	c->member[at] = n->id;
}

/*
 * What the writer is to have in force in that state. Names stay listed while
 * their node is down or in maintenance; a node that has no copy yet is not
 * named, because a failover would then wait for its word.
 */
static void
wanted_config(const struct fsm_group *g, enum fsm_state goal, bool new_writer,
    struct fsm_config *to)
{
	const struct fsm_config *last = g->nconfigs ? &g->config[g->nconfigs - 1] : NULL;
	int promised = 0;

	*to = (struct fsm_config){ .gen = last ? last->gen + 1 : 1 };
	if (goal == FSM_SINGLE || (goal == FSM_WAIT_PRIMARY && g->nss == 0))
		return;
	for (int i = 0; new_writer && i < g->n; i++)
		promised += g->node[i].quorum && g->node[i].id != g->writer &&
			    g->node[i].goal != FSM_MAINTENANCE &&
			    facts_member(&g->node[i]) && facts_promised(g, &g->node[i]);
	/* who accepts a loss wants to write now, and not when standbys are back */
	if (new_writer && g->op.allow_loss && promised < g->nss)
		return;
	if (!new_writer && goal == FSM_WAIT_PRIMARY && last && last->k == 0)
		return;
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];
		bool counts =
		    in(n->goal, COUNTED) ||
		    (!new_writer && last && last->k > 0 && facts_listed(last, n->id));

		if (new_writer && promised >= g->nss)
			counts = facts_promised(g, n);
		if (n->quorum && n->id != g->writer && facts_member(n) && counts)
			add_member(to, g, n);
	}
	if (to->n > 0)
		to->k = g->nss < 1 ? 1 : g->nss;
	/* fewer than that would block for ever: whoever has a copy may help */
	for (int i = 0; to->n < to->k && i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (n->quorum && n->id != g->writer && facts_member(n) &&
		    !in(n->goal, FSM_BIT(INIT) | FSM_BIT(WAIT_STANDBY)) &&
		    !facts_listed(to, n->id))
			add_member(to, g, n);
	}
}

static bool
same_config(const struct fsm_config *a, const struct fsm_config *b)
{
	return a->k == b->k && a->n == b->n &&
	       memcmp(a->member, b->member, (size_t)a->n * sizeof a->member[0]) == 0;
}

/* Add what the writer needs in that state to what may be in force; false: no room. */
static bool
grant_config(struct fsm_group *g, enum fsm_state goal, bool only_try)
{
	struct fsm_config c;

	if (goal != FSM_SINGLE && goal != FSM_WAIT_PRIMARY && goal != FSM_PRIMARY)
		return true;
	wanted_config(g, goal, false, &c);
	if (g->nconfigs > 0 && same_config(&c, &g->config[g->nconfigs - 1]))
		return true;
	if (g->nconfigs == FSM_CONFIGS_MAX)
		return false;
	if (!only_try)
		g->config[g->nconfigs++] = c;
	return true;
}

/*
 * What the writer has confirmed replaces everything before it. Where commits waited for a
 * standby and do not any more, those that did are as safe as they were told to be.
 */
static void
drop_configs(struct fsm_group *g)
{
	const struct fsm_node *w = fsm_node_peek(g, g->writer);
	int keep = 0;
	bool was_sync = false;

	if (!w || !g->nconfigs)
		return;
	while (keep < g->nconfigs - 1 && (g->config[keep].gen < w->applied_gen ||
					     !facts_guard(FSM_GUARD_CONFIG_CONFIRMED))) {
		was_sync |= g->config[keep].k > 0;
		keep++;
	}
	if (keep > 0 && g->config[keep].k > 0)
		g->floor_lsn = 0; /* who confirms has it all */
	else if (was_sync && w->lsn > g->floor_lsn)
		g->floor_lsn = w->lsn;
	g->nconfigs -= keep;
	memmove(g->config, g->config + keep, (size_t)g->nconfigs * sizeof g->config[0]);
}

/* ---- timelines ---- */

static void
note_timeline(struct fsm_group *g, const struct fsm_node *n)
{
	struct fsm_lineage l = { n->tli, n->promise_tli, n->promise_lsn };
	int i = 0;

	if (n->tli <= n->promise_tli || n->promise_tli == 0)
		return;
	while (i < g->nlineage && g->lineage[i].tli != n->tli)
		i++;
	if (i == FSM_LINEAGE_MAX)
		return;
	g->lineage[i] = l;
	if (i == g->nlineage)
		g->nlineage++;
}

/*
 * Two promotions from the same timeline give theirs the same number (xlog.c takes the
 * next one that it has no history file of). One of the two is no part of the accepted
 * history: a node on it holds of that what it held before.
 */
static void
note_fork(struct fsm_node *n, int tli)
{
	bool tells = n->promise_tli && n->promise_tli < tli;

	if (n->fork_tli)
		return;
	n->fork_tli = tells ? n->promise_tli : tli;
	n->fork_lsn = tells ? n->promise_lsn : 0;
}

/* It follows the accepted history, or its own is that now. */
static void
heal_fork(struct fsm_node *n)
{
	n->fork_tli = 0;
	n->fork_lsn = 0;
}

/* Who has the number of the new writer's timeline already got it by itself: to follow
 * n, nobody was told before now. */
static void
note_namesakes(struct fsm_group *g, const struct fsm_node *n)
{
	for (int j = 0; n->tli && j < g->n; j++)
		if (&g->node[j] != n && g->node[j].tli == n->tli)
			note_fork(&g->node[j], n->tli);
}

/* Nothing was confirmed on it yet. */
static void
begin_timeline(struct fsm_group *g, int tli)
{
	if (tli)
		g->writer_tli = tli;
	g->floor_lsn = 0;
}

/* Timelines begin before they count: a candidate's may come to nothing, a lonely
 * standby's is told late. */
static void
follow_timelines(struct fsm_group *g)
{
	const struct fsm_node *w = fsm_node_peek(g, g->writer);
	const struct fsm_node *c = fsm_node_peek(g, g->op.candidate);

	if (c && c->reported == FSM_STOP_REPLICATION)
		note_timeline(g, c);
	for (int i = 0; i < g->n; i++)
		if (g->node[i].streaming && g->node[i].attached &&
		    g->node[i].tli == g->writer_tli)
			heal_fork(&g->node[i]);
	if (!w || !in(w->reported, RW) || !w->tli || w->tli == g->writer_tli)
		return;
	note_timeline(g, w);
	begin_timeline(g, w->tli);
}

/* ---- effects ---- */

static void
enter_phase(struct fsm_group *g, enum phase p)
{
	if (g->op.phase == (int)p)
		return;
	g->op.phase = (int)p;
	g->op.phase_age_ms = 0;
}

static void
open_op(struct work *w, unsigned effects, int64_t candidate)
{
	struct fsm_group *g = w->g;
	const struct fsm_request *r = &g->request;
	bool asked = r->kind != FSM_REQ_NONE && r->outcome == FSM_OUTCOME_PENDING;

	g->op = (struct fsm_op){
		.kind = effects & DO_OPEN_SWITCH ? FSM_OP_SWITCH : FSM_OP_ELECT,
		.planned = effects & DO_PLANNED,
		.maintenance = effects & DO_MAINTENANCE,
		.allow_loss = asked && r->allow_loss,
		.writer_gone = w->f.writer < 0,
		.revoked = true,
		.since = ++g->term,
		.old_writer = w->f.writer < 0 ? 0 : g->writer,
		.candidate = candidate,
		.preferred = asked && r->kind == FSM_REQ_PROMOTION ? r->node : 0,
	};
	enter_phase(g, PHASE_DRAIN);
	w->plan->failover |= !asked && !g->op.planned && !g->op.writer_gone;
}

/* Another lease generation: its parity says whether the lease is finite. */
static void
set_lease(struct fsm_group *g, bool finite)
{
	g->lease_gen++;
	if ((g->lease_gen % 2 != 0) != finite)
		g->lease_gen++;
}

static bool
has_promotable(const struct fsm_group *g)
{
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (facts_member(n) && n->id != g->writer && n->priority > 0 &&
		    in(n->goal, FSM_BIT(SECONDARY) | FSM_BIT(REPORT_LSN) |
				    FSM_BIT(JOIN_SECONDARY)))
			return true;
	}
	return false;
}

/* One configuration of the new writer replaces everything that was granted to the old
 * one. */
static void
replace_configs(struct fsm_group *g, enum fsm_state goal)
{
	struct fsm_config c;

	wanted_config(g, goal, true, &c);
	g->config[0] = c;
	g->nconfigs = 1;
	set_lease(g, c.k == 0 && has_promotable(g));
}

static void
crown(struct work *w, int i)
{
	struct fsm_group *g = w->g;
	struct fsm_node *n = &g->node[i];

	g->writer = n->id;
	g->op.revoked = false;
	note_namesakes(g, n);
	heal_fork(n);
	g->accepted_tli = 0;
	note_timeline(g, n);
	begin_timeline(g, n->tli);
	enter_phase(g, PHASE_OPEN);
	replace_configs(g, FSM_WAIT_PRIMARY);
	w->crowned = true;
}

static void
found(struct work *w, int i)
{
	struct fsm_group *g = w->g;

	g->writer = g->node[i].id;
	heal_fork(&g->node[i]);
	g->term++;
	g->op = (struct fsm_op){ .kind = FSM_OP_NONE };
	g->accepted_tli = 0;
	begin_timeline(g, g->node[i].tli);
	replace_configs(g, FSM_SINGLE);
	w->crowned = true;
}

static void
give_up_candidate(struct fsm_group *g)
{
	struct fsm_node *c = fsm_node_find(g, g->op.candidate);

	if (c && c->id != g->writer && g->op.phase == PHASE_PROMOTE)
		note_fork(c, c->promise_tli + 1);
}

static void
forget_candidate(struct fsm_group *g)
{
	give_up_candidate(g);
	g->op.kind = FSM_OP_ELECT;
	g->op.candidate = 0;
	g->op.source = 0;
	g->op.target_lsn = 0;
	enter_phase(g, PHASE_ASK);
}

/* It leaves in the middle of its promotion, or right after it has begun to write. */
static void
drop_candidate(struct work *w)
{
	if (w->f.candidate == w->f.writer) {
		w->g->op = (struct fsm_op){ .kind = FSM_OP_NONE };
		return;
	}
	forget_candidate(w->g);
	w->g->term++;
}

static void
delete_node(struct work *w, int i)
{
	struct fsm_group *g = w->g;
	struct fsm_node *n = &g->node[i];

	n->dead = true;
	if (g->op.kind != FSM_OP_NONE && g->op.old_writer == n->id)
		g->op.writer_gone = true;
	if (g->writer == n->id && g->op.candidate == n->id)
		g->op =
		    (struct fsm_op){ .kind = FSM_OP_NONE }; /* its own coming is over */
	if (g->writer == n->id)
		g->writer = 0;
}

/* Fewer standbys than number_sync_standbys asks for would block commits for ever. */
static void
repair_nss(struct fsm_group *g)
{
	int quorum = -1; /* one of them is the primary */

	for (int i = 0; i < g->n; i++)
		quorum += facts_member(&g->node[i]) && g->node[i].quorum;
	if (quorum < g->nss + 1)
		g->nss = quorum > 1 ? quorum - 1 : 0;
}

static void
register_node(struct fsm_group *g)
{
	int standbys = 0;

	for (int i = 0; i < g->n; i++)
		standbys += facts_member(&g->node[i]) && g->node[i].quorum &&
			    g->node[i].id != g->writer;
	if (g->nss == 0 && standbys == 2)
		g->nss = 1;
}

/* Does the writer have to be told that X counts now? */
static bool
is_news(const struct fsm_group *g, const struct fsm_node *n)
{
	const struct fsm_node *w = fsm_node_peek(g, g->writer);
	const struct fsm_config *last = g->nconfigs ? &g->config[g->nconfigs - 1] : NULL;

	return n->quorum && w && w->goal == FSM_PRIMARY && last &&
	       (last->k == 0 || !facts_listed(last, n->id));
}

static void
warn_of_waits(struct work *w, int i)
{
	struct fsm_group *g = w->g;
	int others = 0;

	for (int j = 0; j < g->n; j++) {
		const struct fsm_node *n = &g->node[j];

		others += j != i && n->quorum && n->goal == FSM_SECONDARY &&
			  (w->f.node[j] & BIT(FACT_OK));
	}
	if (g->nss > 0 && others < g->nss)
		snprintf(g->request.text, sizeof g->request.text,
		    "Starting maintenance on %s will block writes on the primary",
		    g->node[i].name);
}

static void
do_operation(struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	struct fsm_group *g = w->g;
	unsigned e = r->effects;

	if (e & (DO_OPEN_SWITCH | DO_OPEN_ELECT))
		open_op(w, e, e & DO_OPEN_SWITCH ? g->node[a->x].id : 0);
	if (e & DO_ALLOW) {
		g->op.allow_loss |= g->request.allow_loss;
		if (g->request.kind == FSM_REQ_PROMOTION)
			g->op.preferred = g->request.node;
	}
	if (e & (DO_ASK | DO_PROMOTE) && g->op.planned && !facts_old_writer_stopped(g))
		g->op.planned = false; /* it had its time */
	if (e & DO_ASK)
		enter_phase(g, PHASE_ASK);
	if (e & DO_CHOOSE) {
		g->op.candidate = g->node[a->x].id;
		g->op.source = e & DO_FETCH ? w->f.elect.source : 0;
		g->op.target_lsn = e & DO_FETCH ? w->f.elect.target_lsn : 0;
		enter_phase(g, PHASE_PREPARE);
	}
	if (e & DO_PROMOTE) {
		if (g->op.kind == FSM_OP_SWITCH && g->op.planned && a->w >= 0)
			g->op.target_lsn = g->node[a->w].final_lsn;
		enter_phase(g, PHASE_PROMOTE);
	}
	if (e & DO_EXCLUDE)
		g->op.excluded = g->node[a->x].id;
	if (e & DO_FORGET)
		forget_candidate(g);
	if (e & DO_DROP_CANDIDATE && a->x >= 0 && a->x == w->f.candidate)
		drop_candidate(w);
	if (e & DO_CLOSE) {
		give_up_candidate(g);
		g->op = (struct fsm_op){ .kind = FSM_OP_NONE };
	}
	if (e & DO_TERM)
		g->term++;
}

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * The tables are older than the nodes. Everything that counts goes on from above what any
 * node has seen, so that nothing said or promised before is taken for an answer, and
 * what may be in force at the writer is not known until it has confirmed something new.
 */
static void
relearn(struct fsm_group *g)
{
	int64_t gen = facts_last_gen(g);

	for (int i = 0; i < g->n; i++) {
		struct fsm_node *n = &g->node[i];

		g->term = larger(g->term,
		    larger(n->seen_term, larger(n->promise_term, n->stopped_term)));
		g->lease_gen = (int)larger(g->lease_gen, n->lease_gen);
		gen = larger(gen, n->applied_gen);
		n->goal_seq = larger(n->goal_seq, n->seen_seq) + 1;
		n->goal_age_ms = 0;
		n->lost = false;
	}
	g->term++;
	set_lease(g, false);
	g->config[0] = (struct fsm_config){ .gen = gen, .k = FSM_K_UNKNOWN };
	g->nconfigs = 1;
	g->op = (struct fsm_op){ .kind = FSM_OP_NONE };
	g->writer = 0;
	g->dirty = false;
	g->learning = true;
}

/* It goes on as it is; what it is to wait for in its commits is granted anew. Without
 * names, nobody who lacks what it has now was confirmed to have it. */
static void
learned(struct fsm_group *g, const struct fsm_node *x)
{
	g->learning = false;
	if (!x)
		return;
	g->writer = x->id;
	note_timeline(g, x);
	begin_timeline(g, x->tli);
	g->floor_lsn =
	    in(x->reported, FSM_BIT(SINGLE) | FSM_BIT(WAIT_PRIMARY)) ? x->lsn : 0;
	g->dirty = true;
}

static void
do_learning(struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	struct fsm_node *x = a->x < 0 ? NULL : &w->g->node[a->x];

	if (r->effects & DO_RELEARN)
		relearn(w->g);
	if (r->effects & DO_LEARNED)
		learned(w->g, x);
	if (r->effects & DO_ADOPT) {
		x->goal = x->reported;
		x->goal_seq++;
		x->goal_age_ms = 0;
	}
}

static void
do_settings(struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	struct fsm_group *g = w->g;
	unsigned e = r->effects;

	if (e & DO_DELETE)
		delete_node(w, a->x);
	if (e & DO_REPAIR)
		repair_nss(g);
	if (e & DO_REGISTER)
		register_node(g);
	if (e & DO_CROWN)
		crown(w, w->f.candidate);
	if (e & DO_FOUND)
		found(w, a->x);
	if (e & DO_DIRTY || (e & DO_JOIN && is_news(g, &g->node[a->x])))
		g->dirty = true;
	if (e & DO_CLEAN)
		g->dirty = false;
	if (e & DO_GRANT)
		grant_config(g, g->node[a->x].goal, false);
	if (e & (DO_JOIN | DO_LOSE))
		g->node[a->x].lost = e & DO_LOSE;
	if (e & DO_LEASE)
		set_lease(g, g->lease_gen % 2 == 0);
	if (e & DO_WARN)
		warn_of_waits(w, a->x);
	if (e & DO_ANSWER)
		g->request.outcome = FSM_OUTCOME_DONE;
}

/* ---- matching ---- */

static bool
has(fsm_facts facts, fsm_facts need, fsm_facts deny)
{
	return (facts & need) == need && !(facts & deny);
}

static bool
is_empty(const struct fsm_pattern *p)
{
	return !p->reported && !p->goal && !p->need && !p->deny;
}

static bool
fits(const struct work *w, const struct fsm_pattern *p, int i)
{
	const struct fsm_node *n;

	if (is_empty(p))
		return true;
	if (i < 0)
		return false;
	n = &w->g->node[i];
	return !n->dead && (!p->reported || in(n->reported, p->reported)) &&
	       (!p->goal || in(n->goal, p->goal)) && has(w->f.node[i], p->need, p->deny);
}

static enum fsm_state
goal_of(const struct work *w, unsigned char to)
{
	return to == RULE_DESIRED ? w->f.desired : (enum fsm_state)to;
}

/*
 * Can that node be told so now? Wherever its keeper may be, there must be an
 * edge: in the state it reports, in the goal it may have reached since, in the
 * one it may enter by itself. A node gets one goal per decision, and no other
 * before its keeper has seen it.
 */
static bool
assignable(const struct work *w, const struct fsm_rule *r, int i, unsigned char wish)
{
	const struct fsm_node *n = &w->g->node[i];
	enum fsm_state to = goal_of(w, wish);

	if (!wish || n->goal == to)
		return true;
	if (w->assigned >> i & 1)
		return false;
	if ((w->f.node[i] & BIT(FACT_FROZEN)) && !(r->flags & RULE_PREEMPT))
		return false;
	if (n->reported != to && !fsm_edge(n->reported, to))
		return false;
	if (n->goal != n->reported && n->goal != FSM_INIT && !fsm_edge(n->goal, to))
		return false;
	if (in(n->reported, RW) && to != FSM_DEMOTE_TIMEOUT &&
	    !fsm_edge(FSM_DEMOTE_TIMEOUT, to))
		return false;
	return i != w->f.writer || grant_config(w->g, to, true);
}

static bool
changes(const struct work *w, int i, unsigned char wish)
{
	return wish && i >= 0 && w->g->node[i].goal != goal_of(w, wish);
}

static bool
fires(const struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	if (a->x >= 0 && !is_empty(&r->x) && !(r->flags & RULE_OPERATOR) &&
	    (w->g->node[a->x].dead || w->f.node[a->x] & BIT(FACT_ASIDE)))
		return false;
	if (!fits(w, &r->x, a->x) || !fits(w, &r->w, a->w) || !fits(w, &r->c, a->c))
		return false;
	if (r->flags & RULE_SAY)
		return true;
	if (!changes(w, a->x, r->to.x) && !changes(w, a->w, r->to.w) &&
	    !changes(w, a->c, r->to.c) &&
	    !(r->effects & (r->to.x || r->to.w || r->to.c ? DO_ANSWER : ~0U)))
		return false;
	if (r->effects & DO_GRANT && !grant_config(w->g, w->g->node[a->x].goal, true))
		return false;
	return (a->x < 0 || assignable(w, r, a->x, r->to.x)) &&
	       (a->w < 0 || assignable(w, r, a->w, r->to.w)) &&
	       (a->c < 0 || assignable(w, r, a->c, r->to.c));
}

/* The first node that the rule is true of; for a rule about the group, once. */
static bool
find_cast(const struct work *w, const struct fsm_rule *r, struct cast *a)
{
	bool group = (r->flags & RULE_GROUP) || is_empty(&r->x);

	*a = (struct cast){ group ? w->f.writer : 0, w->f.writer, w->f.candidate };
	if (w->g->learning && !(r->flags & RULE_LEARN))
		return false;
	if (!has(w->f.group, r->need, r->deny) ||
	    (r->guard && !facts_guard((enum fsm_guard)(r->guard - 1))))
		return false;
	if (group)
		return fires(w, r, a);
	for (a->x = 0; a->x < w->g->n; a->x++)
		if (fires(w, r, a))
			return true;
	return false;
}

/* ---- firing ---- */

static struct fsm_step *
add_step(struct work *w, const struct fsm_rule *r, const struct cast *a, int i)
{
	struct fsm_step *s = &w->plan->step[w->plan->nsteps++];
	const struct fsm_node *n = &w->g->node[i < 0 ? 0 : i];

	assert(w->plan->nsteps <= FSM_STEPS_MAX);
	s->rule = r->id;
	s->node = n->id;
	s->from = s->to = n->goal;
	tell(w, a, r->why, s->text);
	return s;
}

static bool
assign(struct work *w, const struct fsm_rule *r, const struct cast *a, int i,
    enum fsm_state to)
{
	struct fsm_node *n = &w->g->node[i];

	if (n->goal == to)
		return false;
	add_step(w, r, a, i)->to = to;
	n->goal = to;
	n->goal_seq++;
	n->goal_age_ms = 0;
	w->assigned |= UINT32_C(1) << i;
	if (n->id == w->g->writer && !w->crowned) {
		grant_config(w->g, to, false);
		if (to == FSM_SINGLE || to == FSM_PRIMARY)
			w->g->dirty = false; /* it takes over everything with that */
	}
	return true;
}

/* What the operator has accepted is written down when it is used, not when it is given.
 */
static void
record_loss(struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	tell(w, a, "acknowledged writes may be lost, as allowed: E",
	    add_step(w, r, a, a->x)->text);
}

static void
fire(struct work *w, const struct fsm_rule *r, const struct cast *a)
{
	enum fsm_state x = goal_of(w, r->to.x);
	enum fsm_state writer = goal_of(w, r->to.w);
	enum fsm_state c = goal_of(w, r->to.c);
	bool told = false;

	do_learning(w, r, a);
	do_operation(w, r, a);
	if (r->effects &
	    (DO_CROWN | DO_FOUND)) /* the grants below are those of the new writer */
		do_settings(w, r, a);
	if (r->to.w)
		told |= assign(w, r, a, a->w, writer);
	if (r->to.x)
		told |= assign(w, r, a, a->x, x);
	if (r->to.c)
		told |= assign(w, r, a, a->c, c);
	if (!told)
		add_step(w, r, a, a->x);
	if (r->effects & (DO_CHOOSE | DO_FOUND) && w->f.elect.loss)
		record_loss(w, r, a);
	if (r->effects & DO_CROWN && w->g->nss > 0 && w->g->config[0].k == 0)
		tell(w, a,
		    w->g->op.allow_loss
			? "X commits alone until standbys are back, whatever "
			  "number_sync_standbys says, as allowed"
			: "X commits alone until a standby has a copy, whatever "
			  "number_sync_standbys says",
		    add_step(w, r, a, a->x)->text);
	if (!(r->effects & (DO_CROWN | DO_FOUND)))
		do_settings(w, r, a);
}

static bool
step(struct work *w)
{
	facts_read(w->g, &w->f);
	if (w->f.members == 0 && w->g->op.kind != FSM_OP_NONE) { /* of nobody */
		w->g->op = (struct fsm_op){ .kind = FSM_OP_NONE };
		facts_read(w->g, &w->f);
	}
	for (const struct fsm_rule *r = fsm_rule_list; r->id; r++) {
		struct cast a;

		if (r->flags & RULE_SAY || !find_cast(w, r, &a))
			continue;
		fire(w, r, &a);
		return true;
	}
	return false;
}

/* ---- requests ---- */

static void
refuse(struct fsm_request *r, const char *sqlstate, bool done)
{
	r->outcome = done ? FSM_OUTCOME_DONE : FSM_OUTCOME_REFUSED;
	memcpy(r->sqlstate, sqlstate, sizeof r->sqlstate);
}

static void
check_request(struct work *w)
{
	struct fsm_request *r = &w->g->request;
	struct cast a;

	if (r->kind == FSM_REQ_NONE || r->outcome != FSM_OUTCOME_PENDING)
		return;
	facts_read(w->g, &w->f);
	a = (struct cast){ w->f.target, w->f.writer, w->f.candidate };
	if (a.x < 0 && (r->node || r->kind != FSM_REQ_FAILOVER)) {
		snprintf(r->text, sizeof r->text, "couldn't find node with nodeid %lld",
		    (long long)r->node);
		refuse(r, "42704", false);
		return;
	}
	for (size_t i = 0; i < fsm_refusal_count; i++) {
		const struct fsm_refusal *f = &fsm_refusal_list[i];

		if (f->kind != r->kind || !has(w->f.group, f->need, f->deny) ||
		    !fits(w, &f->x, a.x) || !fits(w, &f->w, a.w))
			continue;
		tell(w, &a, f->text, r->text);
		refuse(r, f->sqlstate, f->done);
		return;
	}
}

static void
answer_request(struct work *w)
{
	struct fsm_request *r = &w->g->request;

	if (r->kind == FSM_REQ_NONE || r->outcome != FSM_OUTCOME_PENDING)
		return;
	snprintf(
	    r->text, sizeof r->text, "not possible in the present state of the group");
	refuse(r, "55000", false);
}

/* ---- why nothing happens ---- */

static const struct fsm_rule *
find_reason(const struct work *w, struct cast *a)
{
	for (const struct fsm_rule *r = fsm_rule_list; r->id; r++)
		if (r->flags & RULE_SAY && find_cast(w, r, a))
			return r;
	return NULL;
}

static void
say(struct work *w)
{
	struct cast a;
	const struct fsm_rule *r = find_reason(w, &a);

	if (r && r->id != w->g->said)
		add_step(w, r, &a, a.x);
	w->g->said = r ? r->id : 0;
}

void
monitor_explain(const struct fsm_group *g, char *to, size_t size)
{
	struct fsm_plan plan = { .nsteps = 0 };
	struct work w = { .g = &plan.next, .plan = &plan };
	const struct fsm_rule *r;
	struct cast a;
	char text[FSM_TEXT_MAX];

	plan.next = *g;
	facts_read(w.g, &w.f);
	r = find_reason(&w, &a);
	if (r) {
		tell(&w, &a, r->why, text);
		snprintf(to, size, "%s", text);
		return;
	}
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (n->reported == n->goal)
			continue;
		snprintf(to, size, "%s is to go from %s to %s%s", n->name,
		    fsm_state_name(n->reported), fsm_state_name(n->goal),
		    facts_fresh(n) ? "" : ", but does not report");
		return;
	}
	snprintf(to, size, "%s",
	    g->op.kind == FSM_OP_NONE ? "nothing is in progress"
				      : "an operation is in progress");
}

void
monitor_decide(const struct fsm_group *g, struct fsm_plan *plan)
{
	struct work w = { .g = &plan->next, .plan = plan };
	int left = 6 * g->n + 8;

	plan->next = *g;
	plan->nsteps = 0;
	plan->failover = false;
	drop_configs(w.g);
	follow_timelines(w.g);
	check_request(&w);
	while (step(&w)) {
		assert(left > 0); /* a rule undoes another */
		left--;
	}
	answer_request(&w);
	say(&w);
	plan->wake_in_ms = w.f.wake_ms;
}
