/* The monitor's metadata: a group in and out of the tables, requests and their outcome.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_STORE_H
#define PG_STORE_H

#include "fsm/fsm.h"
#include "pg/db.h"

#define STORE_WAKE "pgautofailover_wake" /* to the monitor: payload formation/group */
#define STORE_GOAL "pgautofailover_goal" /* to keepers: payload node id */
#define STORE_DECIDE_MS 15000 /* a monitor process that lives has decided by then */
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
 * hint that no monitor process may be running, and the request is withdrawn. A refusal is
 * ERR_MONITOR with its sqlstate. Parameters as in db_query; rows may be NULL.
 */
int store_submit(struct db *, struct err *, struct store_outcome *, const char *sql, ...)
    __attribute__((warn_unused_result));

/* Listen to the channels state and log: before store_submit, so that nothing is missed.
 */
int store_listen(struct db *, struct err *) __attribute__((warn_unused_result));

/* -- for the monitor process -- */

/* What the tables know of a node besides the brain's part. */
struct store_node {
	char host[256];
	int port;
	int health;
	int64_t report_seq;    /* counts its reports */
	int64_t report_age_ms; /* by the clock of the database, for the first look */
	bool session;          /* the keeper's session on this database is still there */
	int64_t seen_epoch;    /* the highest its keeper has seen */
};

/* A group as the tables have it. Ages of reports and probes, watch_age_ms and
 * lease_age_ms are what the process has seen, and not filled in here. */
struct store_group {
	struct fsm_group g;
	struct store_node node[FSM_NODES_MAX]; /* in the order of g.node */
	int64_t lease_ms;                      /* the one granted now */
	char explain[FSM_TEXT_MAX];            /* as last stored */
};

/*
 * The deciding process holds the row of table monitor. 1: it is ours, with the epoch; 0:
 * another one holds it: its session is there, and it has renewed within stale_ms.
 */
int store_epoch_take(struct db *, const char *holder, int64_t stale_ms, int64_t *epoch,
    struct err *) __attribute__((warn_unused_result));
/* 1: still ours, 0: somebody took it. */
int store_epoch_renew(struct db *, int64_t epoch, struct err *)
    __attribute__((warn_unused_result));
/* A keeper has seen a higher one, so the tables are an older copy: above that. 1, 0 as
 * above. */
int store_epoch_raise(struct db *, int64_t *epoch, int64_t seen, struct err *)
    __attribute__((warn_unused_result));
/* Leave it for another one to take at once. */
int store_epoch_leave(struct db *, int64_t epoch, struct err *)
    __attribute__((warn_unused_result));

/* Defaults, then the server's pgautofailover.*, then the table setting. A value that
 * cannot be read is logged, and the default holds. */
int store_settings(struct db *, struct fsm_settings *, struct err *)
    __attribute__((warn_unused_result));

/* The groups there are: columns formationid, groupid. */
int store_groups(struct db *, struct rows *, struct err *)
    __attribute__((warn_unused_result));

/* Read one. settings are copied in. 1: read, 0: there is no such group. */
struct store_key {
	char formation[FSM_NAME_MAX];
	int group_id;
};
int store_read(struct db *, const struct store_key *, const struct fsm_settings *,
    struct store_group *, struct err *) __attribute__((warn_unused_result));

/*
 * The same inside a transaction, with the group locked against reports and other
 * decisions; ends with store_write or store_forget. 0 too when the epoch is not ours any
 * more.
 */
int store_lock(struct db *, int64_t epoch, struct store_group *, struct err *)
    __attribute__((warn_unused_result));
void store_forget(struct db *);

/* Is there anything to write? */
bool store_differs(const struct store_group *before, const struct fsm_plan *);

/* Write what was decided, with events and notifications, and commit. */
int store_write(struct db *, const struct store_group *before, const struct fsm_plan *,
    struct err *) __attribute__((warn_unused_result));

/* A node's health as the probes see it: 1 good, 0 bad; an event when it changes. */
int store_health(struct db *, int64_t node, int health, struct err *)
    __attribute__((warn_unused_result));

/* Refuse requests that were made while nobody was there to decide them. */
int store_expire(struct db *, struct err *) __attribute__((warn_unused_result));

/* What functions must know of the settings, and no session may set for itself. */
int store_publish(struct db *, const struct fsm_settings *, struct err *)
    __attribute__((warn_unused_result));

/* Delete events and decided requests that are older than event_retention; a limited
 * number at a time, and never the newest. How many went, or -1. */
int store_prune(struct db *, const struct fsm_settings *, struct err *)
    __attribute__((warn_unused_result));

/* Why nothing happens, for people to read. */
int store_explain(struct db *, const struct store_group *, const char *text, struct err *)
    __attribute__((warn_unused_result));

#endif
