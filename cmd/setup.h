/* The local Postgres and the service, as config check, status and show file print them.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SETUP_H
#define CMD_SETUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/statefile.h"

struct buf;
struct config;
struct err;

struct show_setup {
	struct host host;
	struct postmaster postmaster;
	bool has_control;
	struct control control;
};

/* Look; what cannot be seen is left out. The settings must outlive the struct. */
int show_setup_look(struct show_setup *, const struct config *, struct err *)
    __attribute__((warn_unused_result));

/* unknown, starting, stopping, ready, standby */
const char *show_setup_status(const struct show_setup *);

void show_setup_text(const struct show_setup *);

/* {"pgdata": ...}, ended without a newline; its inner lines begin with the indent. */
void show_setup_json(const struct show_setup *, const char *indent, struct buf *);

/* The same for the service, from its pid file; pid 0: it does not run. */
void show_pid_json(
    const char *pid_file, bool with_status, pid_t, const char *indent, struct buf *);

/* The state file. */
void show_state_json(const struct statefile *, const char *indent, struct buf *);

#endif
