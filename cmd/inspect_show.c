/* inspect show: how this host sees itself on the network. */
/* SPDX-License-Identifier: PostgreSQL */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/node_create.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/hba_net.h"
#include "pg/schema.h"
#include "pg/uri.h"

#include "ini/ban.h"

/* Nobody is sent anything: only the way there is looked at. */
#define FAR_HOST "8.8.8.8"
#define FAR_PORT "53"

static int
own_ip(struct cmd_ctx *x, struct buf *ip)
{
	if (node_best_name(FAR_HOST, FAR_PORT, true, ip) == -1)
		return err_set(&x->err, ERR_SYSTEM,
		    "there is no way to %s: no address of this host is known", FAR_HOST);
	return 0;
}

int
cmd_inspect_show_ipaddr(struct cmd_ctx *x)
{
	struct buf ip = { 0 };
	int rc = own_ip(x, &ip);

	if (rc == 0)
		puts(buf_peek(&ip));
	buf_drop(&ip);
	return rc;
}

int
cmd_inspect_show_cidr(struct cmd_ctx *x)
{
	struct buf ip = { 0 };
	char network[HBA_ADDRESS];
	int rc = own_ip(x, &ip);

	if (rc == 0 && hba_network(buf_peek(&ip), network))
		rc = err_set(&x->err, ERR_SYSTEM,
		    "no network interface here has the address %s", buf_peek(&ip));
	if (rc == 0)
		puts(network);
	buf_drop(&ip);
	return rc;
}

static int
look_up(struct cmd_ctx *x, const char *host, struct addrinfo **list)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM };
	int rc = getaddrinfo(host, NULL, &hint, list);

	return rc ? err_set(&x->err, ERR_SYSTEM, "%s: %s", host, gai_strerror(rc)) : 0;
}

static bool
is_address(const char *text)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, text, bytes) == 1 ||
	       inet_pton(AF_INET6, text, bytes) == 1;
}

static int
name_of(struct cmd_ctx *x, const struct addrinfo *a, char out[NI_MAXHOST], int flags)
{
	int rc = getnameinfo(a->ai_addr, a->ai_addrlen, out, NI_MAXHOST, NULL, 0, flags);

	return rc ? err_set(&x->err, ERR_SYSTEM, "the name of an address: %s",
			gai_strerror(rc))
		  : 0;
}

int
cmd_inspect_show_lookup(struct cmd_ctx *x)
{
	const char *host = x->word[0];
	struct addrinfo *list = NULL;
	char other[NI_MAXHOST];
	int rc = look_up(x, host, &list);

	if (rc == 0)
		rc = name_of(
		    x, list, other, is_address(host) ? NI_NAMEREQD : NI_NUMERICHOST);
	if (rc == 0)
		printf("%s: %s\n", host, other);
	if (list)
		freeaddrinfo(list);
	return rc;
}

/* Does one of its addresses lead back to the name? That is how Postgres checks names. */
int
cmd_inspect_show_reverse(struct cmd_ctx *x)
{
	const char *host = x->word[0];
	struct addrinfo *list = NULL;
	char back[NI_MAXHOST];
	bool same = false;
	int rc = look_up(x, host, &list);

	for (const struct addrinfo *a = list; a && !same; a = a->ai_next)
		same =
		    name_of(x, a, back, NI_NAMEREQD) == 0 && strcasecmp(back, host) == 0;
	if (rc == 0 && same)
		err_clear(&x->err);
	if (rc == 0 && !same) {
		rc = err_set(&x->err, ERR_SYSTEM,
		    "no address of \"%s\" leads back to this name", host);
		err_hint(&x->err, "pg_hba.conf gets the address then, not the name");
	}
	if (list)
		freeaddrinfo(list);
	return rc;
}

/* The URI, else that of the node, else the way out. */
static int
way_out(struct cmd_ctx *x, struct buf *host, struct buf *port)
{
	const char *uri = x->nwords ? x->word[0] : x->args.monitor;

	if (!uri)
		uri = getenv("PG_AUTOCTL_MONITOR");
	buf_str(host, FAR_HOST);
	buf_str(port, FAR_PORT);
	if (str_empty(uri))
		return 0;
	if (uri_check(uri, &x->err) == -1)
		return -1;
	buf_reset(host);
	buf_reset(port);
	if (uri_get(uri, "host", host, &x->err) == -1 ||
	    uri_get(uri, "port", port, &x->err) == -1)
		return -1;
	if (!buf_len(host) || buf_peek(host)[0] == '/')
		return err_set(&x->err, ERR_USAGE, "the connection string names no host");
	if (!buf_len(port))
		buf_str(port, "5432");
	return 0;
}

int
cmd_inspect_show_hostname(struct cmd_ctx *x)
{
	struct buf host = { 0 }, port = { 0 }, name = { 0 };
	int rc = way_out(x, &host, &port);

	if (rc == 0 &&
	    node_best_name(buf_peek(&host), buf_peek(&port), false, &name) == -1)
		rc = err_set(&x->err, ERR_SYSTEM,
		    "there is no way to %s: no address of "
		    "this host is known",
		    buf_peek(&host));
	if (rc == 0)
		puts(buf_peek(&name));
	buf_drop(&host);
	buf_drop(&port);
	buf_drop(&name);
	return rc;
}

int
cmd_inspect_show_version(struct cmd_ctx *x)
{
	(void)x;
	log_info("autoctl version %s", AUTOCTL_VERSION);
	log_info("schema version %d", schema_list[schema_count - 1].version);
	return 0;
}
