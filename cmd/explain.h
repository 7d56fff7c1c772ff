/* A group as it is seen now, for explain and what it asks itself. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

#include <stdbool.h>

#include "fsm/fsm.h"

struct buf;
struct cmd_ctx;

struct explain {
	struct fsm_group g;
	bool live; /* as the monitor process sees it; else from the tables alone */
	const char *doubt; /* ... and why */
};

/* The group in force by the options of the command. */
int show_explain_look(struct cmd_ctx *, struct explain *)
    __attribute__((warn_unused_result));

/* explain --if-lost <node> */
int show_explain_lost(struct cmd_ctx *, const struct explain *)
    __attribute__((warn_unused_result));

/* What an operator can do when this rule says why nothing happens; NULL: nothing. */
const char *show_way_out(int rule);

/* "0.7 s", "5 min"; "never". */
const char *show_duration(int64_t ms, char out[24]);

#endif
