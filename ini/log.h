/* The log: one line per record on stderr. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_LOG_H
#define INI_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct err;

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * A line is "2026-11-23T11:36:56.123Z info node_2 text", in UTC. When stderr is the
 * journal's (JOURNAL_STREAM names it), "<6>info node_2 text". After log_plain("autoctl")
 * it is "autoctl: text", "autoctl: warning: text": the manner of a command.
 * errno is kept. Control characters in the text become blanks: one record, one line.
 */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_at(enum log_level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* More about the record just written: "detail: ..." and "hint: ..." lines at its level;
 * nothing when that record was below the level. */
void log_detail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The message of an error, and its detail and hint if there are any. */
void log_err(enum log_level, const struct err *);

void log_level_set(enum log_level);
enum log_level log_level_get(void);

/* The name every following line carries, e.g. the node's; NULL or "" for none. Copied. */
void log_context(const char *name);

/* Switch to the manner of a command; NULL switches back. The string must stay valid. */
void log_plain(const char *program);

/*
 * For loops that fail the same way again and again. Writes the text when it differs from
 * the last one of this struct, or when a minute has passed since it was written, then
 * with "(repeated N times)". Start from { 0 }. log_once_reset forgets: the trouble is
 * over, the next text is written again.
 */
struct log_once {
	uint64_t hash;      /* of the last text */
	int64_t written_ms; /* when it was last written, monotonic */
	unsigned skipped;   /* since then */
	bool used;
};
void log_once(struct log_once *, enum log_level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_once_err(struct log_once *, enum log_level, const struct err *);
void log_once_reset(struct log_once *);

#endif
