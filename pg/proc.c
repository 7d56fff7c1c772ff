/* Processes as /proc shows them: told apart by their start, found by where they work. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ini/mem.h"
#include "ini/str.h"
#include "pg/host.h"

#include "ini/ban.h"

/* Read a small file of /proc; the length, -1 when it is gone. */
static ssize_t
slurp(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n;
}

bool
host_process_look(pid_t pid, struct host_process *p)
{
	char text[1024];
	const char *name, *rest;
	unsigned long long start;
	long parent;
	char state;

	if (pid <= 0 || slurp(pid, "stat", text, sizeof text) <= 0)
		return false;
	name = strchr(text, '(');
	rest = strrchr(text, ')'); /* the name may hold anything */
	if (!name || !rest)
		return false;
	/* man 5 proc: state is field 3, the parent 4, the start 22 */
	if (sscanf(rest + 1,
		" %c %ld %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
		" %*s %*s %llu",
		&state, &parent, &start) != 3)
		return false;
	*p = (struct host_process){ .pid = pid,
		.parent = (pid_t)parent,
		.start = start,
		.dead = state == 'Z' || state == 'X' || state == 'x',
		.postgres =
		    str_starts(name, "(postgres") || str_starts(name, "(postmaster") };
	return true;
}

bool
host_process_here(const struct host *h, pid_t pid)
{
	struct stat here, there;
	char path[64];

	snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
	return stat(h->pgdata, &here) == 0 && stat(path, &there) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

size_t
host_process_list(const struct host *h, struct host_process **list)
{
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	size_t n = 0, room = 0;

	*list = NULL;
	while (d && (entry = readdir(d))) {
		struct host_process p;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !host_process_look((pid_t)strtol(entry->d_name, NULL, 10), &p) ||
		    p.dead || !p.postgres || !host_process_here(h, p.pid))
			continue;
		if (n == room) {
			room = room ? 2 * room : 32;
			*list = xrealloc(*list, room * sizeof **list);
		}
		(*list)[n++] = p;
	}
	if (d)
		closedir(d);
	return n;
}

void
host_process_title(pid_t pid, char *out, size_t size)
{
	ssize_t n = slurp(pid, "cmdline", out, size);

	if (n < 0)
		n = 0;
	/* arguments end with NUL; a title is followed by many of them */
	for (ssize_t i = 0; i < n; i++)
		if (out[i] == '\0')
			out[i] = ' ';
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

int64_t
host_process_read_bytes(pid_t pid)
{
	char text[512];
	long long n;

	if (slurp(pid, "io", text, sizeof text) <= 0 ||
	    sscanf(text, "rchar: %lld", &n) != 1)
		return -1;
	return n;
}

bool
host_process_signal(pid_t pid, uint64_t start, int sig)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct host_process p;
	bool sent = false;

	if (fd < 0)
		return false;
	/* the descriptor holds the process, so what is looked at now is what is hit */
	if (host_process_look(pid, &p) && p.start == start)
		sent = syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0) == 0;
	close(fd);
	return sent;
}
