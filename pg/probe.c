/* Probes: is a postmaster there, does it let us in, does it answer. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "pg/host.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define RESOLVE_MS 5000
#define ADDRESS_KEPT_MS 60000

static bool
is_address(const char *host)
{
	unsigned char bytes[16];

	return host[0] == '/' || inet_pton(AF_INET, host, bytes) == 1 ||
	       inet_pton(AF_INET6, host, bytes) == 1;
}

void
probe_init(struct probe *p, const char *host, int port)
{
	*p = (struct probe){ .port = port, .resolver_fd = -1, .last = FSM_WITNESS_NONE };
	snprintf(p->host, sizeof p->host, "%s", host);
	p->ok_at = p->next_at = clock_mono();
}

static void
end_resolver(struct probe *p)
{
	if (p->resolver_fd < 0)
		return;
	close(p->resolver_fd);
	p->resolver_fd = -1;
	kill(p->resolver, SIGKILL);
	while (waitpid(p->resolver, NULL, 0) < 0 && errno == EINTR)
		continue;
}

void
probe_drop(struct probe *p)
{
	end_resolver(p);
	watch_close(&p->watch);
}

/* In the child: the first address as text, nothing when there is none. */
static void
resolve(const char *host, int fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	char text[64];

	if (getaddrinfo(host, NULL, &hints, &found) == 0 &&
	    getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof text, NULL, 0,
		NI_NUMERICHOST) == 0 &&
	    write(fd, text, strlen(text)) < 0)
		_exit(1);
	_exit(0);
}

static void
begin_resolve(struct probe *p)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return;
	p->resolver = fork();
	if (p->resolver == 0)
		resolve(p->host, fds[1]);
	close(fds[1]);
	if (p->resolver < 0)
		close(fds[0]);
	else
		p->resolver_fd = fds[0];
}

static void
take_address(struct probe *p, struct mono now)
{
	char text[sizeof p->address];
	ssize_t n = read(p->resolver_fd, text, sizeof text - 1);

	if (n > 0) {
		text[n] = '\0';
		memcpy(p->address, text, sizeof text);
		p->address_at = now;
	}
	end_resolver(p);
}

static bool
finish(
    struct probe *p, const struct probe_times *t, enum fsm_witness what, struct mono now)
{
	p->last = what;
	if (what == FSM_WITNESS_OK) {
		p->failed = 0;
		p->ok_at = now;
		p->ever_ok = true;
		p->next_at = mono_after(p->began, t->period_ms);
	} else {
		p->failed++;
		p->next_at = mono_after(now, t->retry_ms);
	}
	return true;
}

static enum fsm_witness
witness(enum watch_lost kind)
{
	switch (kind) {
	case WATCH_LOST_REFUSED:
		return FSM_WITNESS_REFUSED;
	case WATCH_LOST_REJECT:
		return FSM_WITNESS_REJECT;
	case WATCH_LOST_OTHER: /* it has an opinion about us, so it lives */
		return FSM_WITNESS_OK;
	case WATCH_LOST_NOT:
	case WATCH_LOST_SILENT:
	case WATCH_LOST_LOCAL:
		break;
	}
	return FSM_WITNESS_SILENT;
}

static bool
begin_connect(struct probe *p, const struct probe_times *t, struct mono now)
{
	struct buf more = { 0 };
	struct db_target target = { .host = p->host,
		.port = p->port,
		.dbname = "postgres",
		.user = HOST_HEALTH,
		.password = t->way.password,
		.application_name = "autoctl monitor",
		.sslmode = t->way.sslmode ? t->way.sslmode : "prefer",
		.connect_ms = t->timeout_ms };
	struct err e;
	int rc;

	/* the name is what a certificate is held against */
	if (strcmp(p->host, p->address) != 0)
		uri_word(&more, "hostaddr", p->address);
	uri_word(&more, "sslrootcert", t->way.sslrootcert);
	uri_word(&more, "sslcrl", t->way.sslcrl);
	target.uri = buf_len(&more) ? buf_peek(&more) : NULL;
	p->began = now;
	rc = watch_open(&p->watch, &target, &e);
	buf_drop(&more);
	if (rc == 0)
		return false;
	snprintf(p->why, sizeof p->why, "%.255s", e.msg);
	return finish(p, t, FSM_WITNESS_SILENT, now);
}

/* The look-up runs beside the probes; only the first one is waited for. */
static bool
begin(struct probe *p, const struct probe_times *t, struct mono now)
{
	bool stale = mono_between(p->address_at, now) > ADDRESS_KEPT_MS || p->failed;
	struct err e;

	if (p->watch.state == WATCH_IDLE) {
		p->began = now;
		if (watch_send(
			&p->watch, "select 1", db_args(0, NULL), t->timeout_ms, &e) == 0)
			return false;
	}
	if (is_address(p->host))
		memcpy(p->address, p->host, sizeof p->address);
	else if (p->resolver_fd < 0 && (!p->address[0] || stale))
		begin_resolve(p);
	if (p->address[0])
		return begin_connect(p, t, now);
	p->began = now;
	p->next_at = mono_after(now, RESOLVE_MS);
	return false;
}

/* What watch_step says, as far as it ends a probe. */
static bool
take_event(struct probe *p, const struct probe_times *t, enum watch_state was,
    enum watch_event event, const struct err *e)
{
	struct mono now = clock_mono();

	if (event != WATCH_LOST)
		return finish(p, t, FSM_WITNESS_OK, now);
	snprintf(p->why, sizeof p->why, "%.255s", e->msg);
	if (was == WATCH_CONNECTING || p->watch.lost == WATCH_LOST_SILENT)
		return finish(p, t, witness(p->watch.lost), now);
	/* a session that ended is a reason to look, not yet a finding */
	p->next_at = now;
	return false;
}

static bool
not_found(struct probe *p, const struct probe_times *t, struct mono now)
{
	snprintf(p->why, sizeof p->why, "the name of the host is not found");
	return finish(p, t, FSM_WITNESS_SILENT, now);
}

bool
probe_step(struct probe *p, const struct probe_times *t, struct mono now)
{
	struct pollfd r = { .fd = p->resolver_fd, .events = POLLIN };
	bool finished = false;
	enum watch_event event;
	enum watch_state was;
	struct err e;

	if (p->resolver_fd >= 0 && poll(&r, 1, 0) > 0) {
		take_address(p, now);
		if (p->watch.state == WATCH_CLOSED && !p->address[0])
			return not_found(p, t, now);
		if (p->watch.state == WATCH_CLOSED)
			p->next_at = now;
	}
	do {
		was = p->watch.state;
		event = watch_step(&p->watch, now, &e);
		if (event != WATCH_NOTHING && take_event(p, t, was, event, &e))
			finished = true;
	} while (event != WATCH_NOTHING && p->watch.state != WATCH_CLOSED);
	if (!mono_reached(now, p->next_at) || p->watch.state == WATCH_CONNECTING ||
	    p->watch.state == WATCH_BUSY)
		return finished;
	if (p->resolver_fd >= 0 && !p->address[0]) {
		end_resolver(p);
		return not_found(p, t, now);
	}
	return begin(p, t, now) || finished;
}

void
probe_hurry(struct probe *p, struct mono now, int64_t gap_ms)
{
	struct mono soon = mono_after(p->began, gap_ms);

	if (soon.ms < now.ms)
		soon = now;
	if (soon.ms < p->next_at.ms && (p->address[0] || p->resolver_fd < 0))
		p->next_at = soon;
}

int
probe_fd(const struct probe *p)
{
	return p->watch.state == WATCH_CLOSED ? p->resolver_fd : watch_fd(&p->watch);
}

short
probe_events(const struct probe *p)
{
	return p->watch.state != WATCH_CLOSED ? p->watch.events
	       : p->resolver_fd >= 0          ? POLLIN
					      : 0;
}

struct mono
probe_wake(const struct probe *p)
{
	return p->watch.state == WATCH_CONNECTING || p->watch.state == WATCH_BUSY
		   ? p->watch.deadline
		   : p->next_at;
}
