/* Non-blocking connections: what may be done without waiting is done, the rest is told.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/watch.h"

#include <assert.h>
#include <poll.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 5000
#define TURNS 720720 /* whatever the number of hosts (to 15), each gets its share */

int
watch_open(struct watch *w, const struct db_target *t, struct err *e)
{
	int64_t ms = t->connect_ms ? t->connect_ms : CONNECT_MS;
	struct db_target own = *t;
	struct db_words words;
	struct buf uri = { 0 };
	int turn = w->turn;

	watch_close(w);
	if (turn && t->uri && !t->host && uri_rotate(t->uri, turn, &uri, e) == 0)
		own.uri = buf_peek(&uri);
	db_words(&own, &words);
	*w = (struct watch){ .local = t->local, .began = clock_mono(), .turn = turn };
	w->conn = PQconnectStartParams(words.keyword, words.value, 1);
	buf_drop(&uri);
	if (!w->conn || PQstatus(w->conn) == CONNECTION_BAD) {
		db_conn_err(w->conn, t->local, e);
		watch_close(w);
		return -1;
	}
	PQsetErrorVerbosity(w->conn, PQERRORS_VERBOSE);
	db_quiet(w->conn);
	w->state = WATCH_CONNECTING;
	w->events = POLLOUT;
	w->deadline = mono_after(w->began, ms);
	return 0;
}

void
watch_close(struct watch *w)
{
	rows_drop(&w->rows);
	PQclear(w->got);
	w->got = NULL;
	PQfinish(w->conn);
	w->conn = NULL;
	w->state = WATCH_CLOSED;
	w->events = 0;
}

int
watch_fd(const struct watch *w)
{
	return w->conn ? PQsocket(w->conn) : -1;
}

/*
 * The texts are libpq's and the C locale's: this program never sets another. The first
 * that is found decides. What libpq says of encryption and passwords by itself has no
 * sqlstate, and comes after a postmaster has answered.
 */
static const struct {
	const char *part;
	enum watch_lost lost;
} texts[] = {
	{ "root certificate file", WATCH_LOST_LOCAL },
	{ "could not read", WATCH_LOST_LOCAL },
	{ "certificate file", WATCH_LOST_LOCAL },
	{ "private key file", WATCH_LOST_LOCAL },
	{ "refused", WATCH_LOST_REFUSED },
	{ "reset by peer", WATCH_LOST_REFUSED },
	{ "closed the connection", WATCH_LOST_REFUSED },
	{ "closed unexpectedly", WATCH_LOST_REFUSED },
	{ "EOF detected", WATCH_LOST_REFUSED },
	{ "No such file", WATCH_LOST_REFUSED },
	{ "Broken pipe", WATCH_LOST_REFUSED },
	{ "terminating connection", WATCH_LOST_REFUSED },
	{ "SYSCALL error", WATCH_LOST_SILENT },
	{ "timed out", WATCH_LOST_SILENT },
	{ "SSL", WATCH_LOST_OTHER },
	{ "certificate", WATCH_LOST_OTHER },
	{ "password", WATCH_LOST_OTHER },
	{ "authentication", WATCH_LOST_OTHER },
	{ "SCRAM", WATCH_LOST_OTHER },
	{ "channel binding", WATCH_LOST_OTHER },
};

static enum watch_lost
classify(const struct err *e)
{
	if (strcmp(e->sqlstate, "57P03") == 0)
		return WATCH_LOST_REJECT;
	if (e->sqlstate[0] && strncmp(e->sqlstate, "08", 2) != 0)
		return WATCH_LOST_OTHER;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strstr(e->msg, texts[i].part))
			return texts[i].lost;
	return WATCH_LOST_SILENT;
}

static enum watch_event
lost(struct watch *w, struct err *e)
{
	struct err own;

	db_conn_err(w->conn, w->local, &own);
	w->lost = classify(&own);
	if (e)
		*e = own;
	watch_close(w);
	return WATCH_LOST;
}

static enum watch_event
too_late(struct watch *w, struct err *e)
{
	int64_t ms = mono_between(w->began, w->deadline);

	err_set(e, w->local ? ERR_POSTGRES : ERR_MONITOR, "no answer within %lld ms",
	    (long long)ms);
	w->lost = WATCH_LOST_SILENT;
	/* of several hosts another one is to be the first next time; wraps around */
	if (w->state == WATCH_CONNECTING)
		w->turn = (w->turn + 1) % TURNS;
	watch_close(w);
	return WATCH_LOST;
}

static bool
ready(const struct watch *w)
{
	struct pollfd p = { .fd = PQsocket(w->conn), .events = w->events };

	return poll(&p, 1, 0) > 0;
}

static enum watch_event
step_connect(struct watch *w, struct err *e)
{
	while (ready(w)) {
		PostgresPollingStatusType s = PQconnectPoll(w->conn);

		if (s == PGRES_POLLING_FAILED)
			return lost(w, e);
		if (s == PGRES_POLLING_OK) {
			PQsetnonblocking(w->conn, 1);
			w->state = WATCH_IDLE;
			w->events = POLLIN;
			return WATCH_OPEN;
		}
		w->events = s == PGRES_POLLING_READING ? POLLIN : POLLOUT;
	}
	return WATCH_NOTHING;
}

int
watch_send(struct watch *w, const char *sql, struct db_args args, int64_t deadline_ms,
    struct err *e)
{
	assert(w->state == WATCH_IDLE);
	if (!PQsendQueryParams(w->conn, sql, args.n, NULL, args.value, NULL, NULL, 0)) {
		lost(w, e);
		return -1;
	}
	w->state = WATCH_BUSY;
	w->began = clock_mono();
	w->deadline = mono_after(w->began, deadline_ms);
	w->events = PQflush(w->conn) > 0 ? POLLIN | POLLOUT : POLLIN;
	return 0;
}

/* The statement is done: its rows, its error, or the end of the connection. */
static enum watch_event
finish(struct watch *w, struct err *e)
{
	PGresult *res = w->got;
	bool failed = res && PQresultStatus(res) == PGRES_FATAL_ERROR;

	w->got = NULL;
	w->state = WATCH_IDLE;
	w->events = POLLIN;
	if (!failed) {
		rows_fill(&w->rows, res);
		return WATCH_RESULT;
	}
	db_result_err(res, w->local, e);
	PQclear(res);
	if (PQstatus(w->conn) == CONNECTION_OK)
		return WATCH_FAILED;
	w->lost = e && e->sqlstate[0] ? WATCH_LOST_OTHER : WATCH_LOST_REFUSED;
	watch_close(w);
	return WATCH_LOST;
}

static enum watch_event
step_result(struct watch *w, struct err *e)
{
	while (!PQisBusy(w->conn)) {
		PGresult *res = PQgetResult(w->conn);

		if (!res)
			return finish(w, e);
		PQclear(w->got);
		w->got = res;
	}
	return WATCH_NOTHING;
}

static enum watch_event
step_open(struct watch *w, struct err *e)
{
	if (w->state == WATCH_BUSY) {
		int unsent = PQflush(w->conn);

		if (unsent < 0)
			return lost(w, e);
		w->events = unsent ? POLLIN | POLLOUT : POLLIN;
	}
	if (ready(w) && !PQconsumeInput(w->conn))
		return lost(w, e);
	if (w->state == WATCH_BUSY)
		return step_result(w, e);
	return WATCH_NOTHING;
}

enum watch_event
watch_step(struct watch *w, struct mono now, struct err *e)
{
	enum watch_event event = WATCH_NOTHING;

	if (w->state == WATCH_CLOSED)
		return WATCH_NOTHING;
	rows_drop(&w->rows);
	if (w->state == WATCH_CONNECTING)
		event = step_connect(w, e);
	else
		event = step_open(w, e);
	if (event == WATCH_NOTHING && w->state != WATCH_IDLE &&
	    mono_reached(now, w->deadline))
		return too_late(w, e);
	return event;
}

bool
watch_notice(struct watch *w, struct db_notice *n)
{
	return db_take_notice(w->conn, n);
}
