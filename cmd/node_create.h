/* Creating a node: options, what is there already, registration. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_NODE_CREATE_H
#define CMD_NODE_CREATE_H

#include "cmd/cmd.h"

/* Merge the options of create postgres into the settings, and fill what can be found out.
 */
int node_options(struct cmd_ctx *) __attribute__((warn_unused_result));

/*
 * By which name the others reach us: the address we have on the way to that host (no
 * packet is sent), or the name of it, if name and address lead to each other and an
 * address is not what is wanted. -1: there is no way to it.
 */
int node_best_name(const char *host, const char *port, bool numeric, struct buf *)
    __attribute__((warn_unused_result));

enum node_stage {
	NODE_NEW,        /* nothing is registered */
	NODE_UNFINISHED, /* registered, the first state not reached */
	NODE_READY       /* created */
};

enum node_mode {
	NODE_RUN,    /* until it is told to stop */
	NODE_CREATE, /* until the first state is reached; Postgres is stopped then */
	NODE_ADOPT   /* the same, and a Postgres that ran before goes on */
};

/* The keeper's loop, in this process. */
int node_serve(const struct config *, enum node_mode, struct err *)
    __attribute__((warn_unused_result));

/* "node run" by options and settings, without a file of its own. */
int node_run(struct cmd_ctx *) __attribute__((warn_unused_result));

/* How far an earlier create got, by the files of this data directory. */
int node_stage(const struct config *, enum node_stage *, struct err *)
    __attribute__((warn_unused_result));

/* Files of a node that the monitor has never seen: its registration was not completed. */
bool node_never_was(const struct config *);

/* Files of a node that the monitor knows no more, or never knew. */
bool node_is_no_more(const struct config *);

/*
 * Look at PGDATA, register with the monitor, write settings, state and init file; all of
 * it or nothing. What is running stays so.
 */
int node_register(struct cmd_ctx *, struct config *) __attribute__((warn_unused_result));

#endif
