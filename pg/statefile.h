/* What a keeper remembers over a restart: pg_autoctl.state, pg_autoctl.init. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_STATEFILE_H
#define PG_STATEFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "fsm/keeper.h"

struct err;

#define STATEFILE_SIZE 1024
#define STATEFILE_KEY 32

struct statefile {
	int pg_version; /* server_version_num / 100 */
	uint32_t control_version;
	uint32_t catalog_version;
	int64_t monitor_contact_s;   /* since 1970, for people */
	int64_t secondary_contact_s; /* the same */
	struct keeper keeper;        /* its stored half */
	char key[STATEFILE_KEY +
		 1]; /* by which the monitor knows this node; "": none yet */
};

/* Make a key where there is none. 1: made, 0: there was one. */
int statefile_key(struct statefile *, struct err *) __attribute__((warn_unused_result));

/* A node that is not registered: no id, state init, goal unknown. */
void statefile_init(struct statefile *);

/*
 * Read and replace the whole file; durable when write returns 0. ERR_STATE: too short,
 * another version, or damaged; ERR_SYSTEM with errno ENOENT: there is none.
 */
int statefile_read(const char *path, struct statefile *, struct err *)
    __attribute__((warn_unused_result));
int statefile_write(const char *path, const struct statefile *, struct err *)
    __attribute__((warn_unused_result));

/* What was in PGDATA when create began; the file is there while create is not done. */
enum statefile_found {
	STATEFILE_FOUND_UNKNOWN,
	STATEFILE_FOUND_NOTHING, /* missing or empty */
	STATEFILE_FOUND_STOPPED,
	STATEFILE_FOUND_RUNNING,
	STATEFILE_FOUND_PRIMARY, /* running, and not in recovery */
	STATEFILE_FOUND_COUNT
};
int statefile_init_read(const char *path, enum statefile_found *, struct err *)
    __attribute__((warn_unused_result));
/* Must not be there yet (errno EEXIST). */
int statefile_init_write(const char *path, enum statefile_found, struct err *)
    __attribute__((warn_unused_result));

#endif
