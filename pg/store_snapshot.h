/* Ask the monitor process what it sees of a group; its answer. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_STORE_SNAPSHOT_H
#define PG_STORE_SNAPSHOT_H

#include <stdint.h>

struct buf;
struct db;
struct err;

#define STORE_ASK "pgautofailover_ask" /* to the monitor: payload formation/group */
#define STORE_SNAPSHOT "pgautofailover_snapshot" /* to clients: the same, answered */

/* 1: text is what the process that decides sees now; 0: none has answered in that time.
 */
int store_snapshot_ask(struct db *, const char *group, int64_t wait_ms, struct buf *text,
    struct err *) __attribute__((warn_unused_result));

/* The answer; the group as formation/group. */
int store_snapshot_put(struct db *, const char *group, const char *text, struct err *)
    __attribute__((warn_unused_result));

/* A setting that is text and not the brain's; to is empty when it is not set. */
int store_setting(struct db *, const char *name, struct buf *to, struct err *)
    __attribute__((warn_unused_result));

#endif
