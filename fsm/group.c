/* Looking into a group. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/fsm.h"

#include "ini/ban.h"

struct fsm_node *
fsm_node_find(struct fsm_group *g, int64_t id)
{
	for (int i = 0; i < g->n; i++)
		if (g->node[i].id == id)
			return &g->node[i];
	return NULL;
}

const struct fsm_node *
fsm_node_peek(const struct fsm_group *g, int64_t id)
{
	for (int i = 0; i < g->n; i++)
		if (g->node[i].id == id)
			return &g->node[i];
	return NULL;
}
