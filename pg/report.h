/* SPDX-License-Identifier: PostgreSQL */
/* What a keeper tells the monitor, and what it is told in return. */
#ifndef PG_REPORT_H
#define PG_REPORT_H

#include "fsm/fsm.h"

#define REPORT_PARAMS_MAX 40

struct err;
struct row;

/* The writer's view of one attached standby. */
struct report_peer {
	int64_t node_id;
	char sync_state[16]; /* async, potential, sync, quorum */
	uint64_t flush_lsn;
	int64_t reply_age_ms; /* since reply_time last changed, by our clock */
};

struct report {
	int64_t node_id;
	int64_t epoch; /* the highest monitor epoch seen */
	int64_t seen_seq;
	int64_t seen_term;
	enum fsm_state state;
	enum fsm_pg pg;
	bool pg_retrying;
	bool has_data;
	int tli;      /* 0: unknown, the stored one stays */
	uint64_t lsn; /* 0: unknown, the stored one stays */
	int64_t promise_term;
	int promise_tli;
	uint64_t promise_lsn;
	int64_t stopped_term;
	uint64_t final_lsn;
	int64_t applied_gen;
	int lease_gen;
	int64_t upstream_id;
	bool streaming;
	enum fsm_witness heard;
	int64_t heard_age_ms;
	int fails;
	char rep_state[16]; /* best sync_state of the attached standbys, '' none */
	char act[32];       /* what it is doing now, '' nothing */
	char progress[96];  /* of long work: "base backup 43 % (1.2 of 2.8 GB)" */
	char error[256];    /* why the last attempt failed, '' */
	int npeers;
	struct report_peer peer[FSM_NODES_MAX];
};

struct reply {
	enum fsm_state goal;
	int64_t goal_seq;
	int64_t term;
	int64_t epoch;
	bool planned; /* op.planned of the operation in progress */
	uint64_t target_lsn;
	int64_t upstream_id; /* whom to follow or fetch from, 0 nobody */
	char upstream_host[256];
	int upstream_port;
	int upstream_tli; /* 0 unknown */
	int64_t gen;      /* the wanted configuration */
	int gen_k;
	char names[2048]; /* synchronous_standby_names of it */
	int lease_gen;
	int64_t lease_ms;  /* -1 unlimited, 0 not renewed */
	int64_t peers_gen; /* changes when any node of the group comes, goes or moves */
	int priority;
	bool quorum;
};

/* One other node of the group, for slots and pg_hba.conf. */
struct peer {
	int64_t id;
	char name[FSM_NAME_MAX];
	char host[256];
	int port;
	uint64_t lsn;
	enum fsm_state goal;
};

/*
 * The report as one statement with text parameters, so that the keeper can
 * send it without blocking. The strings live in the struct.
 */
struct report_params {
	int n;
	const char *value[REPORT_PARAMS_MAX];
	char text[8192];
};
extern const char
    report_sql[]; /* select ... from pgautofailover.keeper_report($1, ...) */
extern const char
    report_peers_sql[]; /* $1 node id: the others of its group, one row each */
int report_format(const struct report *, struct report_params *, struct err *);
int reply_parse(struct reply *, const struct row *, struct err *);
int peer_parse(struct peer *, const struct row *, struct err *);

#endif
