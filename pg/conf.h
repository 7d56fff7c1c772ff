/* Our files of Postgres settings, and what must not be left in the others. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_CONF_H
#define PG_CONF_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct db;
struct err;
struct host;

#define CONF_MAIN "postgresql-auto-failover.conf"
#define CONF_STANDBY "postgresql-auto-failover-standby.conf"

/*
 * Three files, each with one purpose.
 *
 * CONF_MAIN: what every node of ours needs. Included first in postgresql.conf, so that an
 * operator's own lines win.
 *
 * CONF_STANDBY: whom to follow. Included likewise, empty on a primary.
 *
 * postgresql.auto.conf: synchronous_standby_names and default_transaction_read_only. Read
 * last, so that no other line can undo them. By ALTER SYSTEM while Postgres runs, edited
 * by us while it does not. A copy or a rewind brings the source's: conf_auto_reset takes
 * them out.
 */

/* Data node or monitor, by the role in the settings: write it when it differs, and the
 * include line. 1: something changed, 0: not. */
int conf_main(const struct host *, struct err *) __attribute__((warn_unused_result));
/* The text alone. */
void conf_main_format(const struct host *, struct buf *);

/* The memory and CPU part alone (inspect pgsetup tune). */
void conf_tune(struct buf *, int64_t memory_bytes, int cpus);
int64_t conf_machine_memory(void);
int conf_machine_cpus(void);

/* Whom to follow; id 0: nobody. */
struct conf_upstream {
	int64_t id;
	char host[256];
	int port;
	uint64_t stop_at; /* pause replay there, 0: do not */
};
/* 1: changed, 0: not. NULL: nobody. Includes it if need be. */
int conf_standby(const struct host *, const struct conf_upstream *, struct err *)
    __attribute__((warn_unused_result));
/* Empty: not a standby. */
int conf_standby_clear(const struct host *, struct err *)
    __attribute__((warn_unused_result));

/* standby.signal, durable. Removed by a promotion, which Postgres does, and for a writer
 * that goes on where it stopped. */
int conf_signal_write(const struct host *, struct err *)
    __attribute__((warn_unused_result));
int conf_signal_remove(const struct host *, struct err *)
    __attribute__((warn_unused_result));
bool conf_signal_exists(const struct host *);

/* While Postgres is down: a setting of postgresql.auto.conf; NULL takes it out. */
int conf_auto_set(const struct host *, const char *name, const char *value, struct err *)
    __attribute__((warn_unused_result));
/* ... and all those that belong to one node alone. */
int conf_auto_reset(const struct host *, struct err *)
    __attribute__((warn_unused_result));
/* The pure half: edit the text of such a file. */
void conf_auto_edit(const char *text, const char *name, const char *value, struct buf *);

/* ALTER SYSTEM SET (NULL: RESET), no reload. */
int conf_alter(struct db *, const char *name, const char *value, struct err *)
    __attribute__((warn_unused_result));

/* Take out of postgresql.auto.conf what says whom to follow; no reload. */
int conf_alter_follow(struct db *, struct err *) __attribute__((warn_unused_result));

/* Would the files be read? The first complaint of pg_file_settings as an error. */
int conf_check(struct db *, struct err *) __attribute__((warn_unused_result));
/* What of an adopted cluster's settings is not enough; empty when all is well. Each a
 * line of text. */
int conf_missing(struct db *, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* How the keeper and the tools connect to another node, for primary_conninfo. */
void conf_conninfo(
    const struct host *, const char *host, int port, const char *app, struct buf *);

#endif
