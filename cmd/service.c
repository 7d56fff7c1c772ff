/* The pid file that says who serves a data directory, and what systemd is told. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/service.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/config.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

/* A look by another command holds the lock for an instant: that is not a service. */
#define LOCK_WAIT_MS 300
#define SHARED "/tmp/pg_autoctl"

static int
pid_path(const char *pgdata, char **path, struct err *e)
{
	struct buf b = { 0 };

	if (config_path(pgdata, CONFIG_FILE_PID, &b, e))
		return -1;
	*path = buf_take(&b);
	return 0;
}

/* The lines of the file: contract config.md 3.4. */
static void
format(const struct service *s, struct buf *b)
{
	buf_printf(b, "%d\n%s\n%s\n%s\n%d\n", (int)getpid(), s->pgdata, AUTOCTL_VERSION,
	    EXTENSION_VERSION, 0);
	for (int i = 0; i < s->nparts; i++)
		buf_printf(b, "%d %s\n", (int)s->part[i].pid, s->part[i].name);
}

/* In place: the lock is the file's, a renamed one would leave it behind. Readers take the
 * first line, which one small write changes at once. */
static int
write_file(const struct service *s, struct err *e)
{
	struct buf b = { 0 };
	int rc = 0;

	format(s, &b);
	if (pwrite(s->lock_fd, buf_peek(&b), buf_len(&b), 0) != (ssize_t)buf_len(&b) ||
	    ftruncate(s->lock_fd, (off_t)buf_len(&b)))
		rc = err_sys(e, "write %s", s->path);
	buf_drop(&b);
	return rc;
}

static bool
same_file(int fd, const char *path)
{
	struct stat a;
	struct stat b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

/* A service that leaves removes the file: we may have locked the one it removed. */
static int
lock(const char *path, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), LOCK_WAIT_MS);

	for (;;) {
		int fd = file_lock(path, e);

		if (fd >= 0 && same_file(fd, path))
			return fd;
		if (fd >= 0)
			close(fd);
		else if (e->kind != ERR_STATE)
			return -1;
		if (!clock_nap_until(deadline, 10))
			return err_set(
			    e, ERR_STATE, "%s is locked by another process", path);
	}
}

/* Without a folder of its own for what runs, a user shares /tmp with others. */
static int
make_folder(const char *path, struct err *e)
{
	if (!str_starts(path, SHARED "/"))
		return file_mkdir_above(path, 0700, e);
	if (file_mkdir_shared(SHARED, path, e) == 0)
		return 0;
	return err_hint(e, "remove it, or set XDG_RUNTIME_DIR to a folder of this user");
}

static int
take(struct service *s, struct err *e)
{
	struct err own;
	pid_t pid;

	if (make_folder(s->path, e))
		return -1;
	s->lock_fd = lock(s->path, &own);
	if (s->lock_fd < 0) {
		if (own.kind == ERR_STATE && file_pid(s->path, &pid, NULL) == 0)
			return err_set(e, ERR_STATE, "already running for %s, pid %d",
			    s->pgdata, (int)pid);
		*e = own;
		return -1;
	}
	if (file_pid(s->path, &pid, NULL) == 0 && pid != getpid())
		log_info(
		    "the service with pid %d left its file %s behind", (int)pid, s->path);
	return write_file(s, e);
}

int
service_open(struct service *s, const char *pgdata, struct err *e)
{
	struct err own;

	*s = (struct service){ .lock_fd = -1, .pgdata = xstrdup(pgdata) };
	service_binary_note();
	if (pid_path(pgdata, &s->path, &own) || take(s, &own)) {
		if (s->lock_fd >= 0)
			close(s->lock_fd);
		free(s->path);
		free(s->pgdata);
		*s = (struct service){ .lock_fd = -1 };
		if (e)
			*e = own;
		return -1;
	}
	return 0;
}

void
service_close(struct service *s)
{
	if (!s->path)
		return;
	if (service_is_ours(s))
		unlink(s->path);
	close(s->lock_fd);
	free(s->path);
	free(s->pgdata);
	*s = (struct service){ .lock_fd = -1 };
}

bool
service_is_ours(const struct service *s)
{
	pid_t pid;

	return same_file(s->lock_fd, s->path) && file_pid(s->path, &pid, NULL) == 0 &&
	       pid == getpid();
}

int
service_part(struct service *s, const char *name, pid_t pid, struct err *e)
{
	int i = 0;

	while (i < s->nparts && strcmp(s->part[i].name, name) != 0)
		i++;
	if (pid == 0) {
		if (i == s->nparts)
			return 0;
		s->part[i] = s->part[--s->nparts];
		return write_file(s, e);
	}
	if (i == s->nparts)
		s->nparts++;
	assert(i < SERVICE_PARTS_MAX);
	if (str_copy(s->part[i].name, sizeof s->part[i].name, name, e))
		return -1;
	s->part[i].pid = pid;
	return write_file(s, e);
}

static int
strength(int number)
{
	return number == SIGQUIT ? 3 : number == SIGINT ? 2 : number == SIGTERM ? 1 : 0;
}

void
service_signal(struct service *s, int number)
{
	if (number == SIGUSR1)
		service_binary_ask();
	if (number == SIGHUP || number == SIGUSR1)
		s->reload = true;
	else if (strength(number) > strength(s->stop))
		s->stop = number;
}

static void
tell_systemd(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t n = path ? strlen(path) : 0;
	int fd;

	if (n < 2 || n >= sizeof to.sun_path)
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@') /* the abstract name space */
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		(struct sockaddr *)&to,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		log_debug("systemd was not told: %s", text);
	close(fd);
}

static void
tell_state(const char *state, const char *status)
{
	char text[512];

	snprintf(text, sizeof text, "%s%s%s", state, status ? "STATUS=" : "",
	    status ? status : "");
	tell_systemd(text);
}

void
service_ready(const char *status)
{
	tell_state("READY=1\n", status);
}

void
service_status(const char *status)
{
	tell_state("", status);
}

void
service_stopping(void)
{
	tell_systemd("STOPPING=1");
}

int
service_find(const char *pgdata, pid_t *pid, struct err *e)
{
	struct err own;
	char *path = NULL;
	int rc = 0;
	int fd;

	if (pid_path(pgdata, &path, e))
		return -1;
	if (file_exists(path)) {
		fd = file_lock(path, &own);
		if (fd >= 0) {
			if (same_file(fd, path))
				unlink(path);
			close(fd);
		} else if (own.kind == ERR_STATE) {
			rc = file_pid(path, pid, e) ? -1 : 1;
		} else {
			rc = -1;
			if (e)
				*e = own;
		}
	}
	free(path);
	return rc;
}

int
service_version(const char *pgdata, struct buf *version, struct err *e)
{
	struct buf text = { 0 };
	const char *at;
	char *path;
	int rc;

	if (pid_path(pgdata, &path, e))
		return -1;
	rc = file_read(path, &text, e);
	at = rc == 0 ? strchr(buf_peek(&text), '\n') : NULL;
	at = at ? strchr(at + 1, '\n') : NULL;
	if (at)
		buf_printf(version, "%.*s", (int)strcspn(at + 1, "\n"), at + 1);
	else if (rc == 0)
		rc = err_set(e, ERR_STATE, "%s is not a whole pid file", path);
	buf_drop(&text);
	free(path);
	return rc;
}

int
service_kill(const char *pgdata, int number, int64_t wait_ms, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), wait_ms);
	pid_t pid = 0;
	pid_t left = 0;
	int rc = service_find(pgdata, &pid, e);

	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, ERR_STATE, "no service is running for %s", pgdata);
	if (kill(pid, number))
		return err_sys(e, "send signal %d to pid %d", number, (int)pid);
	if (!wait_ms)
		return 0;
	do {
		rc = service_find(pgdata, &left, e);
		if (rc <= 0 || left != pid)
			return rc < 0 ? -1 : 0;
	} while (clock_nap_until(deadline, 20));
	return err_set(e, ERR_SYSTEM, "pid %d is still there after %lld s", (int)pid,
	    (long long)(wait_ms / 1000));
}
