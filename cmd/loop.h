/* The poll loop of a service: descriptors, timers, signals, children. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_LOOP_H
#define CMD_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ini/clock.h"

struct err;

/* Callbacks may add and remove anything, themselves too. */
typedef void loop_fd_fn(void *arg, int fd, short revents);
typedef void loop_timer_fn(void *arg);
typedef void loop_child_fn(void *arg, pid_t, int status); /* status as of waitpid */
typedef void loop_signal_fn(void *arg, int signal);

struct loop_fd;
struct loop_timer;
struct loop_child;

/* One per process: it owns the handlers of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1,
 * SIGCHLD (they are reset by exec, and no signal is blocked, so children start clean). */
struct loop {
	struct loop_fd *fds;
	size_t nfds, cfds;
	struct loop_timer *timers;
	size_t ntimers, ctimers;
	struct loop_child *children;
	size_t nchildren, cchildren;
	loop_signal_fn *on_signal;
	void *signal_arg;
	int wake[2];      /* the handlers write, poll reads */
	int64_t slept_ms; /* how long the last poll took */
	struct mono now;  /* read after poll; good for the callbacks of this round */
};

int loop_init(struct loop *, loop_signal_fn *, void *arg, struct err *)
    __attribute__((warn_unused_result));
void loop_drop(struct loop *);

/* Watch a descriptor, or change what for. events 0: stop watching it (before closing!).
 */
void loop_fd(struct loop *, int fd, short events, loop_fd_fn *, void *arg);

/* Call once, at that time; the pair (fn, arg) is the timer's name: setting it again moves
 * it. It is gone when it fires. */
void loop_timer(struct loop *, struct mono at, loop_timer_fn *, void *arg);
void loop_timer_stop(struct loop *, loop_timer_fn *, void *arg);
bool loop_timer_set(const struct loop *, loop_timer_fn *, void *arg);

/* Call when this child of ours has ended; reaps it. */
void loop_child(struct loop *, pid_t, loop_child_fn *, void *arg);
void loop_child_forget(struct loop *, pid_t);

/* One round: wait until something is to be done, at most max_ms (-1: as long as it
 * takes), and do all of it. */
int loop_once(struct loop *, int64_t max_ms, struct err *)
    __attribute__((warn_unused_result));

#endif
