/* Name, host and port of a node: in its settings, and what the monitor tells others. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_METADATA_H
#define CMD_METADATA_H

struct cmd_ctx;

/*
 * Tell the monitor name, host and port of the settings in x->config, which need not be
 * saved yet. Nothing is to be done for a node that has no monitor or is not registered.
 * The port of a Postgres that still listens elsewhere is left out: the keeper tells it
 * when it has started it there. ERR_MONITOR: not reached, or the name or the address is
 * another node's.
 */
int cmd_metadata_tell(struct cmd_ctx *) __attribute__((warn_unused_result));

/* Options --name, --hostname, --pgport into x->config. How many, -1: one is wrong. */
int cmd_metadata_options(struct cmd_ctx *) __attribute__((warn_unused_result));

/* The service of the data directory, if one runs, reads its settings again. */
void cmd_metadata_reload(struct cmd_ctx *);

#endif
