/* What a monitor has seen of each node with its own eyes and its own clock. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_MONITOR_EYES_H
#define CMD_MONITOR_EYES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ini/clock.h"

struct config;
struct eye;
struct fsm_settings;
struct loop;
struct store_group;

struct monitor_eyes {
	struct loop *loop;
	const struct config *cfg;            /* how to come in */
	const struct fsm_settings *settings; /* how often to look */
	void (*changed)(void *);             /* a probe sees something else than before */
	void *arg;
	struct eye **eye; /* pointers: the loop knows their addresses */
	size_t n;
};

/* Fill in what is seen of the group's nodes; who is new is looked at from now on. */
void monitor_eyes_see(struct monitor_eyes *, struct store_group *, struct mono now);

/* When the node was last heard, as far as this process can tell; NULL: never seen. */
const struct mono *monitor_eyes_report_at(const struct monitor_eyes *, int64_t node);

/* What the column "health" should say of the node, which says `health` now. */
int monitor_eyes_health(const struct monitor_eyes *, int64_t node, int health);

/* Look away from the nodes that have not been seen since the last call of begin; from
 * all of them. */
void monitor_eyes_begin(struct monitor_eyes *);
void monitor_eyes_end(struct monitor_eyes *);
void monitor_eyes_close(struct monitor_eyes *);

#endif
