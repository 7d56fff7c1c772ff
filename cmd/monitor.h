/* What create monitor and monitor run share: settings, the instance, the database. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_MONITOR_H
#define CMD_MONITOR_H

#include <stdbool.h>

#include "cmd/loop.h"
#include "cmd/service.h"
#include "pg/host.h"
#include "pg/postmaster.h"

struct cmd_ctx;
struct err;

/* The database the monitor works on: an instance of our own, or one that is there. */
struct monitor_home {
	struct config *cfg;
	bool embedded;
	struct host host; /* embedded only */
};

/* Everything that can be made without a running Postgres: cluster, settings, rules. */
int monitor_home_init(struct monitor_home *, struct config *, struct err *)
    __attribute__((warn_unused_result));
int monitor_home_make(struct monitor_home *, struct err *)
    __attribute__((warn_unused_result));

/* Take over what has changed in the file of settings, and hand it to Postgres. */
int monitor_home_reload(struct monitor_home *, struct err *)
    __attribute__((warn_unused_result));

/* Roles, database, schema. Embedded: Postgres runs. ERR_MONITOR when the database is a
 * standby or cannot be reached now: try again. */
int monitor_home_fill(struct monitor_home *, struct err *)
    __attribute__((warn_unused_result));

/* A session on the metadata, as its owner. */
int monitor_home_open(const struct monitor_home *, struct db *, struct err *)
    __attribute__((warn_unused_result));

/* monitor_run.c: until a signal. The loop is there already, so that no signal is lost. */
int monitor_serve(struct monitor_home *, struct service *, struct loop *, struct err *)
    __attribute__((warn_unused_result));

#endif
