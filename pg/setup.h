/* What is on the disk: programs, data directory, control file; and making a new one. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_SETUP_H
#define PG_SETUP_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct err;
struct host;

/*
 * Fill h->bindir and h->version: the folder of postgresql.pg_ctl when set, else of
 * PG_CONFIG, then PATH, then the usual folders of distributions; the highest major that
 * has postgres and pg_controldata and, when there is a data directory, its major.
 * ERR_CONFIG with a hint when there is none.
 */
int setup_find(struct host *, struct err *) __attribute__((warn_unused_result));

/* The path of a program: bindir/name. Replaces the text. */
void setup_program(const struct host *, const char *name, struct buf *);

enum setup_state {
	SETUP_MISSING, /* no directory */
	SETUP_EMPTY,   /* nothing in it (lost+found does not count) */
	SETUP_FOREIGN, /* something that is not a cluster */
	SETUP_CLUSTER, /* a cluster, not running */
	SETUP_RUNNING  /* a postmaster works in it */
};
int setup_state(const struct host *, enum setup_state *, struct err *)
    __attribute__((warn_unused_result));

/* Where setup_initdb builds: a directory in PGDATA, gone when the cluster is complete. */
#define SETUP_UNFINISHED ".autoctl-initdb"

/*
 * A new cluster in an empty or missing directory; refuses any other. Local and loopback
 * connections are trusted, others have no rule yet; settings and pg_hba.conf are the
 * business of conf.h and hba.h. Interrupted anywhere, it leaves what setup_state
 * still calls empty, and what the next call clears away.
 */
int setup_initdb(const struct host *, struct err *) __attribute__((warn_unused_result));

enum setup_control_state {
	CONTROL_UNKNOWN,
	CONTROL_SHUT_DOWN,
	CONTROL_SHUT_DOWN_IN_RECOVERY,
	CONTROL_SHUTTING_DOWN,
	CONTROL_IN_CRASH_RECOVERY,
	CONTROL_IN_ARCHIVE_RECOVERY,
	CONTROL_IN_PRODUCTION,
	CONTROL_STARTING
};

struct control {
	enum setup_control_state state;
	uint32_t control_version;
	uint32_t catalog_version;
	uint64_t system_identifier;
	uint64_t checkpoint; /* location of the last checkpoint record */
	uint64_t redo;
	int tli; /* of it; the old one for a while after a promotion (facts 6.3) */
	uint64_t min_recovery; /* 0 on a primary */
	int min_recovery_tli;
	uint32_t segment_bytes;
	bool wal_log_hints;
	bool checksums;
	/* as the primary had them; a standby with less cannot be promoted */
	int max_connections, max_worker_processes, max_wal_senders;
	int max_prepared_xacts, max_locks_per_xact;
};
int setup_control(const struct host *, struct control *, struct err *)
    __attribute__((warn_unused_result));
/* The pure half, for tests. */
int setup_control_parse(const char *text, struct control *, struct err *)
    __attribute__((warn_unused_result));

/* After a clean stop as a primary: the end of the shutdown record, which a standby must
 * have reached; else 0. */
uint64_t setup_final_lsn(const struct control *);

/* Permissions Postgres insists on: 0700 (or 0750 where it was so), owned by us. */
int setup_permissions(const struct host *, struct err *)
    __attribute__((warn_unused_result));

/* A directory pg_rewind left half way: it must not be started, only copied anew. The mark
 * lies with the keeper's state, for pg_rewind removes what it does not know. */
int setup_mark(const struct host *, bool on, struct err *)
    __attribute__((warn_unused_result));
bool setup_marked(const struct host *);

/* The path of the newest file below PGDATA/log; false: there is none. */
bool setup_newest_log(const struct host *, struct buf *);

/*
 * Where connections are to be encrypted: the certificate and its key are there, and
 * Postgres would start with them. Those in PGDATA are made (--ssl-self-signed).
 */
int setup_certificate(const struct host *, struct err *)
    __attribute__((warn_unused_result));

bool setup_is_inside(const struct host *, const char *path);

/* Debian's clusters keep their files in /etc: bring them into PGDATA (contract 9). */
int setup_debian(const struct host *, struct err *) __attribute__((warn_unused_result));

#endif
