/* Processes as /proc shows them: told apart by their start, found by where they work. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_PROC_H
#define PG_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct host;

struct host_process {
	pid_t pid, parent;
	uint64_t start; /* clock ticks after boot */
	bool dead;      /* a zombie */
	bool postgres;  /* by the name of its program */
};

/* false: there is none with that number. */
bool host_process_look(pid_t, struct host_process *);

/* Does it work in PGDATA? (By device and inode: whatever the path, also when moved.) */
bool host_process_here(const struct host *, pid_t);

/* All living processes of Postgres that work in PGDATA. An array to free; the count. */
size_t host_process_list(const struct host *, struct host_process **);

/* What ps shows, "" when it cannot be read. */
void host_process_title(pid_t, char *out, size_t size);

/* Bytes it has read so far, from files or memory; -1 unknown. */
int64_t host_process_read_bytes(pid_t);

/* Signal exactly this one, not a later one with its number. false: it is gone. */
bool host_process_signal(pid_t, uint64_t start, int sig);

#endif
