/* What went wrong, in words for people and a kind for programs. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_ERR_H
#define INI_ERR_H

#define ERR_MSG 512
#define ERR_DETAIL 512
#define ERR_HINT 256

/* The exit codes are a published contract: the one table is in err.c. */
enum err_kind {
	ERR_NONE,     /* 0 */
	ERR_USAGE,    /* 1: wrong words or options */
	ERR_CONFIG,   /* 2: bad or unreadable settings, wrong role for the command */
	ERR_STATE,    /* 3: bad state file, already running, still registered */
	ERR_POSTGRES, /* 4: the local Postgres refused or is not ready */
	ERR_PGCTL,    /* 5: a Postgres program failed (initdb, pg_controldata ...) */
	ERR_MONITOR,  /* 6: the monitor cannot be reached, or refused */
	ERR_INIT,     /* 8: a node could not be created */
	ERR_SYSTEM,   /* 12: the operating system, or a wait that ran out of time */
	ERR_DROPPED,  /* 121: between our processes: this node was dropped */
	ERR_FATAL,    /* 122: between our processes: do not restart me */
	ERR_EXEC,     /* 127: a program could not be started */
	ERR_KIND_COUNT
};

struct err {
	enum err_kind kind;
	char sqlstate[6]; /* "" unless the trouble came from a server */
	char msg[ERR_MSG];
	char detail[ERR_DETAIL]; /* "" or facts that help to understand */
	char hint[ERR_HINT];     /* "" or what to do about it */
};

/*
 * All of them accept a NULL struct err (the caller does not care), keep errno, drop
 * trailing newlines, and cut a text that is too long at a character with "..." behind
 * it. Those returning int return -1, so that "return err_set(...)" is one line.
 */

/* Start a new error: earlier text, detail, hint and sqlstate are forgotten. */
int err_set(struct err *, enum err_kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A new ERR_SYSTEM error: the text, then ": " and strerror(errno). */
int err_sys(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "the text: " in front of what is there; kind, detail and hint stay. */
int err_wrap(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Set or replace the detail and the hint; both return -1 too. */
int err_detail(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int err_hint(struct err *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Back to "nothing wrong". */
void err_clear(struct err *);

/* The exit code that belongs to the kind. */
int err_exit(const struct err *);

#endif
