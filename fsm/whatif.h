/* What would be decided if a node were lost now. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef FSM_WHATIF_H
#define FSM_WHATIF_H

#include "fsm/fsm.h"

#define FSM_WHATIF_STEPS 96

/*
 * The group is decided again and again from the snapshot on, with that node dead and
 * the keepers of the others, as far as they report, doing at once what they are told.
 * Times are those of the timers alone: what a keeper needs to promote comes on top.
 */
struct fsm_whatif {
	int64_t lost;
	bool
	    silent; /* nothing comes back from its host; false: connections are refused */

	bool was_writer;
	bool sync; /* commits waited for a standby when it was lost */
	int nsteps;
	struct fsm_whatif_step {
		int64_t at_ms;
		struct fsm_step step;
	} step[FSM_WHATIF_STEPS];
	int64_t commits_ms;  /* commits complete again, 0 they never stopped, FSM_NEVER */
	int64_t settled_ms;  /* the last step */
	int64_t writer;      /* who takes writes at the end, 0 nobody */
	bool may_lose;       /* what the lost node alone has acknowledged ... */
	uint64_t lost_bytes; /* ... as far as it was reported */
	char waits[FSM_TEXT_MAX]; /* why nothing happens any more */
	struct fsm_group end;
};

/* The node must be one of the group. */
void fsm_whatif(const struct fsm_group *, int64_t lost, bool silent, struct fsm_whatif *);

#endif
