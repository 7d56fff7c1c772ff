/* The postmaster: found, started, stopped for certain, promoted. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_POSTMASTER_H
#define PG_POSTMASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct host;

/* A process, told apart from a later one with the same number by its start. */
struct postmaster {
	pid_t pid;      /* 0: there is none */
	uint64_t start; /* clock ticks after boot */
	int port;
	char sockdir[108]; /* the first socket directory, "" none */
	char status[16]; /* postmaster.pid's last line: starting, ready, standby, stopping
			  */
};

/*
 * The postmaster that works in PGDATA now; pid 0 when postmaster.pid is missing, stale,
 * of a zombie, or of somebody else's process. Cheap: for event loops too.
 */
void postmaster_find(const struct host *, struct postmaster *);

/* The pure half: the text of a postmaster.pid, which is cut up. */
void postmaster_parse(char *text, struct postmaster *);

/* A descriptor that becomes readable when it dies; -1 when it is gone already. */
int postmaster_pidfd(const struct postmaster *);

/* How many processes work in PGDATA, orphans of a dead postmaster included; 0: none. */
int postmaster_processes(const struct host *);

enum postmaster_listen {
	POSTMASTER_LISTEN, /* where the settings say */
	POSTMASTER_PRIVATE /* only the local socket: nobody else may come in yet */
};

/*
 * Start it and wait until it accepts connections; fine when it runs already. A stale
 * postmaster.pid goes, orphans of a dead postmaster are killed and waited for. Waits as
 * long as redo advances; gives up after idle_ms without any progress (0: 60 s), leaving
 * it to go on. When it dies: ERR_POSTGRES with the last lines of its log as detail.
 * Refuses (ERR_STATE) a directory that is marked (setup_mark).
 */
int postmaster_start(const struct host *, enum postmaster_listen, int64_t idle_ms,
    struct err *) __attribute__((warn_unused_result));

enum postmaster_mode {
	POSTMASTER_FAST,      /* SIGINT; all standbys get everything (facts 5.1) */
	POSTMASTER_IMMEDIATE, /* SIGQUIT; like a crash */
	POSTMASTER_KILL       /* SIGKILL, every process */
};

/*
 * Stop it; fine when it does not run. When 0 is returned neither the postmaster nor any
 * of its children is left, orphans of earlier ones included. A fast stop asks walsenders
 * that still hang after walsender_ms to end (facts 5.5), and after deadline_ms becomes an
 * immediate one, which becomes a kill 2 s later; the standbys may lack the tail then.
 */
struct postmaster_stop {
	enum postmaster_mode mode;
	int64_t deadline_ms;  /* 0: 30 s */
	int64_t walsender_ms; /* 0: 3 s */
};
int postmaster_stop(const struct host *, const struct postmaster_stop *, struct err *)
    __attribute__((warn_unused_result));

/* Hand it SIGHUP; fine when it does not run. */
int postmaster_hup(const struct host *, struct err *) __attribute__((warn_unused_result));

/*
 * End recovery and wait until it is over; as long as replay advances, else idle_ms (0:
 * 30 s). Fine when it is over already. Refuses (ERR_POSTGRES) where Postgres would die of
 * it (facts 3.8). tli: the new one.
 */
int postmaster_promote(const struct host *, int64_t idle_ms, int *tli, struct err *)
    __attribute__((warn_unused_result));

#endif
