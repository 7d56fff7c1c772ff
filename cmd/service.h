/* What makes a process a service: its pid file, its signals, word to systemd. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SERVICE_H
#define CMD_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct err;

#define SERVICE_PARTS_MAX 4
#define EXTENSION_VERSION "2.3" /* of the contract that the schema follows */

/* Lines 6... of the pid file: "<pid> <name>". */
struct service_part {
	pid_t pid;
	char name[32];
};

struct service {
	char *path; /* of the pid file */
	char *pgdata;
	int lock_fd; /* locked as long as we live: a stale file cannot be taken for a
			living one */
	int nparts;
	struct service_part part[SERVICE_PARTS_MAX];
	int stop;    /* the strongest of SIGTERM < SIGINT < SIGQUIT received, or 0 */
	bool reload; /* SIGHUP came; whoever acts on it sets it to false */
};

/* Take the pid file of a data directory. ERR_STATE "already running, pid N". */
int service_open(struct service *, const char *pgdata, struct err *)
    __attribute__((warn_unused_result));
void service_close(
    struct service *); /* removes the file if it is still ours; also { 0 } */

/* A process that belongs to the service; pid 0 removes the line. */
int service_part(struct service *, const char *name, pid_t, struct err *)
    __attribute__((warn_unused_result));

/* Feed it the loop's signals. */
void service_signal(struct service *, int signal);

/* False when the file is gone or names another pid: time to leave (exit 0). */
bool service_is_ours(const struct service *);

/*
 * An upgrade without a stop: after SIGHUP, is there another file in the place of the one
 * that was started (service_open remembers it)? Then leave everything as a killed process
 * would and become that: same pid, same command line. Returns only when it cannot be.
 */
void service_binary_note(void);
void service_binary_ask(void); /* SIGUSR1: do so even if it is the same file */
bool service_binary_changed(void);
int service_binary_exec(struct err *) __attribute__((warn_unused_result));

/* Tell systemd, if it asked (NOTIFY_SOCKET). */
void service_ready(const char *status);
void service_status(const char *status);
void service_stopping(void);

/* For other commands: 1 and the pid when a service runs for it, 0 when none does (a stale
 * file is removed), -1. */
int service_find(const char *pgdata, pid_t *, struct err *)
    __attribute__((warn_unused_result));

/* The version that a service said it is, line 3 of its file. */
int service_version(const char *pgdata, struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* Send it a signal and wait until it has gone. ERR_STATE when it is not running,
 * ERR_SYSTEM when it is still there after wait_ms (0: do not wait). */
int service_kill(const char *pgdata, int signal, int64_t wait_ms, struct err *)
    __attribute__((warn_unused_result));

#endif
