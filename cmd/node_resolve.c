/* Names of hosts are looked up in a process of their own: the loop waits for nobody. */
/* SPDX-License-Identifier: PostgreSQL */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/node.h"
#include "ini/str.h"

#include "ini/ban.h"

#define LOOKUP_MS 10000 /* then the child is given up */
#define AGAIN_MS 1000   /* between two look-ups */
#define FRESH_MS 60000  /* an address that served lately is used again */

/* An address, a socket directory, a list: libpq needs no name service for these (or
 * treats each of a list in its own way). */
static bool
needs_none(const char *host)
{
	struct in6_addr a;

	return str_empty(host) || host[0] == '/' || strchr(host, ',') != NULL ||
	       inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

static void
look_up(const char *host, int fd)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	char text[INET6_ADDRSTRLEN + 1];

	if (getaddrinfo(host, NULL, &hint, &list) != 0 ||
	    getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0,
		NI_NUMERICHOST) != 0)
		_exit(1);
	_exit(write(fd, text, strlen(text)) > 0 ? 0 : 1);
}

static void
got_address(void *arg, int fd, short revents)
{
	struct node_name *a = arg;
	char text[sizeof a->address];
	ssize_t n = read(fd, text, sizeof text - 1);

	(void)revents;
	if (n > 0) {
		text[n] = '\0';
		memcpy(a->address, text, sizeof text);
		a->at = clock_mono();
	}
	loop_fd(a->loop, fd, 0, NULL, NULL);
	close(fd);
	a->fd = -1;
}

static void
ended(void *arg, pid_t pid, int status)
{
	struct node_name *a = arg;

	(void)pid;
	(void)status;
	a->pid = 0;
}

static void
begin(struct node_name *a, const char *host)
{
	pid_t parent = getpid();
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) == -1)
		return;
	pid = fork();
	if (pid == 0) {
		node_become_child("names", parent, fd[1]);
		look_up(host, fd[1]);
	}
	close(fd[1]);
	if (pid == -1) {
		close(fd[0]);
		return;
	}
	a->pid = pid;
	a->fd = fd[0];
	a->began = a->loop->now;
	loop_fd(a->loop, a->fd, POLLIN, got_address, a);
	loop_child(a->loop, pid, ended, a);
}

enum node_name_is
node_name_find(struct node_name *a, struct loop *l, const char *host)
{
	bool fresh;

	a->loop = l;
	if (needs_none(host))
		return NODE_NAME_NONE;
	if (strcmp(a->host, host) != 0) {
		a->address[0] = '\0';
		if (str_copy(a->host, sizeof a->host, host, NULL) == -1)
			return NODE_NAME_NONE; /* libpq will say what it thinks of it */
	}
	fresh = a->address[0] != '\0' && mono_between(a->at, l->now) < FRESH_MS;
	if (a->pid != 0 && mono_between(a->began, l->now) > LOOKUP_MS)
		kill(a->pid, SIGKILL);
	if (!fresh && a->pid == 0 && a->fd == -1 &&
	    (a->began.ms == 0 || mono_between(a->began, l->now) > AGAIN_MS))
		begin(a, host);
	/* an old address is better than none: hosts seldom move */
	return a->address[0] != '\0' ? NODE_NAME_KNOWN : NODE_NAME_SOON;
}

void
node_name_close(struct node_name *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}
