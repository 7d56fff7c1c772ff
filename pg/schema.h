/* The schema of the monitor's database: its steps, and how they are applied. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_SCHEMA_H
#define PG_SCHEMA_H

#include <stddef.h>

struct db;
struct err;

struct schema_step {
	int version;
	const char *name;
	const char *sql;
};

/* Made from pg/sql by pg/embed, in order, without a gap. */
extern const struct schema_step schema_list[];
extern const size_t schema_count;

/*
 * Apply what is missing, in one transaction, under a lock. Returns the number of steps
 * applied; ERR_STATE when the database is newer than this program.
 */
int schema_migrate(struct db *, struct err *) __attribute__((warn_unused_result));

/* Fill the tables state, fsm and edge from the lists this program is made of. */
int schema_fill(struct db *, struct err *) __attribute__((warn_unused_result));

/* Its part for table fsm; see pg/schema_rules.c. */
int schema_fill_rules(struct db *, struct err *) __attribute__((warn_unused_result));

/* The version applied, 0 when there is none. */
int schema_version(struct db *, int *version, struct err *)
    __attribute__((warn_unused_result));

#endif
