/* What is true of a group and of its nodes: every judgement that rules rest on. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>

#include "fsm/facts.h"

#include "ini/ban.h"

#define FRESH_MS 1500 /* three heartbeats */
#define CLOSED_MS                                                                        \
	700 /* a closed session speaks after this: a keeper may be reconnecting */
#define HOLD_MS 5000    /* a standby that was lost counts again after this */
#define ALIVE_MS 2500   /* a standby that replied within this to the writer lives */
#define LATE_MS 10000   /* a goal that is not reached after this is talked about */
#define FAILS_MAX 3     /* attempts of a candidate before it is given up */
#define FAILOVERS_MAX 2 /* automatic ones in 5 minutes, then silence must last longer */

#define BIT(f) (UINT64_C(1) << (f))
#define RW                                                                               \
	(FSM_BIT(SINGLE) | FSM_BIT(WAIT_PRIMARY) | FSM_BIT(PRIMARY) |                    \
	    FSM_BIT(JOIN_PRIMARY) | FSM_BIT(APPLY_SETTINGS))
/* goals of nodes that could be promoted as they are */
#define PROMOTABLE                                                                       \
	(FSM_BIT(SECONDARY) | FSM_BIT(REPORT_LSN) | FSM_BIT(JOIN_SECONDARY) |            \
	    FSM_BIT(FAST_FORWARD) | FSM_BIT(PREPARE_PROMOTION) |                         \
	    FSM_BIT(STOP_REPLICATION) | FSM_BIT(WAIT_MAINTENANCE))
/* goals of nodes that commits may wait for */
#define COUNTED (PROMOTABLE | FSM_BIT(MAINTENANCE))
#define NO_DATA (FSM_BIT(INIT) | FSM_BIT(WAIT_STANDBY) | FSM_BIT(DROPPED))

static bool
in(enum fsm_state s, uint32_t mask)
{
	return mask >> s & 1;
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

bool
facts_due(int64_t *wake_ms, int64_t age_ms, int64_t limit_ms)
{
	if (age_ms >= limit_ms)
		return true;
	if (wake_ms)
		*wake_ms = smaller(*wake_ms, limit_ms - age_ms);
	return false;
}

bool
facts_member(const struct fsm_node *n)
{
	return !n->dead && n->goal != FSM_DROPPED;
}

bool
facts_fresh(const struct fsm_node *n)
{
	return n->report_age_ms <= FRESH_MS &&
	       (n->session || n->report_age_ms <= CLOSED_MS);
}

bool
facts_stable(const struct fsm_node *n)
{
	return n->reported == n->goal &&
	       (n->seen_seq >= n->goal_seq || !facts_guard(FSM_GUARD_STABLE_IS_SEEN));
}

/* The keeper speaks: it is believed, but given time to repair. */
static enum fsm_verdict
by_keeper(const struct fsm_group *g, const struct fsm_node *n, int64_t *wake)
{
	bool may_repair = (in(n->reported, RW) && n->pg_retrying) ||
			  (fsm_state_flags(n->reported) & ST_PROMOTING);
	int64_t grace = g->settings.restart_grace_ms;

	if (n->pg != FSM_PG_DOWN && n->pg != FSM_PG_STARTING)
		return FSM_VERDICT_OK;
	if (!(fsm_state_flags(n->goal) & ST_UP))
		return FSM_VERDICT_OK; /* nobody wants it to run */
	if (!(fsm_state_flags(n->reported) & ST_UP)) {
		/* on its way up: a writer must make it, a copy takes its time */
		if (in(n->goal, RW) &&
		    facts_due(wake, smaller(n->goal_age_ms, n->state_age_ms), grace))
			return FSM_VERDICT_DOWN;
		return FSM_VERDICT_SUSPECT;
	}
	if (may_repair && !facts_due(wake, n->pg_down_age_ms, grace))
		return FSM_VERDICT_SUSPECT;
	return FSM_VERDICT_DOWN;
}

struct evidence {
	bool alive;     /* somebody says that it lives */
	bool silent;    /* somebody heard nothing */
	bool asked;     /* somebody else than its keeper was asked */
	int64_t age_ms; /* since the last sign of life */
};

static void
hear(struct evidence *e, enum fsm_witness w, int64_t age_ms)
{
	if (w == FSM_WITNESS_NONE)
		return;
	e->asked = true;
	e->alive |= w == FSM_WITNESS_OK || w == FSM_WITNESS_REJECT;
	e->silent |= w == FSM_WITNESS_SILENT;
	e->age_ms = smaller(e->age_ms, age_ms);
}

static void
ask_others(const struct fsm_group *g, const struct fsm_node *n, struct evidence *e)
{
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *o = &g->node[i];
		enum fsm_witness heard = o->heard;

		if (o == n || o->dead || !facts_fresh(o))
			continue;
		if (heard == FSM_WITNESS_OK && o->heard_age_ms > FRESH_MS)
			heard = FSM_WITNESS_SILENT;
		hear(e, heard, o->heard_age_ms);
	}
}

/* The writer says that this standby streams, and has just heard from it. Not to be seen
 * from the monitor is no reason then to give it up: it confirms commits. */
static bool
writer_hears(const struct fsm_group *g, const struct fsm_node *n, int64_t *wake)
{
	const struct fsm_node *w = fsm_node_peek(g, g->writer);

	return w && w != n && !w->dead && facts_fresh(w) && n->attached &&
	       n->ack_age_ms < FSM_NEVER &&
	       !facts_due(wake, n->ack_age_ms + w->report_age_ms, ALIVE_MS + 1);
}

static bool
is_patient(const struct fsm_group *g)
{
	return g->recent_failovers >= FAILOVERS_MAX;
}

/* The keeper is silent: witnesses that agree are believed soon, others late. */
static enum fsm_verdict
by_witnesses(const struct fsm_group *g, const struct fsm_node *n, int64_t *wake)
{
	struct evidence e = { .age_ms = n->report_age_ms };
	bool probe_alive = n->probe == FSM_WITNESS_OK || n->probe == FSM_WITNESS_REJECT;
	int64_t limit = g->settings.fast_verdict_window_ms;

	e.silent = n->session || n->report_age_ms <= CLOSED_MS;
	hear(&e, n->probe, n->probe_ok_age_ms);
	if (n->id == g->writer)
		ask_others(g, n, &e);
	if (probe_alive || n->probe == FSM_WITNESS_NONE || writer_hears(g, n, wake))
		return FSM_VERDICT_SUSPECT;
	if (e.alive)
		e.age_ms = smaller(n->report_age_ms, n->probe_ok_age_ms);
	else if (!e.silent)
		return FSM_VERDICT_DOWN;
	if (e.alive || (n->id == g->writer && (!facts_class_sync(g) || is_patient(g))))
		limit = g->settings.unhealthy_timeout_ms;
	if (facts_due(wake, smaller(e.age_ms, g->watch_age_ms), limit))
		return FSM_VERDICT_DOWN;
	return FSM_VERDICT_SUSPECT;
}

static enum fsm_verdict
verdict(const struct fsm_group *g, const struct fsm_node *n, int64_t *wake)
{
	if (facts_fresh(n)) {
		facts_due(
		    wake, n->report_age_ms, n->session ? FRESH_MS + 1 : CLOSED_MS + 1);
		return by_keeper(g, n, wake);
	}
	return by_witnesses(g, n, wake);
}

enum fsm_verdict
facts_verdict(const struct fsm_group *g, const struct fsm_node *n)
{
	return verdict(g, n, NULL);
}

bool
facts_ok(const struct fsm_group *g, const struct fsm_node *n)
{
	return verdict(g, n, NULL) == FSM_VERDICT_OK;
}

/* The configurations to reckon with: all that may be in force. */
static int
first_config(const struct fsm_group *g)
{
	return facts_guard(FSM_GUARD_JOINT_CONFIGS) || !g->nconfigs ? 0 : g->nconfigs - 1;
}

bool
facts_class_sync(const struct fsm_group *g)
{
	for (int i = first_config(g); i < g->nconfigs; i++)
		if (g->config[i].k < 1)
			return false;
	return g->nconfigs > 0;
}

bool
facts_promised(const struct fsm_group *g, const struct fsm_node *n)
{
	int64_t since = facts_guard(FSM_GUARD_PROMISES_OF_THIS_OP) ? g->op.since : 1;

	/* who was removed and has stopped holds for good what it told at last */
	return g->op.kind != FSM_OP_NONE &&
	       (n->promise_term >= since ||
		   (n->reported == FSM_DROPPED && n->promise_lsn > 0));
}

static bool
is_running(const struct fsm_op *op, int64_t writer)
{
	return op->kind != FSM_OP_NONE && !(op->candidate && op->candidate == writer);
}

/* Since when a stop counts: in an operation, from its beginning on. */
static int64_t
stops_since(const struct fsm_group *g)
{
	if (!facts_guard(FSM_GUARD_STOPS_OF_THIS_OP))
		return 1;
	return is_running(&g->op, g->writer) ? g->op.since : g->term;
}

bool
facts_stopped(const struct fsm_group *g, const struct fsm_node *n)
{
	if (n->goal == FSM_DROPPED &&
	    (n->reported == FSM_DROPPED || !facts_guard(FSM_GUARD_REMOVED_STOPS)))
		return true;
	return n->stopped_term >= stops_since(g);
}

bool
facts_old_writer_stopped(const struct fsm_group *g)
{
	const struct fsm_node *o = fsm_node_peek(g, g->op.old_writer);

	return g->op.writer_gone || !o || o->dead || facts_stopped(g, o);
}

/*
 * Where a timeline branched off. Of the writer's own, its promise tells best:
 * others that held as much may have received a record that it could not
 * complete, and are no fork for that.
 */
bool
facts_branch(const struct fsm_group *g, int tli, struct fsm_lineage *to)
{
	const struct fsm_node *w = fsm_node_peek(g, g->writer);

	for (int i = 0; i < g->nlineage; i++) {
		if (g->lineage[i].tli != tli)
			continue;
		*to = g->lineage[i];
		if (w && tli == g->writer_tli && w->promise_tli == to->parent &&
		    w->promise_lsn > to->switch_lsn)
			to->switch_lsn = w->promise_lsn;
		return true;
	}
	if (!w || tli != g->writer_tli || !w->promise_tli || w->promise_tli >= tli)
		return false;
	*to = (struct fsm_lineage){ tli, w->promise_tli, w->promise_lsn };
	return true;
}

bool
facts_on_lineage(const struct fsm_group *g, int tli, uint64_t lsn)
{
	int at = g->accepted_tli ? g->accepted_tli : g->writer_tli;
	struct fsm_lineage l;

	if (!at || !tli || !facts_guard(FSM_GUARD_ONE_LINEAGE))
		return true;
	for (int left = FSM_LINEAGE_MAX; at != tli && left > 0; left--) {
		if (!facts_branch(g, at, &l))
			return tli < at; /* from before we took notes */
		at = l.parent;
		if (at == tli)
			return lsn <= l.switch_lsn;
	}
	return at == tli;
}

bool
facts_has_start(const struct fsm_group *g, int tli, uint64_t lsn)
{
	struct fsm_lineage l;

	if (g->accepted_tli || !tli || !facts_guard(FSM_GUARD_WRITERS_START))
		return true;
	if (g->floor_lsn && tli <= g->writer_tli &&
	    (tli < g->writer_tli || lsn < g->floor_lsn))
		return false;
	return tli >= g->writer_tli || !facts_branch(g, g->writer_tli, &l) ||
	       lsn >= l.switch_lsn;
}

/* Members of a configuration that were removed acknowledge nothing any more. */
static const struct fsm_node *
config_member(const struct fsm_group *g, const struct fsm_config *c, int i)
{
	const struct fsm_node *n = fsm_node_peek(g, c->member[i]);

	return n && !n->dead && n->id != g->op.old_writer ? n : NULL;
}

/* A lease, as long as it may be in the eyes of who holds it. */
static int64_t
lease_limit(const struct fsm_group *g)
{
	return g->settings.lease_ms + g->settings.lease_ms / 100 +
	       g->settings.lease_margin_ms;
}

static bool
lease_over(const struct fsm_group *g, int64_t *wake)
{
	const struct fsm_node *o = fsm_node_peek(g, g->op.old_writer);
	int64_t limit = lease_limit(g);

	if (!facts_guard(FSM_GUARD_LEASE_RUNS_OUT))
		return true;
	if (g->lease_gen % 2 == 0 || !g->op.revoked || !o)
		return false;
	/* it knows that its lease is finite; or it was so from its first moment as the
	 * writer, of which it has not reported anything yet */
	if (o->lease_gen != g->lease_gen && in(o->reported, RW))
		return false;
	return facts_due(wake, g->lease_age_ms, limit);
}

static bool
is_silent(const struct fsm_group *g, const struct fsm_node *n, int64_t *wake)
{
	return !facts_fresh(n) && n->probe != FSM_WITNESS_OK &&
	       n->probe != FSM_WITNESS_REJECT &&
	       facts_due(wake, n->report_age_ms, lease_limit(g));
}

/*
 * An operator who allows to lose writes vouches for the nodes that nobody can reach: a
 * standby that has been silent for a whole lease counts as if it had promised, when the
 * old writer has been silent as long and no standby hears it. By then an old writer that
 * is alone has stopped by itself, and without a standby it completes nothing anyway.
 * What is left is an old writer and standbys that live together where neither the
 * monitor nor the candidate can see them: what they acknowledge is what the operator
 * said may be lost. The permission is given for this one operation, in words, and
 * recorded; a setting that never guards does not count as such a word. A writer that
 * commits alone (class ASYNC) is not written off like this: its lease counts, or that
 * it is removed by force.
 */
static bool
may_write_off(const struct fsm_group *g, int64_t *wake)
{
	const struct fsm_node *o = fsm_node_peek(g, g->op.old_writer);

	if (!g->op.allow_loss || !o || !is_silent(g, o, wake))
		return false;
	for (int i = 0; i < g->n; i++)
		if (facts_fresh(&g->node[i]) && g->node[i].heard == FSM_WITNESS_OK &&
		    g->node[i].heard_age_ms <= FRESH_MS)
			return false;
	return true;
}

/* With every promise given, can the old writer not complete a commit? */
static bool
promises_hold(const struct fsm_group *g, int64_t *wake)
{
	bool write_off = may_write_off(g, wake);

	if (!facts_guard(FSM_GUARD_PROMISE_COUNTS))
		return true;
	for (int i = first_config(g); i < g->nconfigs; i++) {
		const struct fsm_config *c = &g->config[i];
		int loose = 0;

		for (int m = 0; m < c->n; m++) {
			const struct fsm_node *n = config_member(g, c, m);

			loose += n && !facts_promised(g, n) &&
				 n->reported != FSM_DROPPED &&
				 !(write_off && is_silent(g, n, wake));
		}
		if (loose >= c->k)
			return false;
	}
	return g->nconfigs > 0;
}

static bool
safe_to_open(const struct fsm_group *g, int64_t *wake)
{
	return facts_old_writer_stopped(g) ||
	       (facts_class_sync(g) && promises_hold(g, wake)) || lease_over(g, wake);
}

bool
facts_safe_to_open(const struct fsm_group *g)
{
	return safe_to_open(g, NULL);
}

/* Who was removed by force cannot be asked: what it alone may hold is missing. */
int
facts_votes_missing(const struct fsm_group *g, uint32_t voters)
{
	int most = 0;

	for (int i = first_config(g); i < g->nconfigs; i++) {
		const struct fsm_config *c = &g->config[i];
		int votes = 0;
		int size = 0;

		for (int m = 0; m < c->n; m++) {
			const struct fsm_node *n = config_member(g, c, m);

			size += c->member[m] != g->op.old_writer;
			votes += n && voters >> (n - g->node) & 1;
		}
		if (c->k > 0 && size - c->k + 1 - votes > most)
			most = size - c->k + 1 - votes;
	}
	return most;
}

/* Old writer stopped, or not to be waited for any more. */
static bool
drained(const struct fsm_group *g, int64_t *wake)
{
	const struct fsm_node *o = fsm_node_peek(g, g->op.old_writer);

	if (!g->op.planned || !facts_guard(FSM_GUARD_STOPPED_FIRST))
		return true;
	if (facts_old_writer_stopped(g) || verdict(g, o, wake) == FSM_VERDICT_DOWN)
		return true;
	if (!facts_fresh(o) &&
	    facts_due(wake, g->op.phase_age_ms, g->settings.drain_grace_ms))
		return true;
	return facts_due(wake, g->op.phase_age_ms, g->settings.demote_timeout_ms);
}

static fsm_facts
if_true(bool yes, int fact)
{
	return yes ? BIT(fact) : 0;
}

bool
facts_listed(const struct fsm_config *c, int64_t id)
{
	for (int m = 0; m < c->n; m++)
		if (c->member[m] == id)
			return true;
	return false;
}

static bool
is_listed(const struct fsm_group *g, int64_t id)
{
	for (int i = 0; i < g->nconfigs; i++)
		if (facts_listed(&g->config[i], id))
			return true;
	return false;
}

static bool
is_target(const struct fsm_group *g, const struct fsm_node *n)
{
	const struct fsm_request *r = &g->request;

	if (r->kind == FSM_REQ_NONE || r->outcome != FSM_OUTCOME_PENDING)
		return false;
	return r->node ? r->node == n->id : n->id != g->writer;
}

/* What can be said of a node alone. */
static fsm_facts
node_itself(const struct fsm_group *g, const struct fsm_node *n, struct facts *f)
{
	enum fsm_verdict v = verdict(g, n, &f->wake_ms);
	bool stable = facts_stable(n);
	bool fresh = facts_fresh(n);
	bool frozen = fresh && n->seen_seq < n->goal_seq;
	bool aside = n->dead || n->goal == FSM_DROPPED ||
		     (n->goal == FSM_MAINTENANCE && n->reported == FSM_MAINTENANCE);
	bool of_use = g->op.kind == FSM_OP_ELECT && n->id == g->writer &&
		      is_running(&g->op, g->writer);
	/* what failed before it saw its goal was something else */
	bool spent = v == FSM_VERDICT_DOWN ||
		     (n->fails >= FAILS_MAX && n->seen_seq >= n->goal_seq);

	return if_true(n->id == g->writer, FACT_WRITER) |
	       if_true(n->id == g->op.candidate, FACT_CANDIDATE) |
	       if_true(n->quorum, FACT_QUORUM) | if_true(n->priority > 0, FACT_ELIGIBLE) |
	       if_true(is_target(g, n), FACT_TARGET) | if_true(fresh, FACT_FRESH) |
	       if_true(v == FSM_VERDICT_OK, FACT_OK) |
	       if_true(v == FSM_VERDICT_DOWN, FACT_DOWN) | if_true(stable, FACT_STABLE) |
	       if_true(frozen && facts_guard(FSM_GUARD_FROZEN_UNTIL_SEEN), FACT_FROZEN) |
	       if_true(aside, FACT_ASIDE) | if_true(facts_stopped(g, n), FACT_STOPPED) |
	       if_true(facts_promised(g, n), FACT_PROMISED) | if_true(spent, FACT_SPENT) |
	       if_true(of_use, FACT_OF_USE) |
	       if_true(f->members > 0 && is_listed(g, n->id), FACT_LISTED) |
	       if_true(
		   fresh && !stable && facts_due(&f->wake_ms, n->goal_age_ms, LATE_MS),
		   FACT_LATE) |
	       if_true(n->reported != n->goal && !fsm_edge(n->reported, n->goal),
		   FACT_NO_WAY) |
	       if_true(!n->lost || facts_due(&f->wake_ms, n->state_age_ms, HOLD_MS),
		   FACT_HELD);
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* What can be said of a node with regard to the writer. */
static fsm_facts
node_and_writer(const struct fsm_group *g, const struct fsm_node *n,
    const struct facts *f, int64_t *wake)
{
	const struct fsm_node *w = f->writer < 0 ? NULL : &g->node[f->writer];
	uint64_t near = (uint64_t)g->settings.sync_threshold;
	uint64_t close = (uint64_t)g->settings.promote_threshold;
	bool sync = facts_class_sync(g);
	bool leased = sync || n->priority <= 0 ||
		      (w && g->lease_gen % 2 && w->lease_gen == g->lease_gen) ||
		      !facts_guard(FSM_GUARD_LEASE_BEFORE_PROMOTABLE);
	fsm_facts facts =
	    if_true(n->fork_tli || !facts_on_lineage(g, n->tli, n->lsn), FACT_FORKED) |
	    if_true(leased, FACT_LEASED) |
	    if_true(!facts_votes_missing(g, UINT32_C(1) << (n - g->node)), FACT_SUFFICES);

	if (!w || w == n)
		return facts;
	return facts | if_true(n->tli == w->tli, FACT_SAME_TLI) |
	       if_true(distance(n->lsn, w->lsn) <= near, FACT_NEAR) |
	       if_true(facts_has_start(g, n->tli, n->lsn) &&
			   (sync || w->lsn <= n->lsn + close),
		   FACT_CLOSE) |
	       if_true(n->streaming && n->attached, FACT_STREAMING) |
	       if_true(!n->attached && facts_fresh(w) &&
			   facts_due(wake, smaller(n->detached_age_ms, w->state_age_ms),
			       g->settings.stall_timeout_ms),
		   FACT_DETACHED);
}

/* How many nodes of which kind there are besides the writer. */
struct counts {
	int quorum;
	int secondary;
	int quorum_secondary;
	int healthy_quorum_secondary;
	int detached; /* quorum secondaries that the writer has not seen for long */
	int promotable;
	int nearly; /* ... or following, and soon to be */
	int successor;
	int elector;
	int alternative;
	int data;
	int waiting;
	int insufficient;
	int confirming; /* well, and named in what the writer was told last */
};

static void
count_one(
    const struct fsm_group *g, const struct fsm_node *n, fsm_facts f, struct counts *c)
{
	bool secondary = n->goal == FSM_SECONDARY && n->reported == FSM_SECONDARY &&
			 (f & BIT(FACT_STABLE));
	bool ok = f & BIT(FACT_OK);
	bool wanted = n->priority > 0 ||
		      (g->request.kind == FSM_REQ_PROMOTION && (f & BIT(FACT_TARGET)));
	bool data = !in(n->reported, NO_DATA) && !in(n->goal, NO_DATA);
	bool elector = data && ok && n->priority > 0 && !(f & BIT(FACT_ASIDE)) &&
		       in(n->reported, COUNTED | FSM_BIT(CATCHINGUP));
	bool follows = n->reported == FSM_CATCHINGUP && (f & BIT(FACT_STREAMING));
	bool promotable;

	c->quorum += n->quorum;
	c->secondary += secondary;
	c->quorum_secondary += secondary && n->quorum;
	c->healthy_quorum_secondary += secondary && n->quorum && ok;
	c->detached += secondary && n->quorum && (f & BIT(FACT_DETACHED));
	/* one that is down is not promoted before the writer has been told of its return
	 */
	promotable = n->priority > 0 && in(n->goal, PROMOTABLE) &&
		     !((f & BIT(FACT_DOWN)) && g->op.kind == FSM_OP_NONE);
	c->promotable += promotable;
	c->nearly += promotable || (n->priority > 0 && follows);
	c->successor += secondary && ok && wanted;
	c->elector += elector;
	c->alternative += elector && !(f & BIT(FACT_CANDIDATE));
	c->data += data;
	c->waiting += n->reported == FSM_WAIT_STANDBY;
	c->insufficient += data && !(f & BIT(FACT_SUFFICES));
	c->confirming += ok && in(n->goal, COUNTED) && g->nconfigs &&
			 facts_listed(&g->config[g->nconfigs - 1], n->id);
}

static enum fsm_state
desired(const struct fsm_group *g, const struct facts *f, const struct counts *c)
{
	if (f->members == 1)
		return FSM_SINGLE;
	if (!c->quorum)
		return c->secondary ? FSM_PRIMARY : FSM_WAIT_PRIMARY;
	if (c->quorum_secondary)
		return FSM_PRIMARY;
	if (g->nss == 0 || g->node[f->writer].reported == FSM_WAIT_PRIMARY)
		return FSM_WAIT_PRIMARY;
	return FSM_PRIMARY;
}

/* The timeline that a candidate has begun is known: the others are judged by it. */
static bool
has_begun(const struct fsm_group *g, const struct fsm_node *c)
{
	if (!c || c->reported != FSM_STOP_REPLICATION)
		return true;
	return c->tli > (c->promise_tli ? c->promise_tli : g->writer_tli);
}

static fsm_facts
of_operation(const struct fsm_group *g, struct facts *f)
{
	const struct fsm_op *op = &g->op;
	const struct fsm_node *c = f->candidate < 0 ? NULL : &g->node[f->candidate];
	const struct fsm_node *source = fsm_node_peek(g, op->source);
	bool open =
	    op->kind != FSM_OP_NONE && op->candidate && op->candidate == g->writer;
	bool running = op->kind != FSM_OP_NONE && !open;
	bool is_drained = running && drained(g, &f->wake_ms);
	bool ready = op->planned ? is_drained : c && facts_promised(g, c);
	fsm_facts facts =
	    if_true(running, GROUP_RUNNING) | if_true(open, GROUP_OPENED) |
	    if_true(
		(running || open) && facts_guard(FSM_GUARD_OP_IS_OBJECT), GROUP_BUSY) |
	    if_true(op->kind == FSM_OP_SWITCH, GROUP_SWITCH) |
	    if_true(running && op->planned, GROUP_PLANNED) |
	    if_true(op->kind == FSM_OP_ELECT, GROUP_ELECT) |
	    if_true(running && c, GROUP_CANDIDATE) | if_true(is_drained, GROUP_DRAINED) |
	    if_true(running && ready, GROUP_READY) |
	    if_true(running && has_begun(g, c) && safe_to_open(g, &f->wake_ms),
		GROUP_SAFE_TO_OPEN) |
	    if_true(!source || source->dead ||
			!in(source->goal, FSM_BIT(REPORT_LSN) | FSM_BIT(MAINTENANCE)) ||
			verdict(g, source, &f->wake_ms) == FSM_VERDICT_DOWN,
		GROUP_SOURCE_LOST);

	if (!running || op->kind != FSM_OP_ELECT || c)
		return facts;
	elect_choose(g, &f->elect);
	facts_due(&f->wake_ms, op->phase_age_ms, g->settings.election_grace_ms);
	return facts |
	       if_true(
		   f->elect.kind == ELECT_WINNER && !f->elect.source, GROUP_WON_EQUAL) |
	       if_true(
		   f->elect.kind == ELECT_WINNER && f->elect.source, GROUP_WON_BEHIND) |
	       if_true(f->elect.kind == ELECT_NONE, GROUP_NO_WINNER) |
	       if_true(
		   f->elect.kind == ELECT_NONE || facts_due(&f->wake_ms, op->phase_age_ms,
						      g->settings.drain_grace_ms),
		   GROUP_STUCK);
}

/* ---- an older copy of the tables ---- */

#define ARRIVE_MS 3000 /* a keeper is back within this */

int64_t
facts_last_gen(const struct fsm_group *g)
{
	return g->nconfigs ? g->config[g->nconfigs - 1].gen : 0;
}

static bool
is_ahead(const struct fsm_group *g, const struct fsm_node *n)
{
	return n->seen_term > g->term || n->seen_seq > n->goal_seq ||
	       n->applied_gen > facts_last_gen(g) || n->lease_gen > g->lease_gen;
}

static bool
writes(const struct fsm_node *n)
{
	return !n->dead && facts_fresh(n) && in(n->reported, RW) && n->pg == FSM_PG_RW;
}

/* Who writes, if that is one, and nobody knows of a later term. -1: not known. */
static int
find_writing(const struct fsm_group *g)
{
	int found = -1;

	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (!writes(n))
			continue;
		if (found < 0 || n->seen_term > g->node[found].seen_term)
			found = i;
		else if (n->seen_term == g->node[found].seen_term)
			return -1;
	}
	for (int i = 0; found >= 0 && i < g->n; i++)
		if (!g->node[i].dead && g->node[i].seen_term > g->node[found].seen_term)
			return -1;
	return found;
}

static bool
is_surveyed(const struct fsm_group *g, int64_t *wake)
{
	bool all = true;

	for (int i = 0; i < g->n; i++)
		all &= !facts_member(&g->node[i]) || facts_fresh(&g->node[i]);
	return (all || facts_due(wake, g->watch_age_ms, ARRIVE_MS)) &&
	       (g->strangers == 0 ||
		   facts_due(wake, g->watch_age_ms, g->settings.unhealthy_timeout_ms));
}

static fsm_facts
of_learning(const struct fsm_group *g, struct facts *f)
{
	int writing = g->learning ? find_writing(g) : -1;
	bool behind = false;

	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];
		bool stray = g->learning && !n->dead && facts_fresh(n) &&
			     n->reported != n->goal && n->seen_seq < n->goal_seq &&
			     n->goal != FSM_DROPPED;

		behind |= !n->dead && is_ahead(g, n);
		f->node[i] |=
		    if_true(stray, FACT_STRAY) | if_true(i == writing, FACT_WRITES);
	}
	return if_true(behind, GROUP_BEHIND) | if_true(g->learning, GROUP_LEARNING) |
	       if_true(g->learning && is_surveyed(g, &f->wake_ms), GROUP_SURVEYED);
}

static fsm_facts
of_request(const struct fsm_group *g)
{
	const struct fsm_request *r = &g->request;

	if (r->outcome != FSM_OUTCOME_PENDING)
		return 0;
	return if_true(r->kind == FSM_REQ_FAILOVER || r->kind == FSM_REQ_PROMOTION,
		   GROUP_REQ_SWITCH) |
	       if_true(r->kind == FSM_REQ_PROMOTION, GROUP_REQ_PROMOTION) |
	       if_true(r->kind == FSM_REQ_MAINTENANCE_ON, GROUP_REQ_ON) |
	       if_true(r->kind == FSM_REQ_MAINTENANCE_OFF, GROUP_REQ_OFF) |
	       if_true(r->kind == FSM_REQ_REMOVE, GROUP_REQ_REMOVE) |
	       if_true(r->kind == FSM_REQ_REMOVE && r->force, GROUP_REQ_FORCE) |
	       if_true(r->allow_loss, GROUP_REQ_LOSS);
}

static fsm_facts
of_counts(const struct fsm_group *g, struct facts *f, const struct counts *c)
{
	const struct fsm_node *w = f->writer < 0 ? NULL : &g->node[f->writer];
	bool sync = facts_class_sync(g);
	bool finite = g->lease_gen % 2;
	const struct fsm_request *r = &g->request;
	bool override = w && r->outcome == FSM_OUTCOME_PENDING && r->allow_loss &&
			(r->kind == FSM_REQ_FAILOVER || r->kind == FSM_REQ_PROMOTION) &&
			!is_running(&g->op, g->writer) && c->elector &&
			(f->node[f->writer] & BIT(FACT_DOWN));
	/* what nobody has confirmed yet may be anything */
	bool known = !g->nconfigs || g->config[0].k != FSM_K_UNKNOWN;
	bool revocable =
	    known && (sync || !w || (finite && w->lease_gen == g->lease_gen));

	if (w)
		f->desired = desired(g, f, c);
	return if_true(f->members == 1, GROUP_ALONE) |
	       if_true(f->members == 2, GROUP_TWO) | if_true(f->members > 2, GROUP_MANY) |
	       if_true(w != NULL, GROUP_WRITER) | if_true(sync, GROUP_CLASS_SYNC) |
	       if_true(finite, GROUP_LEASE_FINITE) |
	       if_true(!sync && c->promotable, GROUP_LEASE_NEEDED) |
	       if_true(!sync && c->nearly, GROUP_LEASE_KEEP) |
	       if_true(g->nss == 0, GROUP_NSS0) |
	       if_true(g->nconfigs && c->confirming < g->config[g->nconfigs - 1].k,
		   GROUP_SHORT) |
	       if_true(c->quorum_secondary && c->detached == c->quorum_secondary,
		   GROUP_STALLED) |
	       if_true(override, GROUP_OVERRIDE) | if_true(is_patient(g), GROUP_PATIENT) |
	       if_true(g->dirty, GROUP_DIRTY) |
	       if_true(w && f->desired != w->reported, GROUP_CHANGE) |
	       if_true(w && f->desired != w->goal, GROUP_ASTRAY) |
	       if_true(c->successor, GROUP_SUCCESSOR) |
	       if_true(c->elector, GROUP_ELECTOR) |
	       if_true(c->alternative, GROUP_ALTERNATIVE) |
	       if_true(revocable, GROUP_REVOCABLE) |
	       if_true(revocable || (known && facts_fresh(w)), GROUP_REPLACEABLE) |
	       if_true(f->members > 2 || c->insufficient, GROUP_NEEDS_VOTE) |
	       if_true(c->data, GROUP_HEIR) |
	       if_true(c->data || (w && facts_member(w)), GROUP_OTHER_DATA) |
	       if_true(c->waiting, GROUP_WAITING);
}

static void
find_roles(const struct fsm_group *g, struct facts *f)
{
	f->writer = f->candidate = f->target = -1;
	f->members = 0;
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		if (n->dead)
			continue;
		f->members += n->goal != FSM_DROPPED;
		if (n->id == g->writer)
			f->writer = i;
		if (n->id == g->op.candidate)
			f->candidate = i;
		if (n->id == g->request.node)
			f->target = i;
	}
}

void
facts_read(const struct fsm_group *g, struct facts *f)
{
	struct counts c = { 0 };

	assert(g->n >= 0 && g->n <= FSM_NODES_MAX && g->nconfigs <= FSM_CONFIGS_MAX);
	f->wake_ms = FSM_NEVER;
	f->desired = FSM_UNKNOWN;
	f->elect = (struct elect_result){ .kind = ELECT_WAIT };
	find_roles(g, f);
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		f->node[i] = node_itself(g, n, f) | node_and_writer(g, n, f, &f->wake_ms);
		if (facts_member(n) && i != f->writer)
			count_one(g, n, f->node[i], &c);
	}
	f->group =
	    of_counts(g, f, &c) | of_operation(g, f) | of_request(g) | of_learning(g, f);
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];
		bool last = n->quorum && n->reported == FSM_SECONDARY && g->nss == 0 &&
			    c.healthy_quorum_secondary ==
				((f->node[i] & BIT(FACT_OK) && facts_stable(n)) ? 1 : 0);

		f->node[i] |=
		    if_true(last, FACT_LAST_SYNC) |
		    if_true(f->elect.winner && n->id == f->elect.winner, FACT_WINNER);
	}
}

static const char *const node_name[FACT_COUNT] = {
#define NODE(id, name, text) name,
#define GROUP(id, name, text)
#include "fsm/facts.def"
#undef NODE
#undef GROUP
};
static const char *const group_name[GROUP_COUNT] = {
#define NODE(id, name, text)
#define GROUP(id, name, text) name,
#include "fsm/facts.def"
#undef NODE
#undef GROUP
};

const char *
facts_node_name(int fact)
{
	assert(fact >= 0 && fact < FACT_COUNT);
	return node_name[fact];
}

const char *
facts_group_name(int fact)
{
	assert(fact >= 0 && fact < GROUP_COUNT);
	return group_name[fact];
}
