/* SPDX-License-Identifier: PostgreSQL */
/* The keeper's half of the brain: what a node does next, given what it knows. */
#ifndef FSM_KEEPER_H
#define FSM_KEEPER_H

#include "fsm/fsm.h"

/* What a keeper remembers over a restart: it is in the state file, fsynced before it
 * acts. */
struct keeper {
	int64_t node_id;
	int group_id;
	uint64_t system_identifier;
	enum fsm_state current;
	enum fsm_state goal;
	int64_t goal_seq;
	int64_t term;  /* of the goal */
	int64_t epoch; /* replies of a lower one are refused */
	int64_t promise_term;
	int promise_tli;
	uint64_t promise_lsn;
	int64_t stopped_term;
	uint64_t final_lsn;
	int64_t applied_gen;
	int lease_gen;
	bool rewinding; /* pg_rewind began and did not finish: the directory must not
			   start */
	bool parked;    /* maintenance entered by a graceful stop */

	/* not stored */
	int64_t wanted_gen; /* of the last reply */
	bool planned;
	bool contact; /* the monitor answered since this process started */
	int fails;
};

/* What is seen of the host and of the monitor now. */
struct keeper_obs {
	enum fsm_pg pg;
	bool pid_alive; /* a postmaster process is there */
	bool was_up;    /* this process saw it writable, and did not stop it since */
	bool has_data;
	bool sync;  /* synchronous_standby_names is not empty in Postgres */
	bool drift; /* ... and not what was applied: somebody edited it */
	bool streaming;
	int64_t apart_ms;       /* a standby: since it last streamed; 0 when it does */
	enum fsm_witness heard; /* a standby: the writer, by our own ping */
	bool has_upstream;      /* the monitor named one, and it is not us */
	bool upstream_ok;       /* Postgres is configured to follow that one */
	bool shutting_down;     /* this keeper was asked to stop */
	bool told;              /* the monitor answered a report of the current state */
	int64_t
	    contact_age_ms; /* since the last good reply was *asked for*, or our start */
	int64_t lease_left_ms;   /* FSM_NEVER: unlimited */
	int64_t vouched_age_ms;  /* since a standby that could replace us was last seen
				    attached */
	int64_t partition_ms;    /* network_partition_timeout */
	int64_t down_age_ms;     /* since Postgres was last seen up; 0 when up */
	int64_t grace_ms;        /* restart_grace */
	int crashes;             /* in the last KEEPER_CRASH_MS */
	bool disk_full;          /* what died of that would die again */
	bool working;            /* an act is in progress */
	enum fsm_act act;        /* which */
	enum fsm_state act_goal; /* and for which goal */
	bool act_stale; /* what it was begun with (upstream, target, names) has changed */
	bool act_final; /* it said that there is no way back */
	int64_t retry_in_ms; /* > 0: the last attempt failed, wait this long */
	int64_t pause_ms;    /* > 0: it crashed, do not start it for so long */
};

#define KEEPER_CRASHES_MAX 3  /* a Postgres that dies so often ... */
#define KEEPER_CRASH_MS 20000 /* ... in this time is down, not restarting */
#define KEEPER_APART_MS                                                                  \
	3000 /* a standby that does not stream for this long is led back */

enum keeper_do {
	KEEPER_WAIT,  /* nothing to do now */
	KEEPER_BEGIN, /* begin act toward state */
	KEEPER_ABORT, /* end the act in progress: it serves no goal any more */
	KEEPER_MOVE,  /* no work needed: state is reached */
	KEEPER_EXIT   /* dropped, and the monitor knows: leave */
};

struct keeper_step {
	enum keeper_do what;
	enum fsm_act act;
	enum fsm_state to; /* the state that is reached when the act succeeds */
	const char *why;
};

/*
 * Pure: reads both, changes neither. KEEPER_WAIT comes with a reason or NULL.
 * The order of concerns: fence when the lease is over; refuse what a promise
 * or a stop forbids; go to the goal; keep the condition of the current state.
 */
void keeper_step(const struct keeper *, const struct keeper_obs *, struct keeper_step *);

/*
 * Another monitor counts anew: what the last one said and was promised is over. A node
 * that writes goes on, any other one joins as if it had just been registered.
 */
void keeper_other_monitor(struct keeper *);

/* Postgres is down, and will be started in place: do not replace it yet. */
bool keeper_retrying(const struct keeper *, const struct keeper_obs *);

/*
 * The wait before the next attempt, after this many failures in a row: 0.1 s doubling
 * to 5 s.
 */
int64_t keeper_backoff_ms(int fails);

#endif
