/* A connection that never blocks, for the poll loop: reports, LISTEN, probes. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_WATCH_H
#define PG_WATCH_H

#include "ini/clock.h"
#include "pg/db.h"

enum watch_state {
	WATCH_CLOSED,
	WATCH_CONNECTING,
	WATCH_IDLE, /* open, nothing asked */
	WATCH_BUSY  /* a statement is under way */
};

/* How a connection ended, for those who weigh evidence. */
enum watch_lost {
	WATCH_LOST_NOT,
	WATCH_LOST_REFUSED, /* positive: refused, reset, closed by the other side */
	WATCH_LOST_REJECT, /* a postmaster answered 57P03: starting up or shutting down */
	WATCH_LOST_OTHER,  /* a postmaster answered something else: it is alive */
	WATCH_LOST_SILENT, /* nothing came back before the deadline, or no route */
	WATCH_LOST_LOCAL   /* it is our fault: bad target, no memory, no socket */
};

struct watch {
	enum watch_state state;
	PGconn *conn;
	struct mono deadline; /* of the connection attempt or of the statement */
	struct mono began;    /* when that was started */
	short events;         /* POLLIN | POLLOUT it waits for now */
	enum watch_lost lost; /* why the last WATCH_LOST came */
	bool local;
	int turn;         /* which of several hosts is tried first */
	PGresult *got;    /* the last one of a statement that is not finished */
	struct rows rows; /* of the last WATCH_RESULT, until the next call */
};

enum watch_event {
	WATCH_NOTHING,
	WATCH_OPEN,   /* connected */
	WATCH_RESULT, /* the statement is done: rows */
	WATCH_FAILED, /* the statement failed (err), the connection goes on */
	WATCH_LOST    /* closed: refused, reset, deadline; see .lost and err */
};

/* Begin to connect (target->connect_ms). Names of hosts are looked up here and now, which
 * may block: give addresses where that matters. -1: nothing was begun. */
int watch_open(struct watch *, const struct db_target *, struct err *)
    __attribute__((warn_unused_result));
void watch_close(struct watch *); /* also of { 0 } */

int watch_fd(const struct watch *); /* -1 when closed; may change while connecting */

/* Send one statement with text parameters; only when WATCH_IDLE. -1: closed. */
int watch_send(struct watch *, const char *sql, struct db_args, int64_t deadline_ms,
    struct err *) __attribute__((warn_unused_result));

/*
 * Go on as far as possible without blocking. Call it when poll says so, when the deadline
 * has passed, and again as long as it does not return WATCH_NOTHING.
 */
enum watch_event watch_step(struct watch *, struct mono now, struct err *);

/* Take the next NOTIFY that has arrived; false: there is none. */
bool watch_notice(struct watch *, struct db_notice *);

#endif
