/* poll() with names for what it waits for; signals arrive through a pipe. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/err.h"
#include "ini/mem.h"

#include "ini/ban.h"

#define POLL_MAX 512

struct loop_fd {
	int fd;
	short events;
	loop_fd_fn *fn;
	void *arg;
};

struct loop_timer {
	struct mono at;
	loop_timer_fn *fn;
	void *arg;
	bool fresh; /* set in this round: it waits for the next one, even if it is due */
};

struct loop_child {
	pid_t pid;
	loop_child_fn *fn;
	void *arg;
};

static int wake_fd = -1; /* of the one loop, for the handler */
static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD };
#define HANDLED (sizeof handled / sizeof handled[0])

static void
on_signal(int number)
{
	int keep = errno;
	char byte = (char)number;

	/* a full pipe holds a wake-up already; what is lost then is the same signal again
	 */
	if (write(wake_fd, &byte, 1) < 0)
		errno = keep;
	errno = keep;
}

static int
set_handlers(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < HANDLED; i++) {
		/* a child that stops or goes on is no news */
		sa.sa_flags =
		    handled[i] == SIGCHLD ? SA_RESTART | SA_NOCLDSTOP : SA_RESTART;
		if (sigaction(handled[i], &sa, NULL))
			return -1;
	}
	return 0;
}

/* Those that came while this process became another program, see service_binary_exec().
 */
static int
let_signals_in(void)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < HANDLED; i++)
		sigaddset(&set, handled[i]);
	return sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int
loop_init(struct loop *l, loop_signal_fn *fn, void *arg, struct err *e)
{
	*l = (struct loop){ .on_signal = fn, .signal_arg = arg, .wake = { -1, -1 } };
	assert(wake_fd < 0);
	if (pipe2(l->wake, O_CLOEXEC | O_NONBLOCK))
		return err_sys(e, "pipe");
	wake_fd = l->wake[1];
	if (set_handlers(on_signal) || let_signals_in()) {
		err_sys(e, "sigaction");
		loop_drop(l);
		return -1;
	}
	l->now = clock_mono();
	return 0;
}

void
loop_drop(struct loop *l)
{
	if (l->wake[0] < 0)
		return;
	set_handlers(SIG_DFL);
	wake_fd = -1;
	close(l->wake[0]);
	close(l->wake[1]);
	free(l->fds);
	free(l->timers);
	free(l->children);
	*l = (struct loop){ .wake = { -1, -1 } };
}

/* Room for one more; the new element is at the old count. */
static void *
grow(void *list, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		*cap = *cap ? 2 * *cap : 8;
		list = xrealloc(list, *cap * size);
	}
	++*n;
	return list;
}

static struct loop_fd *
find_fd(const struct loop *l, int fd)
{
	for (size_t i = 0; i < l->nfds; i++)
		if (l->fds[i].fd == fd)
			return &l->fds[i];
	return NULL;
}

void
loop_fd(struct loop *l, int fd, short events, loop_fd_fn *fn, void *arg)
{
	struct loop_fd *f = find_fd(l, fd);

	if (!events) {
		if (f)
			*f = l->fds[--l->nfds];
		return;
	}
	assert(fd >= 0 && fn);
	if (!f) {
		l->fds = grow(l->fds, &l->nfds, &l->cfds, sizeof *f);
		f = &l->fds[l->nfds - 1];
	}
	*f = (struct loop_fd){ fd, events, fn, arg };
}

static struct loop_timer *
find_timer(const struct loop *l, loop_timer_fn *fn, const void *arg)
{
	for (size_t i = 0; i < l->ntimers; i++)
		if (l->timers[i].fn == fn && l->timers[i].arg == arg)
			return &l->timers[i];
	return NULL;
}

void
loop_timer(struct loop *l, struct mono at, loop_timer_fn *fn, void *arg)
{
	struct loop_timer *t = find_timer(l, fn, arg);

	if (!t) {
		l->timers = grow(l->timers, &l->ntimers, &l->ctimers, sizeof *t);
		t = &l->timers[l->ntimers - 1];
	}
	*t = (struct loop_timer){ at, fn, arg, true };
}

void
loop_timer_stop(struct loop *l, loop_timer_fn *fn, void *arg)
{
	struct loop_timer *t = find_timer(l, fn, arg);

	if (t)
		*t = l->timers[--l->ntimers];
}

bool
loop_timer_set(const struct loop *l, loop_timer_fn *fn, void *arg)
{
	return find_timer(l, fn, arg) != NULL;
}

void
loop_child(struct loop *l, pid_t pid, loop_child_fn *fn, void *arg)
{
	assert(pid > 0);
	l->children =
	    grow(l->children, &l->nchildren, &l->cchildren, sizeof *l->children);
	l->children[l->nchildren - 1] = (struct loop_child){ pid, fn, arg };
	on_signal(SIGCHLD); /* it may have ended before we were told of it */
}

void
loop_child_forget(struct loop *l, pid_t pid)
{
	for (size_t i = 0; i < l->nchildren; i++)
		if (l->children[i].pid == pid) {
			l->children[i] = l->children[--l->nchildren];
			return;
		}
}

/* Reap ours, one by one: whoever else waits for a child of his own is not disturbed. */
static void
reap(struct loop *l)
{
	for (size_t i = 0; i < l->nchildren;) {
		struct loop_child c = l->children[i];
		int status = 0;

		if (waitpid(c.pid, &status, WNOHANG) == 0) {
			i++;
			continue;
		}
		loop_child_forget(l, c.pid);
		c.fn(c.arg, c.pid, status);
		i = 0; /* the callback may have changed the list */
	}
}

static void
read_signals(struct loop *l)
{
	char byte[64];
	ssize_t n;
	bool child = false;

	while ((n = read(l->wake[0], byte, sizeof byte)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (byte[i] == SIGCHLD)
				child = true;
			else if (l->on_signal)
				l->on_signal(l->signal_arg, byte[i]);
		}
	if (child)
		reap(l);
}

static struct loop_timer *
due(const struct loop *l, bool now)
{
	struct loop_timer *first = NULL;

	for (size_t i = 0; i < l->ntimers; i++) {
		struct loop_timer *t = &l->timers[i];

		if (now && (t->fresh || !mono_reached(l->now, t->at)))
			continue;
		if (!first || t->at.ms < first->at.ms)
			first = t;
	}
	return first;
}

static void
fire_timers(struct loop *l)
{
	struct loop_timer *t;

	for (size_t i = 0; i < l->ntimers; i++)
		l->timers[i].fresh = false;
	while ((t = due(l, true))) {
		struct loop_timer fired = *t;

		*t = l->timers[--l->ntimers];
		fired.fn(fired.arg);
	}
}

static int
poll_ms(const struct loop *l, int64_t max_ms)
{
	const struct loop_timer *t = due(l, false);
	int64_t ms = max_ms;

	if (t) {
		int64_t left = mono_between(clock_mono(), t->at);

		if (left < 0)
			left = 0;
		if (ms < 0 || left < ms)
			ms = left;
	}
	if (ms < 0)
		return -1;
	return ms > 3600000 ? 3600000 : (int)ms;
}

static void
serve_fds(struct loop *l, const struct pollfd *p, const struct loop_fd *asked, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct loop_fd *f;

		if (!p[i].revents)
			continue;
		/* an earlier callback may have closed it and opened another of that
		 * number */
		f = find_fd(l, p[i].fd);
		if (f && f->fn == asked[i].fn && f->arg == asked[i].arg)
			f->fn(f->arg, f->fd, p[i].revents);
	}
}

int
loop_once(struct loop *l, int64_t max_ms, struct err *e)
{
	struct pollfd p[POLL_MAX + 1];
	struct loop_fd asked[POLL_MAX];
	size_t n = l->nfds < POLL_MAX ? l->nfds : POLL_MAX;
	struct mono before = clock_mono();

	for (size_t i = 0; i < n; i++) {
		asked[i] = l->fds[i];
		p[i] = (struct pollfd){ .fd = asked[i].fd, .events = asked[i].events };
	}
	p[n] = (struct pollfd){ .fd = l->wake[0], .events = POLLIN };
	if (poll(p, n + 1, poll_ms(l, max_ms)) < 0 && errno != EINTR)
		return err_sys(e, "poll");
	l->now = clock_mono();
	l->slept_ms = mono_between(before, l->now);
	read_signals(l);
	serve_fds(l, p, asked, n);
	fire_timers(l);
	return 0;
}
