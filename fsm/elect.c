/* Who is promoted: a pure choice among the nodes that have let go and reported. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "fsm/facts.h"

#include "ini/ban.h"

/* How much of the accepted history a node holds. */
struct position {
	int tli;
	uint64_t lsn;
	bool fork; /* it went on from there by itself, behind a closed door */
};

struct race {
	const struct fsm_group *g;
	struct position at[FSM_NODES_MAX];
	uint32_t voters;  /* by index: promised, reported, with such a position */
	uint32_t running; /* voters that may win */
	const char
	    *answering; /* a healthy node that was asked, and has not answered yet */
	int quorum_voters;
	struct position top;
	bool loss_allowed;
	bool any_history; /* nobody has the accepted one, and losing is allowed */
};

/*
 * A voter tells what it promised, exactly. A candidate that was promoted and
 * given up holds what it held before: nobody wrote to it since.
 */
static bool
find_position(const struct race *r, const struct fsm_node *n, struct position *to)
{
	const struct fsm_group *g = r->g;
	struct fsm_lineage l;

	*to = (struct position){ n->promise_tli ? n->promise_tli : n->tli,
		n->promise_lsn ? n->promise_lsn : n->lsn, false };
	if (n->fork_tli && !r->any_history)
		*to = (struct position){ n->fork_tli, n->fork_lsn, true };
	if (r->any_history || facts_on_lineage(g, to->tli, to->lsn))
		return true;
	if (!facts_branch(g, to->tli, &l) || to->lsn < l.switch_lsn ||
	    !facts_on_lineage(g, l.parent, l.switch_lsn))
		return false;
	*to = (struct position){ l.parent, l.switch_lsn, true };
	return true;
}

/* One that is removed meanwhile tells what it holds before it stops. One in maintenance
 * tells it if it runs, and stays there. */
static bool
has_voted(const struct fsm_group *g, const struct fsm_node *n)
{
	return (n->goal == FSM_DROPPED ||
		   ((n->goal == FSM_REPORT_LSN || n->goal == FSM_MAINTENANCE) &&
		       facts_stable(n))) &&
	       facts_promised(g, n);
}

static bool
may_win(const struct fsm_group *g, const struct fsm_node *n)
{
	return facts_member(n) && n->goal != FSM_MAINTENANCE &&
	       (n->priority > 0 || n->id == g->op.preferred) && facts_ok(g, n);
}

static void
gather(struct race *r)
{
	const struct fsm_group *g = r->g;

	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (n->dead || n->id == g->op.old_writer)
			continue;
		if (n->goal == FSM_REPORT_LSN && facts_fresh(n) && !facts_stable(n))
			r->answering = n->name;
		if (!has_voted(g, n) || !find_position(r, n, &r->at[i]))
			continue;
		r->voters |= UINT32_C(1) << i;
		r->quorum_voters += n->quorum || g->nss == 0;
		if (r->at[i].lsn > r->top.lsn)
			r->top = r->at[i];
		if (may_win(g, n))
			r->running |= UINT32_C(1) << i;
	}
}

/* The old writer, cleanly stopped, left nothing that the voters do not hold. */
static bool
nothing_left_behind(const struct race *r)
{
	const struct fsm_node *o = fsm_node_peek(r->g, r->g->op.old_writer);

	return o && facts_stopped(r->g, o) && o->final_lsn && r->top.lsn >= o->final_lsn;
}

/* As many as number_sync_standbys promises, as far as there are standbys to count on. */
static int
votes_wanted(const struct fsm_group *g)
{
	int size = g->nconfigs ? g->config[g->nconfigs - 1].n : 0;
	int want = g->nss + 1;

	return size > 0 && want > size ? size : want;
}

/* A member of a configuration possibly in force that was removed by force, or 0. */
static int64_t
find_removed(const struct fsm_group *g)
{
	for (int c = 0; c < g->nconfigs; c++)
		for (int i = 0; i < g->config[c].n; i++) {
			int64_t id = g->config[c].member[i];
			const struct fsm_node *n = fsm_node_peek(g, id);

			if ((!n || n->dead) && id != g->op.old_writer)
				return id;
		}
	return 0;
}

/* One that waits for its first copy has nothing to tell. */
static bool
has_data(const struct fsm_node *n)
{
	return n->reported != FSM_INIT && n->reported != FSM_WAIT_STANDBY;
}

static void
name_missing(const struct race *r, struct elect_result *to)
{
	const struct fsm_group *g = r->g;
	size_t used = (size_t)snprintf(
	    to->why, sizeof to->why, "not enough nodes have reported, missing:");
	size_t start = used;
	int64_t removed = find_removed(g);

	if (removed && used < sizeof to->why)
		used += (size_t)snprintf(to->why + used, sizeof to->why - used,
		    " node %lld, which was removed by force", (long long)removed);
	for (int i = 0; i < g->n && used < sizeof to->why; i++) {
		const struct fsm_node *n = &g->node[i];

		if (!n->dead && n->id != g->op.old_writer && !(r->voters >> i & 1) &&
		    has_data(n))
			used += (size_t)snprintf(to->why + used, sizeof to->why - used,
			    facts_member(n) ? " %s" : " %s, which is removed", n->name);
	}
	if (used == start)
		snprintf(to->why, sizeof to->why,
		    r->voters ? "nobody else can tell whether anything is missing"
			      : "no node has any data");
}

static bool
is_complete(struct race *r, struct elect_result *to)
{
	const struct fsm_group *g = r->g;
	bool clean = nothing_left_behind(r);

	if (r->answering &&
	    !facts_due(NULL, g->op.phase_age_ms, g->settings.election_grace_ms)) {
		snprintf(to->why, sizeof to->why, "%s is about to report", r->answering);
		return false;
	}
	if (!r->voters) {
		name_missing(r, to);
		return false;
	}
	if (r->any_history) {
		to->loss = true;
		snprintf(to->why, sizeof to->why, "nobody has the accepted history");
		return true;
	}
	if (clean || !facts_guard(FSM_GUARD_VOTES_COMPLETE))
		return true;
	if (facts_votes_missing(g, r->voters) > 0 || r->quorum_voters < votes_wanted(g) ||
	    !facts_has_start(g, r->top.tli, r->top.lsn)) {
		name_missing(r, to);
		to->loss = r->loss_allowed;
		return to->loss;
	}
	return true;
}

/*
 * Asynchronous: the old writer's last report is all that is known of what would be lost.
 * Of one that was asked to stop it is known exactly: then nothing is to be lost at all.
 */
static bool
too_far_behind(const struct race *r, uint64_t reached)
{
	const struct fsm_node *o = fsm_node_peek(r->g, r->g->op.old_writer);
	uint64_t most = (uint64_t)r->g->settings.promote_threshold;

	if (r->loss_allowed || facts_class_sync(r->g) || !o || o->dead)
		return false;
	if (r->g->op.planned && o->final_lsn > reached)
		return true;
	return o->lsn > reached + most;
}

static bool
is_better(const struct race *r, int i, int j)
{
	const struct fsm_group *g = r->g;
	const struct fsm_node *a = &g->node[i];
	const struct fsm_node *b = &g->node[j];

	if (facts_guard(FSM_GUARD_EXCLUDED_STAYS_OUT) &&
	    (a->id == g->op.excluded) != (b->id == g->op.excluded))
		return b->id == g->op.excluded; /* it failed: the last choice */
	if ((a->id == g->op.preferred) != (b->id == g->op.preferred))
		return a->id == g->op.preferred;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (r->at[i].lsn != r->at[j].lsn)
		return r->at[i].lsn > r->at[j].lsn;
	return a->id < b->id;
}

/* A healthy node that holds everything and is not the winner itself. */
static int64_t
source_for(const struct race *r, int winner)
{
	if (!facts_guard(FSM_GUARD_SOURCE_IS_OTHER))
		return r->g->node[winner].id;
	for (int i = 0; i < r->g->n; i++)
		if (r->voters >> i & 1 && i != winner && facts_member(&r->g->node[i]) &&
		    r->at[i].lsn == r->top.lsn && !r->at[i].fork &&
		    facts_ok(r->g, &r->g->node[i]))
			return r->g->node[i].id;
	return 0;
}

static bool
try(const struct race *r, int i, struct elect_result *to)
{
	bool behind = r->at[i].lsn < r->top.lsn;

	to->source = behind && !r->at[i].fork ? source_for(r, i) : 0;
	if (behind && !to->source && !r->loss_allowed)
		return false;
	if (too_far_behind(r, to->source ? r->top.lsn : r->at[i].lsn))
		return false;
	to->target_lsn = to->source ? r->top.lsn : 0;
	to->kind = ELECT_WINNER;
	to->winner = r->g->node[i].id;
	if (to->loss)
		return true;
	to->loss = behind && !to->source;
	snprintf(to->why, sizeof to->why,
	    to->loss ? "%s lacks what another node has" : "%s is chosen",
	    r->g->node[i].name);
	return true;
}

/* The best of those that may win; -1 when none is left. */
static int
best_of(const struct race *r)
{
	int best = -1;

	for (int i = 0; i < r->g->n; i++)
		if (r->running >> i & 1 && (best < 0 || is_better(r, i, best)))
			best = i;
	return best;
}

void
elect_choose(const struct fsm_group *g, struct elect_result *to)
{
	struct race r = { .g = g,
		.loss_allowed = g->op.allow_loss || !g->settings.guard_data_loss };
	int i;

	memset(to, 0, sizeof *to);
	to->kind = ELECT_WAIT;
	gather(&r);
	if (!r.voters && r.loss_allowed) {
		r.any_history = true;
		gather(&r);
	}
	if (!is_complete(&r, to))
		return;
	while ((i = best_of(&r)) >= 0) {
		if (try(&r, i, to))
			return;
		r.running &= ~(UINT32_C(1) << i);
	}
	to->kind = ELECT_NONE;
	to->source = 0;
	snprintf(to->why, sizeof to->why,
	    "no healthy node with a candidate priority above zero holds enough");
}
