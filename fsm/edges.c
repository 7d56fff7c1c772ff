/* The keeper's table: how a node gets from any of these states to that goal. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>

#include "fsm/fsm.h"

#include "ini/ban.h"

#define RW                                                                               \
	(FSM_BIT(SINGLE) | FSM_BIT(WAIT_PRIMARY) | FSM_BIT(PRIMARY) |                    \
	    FSM_BIT(JOIN_PRIMARY) | FSM_BIT(APPLY_SETTINGS))
#define STOPPED                                                                          \
	(FSM_BIT(DRAINING) | FSM_BIT(DEMOTE_TIMEOUT) | FSM_BIT(DEMOTED) |                \
	    FSM_BIT(PREPARE_MAINTENANCE))
#define STANDBY                                                                          \
	(FSM_BIT(CATCHINGUP) | FSM_BIT(SECONDARY) | FSM_BIT(PREPARE_PROMOTION) |         \
	    FSM_BIT(WAIT_MAINTENANCE) | FSM_BIT(REPORT_LSN) | FSM_BIT(FAST_FORWARD) |    \
	    FSM_BIT(JOIN_SECONDARY))
#define B(s) FSM_BIT(s)

/*
 * An act brings about the condition that its goal names, from wherever the
 * node is, and may be repeated. Stopping is possible from anywhere. What is
 * missing is missing on purpose: nothing opens writes on data of unknown age
 * (init, wait_standby, maintenance), and nothing turns a running writer into a
 * standby without stopping it as demoted first.
 */
/* clang-format off */
const struct fsm_edge fsm_edge_list[] = {
	{ B(INIT) | B(DROPPED),		FSM_SINGLE, FSM_ACT_INIT, EDGE_OPENS | EDGE_LONG },
	{ RW,				FSM_SINGLE, FSM_ACT_SYNC, 0 },
	{ STOPPED,			FSM_SINGLE, FSM_ACT_RESUME, EDGE_OPENS },
	{ STANDBY | B(STOP_REPLICATION),
					FSM_SINGLE, FSM_ACT_PROMOTE, EDGE_OPENS | EDGE_LONG },

	{ RW,				FSM_WAIT_PRIMARY, FSM_ACT_SYNC, 0 },
	{ STOPPED | B(INIT),		FSM_WAIT_PRIMARY, FSM_ACT_RESUME, EDGE_OPENS },
	{ B(STOP_REPLICATION),		FSM_WAIT_PRIMARY, FSM_ACT_OPEN, EDGE_OPENS },

	{ RW,				FSM_PRIMARY, FSM_ACT_SYNC, 0 },
	{ STOPPED | B(INIT),		FSM_PRIMARY, FSM_ACT_RESUME, EDGE_OPENS },

	{ RW,				FSM_APPLY_SETTINGS, FSM_ACT_NOTHING, 0 },
	{ STOPPED | B(INIT),		FSM_APPLY_SETTINGS, FSM_ACT_RESUME, EDGE_OPENS },

	{ RW | STOPPED,			FSM_DRAINING, FSM_ACT_STOP, EDGE_CLOSES },
	{ FSM_ANY,			FSM_DEMOTE_TIMEOUT, FSM_ACT_STOP, EDGE_CLOSES },
	{ FSM_ANY,			FSM_DEMOTED, FSM_ACT_STOP, EDGE_CLOSES },
	{ RW | STOPPED,			FSM_PREPARE_MAINTENANCE, FSM_ACT_STOP, EDGE_CLOSES },

	{ B(INIT) | B(DROPPED),		FSM_WAIT_STANDBY, FSM_ACT_NOTHING, 0 },
	{ STANDBY | STOPPED | B(STOP_REPLICATION) | B(WAIT_STANDBY) | B(MAINTENANCE),
					FSM_CATCHINGUP, FSM_ACT_FOLLOW, EDGE_LONG | EDGE_UPSTREAM },
	{ STANDBY,			FSM_SECONDARY, FSM_ACT_FOLLOW, EDGE_LONG | EDGE_UPSTREAM },

	{ STANDBY,			FSM_PREPARE_PROMOTION, FSM_ACT_PREPARE, 0 },
	{ B(PREPARE_PROMOTION),		FSM_STOP_REPLICATION, FSM_ACT_CLOSED, EDGE_LONG },
	{ STANDBY | STOPPED | B(STOP_REPLICATION) | B(MAINTENANCE),
					FSM_REPORT_LSN, FSM_ACT_DETACH, 0 },
	{ B(REPORT_LSN),		FSM_FAST_FORWARD, FSM_ACT_FETCH, EDGE_LONG | EDGE_UPSTREAM },
	{ B(REPORT_LSN),		FSM_JOIN_SECONDARY, FSM_ACT_NOTHING, 0 },

	{ STANDBY,			FSM_WAIT_MAINTENANCE, FSM_ACT_NOTHING, 0 },
	{ STANDBY | STOPPED,		FSM_MAINTENANCE, FSM_ACT_RELEASE, 0 },

	{ FSM_ANY,			FSM_DROPPED, FSM_ACT_DROP, EDGE_CLOSES },
};
/* clang-format on */
const size_t fsm_edge_count = sizeof fsm_edge_list / sizeof *fsm_edge_list;

const struct fsm_edge *
fsm_edge(enum fsm_state from, enum fsm_state to)
{
	assert(from >= 0 && from < FSM_STATE_COUNT && to >= 0 && to < FSM_STATE_COUNT);
	if (fsm_broken_guards >> FSM_GUARD_STOP_FROM_ANYWHERE & 1 &&
	    from == FSM_WAIT_PRIMARY && fsm_state_flags(to) & ST_DOWN)
		return NULL;
	if (fsm_broken_guards >> FSM_GUARD_SELF_FENCE_RETURNS & 1 &&
	    from == FSM_DEMOTE_TIMEOUT && fsm_state_flags(to) & ST_RW)
		return NULL;
	for (size_t i = 0; i < fsm_edge_count; i++)
		if (fsm_edge_list[i].to == to && fsm_edge_list[i].from >> from & 1)
			return &fsm_edge_list[i];
	return NULL;
}
