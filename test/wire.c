/* A TCP relay that can be cut, healed and slowed: network trouble without root. */
/* SPDX-License-Identifier: PostgreSQL */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ini/clock.h"
#include "ini/err.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define LINKS_MAX 32
#define PAIRS_MAX 512
#define CHUNK 65536

/*
 * A cut link is silent, as a pulled cable is: nothing is passed on, nobody is told, and
 * new connections are taken by the kernel and never answered. What was sent meanwhile
 * arrives when the link heals.
 */
struct link {
	char name[32];
	struct sockaddr_in from, to;
	int listener;
	bool cut;
	char cut_text[64]; /* cut only those whose first bytes from the client hold it */
	bool refuse;       /* resets everything: as a dead process on a living host */
	int slow_ms;
};

/* One direction of a connection. */
struct flow {
	char data[CHUNK];
	size_t len, sent;
	struct mono due; /* when data may be passed on */
	bool eof;        /* the reader's side has ended */
	bool told;       /* and the other side knows */
};

struct pair {
	struct link *link;
	int fd[2]; /* client, server */
	bool connecting;
	bool cut;
	char first[512]; /* what the client began with: who it is */
	size_t nfirst;
	struct flow flow[2]; /* [i]: read from fd[i], written to fd[!i] */
};

static struct link links[LINKS_MAX];
static int nlinks;
static struct pair *pairs[PAIRS_MAX];
static int npairs;
static volatile sig_atomic_t stop;

static const char usage[] =
    "usage: wire run CONTROL NAME=ADDRESS:PORT,ADDRESS:PORT...   until SIGTERM\n"
    "       wire cut|heal|refuse CONTROL NAME    all links of that name\n"
    "       wire cut CONTROL NAME WORD           of connections that begin with it\n"
    "       wire slow CONTROL NAME MS            delay in each direction\n"
    "A link listens on its first address and passes on to the second.\n";

static void
on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void
fail(const char *what)
{
	perror(what);
	exit(2);
}

static bool
parse_address(const char *text, struct sockaddr_in *out)
{
	char host[64];
	const char *colon = strchr(text, ':');
	int port;

	if (!colon || (size_t)(colon - text) >= sizeof host)
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	if (str_int_between(colon + 1, 1, 65535, &port, NULL))
		return false;
	memset(out, 0, sizeof *out);
	out->sin_family = AF_INET;
	out->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

/* "name=address:port,address:port" */
static bool
parse_link(const char *text, struct link *l)
{
	char *copy = xstrdup(text), *from = strchr(copy, '='), *to = strchr(copy, ',');
	bool good = from && to && from < to;

	if (good) {
		*from++ = '\0';
		*to++ = '\0';
		good = !str_copy(l->name, sizeof l->name, copy, NULL) &&
		       parse_address(from, &l->from) && parse_address(to, &l->to);
	}
	free(copy);
	return good;
}

static int
stream_socket(void)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	return fd;
}

static void
link_open(struct link *l)
{
	l->listener = stream_socket();
	if (bind(l->listener, (struct sockaddr *)&l->from, sizeof l->from) ||
	    listen(l->listener, 128))
		fail(l->name);
}

static struct sockaddr_un
control_address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (str_copy(a.sun_path, sizeof a.sun_path, path, NULL)) {
		fprintf(stderr, "wire: path too long: %s\n", path);
		exit(2);
	}
	return a;
}

static void
pair_close(int i, bool reset)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	for (int side = 0; side < 2; side++) {
		if (reset)
			setsockopt(
			    pairs[i]->fd[side], SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(pairs[i]->fd[side]);
	}
	free(pairs[i]);
	pairs[i] = pairs[--npairs];
}

static void
pair_open(struct link *l)
{
	int fd = accept4(l->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
	struct pair *p;

	if (fd < 0)
		return;
	if (npairs == PAIRS_MAX) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	p = xcalloc(1, sizeof *p);
	p->link = l;
	p->fd[0] = fd;
	p->fd[1] = stream_socket();
	p->connecting = true;
	pairs[npairs++] = p;
	if (connect(p->fd[1], (struct sockaddr *)&l->to, sizeof l->to) &&
	    errno != EINPROGRESS)
		pair_close(npairs - 1, true);
}

/* A startup packet ends each word with a NUL. */
static bool
is_meant(const struct pair *p)
{
	const char *text = p->link->cut_text;

	return *text && memmem(p->first, p->nfirst, text, strlen(text) + 1);
}

static void
remember(struct pair *p, const char *data, size_t n)
{
	size_t room = sizeof p->first - p->nfirst;

	n = n < room ? n : room;
	memcpy(p->first + p->nfirst, data, n);
	p->nfirst += n;
	p->cut = p->cut || is_meant(p);
}

/* Read when there is room, pass on when it is due. -1: the connection is broken. */
static int
flow_step(struct pair *p, int i, short from_events, short to_events)
{
	struct flow *f = &p->flow[i];
	ssize_t n;

	if (!f->len && !f->eof && from_events & (POLLIN | POLLHUP | POLLERR)) {
		n = recv(p->fd[i], f->data, CHUNK, 0);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		f->eof = n == 0;
		if (n > 0) {
			f->len = (size_t)n;
			f->sent = 0;
			f->due = mono_after(clock_mono(), p->link->slow_ms);
			to_events = POLLOUT;
			if (i == 0)
				remember(p, f->data, f->len);
		}
	}
	if (f->len && to_events && !p->cut && mono_reached(clock_mono(), f->due)) {
		n = send(p->fd[!i], f->data + f->sent, f->len - f->sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		f->sent += n > 0 ? (size_t)n : 0;
		if (f->sent == f->len)
			f->len = 0;
	}
	if (f->eof && !f->len && !f->told) {
		shutdown(p->fd[!i], SHUT_WR);
		f->told = true;
	}
	return 0;
}

/* -1: broken, 1: ended well. */
static int
pair_step(struct pair *p, const struct pollfd fds[2])
{
	if (p->connecting) {
		int error = 0;
		socklen_t size = sizeof error;

		if (!(fds[1].revents & (POLLOUT | POLLERR | POLLHUP)))
			return 0;
		getsockopt(p->fd[1], SOL_SOCKET, SO_ERROR, &error, &size);
		if (error)
			return -1;
		p->connecting = false;
		return 0;
	}
	if (flow_step(p, 0, fds[0].revents, fds[1].revents) ||
	    flow_step(p, 1, fds[1].revents, fds[0].revents))
		return -1;
	return p->flow[0].told && p->flow[1].told;
}

/* What to wait for; shortens *wait_ms to the next chunk that falls due. */
static void
pair_poll(const struct pair *p, struct pollfd fds[2], int *wait_ms)
{
	for (int i = 0; i < 2; i++) {
		fds[i].fd = p->link->cut || p->cut ? -1 : p->fd[i];
		fds[i].events = 0;
		fds[i].revents = 0;
	}
	if (p->connecting) {
		fds[0].fd = -1;
		fds[1].events = POLLOUT;
		return;
	}
	for (int i = 0; i < 2; i++) {
		const struct flow *f = &p->flow[i];
		int64_t left = mono_between(clock_mono(), f->due);

		if (!f->len && !f->eof)
			fds[i].events |= POLLIN;
		if (f->len && left > 0)
			*wait_ms = left < *wait_ms ? (int)left : *wait_ms;
		else if (f->len)
			fds[!i].events |= POLLOUT;
	}
	/* an ended side would wake us for ever */
	for (int i = 0; i < 2; i++)
		if (!fds[i].events)
			fds[i].fd = -1;
}

/* What a verb does to one link; false: no such verb. */
static bool
treat(struct link *l, const char *verb, const char *word)
{
	if (!strcmp(verb, "cut") && *word)
		return !str_copy(l->cut_text, sizeof l->cut_text, word, NULL);
	if (!strcmp(verb, "cut"))
		return l->cut = true;
	if (!strcmp(verb, "refuse"))
		return l->refuse = true;
	if (!strcmp(verb, "slow"))
		return !str_int_between(word, 0, 60000, &l->slow_ms, NULL);
	if (strcmp(verb, "heal"))
		return false;
	l->cut = l->refuse = false;
	l->cut_text[0] = '\0';
	l->slow_ms = 0;
	return true;
}

/* "cut name", "heal name", "refuse name", "slow name 20": the links it was done to. */
static int
command(const char *text)
{
	char verb[16], name[32], word[64] = "";
	int done = 0, n = sscanf(text, "%15s %31s %63s", verb, name, word);

	for (int i = 0; n >= 2 && i < nlinks; i++)
		if (!strcmp(links[i].name, name))
			done += treat(&links[i], verb, word);
	for (int i = npairs - 1; i >= 0; i--) {
		pairs[i]->cut = is_meant(pairs[i]);
		if (pairs[i]->link->refuse)
			pair_close(i, true);
	}
	return done;
}

static void
serve_control(int listener)
{
	char text[128] = "";
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	if ((n = read(fd, text, sizeof text - 1)) > 0) {
		char reply = command(text) ? '1' : '0';

		if (write(fd, &reply, 1) != 1)
			perror("wire: reply");
	}
	close(fd);
}

static void
serve_link(struct link *l)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };
	int fd;

	if (!l->refuse) {
		pair_open(l);
		return;
	}
	if ((fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
		close(fd);
	}
}

static void
turn(int control)
{
	static struct pollfd fds[1 + LINKS_MAX + 2 * PAIRS_MAX];
	int n = 0, wait_ms = 1000, count = npairs;

	fds[n++] = (struct pollfd){ .fd = control, .events = POLLIN };
	for (int i = 0; i < nlinks; i++)
		fds[n++] = (struct pollfd){ .fd = links[i].cut ? -1 : links[i].listener,
			.events = POLLIN };
	for (int i = 0; i < count; i++, n += 2)
		pair_poll(pairs[i], &fds[n], &wait_ms);
	if (poll(fds, (nfds_t)n, wait_ms) < 0)
		return;
	/* from the last one, because closing moves the last one into the hole */
	for (int i = count - 1; i >= 0; i--)
		if (!pairs[i]->link->cut && pair_step(pairs[i], &fds[1 + nlinks + 2 * i]))
			pair_close(i, true);
	for (int i = 0; i < nlinks; i++)
		if (fds[1 + i].revents)
			serve_link(&links[i]);
	if (fds[0].revents)
		serve_control(control);
}

static int
run(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_stop };
	struct sockaddr_un a = control_address(argv[2]);
	int control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	for (int i = 3; i < argc; i++) {
		if (nlinks == LINKS_MAX || !parse_link(argv[i], &links[nlinks])) {
			fprintf(stderr, "wire: bad link: %s\n", argv[i]);
			return 2;
		}
		link_open(&links[nlinks++]);
	}
	unlink(argv[2]);
	if (control < 0 || bind(control, (struct sockaddr *)&a, sizeof a) ||
	    listen(control, 16))
		fail(argv[2]);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	while (!stop)
		turn(control);
	unlink(argv[2]);
	return 0;
}

static int
tell(const char *path, const char *verb, const char *name, const char *word)
{
	struct sockaddr_un a = control_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char *text = xasprintf("%s %s %s", verb, name, word), reply = '0';
	ssize_t len = (ssize_t)strlen(text);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) ||
	    write(fd, text, (size_t)len) != len || read(fd, &reply, 1) != 1)
		fail(path);
	close(fd);
	free(text);
	if (reply != '1') {
		fprintf(stderr, "wire: cannot %s %s\n", verb, name);
		return 2;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc >= 4 && !strcmp(argv[1], "run"))
		return run(argc, argv);
	if (argc == 4 || argc == 5)
		return tell(argv[2], argv[1], argv[3], argc == 5 ? argv[4] : "");
	fputs(usage, stderr);
	return 2;
}
