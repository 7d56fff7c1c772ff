/* The local Postgres, for inspect and manual: by the settings, the options, the files. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_LOCAL_H
#define CMD_LOCAL_H

#include <stdbool.h>

#include "pg/host.h"
#include "pg/statefile.h"

struct cmd_ctx;

/*
 * The settings of the data directory if it has any, else the defaults, with what the
 * options say instead (nothing is saved), and the host they describe. The programs of
 * Postgres are found when they are there. ERR_CONFIG for settings that cannot be read.
 */
int cmd_local(struct cmd_ctx *, struct host *) __attribute__((warn_unused_result));

/* The same, and the programs must be there. */
int cmd_local_programs(struct cmd_ctx *, struct host *)
    __attribute__((warn_unused_result));

/* The state file of a node. ERR_STATE when there is none. */
int cmd_local_state(struct cmd_ctx *, struct statefile *)
    __attribute__((warn_unused_result));
int cmd_local_state_write(struct cmd_ctx *, const struct statefile *)
    __attribute__((warn_unused_result));

/* ERR_STATE while a service runs that this command would fight with. */
int cmd_local_alone(struct cmd_ctx *) __attribute__((warn_unused_result));

/* What postmaster.pid says, and whether sessions are accepted; the text is constant. */
const char *cmd_local_status(const struct host *, bool *ready);

#endif
