/* Connection strings: merged, compared, and shown without their secrets. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_URI_H
#define PG_URI_H

#include <stdbool.h>

struct buf;
struct err;

/* What a connection string may be made of; NULL or 0 is left out. */
struct uri_parts {
	const char *user;
	const char *password;
	const char *host; /* a name, an address, a socket directory, or a list a,b */
	int port;
	const char *dbname;
	const char *sslmode;
	const char *sslrootcert;
	const char *sslcrl;
};

/* Append postgres://user@host:port/dbname?sslmode=..., everything escaped as needed. */
void uri_format(struct buf *, const struct uri_parts *);

/* Append keyword=value to keyword=value text, quoted where that is needed; an empty value
 * is left out. */
void uri_word(struct buf *, const char *keyword, const char *value);

/* Is it a URI or keyword=value text that libpq reads? ERR_USAGE when not. */
int uri_check(const char *, struct err *) __attribute__((warn_unused_result));

/* Append the value of a keyword ("host", "port", "user", ...), nothing when not set. */
int uri_get(const char *uri, const char *keyword, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* Append the same target with one keyword changed (NULL: without it), as a URI. */
int uri_set(const char *uri, const char *keyword, const char *value, struct buf *,
    struct err *) __attribute__((warn_unused_result));

/* Append it with **** for passwords; a text that cannot be read becomes "****". */
void uri_scrub(const char *, struct buf *);

/* How many hosts it names; 1 when it cannot be read. */
int uri_hosts(const char *uri);

/* Append the same target, its list of hosts beginning with another one (0: as it is). */
int uri_rotate(const char *uri, int first, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* The same hosts, ports, database and user? */
bool uri_same(const char *, const char *);

#endif
