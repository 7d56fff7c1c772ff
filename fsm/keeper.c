/* What a node does next: one step, decided from what the keeper knows and sees. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/keeper.h"

#include "ini/ban.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 5000

static bool
is_any(enum fsm_state s, unsigned flags)
{
	return (fsm_state_flags(s) & flags) != 0;
}

/* A standby as such: not one that is being promoted. */
static bool
is_standby(enum fsm_state s)
{
	return is_any(s, ST_STANDBY) && !is_any(s, ST_PROMOTING);
}

static void
wait_for(struct keeper_step *s, const char *why)
{
	s->what = KEEPER_WAIT;
	s->why = why;
}

static void
begin(struct keeper_step *s, enum fsm_act act, enum fsm_state to, const char *why)
{
	*s = (struct keeper_step){ KEEPER_BEGIN, act, to, why };
}

/* Stopping outranks everything in progress; only a stop itself is left to finish. */
static bool
stop_now(
    const struct keeper_obs *o, struct keeper_step *s, enum fsm_act act, const char *why)
{
	if (!o->working) {
		begin(s, act, FSM_DEMOTE_TIMEOUT, why);
		return true;
	}
	if (o->act == FSM_ACT_FENCE || (o->act == FSM_ACT_STOP && act == FSM_ACT_STOP))
		wait_for(s, why);
	else
		*s = (struct keeper_step){ KEEPER_ABORT, o->act, o->act_goal, why };
	return true;
}

static bool
opens(enum fsm_act act)
{
	return act == FSM_ACT_OPEN || act == FSM_ACT_RESUME || act == FSM_ACT_PROMOTE ||
	       act == FSM_ACT_SYNC;
}

/* May this node not be trusted with writes any more? Nobody needs to be asked. */
static bool
fence(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	bool writer = is_any(k->current, ST_RW);
	/* on the way to being the writer, or back, and called off there */
	bool halfway = is_any(k->current, ST_DOWN) ||
		       (k->current == FSM_STOP_REPLICATION && is_any(k->goal, ST_RW));
	bool opened = halfway && o->pg == FSM_PG_RW;

	if ((writer || opened || (o->working && opens(o->act))) && o->lease_left_ms <= 0)
		return stop_now(o, s, FSM_ACT_FENCE, "the lease is over");
	/* a standby that follows us vouches that it does not replace us; without names
	 * the lease alone counts, and there is none while nobody could be promoted */
	if (writer && o->sync && o->contact_age_ms > o->partition_ms &&
	    o->vouched_age_ms > o->partition_ms)
		return stop_now(o, s, FSM_ACT_STOP,
		    "cut off from the monitor and from every standby");
	if (o->pg == FSM_PG_RW && !o->working && is_standby(k->current) &&
	    k->goal == k->current)
		return stop_now(
		    o, s, FSM_ACT_FENCE, "writable, but this node is a standby");
	return false;
}

/* These acts change a Postgres that runs: first it must. */
static bool
runs_first(enum fsm_act act)
{
	return act == FSM_ACT_SYNC || act == FSM_ACT_OPEN;
}

/* Ending what is in progress does no harm, and something else is wanted. */
static bool
is_obsolete(const struct keeper *k, const struct keeper_obs *o)
{
	const struct fsm_edge *e;

	if (o->act_final || o->act == FSM_ACT_FENCE || o->act == FSM_ACT_STOP ||
	    o->act == FSM_ACT_DROP)
		return false;
	if (o->act_stale)
		return true;
	if (o->act_goal == k->goal)
		return false;
	/* a copy under way is not thrown away because the next goal needs it too */
	e = fsm_edge(k->current, k->goal);
	if (e != NULL && runs_first(e->act) && o->act_goal == k->current)
		return o->act != FSM_ACT_START && o->act != FSM_ACT_RESUME;
	return e == NULL || e->act != o->act || o->act != FSM_ACT_FOLLOW;
}

static bool
busy(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	if (!o->working)
		return false;
	if (is_obsolete(k, o))
		*s = (struct keeper_step){ KEEPER_ABORT, o->act, o->act_goal,
			"the goal has changed" };
	return true;
}

/* Why the edge cannot be walked now; NULL when it can. */
static const char *
forbids(
    const struct keeper *k, const struct keeper_obs *o, enum fsm_act act, unsigned flags)
{
	if (o->shutting_down && (flags & (EDGE_OPENS | EDGE_LONG)))
		return "shutting down";
	/* what is to be reached before a promotion, and which names are granted, is in
	 * the monitor's answers only */
	if (((flags & EDGE_OPENS) || act == FSM_ACT_CLOSED || act == FSM_ACT_SYNC) &&
	    !k->contact)
		return "the monitor has not confirmed the goal since this keeper started";
	if (opens(act) && o->lease_left_ms <= 0)
		return "the monitor grants no lease";
	/* the monitor may have it on record that this node is stopped for good */
	if (act == FSM_ACT_RESUME && k->term <= k->stopped_term)
		return "stopped for this term: another one must begin first";
	if ((act == FSM_ACT_FOLLOW || act == FSM_ACT_FETCH) && k->term < k->promise_term)
		return "a promise forbids to follow an older term";
	if ((flags & EDGE_UPSTREAM) && !o->has_upstream)
		return "the monitor has not named an upstream yet";
	return NULL;
}

/* A writer that was stopped starts only with the monitor's word, or when it died under
 * our eyes: what happened meanwhile is known then, and the lease still counts. */
static bool
may_start(const struct keeper *k, const struct keeper_obs *o)
{
	if (o->shutting_down || !o->has_data || k->rewinding)
		return false;
	return is_standby(k->current) || k->contact || o->was_up;
}

static void
keep_running(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	if (may_start(k, o))
		begin(s, FSM_ACT_START, k->current, "Postgres is not running");
	else if (k->rewinding && is_standby(k->current) &&
		 forbids(k, o, FSM_ACT_FOLLOW, EDGE_LONG | EDGE_UPSTREAM) == NULL)
		begin(s, FSM_ACT_FOLLOW, k->current, "an earlier rewind did not finish");
	else if (k->rewinding)
		wait_for(s, "an unfinished rewind forbids to start Postgres");
	else
		wait_for(s, "not started before the monitor confirms it");
}

static void
keep_writer(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	if (o->pg == FSM_PG_STANDBY && k->contact)
		begin(
		    s, FSM_ACT_RESUME, k->current, "in recovery, but this is the writer");
	/* on the way through apply_settings the old names stay in force */
	if (o->pg != FSM_PG_RW || k->current == FSM_APPLY_SETTINGS)
		return;
	if (k->applied_gen < k->wanted_gen)
		begin(s, FSM_ACT_SYNC, k->current, "other standby names were granted");
	else if (o->drift)
		begin(s, FSM_ACT_SYNC, k->current, "the standby names were changed here");
}

static bool
must_run_first(const struct keeper *k, const struct keeper_obs *o, enum fsm_act act,
    struct keeper_step *s)
{
	if (!runs_first(act))
		return false;
	if (!o->pid_alive)
		keep_running(k, o, s);
	else if (o->pg == FSM_PG_STANDBY && is_any(k->current, ST_RW))
		keep_writer(k, o, s);
	else if (o->pg == FSM_PG_STANDBY) /* a fence began, and did not finish */
		begin(s, FSM_ACT_STOP, FSM_DEMOTE_TIMEOUT,
		    "in recovery, but it was promoted: begins again from a stop");
	else
		return false;
	return true;
}

static void
go(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	const struct fsm_edge *e = fsm_edge(k->current, k->goal);
	const char *why;

	if (e == NULL) {
		wait_for(s, "there is no way to the goal from here");
		return;
	}
	if (must_run_first(k, o, e->act, s))
		return;
	why = forbids(k, o, e->act, e->flags);
	if (why != NULL)
		wait_for(s, why);
	else if (e->act == FSM_ACT_NOTHING)
		*s = (struct keeper_step){ KEEPER_MOVE, e->act, k->goal, NULL };
	else
		begin(s, e->act, k->goal, NULL);
}

static void
keep_following(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	if (forbids(k, o, FSM_ACT_FOLLOW, EDGE_LONG | EDGE_UPSTREAM) != NULL)
		return;
	if (!o->upstream_ok)
		begin(s, FSM_ACT_FOLLOW, k->current, "the upstream has changed");
	else if (o->apart_ms > KEEPER_APART_MS && o->heard == FSM_WITNESS_OK)
		begin(s, FSM_ACT_FOLLOW, k->current, "not streaming from its upstream");
}

/* An operation that goes on under a higher term needs the promise of that term. */
static void
keep_promise(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	if (k->promise_term >= k->term || o->pg != FSM_PG_STANDBY)
		return;
	if (k->current == FSM_REPORT_LSN)
		begin(s, FSM_ACT_DETACH, k->current, "a higher term");
	else if (k->current == FSM_PREPARE_PROMOTION && !k->planned)
		begin(s, FSM_ACT_PREPARE, k->current,
		    "no longer planned, or a higher term");
}

/* At the goal: see that its condition goes on to hold. */
static void
keep(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	unsigned flags = fsm_state_flags(k->current);

	if (k->current == FSM_DROPPED && !o->pid_alive) {
		if (o->told)
			*s = (struct keeper_step){ KEEPER_EXIT, FSM_ACT_NOTHING,
				FSM_DROPPED, "dropped" };
		return;
	}
	if (flags & ST_HANDS_OFF) {
		/* hands off, but commits may have waited for it: who is named no upstream
		 * is asked for its word in an election. What does not run cannot give it.
		 */
		if (k->current == FSM_MAINTENANCE && k->contact && !o->has_upstream &&
		    o->pg == FSM_PG_STANDBY && k->promise_term < k->term)
			begin(
			    s, FSM_ACT_DETACH, k->current, "an election needs its word");
		return;
	}
	if (flags & ST_DOWN) {
		if (o->pid_alive)
			begin(s, FSM_ACT_STOP, k->current, "Postgres must not run");
		else if (k->stopped_term < k->term)
			begin(s, FSM_ACT_STOP, k->current, "a higher term");
		return;
	}
	if (!(flags & ST_UP))
		return;
	if (!o->pid_alive)
		keep_running(k, o, s);
	else if (flags & ST_RW)
		keep_writer(k, o, s);
	else if (k->current == FSM_CATCHINGUP || k->current == FSM_SECONDARY ||
		 k->current == FSM_WAIT_MAINTENANCE)
		keep_following(k, o, s);
	else
		keep_promise(k, o, s);
}

/* It may leave Postgres running. */
static bool
may_run_it(enum fsm_act act)
{
	return act != FSM_ACT_STOP && act != FSM_ACT_FENCE && act != FSM_ACT_DROP;
}

void
keeper_step(const struct keeper *k, const struct keeper_obs *o, struct keeper_step *s)
{
	*s = (struct keeper_step){ KEEPER_WAIT, FSM_ACT_NOTHING, k->current, NULL };
	if (fence(k, o, s) || busy(k, o, s))
		return;
	if (k->goal == k->current || k->goal == FSM_UNKNOWN)
		keep(k, o, s);
	else
		go(k, o, s);
	if (s->what == KEEPER_BEGIN &&
	    (o->retry_in_ms > 0 || (o->pause_ms > 0 && may_run_it(s->act))))
		wait_for(s, "waiting before the next attempt");
}

void
keeper_other_monitor(struct keeper *k)
{
	if (!(fsm_state_flags(k->current) & ST_RW))
		k->current = FSM_INIT;
	k->goal = k->current;
	k->goal_seq = k->term = k->epoch = 0;
	k->promise_term = k->stopped_term = k->applied_gen = k->wanted_gen = 0;
	k->promise_tli = k->lease_gen = 0;
	k->promise_lsn = k->final_lsn = 0;
	k->parked = k->planned = k->contact = false;
}

bool
keeper_retrying(const struct keeper *k, const struct keeper_obs *o)
{
	if (o->pg != FSM_PG_DOWN && o->pg != FSM_PG_STARTING)
		return false;
	/* without a contact yet: the first report must not say that there is no hope */
	return is_any(k->current, ST_RW) && !is_any(k->goal, ST_DOWN) && o->has_data &&
	       !k->rewinding && !o->shutting_down &&
	       o->crashes < (o->disk_full ? 1 : KEEPER_CRASHES_MAX) &&
	       o->down_age_ms < o->grace_ms;
}

int64_t
keeper_backoff_ms(int fails)
{
	int64_t ms = BACKOFF_FIRST_MS;

	if (fails <= 0)
		return 0;
	while (--fails > 0 && ms < BACKOFF_MAX_MS)
		ms *= 2;
	return ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
}
