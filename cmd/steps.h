/* The steps of a decision, for people and for programs. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_STEPS_H
#define CMD_STEPS_H

#include <stdint.h>

struct buf;
struct fsm_group;
struct fsm_step;

/* "rule 301, node_2: secondary -> prepare_promotion: node_1 is down", no newline. */
void show_step_text(struct buf *, const struct fsm_group *, const struct fsm_step *);

/* The members of an object, without its braces. */
void show_step_json(struct buf *, const struct fsm_group *, const struct fsm_step *);

/* The name of a node, "-" when there is none of that id. */
const char *show_node_name(const struct fsm_group *, int64_t id);

#endif
