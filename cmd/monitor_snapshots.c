/* The file in which a monitor keeps what it decided on, and what; see fsm replay. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/monitor_snapshots.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* One rotation: twice the size is all that it ever takes. */
static void
rotate(const char *path)
{
	char *old = xasprintf("%s.1", path);
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size >= MONITOR_SNAPSHOTS_BYTES && rename(path, old))
		log_debug("%s was not renamed", path);
	free(old);
}

static int
append(const char *path, const char *text, size_t len, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	if (fd < 0)
		return err_sys(e, "keep a snapshot in %s", path);
	n = write(fd, text, len);
	close(fd);
	if (n == (ssize_t)len)
		return 0;
	return n < 0 ? err_sys(e, "keep a snapshot in %s", path)
		     : err_set(e, ERR_SYSTEM, "keep a snapshot in %s: half of it", path);
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
	rotate(path);
	if (append(path, text, len, &e))
		log_once_err(&s->trouble, LOG_LEVEL_WARN, &e);
	else
		log_once_reset(&s->trouble);
}
