/* Is the port of a Postgres that is to be started still free? */
/* SPDX-License-Identifier: PostgreSQL */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ini/err.h"
#include "ini/str.h"
#include "pg/host.h"

#include "ini/ban.h"

/* Does somebody listen there already? An address that is not ours is not asked for. */
static bool
is_taken(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port) };
	int fd, on = 1;
	bool taken;

	if (strcmp(address, "*") == 0)
		address = "0.0.0.0";
	if (strcmp(address, "localhost") == 0)
		address = "127.0.0.1";
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return false;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	taken = bind(fd, (struct sockaddr *)&to, sizeof to) == -1 && errno == EADDRINUSE;
	close(fd);
	return taken;
}

int
host_check_port(const struct config *c, struct err *e)
{
	const char *p = str_empty(c->listen_addresses) ? "*" : c->listen_addresses;

	for (size_t len; *p; p += len) {
		char address[INET_ADDRSTRLEN];
		p += strspn(p, ", ");
		len = strcspn(p, ", ");
		snprintf(address, sizeof address, "%.*s", (int)len, p);
		if (!is_taken(address, c->port))
			continue;
		err_set(e, ERR_STATE, "port %d is in use on %s", c->port, address);
		return err_hint(e, "Choose another one with --pgport.");
	}
	return 0;
}
