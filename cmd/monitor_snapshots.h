/* The file in which a monitor keeps what it decided on, and what; see fsm replay. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_MONITOR_SNAPSHOTS_H
#define CMD_MONITOR_SNAPSHOTS_H

#include "ini/buf.h"
#include "ini/log.h"

struct fsm_group;
struct fsm_plan;

#define MONITOR_SNAPSHOTS_BYTES (16 * 1024 * 1024) /* then it becomes <path>.1 */

struct monitor_snapshots {
	struct buf path; /* empty: none is kept */
	struct log_once trouble;
};

/*
 * Where: PG_AUTOCTL_SNAPSHOTS, else what the setting says, else, with PG_AUTOCTL_DEBUG,
 * beside the monitor's data. A directory gets the file snapshots.log.
 */
void monitor_snapshots_set(
    struct monitor_snapshots *, const char *setting, const char *pgdata);

/* A decision that changed something; at level debug also one that did not. */
void monitor_snapshots_add(
    struct monitor_snapshots *, const struct fsm_group *, const struct fsm_plan *);

#endif
