/* The postmaster: found, started, stopped for certain. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/postmaster.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/host.h"
#include "pg/limits.h"
#include "pg/proc.h"
#include "pg/setup.h"
#include "pg/spawn.h"

#include "ini/ban.h"

#define START_IDLE_MS 60000
#define READ_STEP (1024 * 1024) /* less than this is not progress: it may be a retry */
#define ORPHAN_QUIT_MS 300
#define ORPHAN_MS 10000
#define STOP_MS 30000
#define WALSENDER_MS 3000
#define KILL_MS 2000

/* -- postmaster.pid -- */

static void
pid_file(const struct host *h, struct buf *path)
{
	buf_reset(path);
	buf_printf(path, "%s/postmaster.pid", h->pgdata);
}

/* Its lines, src miscadmin.h: pid, PGDATA, start, port, socket directory, address, shared
 * memory, status. Cuts the text; the number of lines. */
static size_t
split_lines(char *text, char *line[], size_t max)
{
	size_t n = 0;

	while (n < max && *text) {
		size_t len = strcspn(text, "\n");
		bool last = text[len] == '\0';

		line[n++] = text;
		text[len] = '\0';
		text += len + !last;
	}
	return n;
}

void
postmaster_parse(char *text, struct postmaster *pm)
{
	char *line[8];
	size_t n = split_lines(text, line, 8);

	memset(pm, 0, sizeof *pm);
	if (n < 1)
		return;
	/* a single-user backend writes its number negative */
	pm->pid = (pid_t)strtol(line[0], NULL, 10);
	if (pm->pid < 0)
		pm->pid = 0;
	if (n > 3)
		pm->port = (int)strtol(line[3], NULL, 10);
	if (n > 4 && strlen(line[4]) < sizeof pm->sockdir)
		memcpy(pm->sockdir, line[4], strlen(line[4]) + 1);
	if (n > 7)
		snprintf(pm->status, sizeof pm->status, "%.*s",
		    (int)strcspn(line[7], " \t"), line[7]);
}

void
postmaster_find(const struct host *h, struct postmaster *pm)
{
	struct buf path = { 0 };
	struct buf text = { 0 };
	struct host_process p;

	memset(pm, 0, sizeof *pm);
	pid_file(h, &path);
	if (file_read(buf_peek(&path), &text, NULL) == 0 && text.data)
		postmaster_parse(text.data, pm);
	buf_drop(&path);
	buf_drop(&text);
	if (pm->pid == 0)
		return;
	if (!host_process_look(pm->pid, &p) || p.dead || !p.postgres ||
	    !host_process_here(h, pm->pid))
		memset(pm, 0, sizeof *pm);
	else
		pm->start = p.start;
}

int
postmaster_pidfd(const struct postmaster *pm)
{
	struct host_process p;
	int fd;

	if (pm->pid == 0)
		return -1;
	fd = (int)syscall(SYS_pidfd_open, pm->pid, 0);
	if (fd >= 0 && (!host_process_look(pm->pid, &p) || p.start != pm->start)) {
		close(fd);
		return -1;
	}
	return fd;
}

int
postmaster_processes(const struct host *h)
{
	struct host_process *list;
	size_t n = host_process_list(h, &list);

	free(list);
	return (int)n;
}

/* -- the dead and their children -- */

/* It may be our own child: nobody else could bury it. */
static bool
is_gone(const struct postmaster *pm)
{
	struct host_process p;

	waitpid(pm->pid, NULL, WNOHANG);
	return !host_process_look(pm->pid, &p) || p.start != pm->start || p.dead;
}

/* Signal every process in PGDATA but the living postmaster; how many there were. */
static size_t
signal_all(const struct host *h, int sig)
{
	struct postmaster pm;
	struct host_process *list;
	size_t n = host_process_list(h, &list);
	size_t hit = 0;

	postmaster_find(h, &pm);
	for (size_t i = 0; i < n; i++)
		if (list[i].pid != pm.pid) {
			host_process_signal(list[i].pid, list[i].start, sig);
			hit++;
		}
	free(list);
	return hit;
}

/*
 * A backend that is busy when its postmaster dies goes on, and commits (facts 11.5): when
 * 0 is returned there is none left. A restart would fail on them, too.
 */
static int
end_orphans(const struct host *h, struct err *e)
{
	struct mono began = clock_mono();
	struct mono deadline = mono_after(began, ORPHAN_MS);
	int sig = SIGQUIT;

	do {
		if (signal_all(h, sig) == 0)
			return 0;
		if (mono_between(began, clock_mono()) > ORPHAN_QUIT_MS)
			sig = SIGKILL; /* stopped ones, or deaf */
	} while (clock_nap_until(deadline, 10));
	return err_set(e, ERR_SYSTEM,
	    "%d processes of a dead postmaster do not end in %s", postmaster_processes(h),
	    h->pgdata);
}

/* -- start -- */

/* Those of the last lines of a log that tell why, else the last ones. */
static void
log_tail(const char *path, struct buf *out)
{
	struct buf text = { 0 };
	const char *start;
	const char *found[3] = { NULL, NULL, NULL };

	if (file_read(path, &text, NULL) || !text.data) {
		buf_drop(&text);
		return;
	}
	start = text.len > 8192 ? text.data + text.len - 8192 : text.data;
	for (const char *at = start; *at;) {
		size_t n = strcspn(at, "\n");
		const char *hit = memmem(at, n, "FATAL:", 6);

		if (!hit)
			hit = memmem(at, n, "PANIC:", 6);
		if (!hit)
			hit = memmem(at, n, "HINT:", 5);
		if (!hit)
			hit = memmem(at, n, "could not", 9);
		if (hit) {
			found[0] = found[1];
			found[1] = found[2];
			found[2] = hit;
		}
		at += n + (at[n] == '\n');
	}
	for (size_t i = 0; i < 3; i++)
		if (found[i])
			buf_printf(out, "%s%.*s", buf_len(out) ? "; " : "",
			    (int)strcspn(found[i], "\n"), found[i]);
	buf_drop(&text);
}

static void
why_dead(const struct host *h, const char *startup, struct err *e)
{
	struct buf out = { 0 };
	struct buf newest = { 0 };

	log_tail(startup, &out);
	if (setup_newest_log(h, &newest))
		log_tail(buf_peek(&newest), &out);
	if (buf_len(&out))
		err_detail(e, "%s", buf_peek(&out));
	err_hint(e, "see %s and the files in %s/log", startup, h->pgdata);
	buf_drop(&out);
	buf_drop(&newest);
}

/* Bytes the startup process has read; it replays, and is known by its title. */
static int64_t
redo_progress(const struct host *h)
{
	struct host_process *list;
	size_t n = host_process_list(h, &list);
	int64_t bytes = -1;

	for (size_t i = 0; i < n; i++) {
		char title[256];

		host_process_title(list[i].pid, title, sizeof title);
		if (strstr(title, ": startup") && !strchr(title, '('))
			bytes = host_process_read_bytes(list[i].pid);
	}
	free(list);
	return bytes;
}

struct wait {
	const struct host *h;
	struct postmaster pm;
	int64_t idle_ms;
	int64_t redo;
	struct mono redo_looked, moved;
	char status[16];
};

/* 1: ready, 0: not yet. */
static int
look(struct wait *w, struct err *e)
{
	struct postmaster now;
	struct mono t = clock_mono();

	postmaster_find(w->h, &now);
	if (now.pid == w->pm.pid && strcmp(now.status, "ready") == 0)
		return 1;
	if (now.pid == w->pm.pid && strcmp(now.status, "standby") == 0)
		return err_set(e, ERR_CONFIG, "a standby here needs hot_standby = on");
	if (now.pid == w->pm.pid && strcmp(now.status, w->status) != 0) {
		memcpy(w->status, now.status, sizeof w->status);
		w->moved = t;
	}
	if (mono_between(w->redo_looked, t) >= 500) {
		int64_t redo = redo_progress(w->h);

		w->redo_looked = t;
		if (redo - w->redo >= READ_STEP || redo < w->redo) {
			w->redo = redo;
			w->moved = t;
			host_progress(w->h, "Postgres is replaying its WAL");
		}
	}
	if (mono_between(w->moved, t) >= w->idle_ms)
		return err_set(e, ERR_SYSTEM,
		    "Postgres is not ready and has made no progress for %lld s",
		    (long long)(w->idle_ms / 1000));
	return 0;
}

static int
wait_ready(struct wait *w, const char *startup, struct err *e)
{
	w->moved = w->redo_looked = clock_mono();
	for (;;) {
		int rc = look(w, e);

		if (rc)
			return rc > 0 ? 0 : -1;
		if (is_gone(&w->pm)) {
			err_set(e, ERR_POSTGRES, "Postgres ended while it started");
			why_dead(w->h, startup, e);
			return -1;
		}
		if (!host_progress(w->h, "starting Postgres"))
			return err_set(e, ERR_SYSTEM, "given up on request");
		clock_nap_ms(5);
	}
}

static int
launch(const struct host *h, enum postmaster_listen listen, const char *startup,
    struct err *e)
{
	struct buf program = { 0 };
	char port[16];
	const char *argv[12] = { NULL, "-D", h->pgdata, "-p", port, "-h", "" };
	int n = 7;
	pid_t pid;

	snprintf(port, sizeof port, "%d", h->cfg->port);
	if (listen == POSTMASTER_LISTEN || h->no_socket)
		argv[6] =
		    str_empty(h->cfg->listen_addresses) ? "*" : h->cfg->listen_addresses;
	if (h->no_socket && listen == POSTMASTER_PRIVATE)
		argv[6] = "127.0.0.1";
	if (h->sockdir[0] || h->no_socket) {
		argv[n++] = "-k";
		argv[n++] = h->sockdir;
	}
	argv[n] = NULL;
	setup_program(h, "postgres", &program);
	argv[0] = buf_peek(&program);
	pid = spawn_daemon(argv, startup, e);
	buf_drop(&program);
	return (int)pid;
}

/* The socket's lock file of a postmaster whose corpse nobody has buried: a container's
 * first process may never do that, and Postgres takes a zombie for alive. */
static int
clear_socket(const char *pidfile, struct err *e)
{
	struct buf text = { 0 };
	struct postmaster left = { 0 };
	struct host_process p;
	char *lock;
	pid_t owner;
	int rc = 0;

	if (file_read(pidfile, &text, NULL) == 0 && text.data)
		postmaster_parse(text.data, &left);
	buf_drop(&text);
	if (!left.pid || !left.port || !left.sockdir[0])
		return 0;
	lock = xasprintf("%s/.s.PGSQL.%d.lock", left.sockdir, left.port);
	if (file_pid(lock, &owner, NULL) == 0 && owner == left.pid &&
	    host_process_look(owner, &p) && p.dead)
		rc = file_unlink(lock, e);
	free(lock);
	return rc;
}

/* Everything that could be in the way. */
static int
clear_way(const struct host *h, const char *startup, struct err *e)
{
	struct buf path = { 0 };
	int rc;

	if (str_empty(h->bindir))
		return err_set(e, ERR_CONFIG, "the programs of Postgres are not known");
	if (setup_permissions(h, e) || end_orphans(h, e))
		return -1;
	/* Postgres takes it for another server's when the number lives again, or is a
	 * zombie's (facts 11.4); we have just seen that it is not */
	pid_file(h, &path);
	rc = clear_socket(buf_peek(&path), e);
	if (rc == 0)
		rc = file_unlink(buf_peek(&path), e);
	buf_drop(&path);
	return rc ? rc : file_unlink(startup, e);
}

static int
start(const struct host *h, enum postmaster_listen listen, int64_t idle_ms, struct err *e)
{
	struct wait w = { .h = h, .idle_ms = idle_ms ? idle_ms : START_IDLE_MS };
	struct host_process p;
	char *startup;
	int rc = 0;

	startup = xasprintf("%s/startup.log", h->pgdata);
	postmaster_find(h, &w.pm);
	if (w.pm.pid == 0) {
		rc = clear_way(h, startup, e);
		if (rc == 0)
			w.pm.pid = launch(h, listen, startup, e);
		if (w.pm.pid > 0 && host_process_look(w.pm.pid, &p))
			w.pm.start = p.start;
	}
	if (rc == 0)
		rc = w.pm.pid > 0 ? wait_ready(&w, startup, e) : -1;
	free(startup);
	return rc;
}

int
postmaster_start(
    const struct host *h, enum postmaster_listen listen, int64_t idle_ms, struct err *e)
{
	struct postmaster pm;
	int rc;

	if (setup_marked(h))
		return err_set(e, ERR_STATE,
		    "%s is half made by an interrupted rewind and must not be started",
		    h->pgdata);
	rc = start(h, listen, idle_ms, e);
	if (rc == 0 || !conf_signal_exists(h))
		return rc;
	postmaster_find(h, &pm);
	if (pm.pid == 0 && limits_raise(h, NULL) > 0)
		rc = start(h, listen, idle_ms, e);
	return rc;
}

/* -- stop -- */

/* A receiver that hangs holds up the end of its walsender, and that the end of Postgres
 * (facts 5.4): ask the walsenders to go. */
static void
end_walsenders(const struct host *h, const struct postmaster *pm)
{
	struct host_process *list;
	size_t n = host_process_list(h, &list);

	for (size_t i = 0; i < n; i++) {
		char title[256];

		if (list[i].parent != pm->pid)
			continue;
		host_process_title(list[i].pid, title, sizeof title);
		if (strstr(title, ": walsender")) {
			log_warn("walsender %ld holds up the stop: ending it",
			    (long)list[i].pid);
			host_process_signal(list[i].pid, list[i].start, SIGTERM);
		}
	}
	free(list);
}

struct stop {
	const struct host *h;
	struct postmaster pm;
	enum postmaster_mode mode;
	int64_t walsender_ms;
	struct mono began, walsenders, escalate;
};

static void
send_mode(struct stop *s)
{
	if (s->mode == POSTMASTER_KILL) {
		host_process_signal(s->pm.pid, s->pm.start, SIGKILL);
		signal_all(s->h, SIGKILL);
	} else {
		host_process_signal(s->pm.pid, s->pm.start,
		    s->mode == POSTMASTER_FAST ? SIGINT : SIGQUIT);
	}
}

static void
harder(struct stop *s)
{
	s->mode = s->mode == POSTMASTER_FAST ? POSTMASTER_IMMEDIATE : POSTMASTER_KILL;
	s->escalate = mono_after(clock_mono(), KILL_MS);
	log_warn("Postgres does not stop: %s",
	    s->mode == POSTMASTER_KILL ? "killing it" : "stopping it at once");
	send_mode(s);
}

static int
wait_gone(struct stop *s, struct err *e)
{
	struct mono limit = mono_after(s->escalate, KILL_MS + 10000);
	struct pollfd p = { .fd = postmaster_pidfd(&s->pm), .events = POLLIN };

	while (!is_gone(&s->pm)) {
		struct mono now = clock_mono();

		if (mono_reached(now, limit))
			break;
		if (mono_reached(now, s->escalate))
			harder(s);
		if (s->mode == POSTMASTER_FAST && mono_reached(now, s->walsenders)) {
			end_walsenders(s->h, &s->pm);
			s->walsenders = mono_after(now, 1000);
		}
		host_progress(s->h, "stopping Postgres");
		poll(&p, 1, 20);
	}
	if (p.fd >= 0)
		close(p.fd);
	if (!is_gone(&s->pm))
		return err_set(
		    e, ERR_SYSTEM, "postmaster %ld does not end", (long)s->pm.pid);
	return 0;
}

int
postmaster_stop(const struct host *h, const struct postmaster_stop *how, struct err *e)
{
	struct stop s = { .h = h, .mode = how->mode, .began = clock_mono() };
	int64_t ms = how->deadline_ms ? how->deadline_ms : STOP_MS;

	if (how->mode != POSTMASTER_FAST && (how->deadline_ms == 0 || ms > KILL_MS))
		ms = KILL_MS;
	s.escalate = mono_after(s.began, ms);
	s.walsenders =
	    mono_after(s.began, how->walsender_ms ? how->walsender_ms : WALSENDER_MS);
	postmaster_find(h, &s.pm);
	if (s.pm.pid) {
		send_mode(&s);
		if (wait_gone(&s, e))
			return -1;
	}
	return end_orphans(h, e);
}

int
postmaster_hup(const struct host *h, struct err *e)
{
	struct postmaster pm;

	postmaster_find(h, &pm);
	if (pm.pid && !host_process_signal(pm.pid, pm.start, SIGHUP) && !is_gone(&pm))
		return err_sys(e, "signal postmaster %ld", (long)pm.pid);
	return 0;
}
