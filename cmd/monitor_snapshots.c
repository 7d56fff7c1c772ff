/* The file in which a monitor keeps what it decided on, and what; see fsm replay. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/monitor_snapshots.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fsm/snapshot.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define NAME "snapshots.log"

void
monitor_snapshots_set(
    struct monitor_snapshots *s, const char *setting, const char *pgdata)
{
	const char *env = getenv("PG_AUTOCTL_SNAPSHOTS");
	const char *where = !str_empty(env) ? env : setting;

	buf_reset(&s->path);
	if (str_empty(where) && getenv("PG_AUTOCTL_DEBUG"))
		where = pgdata;
	if (str_empty(where))
		return;
	buf_str(&s->path, where);
	if (file_is_dir(where))
		buf_str(&s->path, "/" NAME);
}

/*
 * The name may come from a database that is not ours: nothing but a file of snapshots is
 * ever appended to. -1 when it cannot be, else its descriptor and size.
 */
static int
open_ours(const char *path, off_t *size, struct err *e)
{
	char head[sizeof FSM_SNAPSHOT_FIRST];
	size_t len = sizeof head - 1;
	int fd = open(path,
	    O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err_sys(e, "keep a snapshot in %s", path);
	} else if (!S_ISREG(st.st_mode) ||
		   (st.st_size > 0 && (pread(fd, head, len, 0) != (ssize_t)len ||
					  memcmp(head, FSM_SNAPSHOT_FIRST, len) != 0))) {
		err_set(e, ERR_CONFIG,
		    "keep a snapshot in %s: it is not a file of snapshots", path);
	} else {
		*size = st.st_size;
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

/* One rotation: twice the size is all that it ever takes. */
static int
open_rotated(const char *path, struct err *e)
{
	off_t size = 0;
	int fd = open_ours(path, &size, e);
	char *old;

	if (fd < 0 || size < MONITOR_SNAPSHOTS_BYTES)
		return fd;
	close(fd);
	old = xasprintf("%s.1", path);
	if (rename(path, old))
		log_debug("%s was not renamed", path);
	free(old);
	return open_ours(path, &size, e);
}

static int
append(const char *path, const char *text, size_t len, struct err *e)
{
	int fd = open_rotated(path, e);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	if (n < 0)
		err_sys(e, "keep a snapshot in %s", path);
	else if (n != (ssize_t)len)
		err_set(e, ERR_SYSTEM, "keep a snapshot in %s: half of it", path);
	close(fd);
	return n == (ssize_t)len ? 0 : -1;
}

void
monitor_snapshots_add(
    struct monitor_snapshots *s, const struct fsm_group *g, const struct fsm_plan *plan)
{
	static char text[FSM_SNAPSHOT_MAX];
	static struct fsm_record record;
	const char *path = buf_peek(&s->path);
	struct err e;
	size_t len;

	if (!buf_len(&s->path) || (!plan->nsteps && log_level_get() < LOG_LEVEL_DEBUG))
		return;
	fsm_snapshot_fill(&record, g, plan);
	len = fsm_snapshot_format(&record, text, sizeof text);
	if (append(path, text, len, &e))
		log_once_err(&s->trouble, LOG_LEVEL_WARN, &e);
	else
		log_once_reset(&s->trouble);
}
