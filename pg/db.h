/* A connection to Postgres: every statement has a deadline, every value is a parameter.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_DB_H
#define PG_DB_H

#include <libpq-fe.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

struct err;

/* Where to connect and as whom. NULL or 0: what the uri says, or libpq's default. */
struct db_target {
	const char *uri; /* URI or keyword=value text; what follows overrides it */
	const char *host;
	int port;
	const char *dbname;
	const char *user;
	const char *password;
	const char *application_name; /* default "autoctl" */
	const char *replication; /* "database": takes a walsender's place (facts 10) */
	const char *sslmode;
	const char *options;  /* such as "-c default_transaction_read_only=off" */
	int64_t connect_ms;   /* default 5000 */
	int64_t statement_ms; /* client side deadline of each statement, default 10000;
			       * the server gives up the statement then too */
	bool local;           /* errors are ERR_POSTGRES, not ERR_MONITOR */
};

struct db {
	PGconn *conn; /* NULL: not open */
	int64_t statement_ms;
	bool local;
	unsigned prepared; /* bits of struct db_statement */
};

/* A result. { 0 } is an empty one; rows_drop it. */
struct rows {
	PGresult *res;
	int count;
	int64_t affected; /* rows changed by insert, update, delete */
};

/* One row of a result, valid as long as the result. */
struct row {
	const PGresult *res;
	int index;
};

/*
 * search_path is empty (names are written with their schema), client_encoding UTF8,
 * application_name autoctl. Names of hosts are looked up while we wait. On -1 the struct
 * is closed; err->sqlstate tells 28P01, 57P03, ... when the server spoke, "" otherwise.
 */
int db_open(struct db *, const struct db_target *, struct err *)
    __attribute__((warn_unused_result));
void db_close(struct db *); /* also of { 0 } */
bool db_is_open(const struct db *);
/* The connection is of no more use: the server closed it or a deadline passed in it. */
bool db_is_bad(const struct db *);

/*
 * Run one statement; the parameters are text, const char *, NULL for null, as many as the
 * statement has $n, then DB_END. A deadline that passes closes the connection
 * (ERR_SYSTEM); errors of the server have its sqlstate, detail and hint. db_run forgets
 * rows, db_query fills the struct (which it drops first).
 */
#define DB_PARAMS_MAX 64
#define DB_END ((const char *)-1)
int db_run(struct db *, struct err *, const char *sql, ...)
    __attribute__((warn_unused_result));
int db_query(struct db *, struct err *, struct rows *, const char *sql, ...)
    __attribute__((warn_unused_result));
/* The same with an array. rows may be NULL. */
struct db_args {
	int n;
	const char *const *value;
};
static inline struct db_args
db_args(int n, const char *const *value)
{
	return (struct db_args){ n, value };
}
int db_exec(struct db *, struct rows *, const char *sql, struct db_args, struct err *)
    __attribute__((warn_unused_result));
/* One that is planned once for each connection; bit: its own among those used on it. */
struct db_statement {
	const char *name;
	const char *sql;
	unsigned bit;
};
int db_prepared(struct db *, struct rows *, const struct db_statement *, struct db_args,
    struct err *) __attribute__((warn_unused_result));
/* Several statements in one text, without parameters: one transaction unless it says. */
int db_script(struct db *, const char *sql, struct err *)
    __attribute__((warn_unused_result));
/* The same with the last result: what a replication session understands. */
int db_simple(struct db *, struct rows *, const char *sql, struct err *)
    __attribute__((warn_unused_result));

void rows_drop(struct rows *);
struct row row_at(const struct rows *, int index); /* asserts that it exists */

/* Columns by name, which must be there; null or unreadable is "" or 0. */
bool row_null(const struct row *, const char *col);
const char *row_text(const struct row *, const char *col); /* as long as the result */
int64_t row_i64(const struct row *, const char *col);
int row_int(const struct row *, const char *col);
bool row_bool(const struct row *, const char *col);
uint64_t row_lsn(const struct row *, const char *col);
bool row_has(const struct row *, const char *col); /* is there such a column */

/* Wait for a NOTIFY on any channel that is listened to: 1 got one, 0 the time is over, -1
 * the connection is lost. */
#define DB_CHANNEL_MAX 64
struct db_notice {
	char channel[DB_CHANNEL_MAX];
	char payload[8000];
};
int db_wait_notice(struct db *, struct db_notice *, int64_t ms, struct err *)
    __attribute__((warn_unused_result));

/* The same without taking it: 1 something has arrived, 0 the time is over. */
int db_wait_readable(struct db *, int64_t ms, struct err *)
    __attribute__((warn_unused_result));
int db_fd(const struct db *); /* for a poll loop; -1 when closed */

/* For watch.c and store.c, which share the ways of db.c. */
struct db_words {
	const char *keyword[24];
	const char *value[24];
	char port[16];
	char options[256];
};
void db_words(const struct db_target *, struct db_words *); /* ended by NULL */
int db_params(va_list, const char **value); /* up to DB_END; returns how many */
int db_result_err(const PGresult *, bool local, struct err *);
int db_conn_err(const PGconn *, bool local, struct err *);
void db_quiet(PGconn *); /* the server's warnings go to the log */
bool db_take_notice(PGconn *, struct db_notice *);
void rows_fill(struct rows *, PGresult *); /* takes the result */

#endif
