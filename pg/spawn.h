/* Programs of Postgres, run as children: output taken, deadlines kept, none left behind.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_SPAWN_H
#define PG_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

/* A program to run. It dies with the process that called (SIGKILL). */
struct spawn {
	const char *const *argv; /* argv[0] is the path; ended by NULL */
	const char *const *env;  /* "NAME=value" in addition; may be NULL */
	const char *dir;         /* to work in; may be NULL */
	int64_t deadline_ms;     /* all of it; 0: none */
	int64_t silence_ms;      /* without a byte of output; 0: none */
	struct buf *out;         /* stdout goes here; NULL: treated as stderr */
	/* Each line of stderr, without its end. false: give up, the child is killed. */
	bool (*line)(void *arg, const char *);
	void *arg;
};

/*
 * 0 when it exited with 0. Else -1: ERR_PGCTL (ERR_EXEC when it could not be started,
 * ERR_SYSTEM for deadlines), the last lines of stderr as detail.
 */
int spawn_run(const struct spawn *, struct err *) __attribute__((warn_unused_result));

/* Start a program that outlives us: own session, stdin /dev/null, output appended to the
 * file. Returns the pid; -1 when it could not be executed. */
pid_t spawn_daemon(const char *const *argv, const char *output, struct err *)
    __attribute__((warn_unused_result));

#endif
