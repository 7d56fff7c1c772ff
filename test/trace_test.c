/* The sequences of states that operators know, walked by real keepers and a real monitor
 * in a simulated world. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "test/sim.h"
#include "test/tap.h"

#include "ini/ban.h"

static struct sim world;

enum event { CREATE, DIES, RETURNS, ASK, STREAM_CUT, STREAM_BACK };

/* What happens, to whom, and the states that each node then goes through. */
struct scene {
	enum event event;
	int host;
	enum fsm_request_kind kind;
	const char *what;
	const char *way[4];
};

static void
link_between(int a, int b, bool cut)
{
	world.cut[a][b] = world.cut[b][a] = cut;
}

static void
happen(const struct scene *c)
{
	int64_t node = world.host[c->host].disk.node_id;

	switch (c->event) {
	case CREATE:
		break;
	case DIES:
	case RETURNS:
		sim_power(&world, c->host, c->event == RETURNS);
		break;
	case ASK:
		simmonitor_ask(&world, c->kind, c->kind == FSM_REQ_FAILOVER ? 0 : node);
		break;
	case STREAM_CUT:
	case STREAM_BACK:
		for (int h = 0; h < world.nhosts; h++)
			if (h != c->host)
				link_between(c->host, h, c->event == STREAM_CUT);
		break;
	}
}

static void
tell(const char *story, int hosts, const struct scene *scene)
{
	sim_begin(&world, 1, hosts);
	for (const struct scene *c = scene; c->what; c++) {
		memset(world.way, 0, sizeof world.way);
		happen(c);
		sim_pass(&world, 60000);
		for (int h = 0; h < hosts; h++) {
			char what[120];

			snprintf(
			    what, sizeof what, "%s: %s: node %d", story, c->what, h + 1);
			IS_STR(world.way[h], c->way[h] ? c->way[h] : "", what);
		}
		OK(!world.failure[0], "%s: %s: nothing is broken%s", story, c->what,
		    world.failure);
	}
}

/* clang-format off */
static const struct scene two[] = {
{ CREATE, 0, 0, "created", {
	"single wait_primary primary",
	"wait_standby catchingup secondary",
} },
{ DIES, 0, 0, "the primary dies", {
	"",
	"prepare_promotion stop_replication wait_primary",
} },
{ RETURNS, 0, 0, "it returns", {
	"demote_timeout demoted catchingup secondary",
	"primary",
} },
{ DIES, 0, 0, "the standby dies", {
	"",
	"wait_primary",
} },
{ RETURNS, 0, 0, "it returns", {
	"catchingup secondary",
	"primary",
} },
{ ASK, 0, FSM_REQ_FAILOVER, "switchover", {
	"prepare_promotion stop_replication wait_primary primary",
	"draining demote_timeout demoted catchingup secondary",
} },
{ ASK, 0, FSM_REQ_MAINTENANCE_ON, "maintenance of the primary", {
	"prepare_maintenance maintenance",
	"prepare_promotion stop_replication wait_primary",
} },
{ ASK, 0, FSM_REQ_MAINTENANCE_OFF, "its end", {
	"catchingup secondary",
	"primary",
} },
{ ASK, 0, FSM_REQ_MAINTENANCE_ON, "maintenance of the standby", {
	"wait_maintenance maintenance",
	"wait_primary",
} },
{ ASK, 0, FSM_REQ_MAINTENANCE_OFF, "its end", {
	"catchingup secondary",
	"primary",
} },
{ STREAM_CUT, 0, 0, "only the monitor sees both", {
	"",
	"wait_primary",
} },
{ STREAM_BACK, 0, 0, "they see each other again", {
	"catchingup secondary",
	"primary",
} },
{ ASK, 1, FSM_REQ_REMOVE, "removal of the primary", {
	"report_lsn single wait_primary primary",
	"dropped wait_standby catchingup secondary",
} },
{ 0 } };

static const struct scene three[] = {
{ CREATE, 0, 0, "created", {
	"single wait_primary primary apply_settings primary",
	"wait_standby catchingup secondary",
	"wait_standby catchingup secondary",
} },
{ DIES, 0, 0, "the primary dies", {
	"",
	"report_lsn prepare_promotion stop_replication wait_primary primary",
	"report_lsn join_secondary secondary",
} },
{ RETURNS, 0, 0, "it returns", {
	"demote_timeout demoted catchingup secondary",
	"apply_settings primary",
	"",
} },
{ ASK, 2, FSM_REQ_PROMOTION, "promotion of node 3", {
	"report_lsn join_secondary secondary",
	"draining demote_timeout demoted catchingup secondary",
	"report_lsn prepare_promotion stop_replication wait_primary primary apply_settings primary",
} },
{ DIES, 0, 0, "one of two standbys dies", {
	"",
	"",
	"",
} },
{ DIES, 1, 0, "the other one, too: commits wait", {
	"",
	"",
	"",
} },
{ RETURNS, 0, 0, "one returns", {
	"catchingup secondary",
	"",
	"",
} },
{ RETURNS, 1, 0, "the other one, too", {
	"",
	"catchingup secondary",
	"",
} },
{ ASK, 2, FSM_REQ_MAINTENANCE_ON, "maintenance of the primary", {
	"report_lsn prepare_promotion stop_replication wait_primary primary",
	"report_lsn join_secondary secondary",
	"prepare_maintenance maintenance",
} },
{ ASK, 2, FSM_REQ_MAINTENANCE_OFF, "its end", {
	"",
	"",
	"catchingup secondary",
} },
{ ASK, 1, FSM_REQ_MAINTENANCE_ON, "maintenance of a standby", {
	"",
	"maintenance",
	"",
} },
{ ASK, 1, FSM_REQ_MAINTENANCE_OFF, "its end", {
	"",
	"catchingup secondary",
	"",
} },
{ 0 } };
/* clang-format on */

int
main(void)
{
	tell("two nodes", 2, two);
	tell("three nodes", 3, three);
	return tap_done();
}
