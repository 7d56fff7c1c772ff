/* Programs of Postgres, run as children: output taken, deadlines kept, none left behind.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/mem.h"

#include "ini/ban.h"

#define KEEP_LINES 4  /* of stderr, for the error's detail */
#define LINE_MAX 8192 /* a longer one is cut into pieces */
#define EXEC_FD 3     /* where a child says why it could not exec */

struct run {
	const struct spawn *s;
	pid_t pid;
	int out, err; /* our ends of the pipes, -1 at their end */
	int pidfd;    /* -1: it has exited and is reaped */
	int status;
	struct buf line;
	char *last[KEEP_LINES];
	struct mono deadline, heard;
	bool give_up;
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* -- in the child, between fork and exec: single-threaded, so libc may be used -- */

static void
child_signals(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int sig = 1; sig < 32; sig++)
		sigaction(sig, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* stdin from nowhere, out and err as given, the exec pipe at EXEC_FD, nothing else. */
static void
child_fds(int out, int err, int tell)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* away from 0..3 first, so that nothing is overwritten before it is used */
	out = fcntl(out, F_DUPFD_CLOEXEC, 10);
	err = fcntl(err, F_DUPFD_CLOEXEC, 10);
	tell = fcntl(tell, F_DUPFD_CLOEXEC, 10);
	dup2(null, 0);
	dup2(out, 1);
	dup2(err, 2);
	dup2(tell, EXEC_FD);
	fcntl(EXEC_FD, F_SETFD, FD_CLOEXEC);
	if (syscall(SYS_close_range, EXEC_FD + 1, ~0U, 0))
		for (int fd = EXEC_FD + 1; fd < 1024; fd++)
			close(fd);
}

_Noreturn static void
child_exec(const char *const *argv, const char *const *env, const char *dir)
{
	char **av;
	size_t n = 0;
	int code;

	for (size_t i = 0; env && env[i]; i++)
		putenv(xstrdup(env[i]));
	while (argv[n])
		n++;
	av = xcalloc(n + 1, sizeof *av);
	for (size_t i = 0; i < n; i++)
		av[i] = xstrdup(argv[i]);
	if (!dir || chdir(dir) == 0)
		execv(av[0], av);
	code = errno;
	if (write(EXEC_FD, &code, sizeof code) < 0)
		_exit(126);
	_exit(127);
}

/* -- in the parent -- */

/* Reads what child_exec wrote: 0 when the program runs. */
static int
exec_result(int fd, const char *program, struct err *e)
{
	int code = 0;
	ssize_t n;

	do
		n = read(fd, &code, sizeof code);
	while (n < 0 && errno == EINTR);
	close(fd);
	if (n != sizeof code)
		return 0;
	errno = code;
	err_sys(e, "start %s", program);
	if (e)
		e->kind = ERR_EXEC;
	return -1;
}

static void
reap(pid_t pid, int *status)
{
	while (waitpid(pid, status, 0) < 0 && errno == EINTR)
		;
}

static int
begin(struct run *r, struct err *e)
{
	int out[2] = { -1, -1 };
	int err[2] = { -1, -1 };
	int tell[2] = { -1, -1 };
	pid_t parent = getpid();

	if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) || pipe2(tell, O_CLOEXEC) ||
	    (r->pid = fork()) < 0) {
		err_sys(e, "start %s", r->s->argv[0]);
		for (int i = 0; i < 2; i++) {
			close_fd(&out[i]);
			close_fd(&err[i]);
			close_fd(&tell[i]);
		}
		return -1;
	}
	if (r->pid == 0) {
		/* a group of its own: its helpers are killed with it */
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(127); /* the parent died before the line above */
		child_signals();
		child_fds(out[1], err[1], tell[1]);
		child_exec(r->s->argv, r->s->env, r->s->dir);
	}
	close(out[1]);
	close(err[1]);
	close(tell[1]);
	r->out = out[0];
	r->err = err[0];
	if (exec_result(tell[0], r->s->argv[0], e)) {
		reap(r->pid, &r->status);
		close_fd(&r->out);
		close_fd(&r->err);
		return -1;
	}
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	return 0;
}

static void
line_done(struct run *r)
{
	const char *text = buf_peek(&r->line);

	if (!*text)
		return;
	free(r->last[0]);
	memmove(&r->last[0], &r->last[1], (KEEP_LINES - 1) * sizeof r->last[0]);
	r->last[KEEP_LINES - 1] = xstrdup(text);
	if (r->s->line && !r->s->line(r->s->arg, text))
		r->give_up = true;
	buf_reset(&r->line);
}

static void
take_lines(struct run *r, const char *p, size_t n)
{
	for (; n > 0; n--, p++) {
		if (*p == '\n' || *p == '\r' || buf_len(&r->line) >= LINE_MAX)
			line_done(r);
		if (*p != '\n' && *p != '\r' && *p)
			buf_char(&r->line, *p);
	}
}

static void
take(struct run *r, int *fd)
{
	char text[4096];
	ssize_t n = read(*fd, text, sizeof text);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		close_fd(fd);
		return;
	}
	r->heard = clock_mono();
	if (fd == &r->out && r->s->out)
		buf_add(r->s->out, text, (size_t)n);
	else
		take_lines(r, text, (size_t)n);
}

/* The time until something must happen by itself; at most a minute. */
static int64_t
patience_ms(const struct run *r)
{
	struct mono now = clock_mono();
	int64_t ms = 60000;

	if (r->s->deadline_ms && mono_between(now, r->deadline) < ms)
		ms = mono_between(now, r->deadline);
	if (r->s->silence_ms &&
	    mono_between(now, mono_after(r->heard, r->s->silence_ms)) < ms)
		ms = mono_between(now, mono_after(r->heard, r->s->silence_ms));
	return ms < 0 ? 0 : ms;
}

static bool
out_of_time(const struct run *r)
{
	struct mono now = clock_mono();

	return (r->s->deadline_ms && mono_reached(now, r->deadline)) ||
	       (r->s->silence_ms &&
		   mono_reached(now, mono_after(r->heard, r->s->silence_ms)));
}

/* Until it has exited: its helpers may keep the pipes open longer, which is not waited
 * for. false: it is to be killed. */
static bool
attend(struct run *r)
{
	for (;;) {
		struct pollfd p[3] = { { .fd = r->out, .events = POLLIN },
			{ .fd = r->err, .events = POLLIN },
			{ .fd = r->pidfd, .events = POLLIN } };

		if (out_of_time(r) || r->give_up)
			return false;
		if (poll(p, 3, (int)patience_ms(r)) <= 0)
			continue;
		if (p[0].revents)
			take(r, &r->out);
		if (p[1].revents)
			take(r, &r->err);
		if (p[2].revents && !p[0].revents && !p[1].revents)
			return true;
	}
}

static int
verdict(const struct run *r, bool finished, struct err *e)
{
	const char *name = strrchr(r->s->argv[0], '/');
	struct buf tail = { 0 };

	name = name ? name + 1 : r->s->argv[0];
	if (r->give_up)
		err_set(e, ERR_SYSTEM, "%s: given up on request", name);
	else if (!finished)
		err_set(e, ERR_SYSTEM, "%s: not done in time, ended", name);
	else if (WIFSIGNALED(r->status))
		err_set(
		    e, ERR_PGCTL, "%s: ended by signal %d", name, WTERMSIG(r->status));
	else if (WEXITSTATUS(r->status) != 0)
		err_set(e, ERR_PGCTL, "%s: exit status %d", name, WEXITSTATUS(r->status));
	else
		return 0;
	for (size_t i = 0; i < KEEP_LINES; i++)
		if (r->last[i])
			buf_printf(&tail, "%s%s", buf_len(&tail) ? "; " : "", r->last[i]);
	if (buf_len(&tail))
		err_detail(e, "%s", buf_peek(&tail));
	buf_drop(&tail);
	return -1;
}

int
spawn_run(const struct spawn *s, struct err *e)
{
	struct run r = { .s = s, .out = -1, .err = -1, .pidfd = -1 };
	bool finished;
	int rc;

	r.heard = clock_mono();
	r.deadline = mono_after(r.heard, s->deadline_ms);
	if (begin(&r, e))
		return -1;
	finished = attend(&r);
	/* what it started goes with it; not reaped yet, so the number is still its own */
	kill(-r.pid, SIGKILL);
	reap(r.pid, &r.status);
	line_done(&r);
	rc = verdict(&r, finished, e);
	close_fd(&r.out);
	close_fd(&r.err);
	close_fd(&r.pidfd);
	buf_drop(&r.line);
	for (size_t i = 0; i < KEEP_LINES; i++)
		free(r.last[i]);
	return rc;
}

pid_t
spawn_daemon(const char *const *argv, const char *output, struct err *e)
{
	int fd = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int tell[2];
	int status;
	pid_t pid;

	if (fd < 0)
		return err_sys(e, "open %s", output);
	if (pipe2(tell, O_CLOEXEC)) {
		close(fd);
		return err_sys(e, "start %s", argv[0]);
	}
	pid = fork();
	if (pid == 0) {
		setsid();
		child_signals();
		child_fds(fd, fd, tell[1]);
		child_exec(argv, NULL, NULL);
	}
	close(fd);
	close(tell[1]);
	if (pid < 0) {
		close(tell[0]);
		return err_sys(e, "start %s", argv[0]);
	}
	if (exec_result(tell[0], argv[0], e)) {
		reap(pid, &status);
		return -1;
	}
	return pid;
}
