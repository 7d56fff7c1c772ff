/* The monitor's metadata: a group in and out of the tables, requests and their outcome.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_STORE_H
#define PG_STORE_H

#include "fsm/fsm.h"
#include "pg/db.h"

#define STORE_WAKE "pgautofailover_wake" /* to the monitor: payload formation/group */
#define STORE_GOAL "pgautofailover_goal" /* to keepers: payload node id */
#define STORE_REQUEST "pgautofailover_request" /* to clients: payload request id */

/* -- for commands: ask, and wait for what the monitor decides -- */

struct store_outcome {
	int64_t id; /* 0: the function itself was all there was to do */
	bool refused;
	char sqlstate[6];
	char text[FSM_TEXT_MAX]; /* why it was refused, or a warning, or "" */
};

/*
 * Call an operator function ("select pgautofailover.perform_failover($1, $2)") and wait
 * until the monitor has decided the request it made. The monitor decides, it does not
 * finish: watch the channel "state" for that. When the time is over: ERR_SYSTEM, with the
 * hint that no monitor process may be running. A refusal is ERR_MONITOR with its
 * sqlstate. Parameters as in db_query; rows may be NULL.
 */
int store_submit(struct db *, struct err *, struct store_outcome *, int64_t wait_ms,
    const char *sql, ...) __attribute__((warn_unused_result));

/* Listen to the channels state and log: before store_submit, so that nothing is missed.
 */
int store_listen(struct db *, struct err *) __attribute__((warn_unused_result));

/* -- for the monitor process -- */

/* What the tables know of a node besides the brain's part. */
struct store_node {
	int64_t id;
	char host[256];
	int port;
	int health;
	int64_t report_seq; /* counts its reports */
	int session_pid;    /* backend of its keeper, 0 none */
	bool session;       /* ... which is still there */
	int64_t changed_seq;
};

struct store_group {
	struct fsm_group g;
	int64_t version;
	struct store_node node[FSM_NODES_MAX]; /* in the order of g.node */
};

/*
 * The deciding process holds the row of table monitor. 1: held, with the epoch; 0:
 * another one holds it. renew before it is stale_ms old.
 */
int store_epoch_take(struct db *, const char *holder, int64_t stale_ms, int64_t *epoch,
    struct err *) __attribute__((warn_unused_result));
int store_epoch_renew(struct db *, int64_t epoch, struct err *)
    __attribute__((warn_unused_result));

#endif
