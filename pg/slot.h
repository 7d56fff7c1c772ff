/* Replication slots: on every node one for every other node. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_SLOT_H
#define PG_SLOT_H

#include "ini/buf.h"

struct db;
struct err;
struct peer;

/*
 * One statement, idempotent, for primaries and standbys: makes what is missing (reserving
 * WAL), drops what belongs to no peer (inactive ones only) or has lost its WAL, and on a
 * standby advances the peers' slots to the position they reported. $1: names, $2: their
 * positions, both text arrays. An error (somebody attached in between) is of no
 * consequence: run it again later.
 */
extern const char slot_keep_sql[];

/* Its parameters. { 0 } to begin with; filled anew each time. */
struct slot_params {
	struct buf names, lsns;
	const char *value[2];
};
void slot_params(struct slot_params *, const struct peer *, int n);
void slot_params_drop(struct slot_params *);

/* The same, blocking. */
int slot_keep(struct db *, const struct peer *, int n, struct err *)
    __attribute__((warn_unused_result));

#endif
