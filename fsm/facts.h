/* SPDX-License-Identifier: PostgreSQL */
/* What is true of a group and of each of its nodes, as bits; the inside of fsm/. */
#ifndef FSM_FACTS_H
#define FSM_FACTS_H

#include "fsm/fsm.h"

typedef uint64_t fsm_facts;

enum facts_node {
#define NODE(id, name, text) FACT_##id,
#define GROUP(id, name, text)
#include "fsm/facts.def"
#undef NODE
#undef GROUP
	FACT_COUNT
};

enum facts_group {
#define NODE(id, name, text)
#define GROUP(id, name, text) GROUP_##id,
#include "fsm/facts.def"
#undef NODE
#undef GROUP
	GROUP_COUNT
};

_Static_assert(FACT_COUNT <= 64 && GROUP_COUNT <= 64, "facts are bits of 64");

struct facts {
	fsm_facts node[FSM_NODES_MAX];
	fsm_facts group;
	int writer; /* index of the node, or -1 */
	int candidate;
	int target;             /* of the request */
	int members;            /* nodes that are not leaving */
	enum fsm_state desired; /* where the writer should be */
	struct elect_result elect;
	int64_t wake_ms; /* when the next of these facts may change by itself */
};

void facts_read(const struct fsm_group *, struct facts *);
const char *facts_node_name(int fact);
const char *facts_group_name(int fact);

/* Not off: the guard is in place, as always but in a test. */
static inline bool
facts_guard(enum fsm_guard g)
{
	return !(fsm_broken_guards >> g & 1);
}

/* Pieces that the election needs as well. wake: NULL, or lowered to when the answer may
 * change. */
bool facts_due(int64_t *wake_ms, int64_t age_ms, int64_t limit_ms);
bool facts_member(const struct fsm_node *);
bool facts_listed(const struct fsm_config *, int64_t id);
bool facts_fresh(const struct fsm_node *);
bool facts_ok(const struct fsm_group *, const struct fsm_node *);
bool facts_stable(const struct fsm_node *);
bool facts_promised(const struct fsm_group *, const struct fsm_node *);
bool facts_stopped(const struct fsm_group *, const struct fsm_node *);
int64_t facts_last_gen(const struct fsm_group *); /* of what was granted, or 0 */
bool facts_branch(const struct fsm_group *, int tli, struct fsm_lineage *);
bool facts_on_lineage(const struct fsm_group *, int tli, uint64_t lsn);
/* Does that position hold all that the writer held when it began to write? */
bool facts_has_start(const struct fsm_group *, int tli, uint64_t lsn);
bool facts_old_writer_stopped(const struct fsm_group *);
/* How many votes are missing until the voters, as bits by index, intersect every commit.
 */
int facts_votes_missing(const struct fsm_group *, uint32_t voters);

#endif
