/* Strict readers of short texts: numbers, booleans, durations, sizes, names. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_STR_H
#define INI_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define STR_NAME_MAX 63 /* what Postgres keeps of an identifier */
#define STR_LSN_MAX 18  /* "FFFFFFFF/FFFFFFFF" and NUL */

/*
 * The readers take the whole text or nothing: no blanks, no rest, no overflow. On -1 the
 * output is untouched and the error (ERR_USAGE) quotes the text; callers add what it was
 * for with err_wrap.
 */
int str_int(const char *, int *, struct err *) __attribute__((warn_unused_result));
int str_int_between(const char *, int min, int max, int *, struct err *)
    __attribute__((warn_unused_result));
int str_i64(const char *, int64_t *, struct err *) __attribute__((warn_unused_result));
int str_u64(const char *, uint64_t *, struct err *) __attribute__((warn_unused_result));

/* As Postgres: true yes on 1, false no off 0, any case, prefixes that are unique. */
int str_bool(const char *, bool *, struct err *) __attribute__((warn_unused_result));

/* "500ms" "20s" "5min" "2h" "1d"; a bare number counts units of unit_ms. Not negative. */
int str_ms(const char *, int64_t unit_ms, int64_t *ms, struct err *)
    __attribute__((warn_unused_result));

/* "100M" "16MB" "64kB" "1GB" "2TB", powers of 1024; a bare number is bytes. */
int str_bytes(const char *, int64_t *, struct err *) __attribute__((warn_unused_result));

/* A write-ahead log position, "16/B374D848". Format writes "%X/%X" and returns out. */
int str_lsn(const char *, uint64_t *, struct err *) __attribute__((warn_unused_result));
char *str_lsn_format(uint64_t, char out[STR_LSN_MAX]);

/* Copy with the NUL, or -1 (out becomes "") when it does not fit: never half a name. */
int str_copy(char *out, size_t size, const char *, struct err *)
    __attribute__((warn_unused_result));

/*
 * A name of a node or a formation: 1 to 63 letters, digits, '_', '-', '.', beginning
 * with a letter, a digit or '_'. Such a name needs no quoting anywhere we put it.
 */
int str_name(const char *, struct err *) __attribute__((warn_unused_result));

/* A name or an address of a host, of letters, digits, '_', '-', '.', ':', '%': nothing
 * that means something in pg_hba.conf or in a connection string. */
int str_host(const char *, struct err *) __attribute__((warn_unused_result));

bool str_starts(const char *, const char *prefix);
bool str_ends(const char *, const char *suffix);
bool str_empty(const char *);            /* NULL or "" */
bool str_eq(const char *, const char *); /* NULL equals "" */

#endif
