/* Acts: what a keeper's worker process does to the host, and how it tells. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_ACT_H
#define CMD_ACT_H

#include "fsm/keeper.h"
#include "ini/clock.h"
#include "ini/config.h"
#include "ini/err.h"
#include "pg/host.h"
#include "pg/report.h"

/* All a worker knows: copies, made when it began. */
struct act_job {
	enum fsm_act act;
	enum fsm_state to;   /* the state that is reached by it */
	enum fsm_state from; /* the state it began in */
	enum fsm_pg pg;      /* as it was seen last */
	bool planned;        /* of the operation it serves */
	struct keeper keeper;
	struct reply reply; /* upstream, target, names */
	int fails;          /* of this act before */
	struct host *host;  /* borrowed; the worker is a fork and has its own */
	bool shut;          /* clients are known to be shut out, by an act just before */
	int fd;             /* to the main process, a SOCK_SEQPACKET pair; -1: nobody
			       listens */
};

/* What a worker says. Those that change what the keeper has promised or may do are on
 * disk before the worker gets its answer and goes on. */
enum act_news {
	ACT_PROGRESS,  /* text; no answer */
	ACT_FINAL,     /* no way back from here: do not abort */
	ACT_PROMISE,   /* let go of the upstream: promise_term, tli, lsn */
	ACT_REWINDING, /* value: true before, false after the directory is half made */
	ACT_DONE       /* rc, err, and what was reached */
};

struct act_message {
	enum act_news news;
	int rc;
	struct err err;
	char text[96];
	bool value;
	int64_t promise_term;
	int promise_tli;
	uint64_t promise_lsn;
	bool stopped;       /* Postgres is stopped for good */
	uint64_t final_lsn; /* ... at the end of this record, 0 when unclean */
	bool applied;       /* the wanted configuration is in force, confirmed */
	int64_t applied_gen;
	bool shut;                  /* clients are shut out */
	bool promoted;              /* on a new timeline: it wants a checkpoint soon */
	int tli;                    /* ... this one */
	uint64_t system_identifier; /* 0: not looked at; else these too */
	uint32_t control_version;
	uint32_t catalog_version;
};

/* Run it here, in this process; fills what was reached. -1 with the error. */
int act_run(struct act_job *, struct act_message *done, struct err *)
    __attribute__((warn_unused_result));

/* For the acts: tell the main process, and wait for its answer when there is one. */
int act_tell(struct act_job *, struct act_message *, struct err *)
    __attribute__((warn_unused_result));

#endif
