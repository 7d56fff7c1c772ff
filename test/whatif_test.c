/* What would be done if a node were lost: who takes over, when, what it costs. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "fsm/whatif.h"
#include "test/tap.h"

#include "ini/ban.h"

static struct fsm_group g;
static struct fsm_whatif w;

static void
node(int64_t id, enum fsm_state state)
{
	struct fsm_node *n = &g.node[g.n++];

	n->id = id;
	snprintf(n->name, sizeof n->name, "node_%d", (int)id);
	n->priority = 50;
	n->quorum = n->has_data = n->session = true;
	n->reported = n->goal = state;
	n->state_age_ms = n->goal_age_ms = 60000;
	n->tli = 1;
	n->lsn = state == FSM_PRIMARY ? 0x3000400 : 0x3000000;
	n->probe = FSM_WITNESS_OK;
	n->report_age_ms = 300;
	n->pg = FSM_PG_RW;
	if (state != FSM_SECONDARY)
		return;
	n->pg = FSM_PG_STANDBY;
	n->attached = n->streaming = true;
	n->upstream_id = 1;
	n->heard = FSM_WITNESS_OK;
}

/* Node 1 primary, the others secondaries, all of it at rest. */
static void
group(int nodes, int nss)
{
	g = (struct fsm_group){ .formation = "default", .nss = nss, .writer = 1 };
	fsm_settings_default(&g.settings);
	g.secondary_allowed = true;
	g.term = g.writer_tli = g.nconfigs = 1;
	g.watch_age_ms = 600000;
	node(1, FSM_PRIMARY);
	g.node[0].applied_gen = 1;
	g.config[0] = (struct fsm_config){ .gen = 1, .k = nss ? nss : 1 };
	for (int i = 2; i <= nodes; i++) {
		node(i, FSM_SECONDARY);
		g.config[0].member[g.config[0].n++] = i;
	}
}

static void
tell(void)
{
	for (int i = 0; i < w.nsteps; i++)
		tap_note("%lld ms, rule %d, node %lld: %s -> %s: %s",
		    (long long)w.step[i].at_ms, w.step[i].step.rule,
		    (long long)w.step[i].step.node, fsm_state_name(w.step[i].step.from),
		    fsm_state_name(w.step[i].step.to), w.step[i].step.text);
	tap_note("commits again after %lld ms: %s", (long long)w.commits_ms, w.waits);
}

static void
pair_primary(void)
{
	group(2, 0);
	fsm_whatif(&g, 1, false, &w);
	IS_INT(w.writer, 2, "the primary of two is lost: the other takes over");
	OK(w.was_writer && w.sync && !w.may_lose, "nothing is lost");
	OK(w.commits_ms > 0 && w.commits_ms <= 1000, "refused: within a second");
	OK(w.nsteps > 2, "there are steps");
	tell();
	fsm_whatif(&g, 1, true, &w);
	IS_INT(w.writer, 2, "the same when it is silent");
	OK(w.commits_ms >= g.settings.fast_verdict_window_ms &&
		w.commits_ms < g.settings.fast_verdict_window_ms + 500,
	    "after the window");
	tell();
}

static void
pair_standby(void)
{
	group(2, 0);
	fsm_whatif(&g, 2, false, &w);
	IS_INT(w.writer, 1, "the standby of two is lost: the primary goes on");
	OK(!w.may_lose && w.commits_ms > 0 && w.commits_ms <= 1000,
	    "commits wait for a moment");
	IS_INT(fsm_node_peek(&w.end, 1)->reported, FSM_WAIT_PRIMARY, "alone");
	tell();
}

static void
three(void)
{
	group(3, 1);
	fsm_whatif(&g, 1, false, &w);
	OK(w.writer == 2 || w.writer == 3,
	    "the primary of three is lost: one is elected");
	IS_INT(fsm_node_peek(&w.end, w.writer)->reported, FSM_PRIMARY, "it is primary");
	IS_INT(fsm_node_peek(&w.end, 5 - w.writer)->reported, FSM_SECONDARY,
	    "the other follows it");
	OK(!w.may_lose, "nothing is lost");
	tell();
	fsm_whatif(&g, 2, true, &w);
	IS_INT(w.writer, 1, "a standby of three is lost: the primary stays");
	IS_INT(w.commits_ms, 0, "and commits never stop");
	group(3, 1);
	g.node[1].lsn = 0x2000000;
	g.node[2].priority = 0;
	fsm_whatif(&g, 1, false, &w);
	IS_INT(w.writer, 2, "only one may be promoted: that one");
	group(3, 1);
	g.node[2].session = false;
	g.node[2].report_age_ms = 60000;
	g.node[2].probe = FSM_WITNESS_SILENT;
	g.node[2].probe_ok_age_ms = 60000;
	fsm_whatif(&g, 1, false, &w);
	IS_INT(w.writer, 0, "one of two standbys is gone already: nobody can prove it");
	IS_INT(w.commits_ms == FSM_NEVER, 1, "no commits");
	OK(strstr(w.waits, "node_3") != NULL, "node_3 is waited for");
	tell();
}

/* Asynchronous: the standby does not count for commits. */
static void
lonely(void)
{
	group(2, 0);
	g.node[0].reported = g.node[0].goal = FSM_WAIT_PRIMARY;
	g.node[1].reported = g.node[1].goal = FSM_SECONDARY;
	g.node[1].quorum = false;
	g.node[0].reported = g.node[0].goal = FSM_PRIMARY;
	g.config[0] = (struct fsm_config){ .gen = 1 };
	g.lease_gen = g.node[0].lease_gen = 1;
	fsm_whatif(&g, 1, false, &w);
	IS_INT(w.writer, 2, "without synchronous commits: it takes over");
	OK(w.may_lose && !w.sync, "something may be lost");
	IS_INT(w.lost_bytes, 0x400, "as much as it is behind");
	OK(w.commits_ms >= g.settings.lease_ms, "not before the lease is over");
	tell();
}

int
main(void)
{
	static struct fsm_group before;

	pair_primary();
	pair_standby();
	three();
	lonely();
	group(2, 0);
	before = g;
	fsm_whatif(&g, 1, false, &w);
	OK(memcmp(&before, &g, sizeof g) == 0, "it is not changed by asking");
	return tap_done();
}
