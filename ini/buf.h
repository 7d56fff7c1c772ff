/* A string that grows. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_BUF_H
#define INI_BUF_H

#include <stdarg.h>
#include <stddef.h>

/* { 0 } is a valid empty one. May hold NUL bytes; data[len] is NUL once data is there. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
};

void buf_init(struct buf *);            /* empty, no allocation */
void buf_drop(struct buf *);            /* contents go; empty again, ready for use */
void buf_reset(struct buf *);           /* length 0, memory kept */
void buf_cut(struct buf *, size_t len); /* shorten to len, if longer */

/* The string is yours to free now, never NULL; the buf is empty. */
char *buf_take(struct buf *);

/* Borrowed until the next buf_ call; never NULL. */
const char *buf_peek(const struct buf *);
size_t buf_len(const struct buf *);

/* Append. */
void buf_add(struct buf *, const void *bytes, size_t n);
void buf_char(struct buf *, char);
void buf_str(struct buf *, const char *);
void buf_printf(struct buf *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *, const char *fmt, va_list)
    __attribute__((format(printf, 2, 0)));

/* Append a value quoted for ... */
void buf_json(struct buf *, const char *);  /* JSON, with the "" (RFC 8259); NULL: null */
void buf_shell(struct buf *, const char *); /* sh; bare when that is safe */
void buf_conninfo(struct buf *, const char *); /* libpq keyword = 'value' */
void buf_conf(struct buf *, const char *);     /* postgresql.conf name = 'value' */

#endif
