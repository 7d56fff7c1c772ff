/* The machine a Postgres of ours lives on: where it is, how to reach it, what it has. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_HOST_H
#define PG_HOST_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "ini/config.h"
#include "pg/db.h"

struct err;

#define HOST_REPLICATOR "pgautofailover_replicator"
#define HOST_HEALTH "pgautofailover_monitor"
#define HOST_STANDBY                                                                     \
	"pgautofailover_standby_" /* and the node id: slot, application_name */

/*
 * Everything in pg/ that touches the local Postgres takes one. It borrows the settings,
 * which must stay as long as it does. The functions block, each with a deadline of its
 * own, and may take minutes: call them in a worker process.
 */
struct host {
	const struct config *cfg;
	int64_t node_id; /* 0 until registered; always 0 for a monitor */
	char pgdata[PATH_MAX];
	char bindir[PATH_MAX]; /* "" until setup_find */
	int version;           /* of the programs, as server_version_num; 0 until then */
	char osuser[64];       /* whose processes they are: the superuser initdb makes */
	char user[64];     /* whom we connect as: osuser, until somebody knows better */
	char sockdir[108]; /* passed as -k; "" leaves it to the server's settings */
	bool no_socket;    /* tests only: loopback TCP instead of a socket */

	/* Long work tells how far it is: "base backup 43 % (1.2 of 2.8 GB)". May be NULL.
	 * A return of false asks to give up, which is then done cleanly. */
	bool (*progress)(void *arg, const char *text);
	void *arg;
};

/* Finds no programs yet (setup_find does), touches nothing. ERR_CONFIG, ERR_SYSTEM. */
int host_init(struct host *, const struct config *, int64_t node_id, struct err *)
    __attribute__((warn_unused_result));

/* ERR_STATE when somebody else listens on the port, on one of listen_addresses: better
 * now and in words than from the log of a Postgres that does not start. */
int host_check_port(const struct config *, struct err *)
    __attribute__((warn_unused_result));

/* false: somebody wants us to give up. */
bool host_progress(const struct host *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * A session on the local Postgres, as its superuser, in database postgres, through the
 * socket that postmaster.pid names, with synchronous_commit=local (no statement of ours
 * ever waits for a standby) and writable. statement_ms: the deadline of each statement,
 * 0 for the default.
 */
int host_open(const struct host *, struct db *, int64_t statement_ms, struct err *)
    __attribute__((warn_unused_result));

/* The same in another database. */
int host_open_in(const struct host *, struct db *, const char *dbname,
    int64_t statement_ms, struct err *) __attribute__((warn_unused_result));

/* The same as words for a connection that does not block (pg/watch.h). The texts live in
 * the struct. */
struct host_target {
	struct db_target t;
	char host[PATH_MAX];
};
void host_target(const struct host *, struct host_target *);

/* Room on the file systems of PGDATA and of pg_wal. */
struct host_disk {
	int64_t data_free, data_total;
	int64_t wal_free, wal_total;
};
int host_disk(const struct host *, struct host_disk *, struct err *)
    __attribute__((warn_unused_result));

/* -- names of standbys, and whether commits wait for them (facts 4) -- */

/*
 * Bring synchronous_standby_names into force, and prove it: ALTER SYSTEM, reload, a fresh
 * connection shows it, CHECKPOINT twice, then k standbys of the list have flushed what
 * was written before; one commit kicks those who wait. k = 0: names are '', shown by a
 * fresh connection. -1 with kind ERR_SYSTEM: the standbys did not get there in time (the
 * names are in force all the same).
 */
int host_sync(const struct host *, const char *names, int k, int64_t deadline_ms,
    struct err *) __attribute__((warn_unused_result));

/* Only set and reload; for a node that is about to be promoted or stopped. Also works
 * while Postgres is down: it edits postgresql.auto.conf then. */
int host_names(const struct host *, const char *names, struct err *)
    __attribute__((warn_unused_result));

/* default_transaction_read_only, the second layer of a closed door. Up or down. */
int host_read_only(const struct host *, bool on, struct err *)
    __attribute__((warn_unused_result));

/* The postmaster's value of a setting, as every new session has it. 1: it is this one, 0:
 * not. */
int host_shows(const struct host *, const char *name, const char *value, struct err *)
    __attribute__((warn_unused_result));

/* Signal the postmaster to read its files again, and wait until new sessions have them.
 */
int host_reload(const struct host *, struct err *) __attribute__((warn_unused_result));

int host_checkpoint(const struct host *, int64_t deadline_ms, struct err *)
    __attribute__((warn_unused_result));

/* -- a writable node's own objects -- */

/*
 * Roles pgautofailover_monitor and pgautofailover_replicator, the role of --username, the
 * database of --dbname, extensions that are there. Idempotent.
 */
int host_objects(const struct host *, struct err *) __attribute__((warn_unused_result));

/* Only the passwords of the two, as the settings have them now. */
int host_passwords(const struct host *, struct err *) __attribute__((warn_unused_result));
/* Of any role, by its verifier, and without a word in the server's log; none is set when
 * it is empty. */
int host_password(struct db *, const char *role, const char *password, struct err *)
    __attribute__((warn_unused_result));

/* Where a running Postgres stands. On a standby the greater of received and replayed. */
struct host_position {
	bool recovery;
	int tli;
	uint64_t lsn;
	uint64_t system_identifier;
};
int host_position(const struct host *, struct host_position *, struct err *)
    __attribute__((warn_unused_result));

#endif
