/* Become a standby of an upstream, from wherever the host is: follow, rewind, or copy. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/spawn.h"
#include "pg/standby.h"

#include "ini/ban.h"

#define FAILS_BEFORE_COPY 3
#define ROOM_TO_REWIND (32LL << 20) /* two segments of WAL */
#define SILENCE_MS 600000           /* a tool that says nothing for so long hangs */

static const struct postmaster_stop stop_fast = { .mode = POSTMASTER_FAST };

/* -- running the tools -- */

/* Progress lines look like " 12345/67890 kB (18%), 0/1 tablespace (...)"; the rest is
 * for the log. */
struct tool {
	const struct host *h;
	const char *what;
};

static bool
tool_line(void *arg, const char *line)
{
	const struct tool *t = arg;
	unsigned long long done, total;
	int percent;

	while (*line == ' ')
		line++;
	if (sscanf(line, "%llu/%llu kB (%d%%)", &done, &total, &percent) == 3)
		return host_progress(t->h, "%s %d %% (%.1f of %.1f MB)", t->what, percent,
		    (double)done / 1024, (double)total / 1024);
	log_debug("%s: %s", t->what, line);
	return host_progress(t->h, "%s: %s", t->what, line);
}

/* The password goes by the environment: an argument is there for all to see. */
int
standby_tool(
    const struct host *h, const char *what, const char *const *argv, struct err *e)
{
	struct tool t = { h, what };
	const char *password = h->cfg->replication_password;
	char *env_password =
	    str_empty(password) ? NULL : xasprintf("PGPASSWORD=%s", password);
	const char *env[] = { "LC_ALL=C", env_password, NULL };
	struct spawn s = { .argv = argv,
		.env = env,
		.silence_ms = SILENCE_MS,
		.line = tool_line,
		.arg = &t };
	int rc = spawn_run(&s, e);

	free(env_password);
	return rc;
}

/* A long copy survives a short cut, which a stream does not need to. */
void
standby_tool_source(const struct host *h, const struct conf_upstream *up, struct buf *b)
{
	conf_conninfo(h, up->host, up->port, "autoctl", b);
	buf_str(b, " tcp_user_timeout=30000");
}

int
standby_half_made(
    const struct host *h, const struct standby_join *j, bool on, struct err *e)
{
	if (on && setup_mark(h, true, e))
		return -1;
	if (j->rewinding && j->rewinding(j->arg, on, e))
		return -1;
	return on ? 0 : setup_mark(h, false, e);
}

/* -- rewind -- */

/*
 * A standby that was promoted and ended before its first checkpoint has a control file
 * that still tells the timeline before, and pg_rewind takes it for one that never left
 * (facts 6.3). A server in recovery cannot write that checkpoint, so a single-user one
 * does, which talks to nobody. It refuses standby.signal (facts 7), so that is away
 * meanwhile.
 */
static int
checkpoint_own_timeline(const struct host *h, struct err *e)
{
	struct buf program = { 0 };
	struct err no = { 0 };
	int rc;

	setup_program(h, "postgres", &program);
	const char *argv[] = { buf_peek(&program), "--single", "-D", h->pgdata,
		"template1", NULL };
	host_progress(h, "a checkpoint on its own timeline");
	rc = conf_signal_remove(h, e);
	if (rc == 0)
		rc = standby_tool(h, "checkpoint", argv, e);
	buf_drop(&program);
	if (conf_signal_write(h, &no) == 0)
		return rc;
	if (rc == 0 && e)
		*e = no;
	return -1;
}

/* pg_rewind wants a clean stop; with standby.signal in place its own recovery fails, so
 * ours goes first, as a standby that follows nobody (facts 7, way B). */
static int
stop_cleanly(const struct host *h, struct err *e)
{
	struct control c;
	struct host_position p;

	if (postmaster_stop(h, &stop_fast, e) || setup_control(h, &c, e))
		return -1;
	if (c.state != CONTROL_SHUT_DOWN && c.state != CONTROL_SHUT_DOWN_IN_RECOVERY) {
		host_progress(h, "crash recovery before the rewind");
		if (standby_start_alone(h, &p, e) || postmaster_stop(h, &stop_fast, e) ||
		    setup_control(h, &c, e))
			return -1;
	}
	return c.min_recovery_tli > c.tli ? checkpoint_own_timeline(h, e) : 0;
}

static int
run_rewind(const struct host *h, const struct conf_upstream *up, bool dry, struct err *e)
{
	struct buf program = { 0 }, source = { 0 };
	int rc;

	setup_program(h, "pg_rewind", &program);
	standby_tool_source(h, up, &source);
	const char *argv[] = { buf_peek(&program), "--target-pgdata", h->pgdata,
		"--source-server", buf_peek(&source), "--progress",
		dry ? "--dry-run" : NULL, NULL };
	rc = standby_tool(h, dry ? "rewind, trying" : "rewind", argv, e);
	buf_drop(&program);
	buf_drop(&source);
	return rc;
}

/* Exit status 0 also means "no rewind required" (facts 6.3). What was rewound begins with
 * recovery up to a point on the source's timeline, and has no checkpoint of its own. */
static int
check_rewound(const struct host *h, const struct standby_source *s, struct err *e)
{
	struct control c;

	if (setup_control(h, &c, e))
		return -1;
	if (c.state != CONTROL_IN_ARCHIVE_RECOVERY || c.min_recovery_tli != s->tli)
		return err_set(e, ERR_STATE,
		    "pg_rewind left the directory on timeline %d, not %d",
		    c.min_recovery_tli > c.tli ? c.min_recovery_tli : c.tli, s->tli);
	return 0;
}

/* One that breaks off for want of room leaves a directory that only a copy can replace.
 */
static int
has_room(const struct host *h, struct err *e)
{
	struct host_disk d;
	int64_t least;

	if (host_disk(h, &d, e) == -1)
		return -1;
	least = d.wal_free < d.data_free ? d.wal_free : d.data_free;
	if (least >= ROOM_TO_REWIND)
		return 0;
	err_set(e, ERR_STATE, "the disk of %s has %lld MB left, a rewind needs %lld MB",
	    h->pgdata, (long long)(least >> 20), ROOM_TO_REWIND >> 20);
	return err_hint(e, "make room, it goes on by itself");
}

int
standby_rewind(const struct host *h, const struct standby_join *j,
    const struct standby_source *source, struct err *e)
{
	struct standby_source s = *source;
	struct standby_own own = { 0 };
	int rc = -1;

	if (stop_cleanly(h, e) || standby_source_checkpoint(h, &j->upstream, &s, e) ||
	    run_rewind(h, &j->upstream, true, e) ||
	    has_room(h, e)) /* nothing is changed, nor marked */
		return err_wrap(e, "prepare to rewind");
	if (standby_own_take(h, &own, e) == 0 && standby_half_made(h, j, true, e) == 0 &&
	    run_rewind(h, &j->upstream, false, e) == 0 &&
	    standby_make_own(h, &j->upstream, &own, e) == 0 &&
	    check_rewound(h, &s, e) == 0)
		rc = standby_half_made(h, j, false, e);
	standby_own_drop(&own);
	return rc ? err_wrap(e, "rewind") : 0;
}

/* -- the ladder -- */

struct ladder {
	const struct host *h;
	const struct standby_join *j;
	struct standby_source source;
	enum standby_way way;
};

static int
copy(struct ladder *l, struct err *e)
{
	if (!l->j->may_copy) {
		err_set(e, ERR_STATE, "only a new copy of the data would help");
		return err_hint(e, "remove the data directory to allow one");
	}
	l->way = STANDBY_COPY;
	return standby_copy(l->h, l->j, &l->source, e);
}

/* A running Postgres that is not a standby is stopped, guarded, before anything else. */
static int
not_writable(struct ladder *l, bool *running, struct host_position *p, struct err *e)
{
	if (*running && host_position(l->h, p, e))
		return -1;
	if (*running && !p->recovery) {
		if (conf_signal_write(l->h, e) || postmaster_stop(l->h, &stop_fast, e))
			return -1;
		*running = false;
	}
	return 0;
}

static int
foreign(const struct ladder *l, uint64_t own, struct err *e)
{
	err_set(e, ERR_STATE,
	    "%s belongs to another cluster: its system identifier is %llu, "
	    "that of %s:%d is %llu",
	    l->h->pgdata, (unsigned long long)own, l->j->upstream.host,
	    l->j->upstream.port, (unsigned long long)l->source.system_identifier);
	return err_hint(e, "nothing was changed; use another data directory");
}

/* Numbers of timelines can be the same by chance: two nodes that were promoted from the
 * same one. The history files tell them apart. */
static enum standby_way
compare(const struct ladder *l, const struct host_position *p)
{
	enum standby_way way = standby_compare(p, &l->source);
	char *path = xasprintf("%s/pg_wal/%08X.history", l->h->pgdata, (unsigned)p->tli);
	struct buf text = { 0 };

	if (way != STANDBY_COPY && p->tli > 1 && file_read(path, &text, NULL) == 0 &&
	    !standby_same_history(buf_peek(&text), &l->source))
		way = p->tli == l->source.tli ? STANDBY_COPY : STANDBY_REWIND;
	else if (way == STANDBY_FOLLOW &&
		 standby_is_fork(l->h, &l->j->upstream, &l->source, p)) {
		log_info("timeline %d of %s:%d is another one than ours", p->tli,
		    l->j->upstream.host, l->j->upstream.port);
		way = STANDBY_COPY; /* pg_rewind goes by the numbers */
	}
	buf_drop(&text);
	free(path);
	return way;
}

/* When the tool itself says that there is no way back, and the source is well, only a
 * copy helps: WAL that is gone, no wal_log_hints. */
static int
rewind_or_copy(struct ladder *l, struct err *e)
{
	struct err no = { 0 };

	log_info("histories have diverged: rewinding");
	if (standby_rewind(l->h, l->j, &l->source, &no) == 0)
		return 0;
	if (no.kind != ERR_PGCTL || setup_marked(l->h) ||
	    standby_identify(l->h, &l->j->upstream, &l->source, NULL)) {
		if (e)
			*e = no;
		return -1;
	}
	log_err(LOG_LEVEL_WARN, &no);
	return copy(l, e);
}

/* With a cluster in the directory: what does it take? Leaves it running or stopped. */
static int
reconcile(struct ladder *l, bool running, struct err *e)
{
	struct host_position p = { 0 };

	if (not_writable(l, &running, &p, e))
		return -1;
	if (!running && standby_start_alone(l->h, &p, e)) {
		if (l->j->fails < FAILS_BEFORE_COPY)
			return -1;
		log_warn(
		    "it cannot be started after %d attempts: a new copy", l->j->fails);
		return copy(l, e);
	}
	l->way = compare(l, &p);
	if (l->way == STANDBY_AHEAD) {
		/* it may just have been asked before us, while WAL was streaming */
		if (standby_identify(l->h, &l->j->upstream, &l->source, e))
			return -1;
		l->way = compare(l, &p);
	}
	if (l->way == STANDBY_FOLLOW)
		return 0;
	if (l->way == STANDBY_REWIND)
		return rewind_or_copy(l, e);
	/* ahead on the same timeline: what it has more was never a part of the history */
	return copy(l, e);
}

static int
climb(struct ladder *l, struct err *e)
{
	enum setup_state state;
	struct control c;

	if (standby_copy_mend(l->h, e) || setup_state(l->h, &state, e))
		return -1;
	if (state == SETUP_MISSING || state == SETUP_EMPTY || setup_marked(l->h))
		return copy(l, e);
	if (state == SETUP_FOREIGN)
		return err_set(
		    e, ERR_STATE, "%s is not empty, and no data directory", l->h->pgdata);
	if (setup_control(l->h, &c, e))
		return l->j->fails < FAILS_BEFORE_COPY ? -1 : copy(l, e);
	if (c.system_identifier != l->source.system_identifier)
		return foreign(l, c.system_identifier, e);
	return reconcile(l, state == SETUP_RUNNING, e);
}

int
standby_join(const struct host *h, const struct standby_join *j, enum standby_way *way,
    struct err *e)
{
	struct ladder l = { .h = h, .j = j, .way = STANDBY_FOLLOW };

	if (standby_identify(h, &j->upstream, &l.source, e) || climb(&l, e))
		return -1;
	if (way)
		*way = l.way;
	if (l.way != STANDBY_FOLLOW && postmaster_start(h, POSTMASTER_LISTEN, 0, e))
		return -1;
	return standby_follow(h, &j->upstream, l.source.tli, j->deadline_ms, e);
}
