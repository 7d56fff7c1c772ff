/* Who is promoted: a pure choice among the nodes that have let go and reported. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "fsm/facts.h"

#include "ini/ban.h"

struct race {
	const struct fsm_group *g;
	uint32_t voters;  /* by index: promised, reported, on the accepted lineage */
	uint32_t running; /* voters that may win */
	const char
	    *answering; /* a healthy node that was asked and has not answered yet */
	int quorum_voters;
	uint64_t top;
	int top_tli;
	bool loss_allowed;
};

/* Of a voter: what it promised, exactly. */
static uint64_t
position(const struct fsm_node *n)
{
	return n->promise_lsn ? n->promise_lsn : n->lsn;
}

static int
timeline(const struct fsm_node *n)
{
	return n->promise_tli ? n->promise_tli : n->tli;
}

static bool
is_voter(const struct fsm_group *g, const struct fsm_node *n)
{
	return n->goal == FSM_REPORT_LSN && facts_stable(n) && facts_promised(g, n) &&
	       facts_on_lineage(g, timeline(n), position(n));
}

static bool
may_win(const struct fsm_group *g, const struct fsm_node *n)
{
	return (n->priority > 0 || n->id == g->op.preferred) && facts_ok(g, n);
}

static void
gather(struct race *r)
{
	const struct fsm_group *g = r->g;

	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (!facts_member(n) || n->id == g->op.old_writer)
			continue;
		if (n->goal == FSM_REPORT_LSN && facts_fresh(n) && !facts_stable(n))
			r->answering = n->name;
		if (!is_voter(g, n))
			continue;
		r->voters |= UINT32_C(1) << i;
		r->quorum_voters += n->quorum || g->nss == 0;
		if (position(n) > r->top) {
			r->top = position(n);
			r->top_tli = timeline(n);
		}
		if (may_win(g, n))
			r->running |= UINT32_C(1) << i;
	}
}

/* The old writer, cleanly stopped, left nothing that the voters do not hold. */
static bool
nothing_left_behind(const struct race *r)
{
	const struct fsm_node *o = fsm_node_peek(r->g, r->g->op.old_writer);

	return o && facts_stopped(r->g, o) && o->final_lsn && r->top >= o->final_lsn;
}

/* As many as number_sync_standbys promises, as far as there are standbys to count on. */
static int
votes_wanted(const struct fsm_group *g)
{
	int size = g->nconfigs ? g->config[g->nconfigs - 1].n : 0;
	int want = g->nss + 1;

	return size > 0 && want > size ? size : want;
}

static void
name_missing(const struct race *r, struct elect_result *to)
{
	const struct fsm_group *g = r->g;
	size_t used = (size_t)snprintf(
	    to->why, sizeof to->why, "not enough nodes have reported, missing:");

	for (int i = 0; i < g->n && used < sizeof to->why; i++) {
		const struct fsm_node *n = &g->node[i];

		if (facts_member(n) && n->id != g->op.old_writer && !(r->voters >> i & 1))
			used += (size_t)snprintf(
			    to->why + used, sizeof to->why - used, " %s", n->name);
	}
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
	if (clean || !facts_guard(FSM_GUARD_VOTES_COMPLETE))
		return true;
	if (facts_votes_missing(g, r->voters) > 0 || r->quorum_voters < votes_wanted(g) ||
	    !facts_has_start(g, r->top_tli, r->top)) {
		name_missing(r, to);
		to->loss = r->loss_allowed;
		return to->loss;
	}
	return true;
}

/* Asynchronous: the old writer's last report is all that is known of what would be lost.
 */
static bool
too_far_behind(const struct race *r, uint64_t reached)
{
	const struct fsm_node *o = fsm_node_peek(r->g, r->g->op.old_writer);
	uint64_t most = (uint64_t)r->g->settings.promote_threshold;

	if (r->loss_allowed || facts_class_sync(r->g) || !o || o->dead)
		return false;
	return o->lsn > reached + most;
}

static bool
is_better(const struct fsm_group *g, const struct fsm_node *a, const struct fsm_node *b)
{
	if (facts_guard(FSM_GUARD_EXCLUDED_STAYS_OUT) &&
	    (a->id == g->op.excluded) != (b->id == g->op.excluded))
		return b->id == g->op.excluded; /* it failed: the last choice */
	if ((a->id == g->op.preferred) != (b->id == g->op.preferred))
		return a->id == g->op.preferred;
	if (a->priority != b->priority)
		return a->priority > b->priority;
	if (position(a) != position(b))
		return position(a) > position(b);
	return a->id < b->id;
}

/* A healthy node that holds everything and is not the winner itself. */
static int64_t
source_for(const struct race *r, const struct fsm_node *winner)
{
	if (!facts_guard(FSM_GUARD_SOURCE_IS_OTHER))
		return winner->id;
	for (int i = 0; i < r->g->n; i++) {
		const struct fsm_node *n = &r->g->node[i];

		if (r->voters >> i & 1 && n != winner && position(n) == r->top &&
		    facts_ok(r->g, n))
			return n->id;
	}
	return 0;
}

static bool
try(const struct race *r, const struct fsm_node *n, struct elect_result *to)
{
	bool behind = position(n) < r->top;

	to->source = behind ? source_for(r, n) : 0;
	if (behind && !to->source && !r->loss_allowed)
		return false;
	if (too_far_behind(r, to->source ? r->top : position(n)))
		return false;
	to->target_lsn = to->source ? r->top : 0;
	to->kind = ELECT_WINNER;
	to->winner = n->id;
	if (to->loss)
		return true;
	to->loss = behind && !to->source;
	snprintf(to->why, sizeof to->why,
	    to->loss ? "%s lacks what another node has" : "%s is chosen", n->name);
	return true;
}

/* The best of those that may win; NULL when none is left. */
static const struct fsm_node *
best_of(const struct race *r)
{
	const struct fsm_node *best = NULL;

	for (int i = 0; i < r->g->n; i++) {
		const struct fsm_node *n = &r->g->node[i];

		if (r->running >> i & 1 && (!best || is_better(r->g, n, best)))
			best = n;
	}
	return best;
}

void
elect_choose(const struct fsm_group *g, struct elect_result *to)
{
	struct race r = { .g = g,
		.loss_allowed = g->op.allow_loss || !g->settings.guard_data_loss };
	const struct fsm_node *n;

	memset(to, 0, sizeof *to);
	to->kind = ELECT_WAIT;
	gather(&r);
	if (!is_complete(&r, to))
		return;
	while ((n = best_of(&r)) != NULL) {
		if (try(&r, n, to))
			return;
		r.running &= ~(UINT32_C(1) << (n - g->node));
	}
	to->kind = ELECT_NONE;
	to->source = 0;
	snprintf(to->why, sizeof to->why,
	    "no healthy node with a candidate priority above zero holds enough");
}
