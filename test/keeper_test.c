/* The keeper's step: chosen situations, then every situation against what must hold. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/keeper.h"
#include "test/tap.h"

#include "ini/ban.h"

/* A writer with one standby, all well; the cases change what they are about. */
static struct keeper
healthy(enum fsm_state current, enum fsm_state goal)
{
	return (struct keeper){
		.node_id = 1,
		.current = current,
		.goal = goal,
		.goal_seq = 7,
		.term = 3,
		.applied_gen = 4,
		.wanted_gen = 4,
		.contact = true,
	};
}

static struct keeper_obs
up(enum fsm_pg pg)
{
	return (struct keeper_obs){
		.pg = pg,
		.pid_alive = pg != FSM_PG_DOWN,
		.has_data = true,
		.sync = pg == FSM_PG_RW,
		.streaming = pg == FSM_PG_STANDBY,
		.heard = FSM_WITNESS_OK,
		.has_upstream = pg == FSM_PG_STANDBY,
		.upstream_ok = pg == FSM_PG_STANDBY,
		.lease_left_ms = FSM_NEVER,
		.partition_ms = 20000,
		.grace_ms = 3000,
	};
}

static void
check(const struct keeper *k, const struct keeper_obs *o, struct keeper_step want,
    const char *text)
{
	struct keeper_step s;
	bool same;

	keeper_step(k, o, &s);
	same = s.what == want.what;
	if (same && want.what != KEEPER_WAIT)
		same =
		    s.act == want.act && (want.what == KEEPER_ABORT || s.to == want.to);
	if (!OK(same, "%s", text))
		tap_note("got %d %s -> %s (%s), wanted %d %s -> %s", s.what,
		    fsm_act_name(s.act), fsm_state_name(s.to), s.why ? s.why : "",
		    want.what, fsm_act_name(want.act), fsm_state_name(want.to));
}

#define STEP(k, o, what, act, to, text)                                                  \
	check(&(k), &(o), (struct keeper_step){ what, act, to, NULL }, text)
#define WAITS(k, o, text) STEP(k, o, KEEPER_WAIT, FSM_ACT_NOTHING, FSM_INIT, text)
#define BEGINS(k, o, act, to, text) STEP(k, o, KEEPER_BEGIN, act, to, text)

static void
test_stable(void)
{
	struct keeper k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	struct keeper_obs o = up(FSM_PG_RW);

	WAITS(k, o, "a healthy primary does nothing");
	k.wanted_gen = 5;
	BEGINS(k, o, FSM_ACT_SYNC, FSM_PRIMARY, "a new grant is applied");
	k.current = k.goal = FSM_APPLY_SETTINGS;
	WAITS(k, o, "but not in apply_settings: the next goal does it");
	k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	o.drift = true;
	BEGINS(k, o, FSM_ACT_SYNC, FSM_PRIMARY, "edited names are put back");
	k = healthy(FSM_SECONDARY, FSM_SECONDARY);
	o = up(FSM_PG_STANDBY);
	WAITS(k, o, "a healthy standby does nothing");
	o.upstream_ok = false;
	BEGINS(k, o, FSM_ACT_FOLLOW, FSM_SECONDARY, "another upstream is followed");
	o = up(FSM_PG_STANDBY);
	o.streaming = false;
	o.apart_ms = KEEPER_APART_MS + 1;
	BEGINS(k, o, FSM_ACT_FOLLOW, FSM_SECONDARY, "an end of streaming is looked into");
	o.heard = FSM_WITNESS_REFUSED;
	WAITS(k, o, "but not while the upstream is down");
	k = healthy(FSM_MAINTENANCE, FSM_MAINTENANCE);
	o = up(FSM_PG_DOWN);
	WAITS(k, o, "hands off in maintenance: not started");
	o = up(FSM_PG_RW);
	WAITS(k, o, "hands off in maintenance: not stopped");
	k = healthy(FSM_DEMOTED, FSM_DEMOTED);
	BEGINS(k, o, FSM_ACT_STOP, FSM_DEMOTED, "a demoted node that runs is stopped");
	o = up(FSM_PG_DOWN);
	k.stopped_term = 3;
	WAITS(k, o, "a stopped one stays so");
	k.term = 4;
	BEGINS(k, o, FSM_ACT_STOP, FSM_DEMOTED, "and says so again in a higher term");
	k = healthy(FSM_SECONDARY, FSM_SECONDARY);
	o = up(FSM_PG_RW);
	BEGINS(k, o, FSM_ACT_FENCE, FSM_DEMOTE_TIMEOUT, "a writable standby is fenced");
}

static void
test_start(void)
{
	struct keeper k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	struct keeper_obs o = up(FSM_PG_DOWN);

	BEGINS(k, o, FSM_ACT_START, FSM_PRIMARY, "a confirmed writer is started");
	OK(keeper_retrying(&k, &o), "and says that it comes back");
	k.contact = false;
	WAITS(k, o, "not before the monitor confirmed it");
	OK(keeper_retrying(&k, &o), "yet the first report asks for a moment");
	o.was_up = true;
	BEGINS(k, o, FSM_ACT_START, FSM_PRIMARY, "it died under our eyes: at once");
	o.crashes = KEEPER_CRASHES_MAX;
	OK(!keeper_retrying(&k, &o), "down for good after too many crashes");
	o.crashes = 1;
	o.disk_full = true;
	OK(!keeper_retrying(&k, &o), "after one when there is no room on the disk");
	o.disk_full = false;
	o.down_age_ms = o.grace_ms;
	OK(!keeper_retrying(&k, &o), "and after the grace");
	o.down_age_ms = 0;
	o.lease_left_ms = 0;
	BEGINS(k, o, FSM_ACT_FENCE, FSM_DEMOTE_TIMEOUT, "never without the lease");
	o.lease_left_ms = 5000;
	BEGINS(k, o, FSM_ACT_START, FSM_PRIMARY, "while there is lease left");
	k.goal = FSM_DRAINING;
	OK(!keeper_retrying(&k, &o), "no restart on the way out");
	k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	o = up(FSM_PG_DOWN);
	o.retry_in_ms = 50;
	WAITS(k, o, "a failed start waits its turn");
	o.retry_in_ms = 0;
	o.pause_ms = 50;
	WAITS(k, o, "what died again and again is left alone for a while");
	k.goal = FSM_DRAINING;
	BEGINS(k, o, FSM_ACT_STOP, FSM_DRAINING, "but told at once to be stopped");
	k.goal = FSM_PRIMARY;
	o.pause_ms = 0;
	o.shutting_down = true;
	WAITS(k, o, "nothing is started while we leave");
	k = healthy(FSM_SECONDARY, FSM_SECONDARY);
	k.contact = false;
	o = up(FSM_PG_DOWN);
	BEGINS(k, o, FSM_ACT_START, FSM_SECONDARY, "a standby needs no permission");
	k.rewinding = true;
	WAITS(k, o, "but never out of half a rewind");
	o.has_upstream = true;
	BEGINS(k, o, FSM_ACT_FOLLOW, FSM_SECONDARY, "which is done again");
	k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	o = up(FSM_PG_STARTING);
	WAITS(k, o, "a starting Postgres is left to start");
	o = up(FSM_PG_STANDBY);
	BEGINS(k, o, FSM_ACT_RESUME, FSM_PRIMARY, "a writer in recovery is resumed");
}

static void
test_fence(void)
{
	struct keeper k = healthy(FSM_WAIT_PRIMARY, FSM_WAIT_PRIMARY);
	struct keeper_obs o = up(FSM_PG_RW);

	k.contact = true;
	o.sync = false;
	o.contact_age_ms = o.vouched_age_ms = FSM_NEVER;
	WAITS(k, o, "alone, without a lease: goes on for ever");
	o.lease_left_ms = 1;
	WAITS(k, o, "the lease is still held");
	o.lease_left_ms = 0;
	BEGINS(k, o, FSM_ACT_FENCE, FSM_DEMOTE_TIMEOUT, "the lease is over");
	o.working = true;
	o.act = FSM_ACT_STOP;
	o.act_goal = FSM_DRAINING;
	STEP(k, o, KEEPER_ABORT, FSM_ACT_STOP, FSM_DRAINING,
	    "even a gentle stop is cut short");
	o.act = FSM_ACT_FENCE;
	o.act_goal = FSM_DEMOTE_TIMEOUT;
	WAITS(k, o, "a fence in progress is left to finish");
	k = healthy(FSM_STOP_REPLICATION, FSM_STOP_REPLICATION);
	o = up(FSM_PG_RW);
	o.lease_left_ms = 0;
	WAITS(
	    k, o, "promoted behind a closed door: it takes no writes, and has no lease");
	k = healthy(FSM_STOP_REPLICATION, FSM_WAIT_PRIMARY);
	BEGINS(k, o, FSM_ACT_FENCE, FSM_DEMOTE_TIMEOUT,
	    "its lease ran out while the door opened: called off, and closed again");
	o = up(FSM_PG_STANDBY);
	BEGINS(k, o, FSM_ACT_STOP, FSM_DEMOTE_TIMEOUT,
	    "a fence on the way to the writer was cut short: it is finished");
	k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	o = up(FSM_PG_RW);
	o.contact_age_ms = 20001;
	WAITS(k, o, "no monitor, a standby attached: goes on");
	o.vouched_age_ms = 20001;
	BEGINS(k, o, FSM_ACT_STOP, FSM_DEMOTE_TIMEOUT, "cut off from everybody: stops");
	o.contact_age_ms = 20000;
	WAITS(k, o, "not a moment before");
	k.current = k.goal = FSM_SECONDARY;
	o = up(FSM_PG_STANDBY);
	o.contact_age_ms = o.vouched_age_ms = FSM_NEVER;
	o.lease_left_ms = 0;
	WAITS(k, o, "a standby has nothing to lose");
}

static void
test_goal(void)
{
	struct keeper k = healthy(FSM_PRIMARY, FSM_DRAINING);
	struct keeper_obs o = up(FSM_PG_RW);

	BEGINS(k, o, FSM_ACT_STOP, FSM_DRAINING, "primary to draining");
	k.contact = false;
	BEGINS(k, o, FSM_ACT_STOP, FSM_DRAINING, "stopping needs no contact");
	k = healthy(FSM_APPLY_SETTINGS, FSM_PRIMARY);
	k.contact = false;
	WAITS(k, o, "a keeper that began anew does not know the names, and sets none");
	k.contact = true;
	BEGINS(k, o, FSM_ACT_SYNC, FSM_PRIMARY, "but the ones it is told");
	k = healthy(FSM_SECONDARY, FSM_PREPARE_PROMOTION);
	o = up(FSM_PG_STANDBY);
	BEGINS(k, o, FSM_ACT_PREPARE, FSM_PREPARE_PROMOTION, "secondary is chosen");
	k = healthy(FSM_PREPARE_PROMOTION, FSM_STOP_REPLICATION);
	BEGINS(k, o, FSM_ACT_CLOSED, FSM_STOP_REPLICATION, "promoted behind the door");
	k = healthy(FSM_STOP_REPLICATION, FSM_WAIT_PRIMARY);
	o = up(FSM_PG_RW);
	BEGINS(k, o, FSM_ACT_OPEN, FSM_WAIT_PRIMARY, "opened");
	k.contact = false;
	WAITS(k, o, "never opened on an old word");
	k = healthy(FSM_WAIT_PRIMARY, FSM_PRIMARY);
	BEGINS(k, o, FSM_ACT_SYNC, FSM_PRIMARY, "synchronous again");
	k = healthy(FSM_DEMOTE_TIMEOUT, FSM_PRIMARY);
	o = up(FSM_PG_DOWN);
	BEGINS(k, o, FSM_ACT_RESUME, FSM_PRIMARY, "a false alarm ends");
	o.lease_left_ms = 0;
	WAITS(k, o, "but not without a lease, where there is one");
	k = healthy(FSM_DEMOTED, FSM_CATCHINGUP);
	o = up(FSM_PG_DOWN);
	WAITS(k, o, "follows nobody unless told whom");
	o.has_upstream = true;
	BEGINS(k, o, FSM_ACT_FOLLOW, FSM_CATCHINGUP, "follows the new writer");
	k.promise_term = 4;
	WAITS(k, o, "not one of an older term than promised");
	k = healthy(FSM_SECONDARY, FSM_REPORT_LSN);
	o = up(FSM_PG_STANDBY);
	BEGINS(k, o, FSM_ACT_DETACH, FSM_REPORT_LSN, "lets go");
	k = healthy(FSM_MAINTENANCE, FSM_MAINTENANCE);
	WAITS(k, o, "in maintenance it is left alone");
	o.has_upstream = false;
	BEGINS(
	    k, o, FSM_ACT_DETACH, FSM_MAINTENANCE, "unless an election needs its word");
	k.promise_term = k.term;
	WAITS(k, o, "which it gives once");
	k.promise_term = 0;
	o = up(FSM_PG_DOWN);
	o.has_upstream = false;
	WAITS(k, o, "and only if it runs");
	o = up(FSM_PG_STANDBY);
	k = healthy(FSM_REPORT_LSN, FSM_REPORT_LSN);
	k.promise_term = 3;
	WAITS(k, o, "promised");
	k.term = 4;
	BEGINS(k, o, FSM_ACT_DETACH, FSM_REPORT_LSN, "promises the higher term too");
	k.current = k.goal = FSM_PREPARE_PROMOTION;
	BEGINS(k, o, FSM_ACT_PREPARE, FSM_PREPARE_PROMOTION, "the candidate as well");
	k.planned = true;
	WAITS(k, o, "unless the old writer is draining");
	k = healthy(FSM_INIT, FSM_WAIT_STANDBY);
	o = up(FSM_PG_DOWN);
	o.has_data = false;
	STEP(k, o, KEEPER_MOVE, FSM_ACT_NOTHING, FSM_WAIT_STANDBY, "waits for its turn");
	k = healthy(FSM_SECONDARY, FSM_DROPPED);
	o = up(FSM_PG_STANDBY);
	BEGINS(k, o, FSM_ACT_DROP, FSM_DROPPED, "leaves");
	k.current = FSM_DROPPED;
	o = up(FSM_PG_DOWN);
	WAITS(k, o, "but tells the monitor first");
	o.told = true;
	STEP(k, o, KEEPER_EXIT, FSM_ACT_NOTHING, FSM_DROPPED, "gone");
}

static void
test_busy(void)
{
	struct keeper k = healthy(FSM_WAIT_STANDBY, FSM_CATCHINGUP);
	struct keeper_obs o = up(FSM_PG_DOWN);

	o.has_upstream = o.working = true;
	o.act = FSM_ACT_FOLLOW;
	o.act_goal = FSM_CATCHINGUP;
	WAITS(k, o, "a copy takes its time");
	o.act_stale = true;
	STEP(k, o, KEEPER_ABORT, FSM_ACT_FOLLOW, FSM_CATCHINGUP,
	    "but not from the wrong node");
	o.act_stale = false;
	k = healthy(FSM_CATCHINGUP, FSM_REPORT_LSN);
	STEP(k, o, KEEPER_ABORT, FSM_ACT_FOLLOW, FSM_CATCHINGUP,
	    "and not when the goal is another");
	k = healthy(FSM_PREPARE_PROMOTION, FSM_REPORT_LSN);
	o = up(FSM_PG_STANDBY);
	o.working = true;
	o.act = FSM_ACT_CLOSED;
	o.act_goal = FSM_STOP_REPLICATION;
	STEP(k, o, KEEPER_ABORT, FSM_ACT_CLOSED, FSM_STOP_REPLICATION,
	    "a promotion not yet begun is called off");
	o.act_final = true;
	WAITS(k, o, "one that began is left to finish");
	k = healthy(FSM_PRIMARY, FSM_PRIMARY);
	o = up(FSM_PG_RW);
	o.working = true;
	o.act = FSM_ACT_STOP;
	o.act_goal = FSM_DRAINING;
	WAITS(k, o, "a stop is left to finish even when it is not wanted any more");
}

static void
test_backoff(void)
{
	IS_INT(keeper_backoff_ms(0), 0, "no failure, no wait");
	IS_INT(keeper_backoff_ms(1), 100, "the first");
	IS_INT(keeper_backoff_ms(4), 800, "doubling");
	IS_INT(keeper_backoff_ms(7), 5000, "to the most");
	IS_INT(keeper_backoff_ms(1000000), 5000, "for ever");
}

/* -- every situation -- */

enum { PROPERTIES = 10 };
static const char *const property[PROPERTIES] = {
	"what is begun is an act of the table, toward a state",
	"nothing is begun while something is in progress, nothing aborted otherwise",
	"writes are opened only with the monitor's word in this life",
	"writes are opened only while there is a lease",
	"a writer starts with the monitor's word or when it died under our eyes",
	"nobody is followed against a promise, or without a name",
	"a state without Postgres ends in a stop",
	"in maintenance Postgres is left alone",
	"nothing is started while the keeper leaves, or out of half a rewind",
	"a stop and a final act are aborted only when a fence needs it",
};
static long broken[PROPERTIES];
static long situations;

static void
must(int i, bool ok, const struct keeper *k, const struct keeper_obs *o,
    const struct keeper_step *s)
{
	if (ok || broken[i]++ > 0)
		return;
	tap_note("%s: %s -> %s, pg %s, act %s: %d %s -> %s", property[i],
	    fsm_state_name(k->current), fsm_state_name(k->goal), fsm_pg_name(o->pg),
	    o->working ? fsm_act_name(o->act) : "none", s->what, fsm_act_name(s->act),
	    fsm_state_name(s->to));
}

static bool
opening(enum fsm_act a)
{
	return a == FSM_ACT_OPEN || a == FSM_ACT_RESUME || a == FSM_ACT_PROMOTE ||
	       a == FSM_ACT_CLOSED || a == FSM_ACT_INIT;
}

static void
judge(const struct keeper *k, const struct keeper_obs *o)
{
	unsigned now = fsm_state_flags(k->current);
	struct keeper_step s;
	bool b;

	situations++;
	keeper_step(k, o, &s);
	b = s.what == KEEPER_BEGIN;
	must(0,
	    !b || (s.act != FSM_ACT_NOTHING && s.to != FSM_UNKNOWN &&
		      s.act < FSM_ACT_COUNT),
	    k, o, &s);
	must(1, (!b || !o->working) && (s.what != KEEPER_ABORT || o->working), k, o, &s);
	must(2, !b || !opening(s.act) || k->contact, k, o, &s);
	must(3,
	    !b || !opening(s.act) || s.act == FSM_ACT_INIT || s.act == FSM_ACT_CLOSED ||
		o->lease_left_ms > 0,
	    k, o, &s);
	must(4,
	    !b || s.act != FSM_ACT_START || (now & ST_STANDBY) || k->contact || o->was_up,
	    k, o, &s);
	must(5,
	    !b || (s.act != FSM_ACT_FOLLOW && s.act != FSM_ACT_FETCH) ||
		(k->term >= k->promise_term && o->has_upstream),
	    k, o, &s);
	must(6,
	    k->goal != k->current || !(now & ST_DOWN) || !o->pid_alive || o->working ||
		o->retry_in_ms > 0 ||
		(b && (s.act == FSM_ACT_STOP || s.act == FSM_ACT_FENCE)),
	    k, o, &s);
	must(7, k->current != FSM_MAINTENANCE || k->goal != FSM_MAINTENANCE || !b, k, o,
	    &s);
	must(8, !b || s.act != FSM_ACT_START || (!o->shutting_down && !k->rewinding), k,
	    o, &s);
	must(9,
	    s.what != KEEPER_ABORT || (o->act != FSM_ACT_STOP && !o->act_final) ||
		o->lease_left_ms <= 0 || (o->sync && o->contact_age_ms > o->partition_ms),
	    k, o, &s);
}

/* The bits of one number choose what is seen. */
static void
vary(enum fsm_state current, enum fsm_state goal, unsigned bits)
{
	static const enum fsm_pg pgs[] = { FSM_PG_DOWN, FSM_PG_STARTING, FSM_PG_STANDBY,
		FSM_PG_RW };
	static const enum fsm_act acts[] = { FSM_ACT_STOP, FSM_ACT_CLOSED, FSM_ACT_FOLLOW,
		FSM_ACT_SYNC };
	static const int64_t leases[] = { FSM_NEVER, 1000, 0, -1000 };
	struct keeper k = healthy(current, goal);
	struct keeper_obs o = up(pgs[bits & 3]);

	o.lease_left_ms = leases[bits >> 2 & 3];
	k.contact = bits >> 4 & 1;
	o.was_up = bits >> 5 & 1;
	o.has_upstream = bits >> 6 & 1;
	o.shutting_down = bits >> 7 & 1;
	k.promise_term = bits >> 8 & 1 ? 4 : 3;
	o.working = bits >> 9 & 1;
	o.act = acts[bits >> 10 & 3];
	o.act_final = o.act == FSM_ACT_CLOSED && (bits >> 12 & 1);
	o.act_goal = bits >> 12 & 1 ? goal : FSM_CATCHINGUP;
	k.rewinding = bits >> 13 & 1;
	o.contact_age_ms = o.vouched_age_ms = bits >> 14 & 1 ? 30000 : 0;
	o.retry_in_ms = bits >> 15 & 1 ? 10 : 0;
	judge(&k, &o);
}

static void
test_all(void)
{
	for (int c = 0; c < FSM_STATE_COUNT; c++)
		for (int g = 0; g < FSM_STATE_COUNT; g++)
			for (unsigned bits = 0; bits < 1U << 16; bits++)
				vary((enum fsm_state)c, (enum fsm_state)g, bits);
	for (int i = 0; i < PROPERTIES; i++)
		OK(broken[i] == 0, "%s", property[i]);
	tap_note("%ld situations", situations);
}

int
main(void)
{
	test_stable();
	test_start();
	test_fence();
	test_goal();
	test_busy();
	test_backoff();
	test_all();
	return tap_done();
}
