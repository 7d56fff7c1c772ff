/* Step mode: a keeper that does nothing by itself, and goes on when it is told to. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/node.h"
#include "cmd/node_step.h"
#include "ini/buf.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define LOOK_MS 3000    /* for a fresh look at Postgres, before a report */
#define ASK_MS 10000    /* for the monitor's answer */
#define LINGER_MS 1000  /* for what it decides on a report; usually a few ms */
#define STUCK_MS 10000  /* nothing is going on, and the goal is not reached */
#define CLIENT_MS 10000 /* to say its word */
#define START_MS 60000  /* of Postgres, when the keeper starts */

/* -- the socket -- */

/* A path may be longer than an address of a socket: by a descriptor of its directory. */
int
node_step_socket(const char *pgdata, struct sockaddr_un *to, int *dir, struct err *e)
{
	struct buf path = { 0 };
	char *slash;
	int rc = config_path(pgdata, CONFIG_FILE_PID, &path, e);

	memset(to, 0, sizeof *to);
	to->sun_family = AF_UNIX;
	*dir = -1;
	if (rc == 0) {
		slash = strrchr(path.data, '/');
		*slash = '\0';
		*dir = open(path.data, O_PATH | O_DIRECTORY | O_CLOEXEC);
		snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d/%s.step",
		    *dir, slash + 1);
		if (*dir == -1)
			rc = err_sys(e, "%s", path.data);
	}
	buf_drop(&path);
	return rc;
}

static void reply(struct node *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
reply(struct node *n, const char *fmt, ...)
{
	struct node_step *st = &n->step;
	char line[320];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	snprintf(st->answer, sizeof st->answer, "%.*s", (int)strcspn(line, "\n"), line);
	st->phase = STEP_IDLE;
	if (st->client < 0)
		return;
	if (send(st->client, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
		log_debug("who asked for a step has gone");
	loop_fd(&n->loop, st->client, 0, NULL, NULL);
	close(st->client);
	st->client = -1;
}

/* -- steps -- */

static void
begin_asking(struct node *n)
{
	struct node_step *st = &n->step;

	st->phase = STEP_ASKING;
	st->asked = n->loop.now;
	st->until = mono_after(n->loop.now, ASK_MS);
	n->look_at = n->loop.now;
}

static void
begin_moving(struct node *n)
{
	n->step.phase = STEP_MOVING;
	n->step.until = mono_after(n->loop.now, STUCK_MS);
	n->fails = 0;
	n->retry_at = n->loop.now;
}

static void
assign(struct node *n, const char *name)
{
	struct keeper *k = n->k;
	int to = fsm_state_find(name);

	if (!config_no_monitor(&n->cfg))
		reply(n, "ERROR the monitor assigns states\n");
	else if (to < 0 || to == FSM_UNKNOWN)
		reply(n, "ERROR %s: there is no such state\n", name);
	else if (k->current != (enum fsm_state)to &&
		 !fsm_edge(k->current, (enum fsm_state)to))
		reply(n, "ERROR there is no way from %s to %s\n",
		    fsm_state_name(k->current), name);
	else {
		k->goal = (enum fsm_state)to;
		k->goal_seq++;
		k->term++; /* what was promised or stopped was for the term before */
		n->fails = 0;
		n->retry_at = n->loop.now;
		node_save(n);
		node_hurry(n);
		reply(n, "OK %s %s\n", fsm_state_name(k->current), name);
	}
}

void
node_step_begin(struct node *n, enum node_step_kind kind)
{
	struct node_step *st = &n->step;

	st->kind = kind;
	st->old = n->k->current;
	st->answer[0] = '\0';
	if (kind == STEP_ADVANCE) {
		n->contact = n->loop.now; /* nobody has asked, so nobody was silent */
		begin_moving(n);
	} else
		begin_asking(n);
}

static void
obey(struct node *n, const char *word)
{
	if (str_starts(word, "ASSIGN "))
		assign(n, word + strlen("ASSIGN "));
	else if (!n->step.suspended)
		reply(n, n->step.wanted ? "ERROR this node is still being created\n"
					: "ERROR this keeper is not in step mode\n");
	else if (strcmp(word, "STEP") == 0)
		node_step_begin(n, STEP_BOTH);
	else if (strcmp(word, "REPORT") == 0)
		node_step_begin(n, STEP_REPORT);
	else if (strcmp(word, "ADVANCE") == 0)
		node_step_begin(n, STEP_ADVANCE);
	else
		reply(n, "ERROR unknown command\n");
}

static void
on_word(void *arg, int fd, short revents)
{
	struct node *n = arg;
	struct node_step *st = &n->step;
	ssize_t got =
	    recv(fd, st->word + st->nword, sizeof st->word - 1 - st->nword, MSG_DONTWAIT);
	char *end;

	(void)revents;
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		st->nword += (size_t)got;
	st->word[st->nword] = '\0';
	end = strchr(st->word, '\n');
	if (!end && got > 0 && st->nword < sizeof st->word - 1)
		return;
	/* one word; who goes before the answer does not end what began */
	loop_fd(&n->loop, fd, 0, NULL, NULL);
	if (end)
		*end = '\0';
	obey(n, end ? st->word : "");
}

static void
on_client(void *arg, int fd, short revents)
{
	struct node *n = arg;
	struct node_step *st = &n->step;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)revents;
	if (client == -1)
		return;
	if (st->client >= 0) {
		static const char busy[] = "ERROR another step is in progress\n";

		(void)!send(client, busy, sizeof busy - 1, MSG_NOSIGNAL);
		close(client);
		return;
	}
	st->client = client;
	st->nword = 0;
	st->until = mono_after(n->loop.now, CLIENT_MS);
	loop_fd(&n->loop, client, POLLIN, on_word, n);
}

static void
close_socket(struct node *n)
{
	struct node_step *st = &n->step;
	struct sockaddr_un at;
	int dir;

	if (st->fd < 0)
		return;
	loop_fd(&n->loop, st->fd, 0, NULL, NULL);
	close(st->fd);
	st->fd = -1;
	if (node_step_socket(n->cfg.pgdata, &at, &dir, NULL) == 0) {
		unlink(at.sun_path);
		close(dir);
	}
}

/* Where there is nobody else to drive it, or nobody else shall. */
int
node_step_open(struct node *n, struct err *e)
{
	struct node_step *st = &n->step;
	struct sockaddr_un at;
	bool wanted = st->wanted || config_no_monitor(&n->cfg);
	mode_t mask;
	int dir, rc;

	if (!wanted)
		close_socket(n);
	if (st->fd >= 0 || !wanted)
		return 0;
	if (node_step_socket(n->cfg.pgdata, &at, &dir, e) == -1)
		return -1;
	unlink(at.sun_path); /* of an earlier life: the pid file is ours */
	st->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	rc = st->fd < 0 || bind(st->fd, (struct sockaddr *)&at, sizeof at) ||
	     listen(st->fd, 4);
	umask(mask);
	if (rc)
		rc = err_sys(e, "make the socket for steps");
	close(dir);
	if (rc == 0)
		loop_fd(&n->loop, st->fd, POLLIN, on_client, n);
	return rc;
}

void
node_step_close(struct node *n)
{
	if (n->step.client >= 0)
		reply(n, "ERROR the keeper leaves\n");
	close_socket(n);
}

/* -- turns -- */

bool
node_step_reports(const struct node *n)
{
	const struct node_step *st = &n->step;
	bool looked = n->postmaster == 0 ||
		      (n->seen.valid && n->seen.at.ms >= st->asked.ms) ||
		      mono_between(st->asked, n->loop.now) > LOOK_MS;

	if (!st->suspended || n->svc.stop != 0)
		return true;
	return (st->phase == STEP_ASKING || st->phase == STEP_STARTING) && looked;
}

/* Between steps the monitor hears again what it heard last: that this node lives. */
bool
node_step_due(const struct node *n)
{
	if (node_step_reports(n))
		return n->step.phase == STEP_IDLE || n->contact.ms < n->step.asked.ms;
	return n->has_reply && n->step.phase != STEP_ASKING &&
	       mono_reached(n->loop.now, n->report_at);
}

bool
node_step_moves(const struct node *n)
{
	return !n->step.suspended || n->step.phase == STEP_MOVING;
}

void
node_step_heard(struct node *n, const struct reply *r)
{
	n->k->contact = true;
	if (!n->has_reply)
		n->reply = *r;
	n->has_reply = true;
	if (!n->has_peers)
		n->asks |= 1U << ASK_PEERS;
	if (!n->step.frozen)
		n->contact = n->asked_at;
}

/* The monitor's word is needed for it, its goal is not. */
static void
start_postgres(struct node *n)
{
	struct node_step *st = &n->step;
	struct keeper k = *n->k;
	struct keeper_obs o;
	struct keeper_step s;

	if (n->postmaster != 0 || n->fails > 0 || !(fsm_state_flags(k.current) & ST_UP) ||
	    mono_between(n->began, n->loop.now) > START_MS) {
		st->phase = STEP_IDLE;
		return;
	}
	k.goal = k.current;
	node_observe(n, &o);
	keeper_step(&k, &o, &s);
	if (n->work.pid == 0 && s.what == KEEPER_BEGIN && s.act == FSM_ACT_START)
		node_work_begin(n, &s);
}

static void
answered(struct node *n)
{
	struct node_step *st = &n->step;
	struct keeper *k = n->k;

	if (k->goal == k->current && st->phase == STEP_ASKING && !st->again) {
		/* it may be deciding on what it just heard */
		st->phase = STEP_LINGERING;
		st->until = mono_after(n->loop.now, LINGER_MS);
		return;
	}
	st->again = false;
	if (st->kind == STEP_REPORT)
		reply(
		    n, "OK %s %s\n", fsm_state_name(k->current), fsm_state_name(k->goal));
	else
		begin_moving(n);
}

static void
look_moved(struct node *n)
{
	struct node_step *st = &n->step;
	struct keeper_obs o;
	struct keeper_step s;

	if (n->work.pid != 0) {
		st->until = mono_after(n->loop.now, STUCK_MS);
		return;
	}
	if (n->fails > 0) {
		reply(n, "ERROR %.250s\n", n->error);
		return;
	}
	node_observe(n, &o);
	keeper_step(n->k, &o, &s);
	if (s.what == KEEPER_WAIT && n->k->current == n->k->goal)
		reply(n, "OK %s %s\n", fsm_state_name(st->old),
		    fsm_state_name(n->k->current));
	else if (mono_reached(n->loop.now, st->until))
		reply(n, "ERROR %s\n", s.why ? s.why : "the goal is not reached");
}

void
node_step_turn(struct node *n)
{
	struct node_step *st = &n->step;

	switch (st->phase) {
	case STEP_IDLE:
		if (st->client >= 0 && mono_reached(n->loop.now, st->until))
			reply(n, "ERROR no command came\n");
		break;
	case STEP_STARTING:
		start_postgres(n);
		break;
	case STEP_ASKING:
		if (n->contact.ms >= st->asked.ms)
			answered(n);
		else if (mono_reached(n->loop.now, st->until))
			reply(n, "ERROR the monitor does not answer\n");
		break;
	case STEP_LINGERING:
		st->again = true;
		if (mono_reached(n->loop.now, st->until))
			answered(n);
		else if (n->noticed) {
			begin_asking(n);
		}
		break;
	case STEP_MOVING:
		look_moved(n);
		break;
	}
	n->noticed = false;
}
