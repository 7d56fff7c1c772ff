/* Statements with deadlines, results by name of column, errors with their sqlstate. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/db.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 5000
#define STATEMENT_MS 10000

static void
words_add(struct db_words *w, const char *keyword, const char *value)
{
	size_t n = 0;

	if (str_empty(value))
		return;
	while (w->keyword[n])
		n++;
	assert(n + 1 < sizeof w->keyword / sizeof w->keyword[0]);
	w->keyword[n] = keyword;
	w->value[n] = value;
}

/*
 * Later words win over earlier ones, and the first dbname is expanded when it is a
 * connection string: so defaults, then the uri, then what the caller insists on.
 */
void
db_words(const struct db_target *t, struct db_words *w)
{
	memset(w, 0, sizeof *w);
	words_add(w, "fallback_application_name", "autoctl");
	words_add(w, "keepalives_idle", "10");
	words_add(w, "keepalives_interval", "5");
	words_add(w, "keepalives_count", "3");
	words_add(w, "tcp_user_timeout", "15000");
	words_add(w, "dbname", t->uri);
	words_add(w, "host", t->host);
	if (t->port) {
		snprintf(w->port, sizeof w->port, "%d", t->port);
		words_add(w, "port", w->port);
	}
	words_add(w, "dbname", t->dbname);
	words_add(w, "user", t->user);
	words_add(w, "password", t->password);
	words_add(w, "application_name", t->application_name);
	words_add(w, "replication", t->replication);
	words_add(w, "sslmode", t->sslmode);
	words_add(w, "client_encoding", "UTF8");
	/* the server's limit is a little less than ours: the session outlives the
	 * statement */
	snprintf(w->options, sizeof w->options,
	    "-c search_path= -c statement_timeout=%lld %s", (long long)t->statement_ms,
	    t->options ? t->options : "");
	words_add(w, "options", w->options);
}

static void
set_line(struct err *e, enum err_kind kind, const char *text)
{
	size_t n = strcspn(text, "\n");

	err_set(e, kind, "%.*s", (int)n, n ? text : "");
}

/* libpq has no sqlstate for a failed connection, but its verbose text has: "FATAL: 28P01:
 * password authentication failed ...". Cuts it out of the message. */
static void
take_sqlstate(struct err *e)
{
	char *at = e->msg;

	while ((at = strstr(at, ":  "))) {
		at += 3;
		if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		    str_starts(at + 5, ": ")) {
			memcpy(e->sqlstate, at, 5);
			e->sqlstate[5] = '\0';
			memmove(at, at + 7, strlen(at + 7) + 1);
			return;
		}
	}
}

int
db_conn_err(const PGconn *conn, bool local, struct err *e)
{
	struct err own;

	if (!e)
		e = &own;
	set_line(e, local ? ERR_POSTGRES : ERR_MONITOR,
	    conn ? PQerrorMessage(conn) : "out of memory");
	take_sqlstate(e);
	return -1;
}

int
db_result_err(const PGresult *res, bool local, struct err *e)
{
	enum err_kind kind = local ? ERR_POSTGRES : ERR_MONITOR;
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);

	set_line(e, kind, text ? text : PQresultErrorMessage(res));
	if (!e)
		return -1;
	if (state)
		snprintf(e->sqlstate, sizeof e->sqlstate, "%.5s", state);
	if (detail)
		err_detail(e, "%s", detail);
	if (hint)
		err_hint(e, "%s", hint);
	return -1;
}

static void
quiet(void *arg, const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	(void)arg;
	if (severity && strcmp(severity, "WARNING") == 0)
		log_warn("%s", text ? text : "");
	else
		log_debug("%s: %s", severity ? severity : "NOTICE", text ? text : "");
}

/* Without it libpq prints on stderr by itself. */
void
db_quiet(PGconn *conn)
{
	PQsetNoticeReceiver(conn, quiet, NULL);
}

/* 1: ready, 0: the deadline has passed (what is there already counts). A signal does not
 * end the wait. */
static int
wait_socket(const PGconn *conn, short events, struct mono deadline)
{
	struct pollfd p = { .fd = PQsocket(conn), .events = events };

	for (;;) {
		int64_t left = mono_between(clock_mono(), deadline);
		int n = poll(&p, 1, left > 60000 ? 60000 : left < 0 ? 0 : (int)left);

		if (n > 0 || (n < 0 && errno != EINTR))
			return 1;
		if (left <= 0)
			return 0;
	}
}

static int
connect_all(PGconn *conn, const struct db_target *t, struct err *e)
{
	int64_t ms = t->connect_ms ? t->connect_ms : CONNECT_MS;
	struct mono deadline = mono_after(clock_mono(), ms);
	PostgresPollingStatusType s = PGRES_POLLING_WRITING;

	while (s != PGRES_POLLING_OK) {
		if (s == PGRES_POLLING_FAILED)
			return db_conn_err(conn, t->local, e);
		if (!wait_socket(
			conn, s == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return err_set(e, t->local ? ERR_POSTGRES : ERR_MONITOR,
			    "no answer from %s:%s within %lld ms",
			    PQhost(conn) ? PQhost(conn) : "",
			    PQport(conn) ? PQport(conn) : "", (long long)ms);
		s = PQconnectPoll(conn);
	}
	return 0;
}

static int
open_once(struct db *d, const struct db_target *t, struct err *e)
{
	struct db_words w;

	db_words(t, &w);
	*d = (struct db){ .statement_ms = t->statement_ms, .local = t->local };
	d->conn = PQconnectStartParams(w.keyword, w.value, 1);
	if (!d->conn || PQstatus(d->conn) == CONNECTION_BAD) {
		db_conn_err(d->conn, t->local, e);
		db_close(d);
		return -1;
	}
	PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE);
	db_quiet(d->conn);
	if (connect_all(d->conn, t, e)) {
		db_close(d);
		return -1;
	}
	return 0;
}

/* libpq goes from host to host when one refuses; from one that says nothing it would not
 * go on before our deadline. So each gets its turn to be the first. */
int
db_open(struct db *d, const struct db_target *t, struct err *e)
{
	struct db_target own = *t;
	int hosts = t->uri && !t->host ? uri_hosts(t->uri) : 1;
	int rc = -1;

	if (!own.statement_ms)
		own.statement_ms = STATEMENT_MS;
	for (int i = 0; i < hosts && rc; i++) {
		struct buf uri = { 0 };

		if (i && uri_rotate(t->uri, i, &uri, e) == 0)
			own.uri = buf_peek(&uri);
		rc = open_once(d, &own, e);
		own.uri = t->uri;
		buf_drop(&uri);
	}
	return rc;
}

void
db_close(struct db *d)
{
	PQfinish(d->conn);
	d->conn = NULL;
}

bool
db_is_open(const struct db *d)
{
	return d->conn && PQstatus(d->conn) == CONNECTION_OK;
}

bool
db_is_bad(const struct db *d)
{
	return !db_is_open(d);
}

/* The next result of what was sent; NULL when there are no more. -1: the end of the
 * connection. */
static int
next_result(struct db *d, struct mono deadline, PGresult **res, struct err *e)
{
	while (PQisBusy(d->conn)) {
		int unsent = PQflush(d->conn);

		if (unsent < 0)
			return db_conn_err(d->conn, d->local, e);
		if (!wait_socket(d->conn, unsent ? POLLIN | POLLOUT : POLLIN, deadline))
			return err_set(e, ERR_SYSTEM, "no answer within %lld ms",
			    (long long)d->statement_ms);
		if (!PQconsumeInput(d->conn))
			return db_conn_err(d->conn, d->local, e);
	}
	*res = PQgetResult(d->conn);
	return 0;
}

static bool
result_is_good(const PGresult *res)
{
	ExecStatusType s = PQresultStatus(res);

	return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_EMPTY_QUERY;
}

/* Keep the last result, or the first error. */
static int
collect(struct db *d, struct rows *rows, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), d->statement_ms + 500);
	PGresult *last = NULL;
	PGresult *res = NULL;
	int rc = 0;

	for (;;) {
		if (next_result(d, deadline, &res, e)) {
			PQclear(last);
			db_close(d);
			return -1;
		}
		if (!res)
			break;
		if (rc == 0) {
			PQclear(last);
			last = res;
			if (!result_is_good(res))
				rc = db_result_err(res, d->local, e);
		} else {
			PQclear(res);
		}
	}
	if (rc == 0 && rows) {
		rows_fill(rows, last);
		return 0;
	}
	PQclear(last);
	return rc;
}

void
rows_fill(struct rows *r, PGresult *res)
{
	rows_drop(r);
	r->res = res;
	r->count = res ? PQntuples(res) : 0;
	if (res && PQcmdTuples(res)[0])
		r->affected = strtoll(PQcmdTuples(res), NULL, 10);
}

static int
not_open(const struct db *d, struct err *e)
{
	return err_set(e, d->local ? ERR_POSTGRES : ERR_MONITOR, "not connected");
}

int
db_exec(
    struct db *d, struct rows *rows, const char *sql, struct db_args args, struct err *e)
{
	struct rows none = { 0 };
	int rc;

	if (!d->conn)
		return not_open(d, e);
	if (!PQsendQueryParams(d->conn, sql, args.n, NULL, args.value, NULL, NULL, 0)) {
		db_conn_err(d->conn, d->local, e);
		db_close(d);
		return -1;
	}
	rc = collect(d, rows ? rows : &none, e);
	rows_drop(&none);
	return rc;
}

static int
prepare(struct db *d, const struct db_statement *s, struct err *e)
{
	if (d->prepared & s->bit)
		return 0;
	if (!PQsendPrepare(d->conn, s->name, s->sql, 0, NULL)) {
		db_conn_err(d->conn, d->local, e);
		db_close(d);
		return -1;
	}
	if (collect(d, NULL, e))
		return -1;
	d->prepared |= s->bit;
	return 0;
}

int
db_prepared(struct db *d, struct rows *rows, const struct db_statement *s,
    struct db_args args, struct err *e)
{
	if (!d->conn)
		return not_open(d, e);
	if (prepare(d, s, e))
		return -1;
	if (!PQsendQueryPrepared(d->conn, s->name, args.n, args.value, NULL, NULL, 0)) {
		db_conn_err(d->conn, d->local, e);
		db_close(d);
		return -1;
	}
	return collect(d, rows, e);
}

int
db_script(struct db *d, const char *sql, struct err *e)
{
	return db_simple(d, NULL, sql, e);
}

int
db_simple(struct db *d, struct rows *rows, const char *sql, struct err *e)
{
	if (!d->conn)
		return not_open(d, e);
	if (!PQsendQuery(d->conn, sql)) {
		db_conn_err(d->conn, d->local, e);
		db_close(d);
		return -1;
	}
	return collect(d, rows, e);
}

int
db_params(va_list ap, const char **value)
{
	int n = 0;

	for (;;) {
		const char *v = va_arg(ap, const char *);

		if (v == DB_END)
			return n;
		assert(n < DB_PARAMS_MAX);
		value[n++] = v;
	}
}

int
db_run(struct db *d, struct err *e, const char *sql, ...)
{
	const char *value[DB_PARAMS_MAX];
	va_list ap;
	int n;

	va_start(ap, sql);
	n = db_params(ap, value);
	va_end(ap);
	return db_exec(d, NULL, sql, db_args(n, value), e);
}

int
db_query(struct db *d, struct err *e, struct rows *rows, const char *sql, ...)
{
	const char *value[DB_PARAMS_MAX];
	va_list ap;
	int n;

	va_start(ap, sql);
	n = db_params(ap, value);
	va_end(ap);
	return db_exec(d, rows, sql, db_args(n, value), e);
}

bool
db_take_notice(PGconn *conn, struct db_notice *n)
{
	PGnotify *got = conn ? PQnotifies(conn) : NULL;

	if (!got)
		return false;
	snprintf(n->channel, sizeof n->channel, "%s", got->relname);
	snprintf(n->payload, sizeof n->payload, "%s", got->extra);
	PQfreemem(got);
	return true;
}

int
db_fd(const struct db *d)
{
	return d->conn ? PQsocket(d->conn) : -1;
}

int
db_wait_readable(struct db *d, int64_t ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), ms);

	if (!d->conn)
		return not_open(d, e);
	if (!wait_socket(d->conn, POLLIN, deadline))
		return 0;
	if (PQconsumeInput(d->conn))
		return 1;
	db_conn_err(d->conn, d->local, e);
	db_close(d);
	return -1;
}

int
db_wait_notice(struct db *d, struct db_notice *n, int64_t ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), ms);
	int rc = 1;

	while (rc > 0) {
		if (db_take_notice(d->conn, n))
			return 1;
		rc = db_wait_readable(d, mono_between(clock_mono(), deadline), e);
	}
	return rc;
}

void
rows_drop(struct rows *r)
{
	PQclear(r->res);
	*r = (struct rows){ 0 };
}

struct row
row_at(const struct rows *r, int index)
{
	assert(index >= 0 && index < r->count);
	return (struct row){ r->res, index };
}

bool
row_has(const struct row *r, const char *col)
{
	return PQfnumber(r->res, col) >= 0;
}

static int
column(const struct row *r, const char *col)
{
	int i = PQfnumber(r->res, col);

	if (i < 0)
		log_error("no column \"%s\" in a result", col);
	assert(i >= 0);
	return i;
}

bool
row_null(const struct row *r, const char *col)
{
	return PQgetisnull(r->res, r->index, column(r, col));
}

const char *
row_text(const struct row *r, const char *col)
{
	return PQgetvalue(r->res, r->index, column(r, col));
}

int64_t
row_i64(const struct row *r, const char *col)
{
	int64_t v = 0;

	(void)!str_i64(row_text(r, col), &v, NULL);
	return v;
}

int
row_int(const struct row *r, const char *col)
{
	int v = 0;

	(void)!str_int(row_text(r, col), &v, NULL);
	return v;
}

bool
row_bool(const struct row *r, const char *col)
{
	return row_text(r, col)[0] == 't';
}

uint64_t
row_lsn(const struct row *r, const char *col)
{
	uint64_t v = 0;

	(void)!str_lsn(row_text(r, col), &v, NULL);
	return v;
}
