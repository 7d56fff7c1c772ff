/* The options of create postgres, as settings. */
/* SPDX-License-Identifier: PostgreSQL */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/node_create.h"
#include "cmd/settings.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

/* What is not given to a new node is taken from the environment. */
static int
set_defaults(struct cmd_ctx *x)
{
	struct cmd_args *a = &x->args;
	const struct {
		const char *name, *type, **to;
	} table[] = {
		{ "PG_AUTOCTL_NODE_NAME", "<name>", &a->name },
		{ "PG_AUTOCTL_CANDIDATE_PRIORITY", "<0..100>", &a->priority },
		{ "PG_AUTOCTL_REPLICATION_QUORUM", "<boolean>", &a->quorum },
		{ "PGHOST", "<host>", &a->pghost },
		{ "PGUSER", "<role>", &a->username },
		{ "PGDATABASE", "<database>", &a->dbname },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0] && !x->have_config; i++) {
		const char *value = getenv(table[i].name);

		if (*table[i].to || str_empty(value))
			continue;
		if (cmd_check_value(table[i].type, value, &x->err))
			return err_wrap(&x->err, "%s", table[i].name);
		*table[i].to = value;
	}
	return 0;
}

/* Options whose text is the setting's text. */
static int
set_texts(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;
	const struct {
		const char *key, *value;
	} table[] = {
		{ "pg_autoctl.monitor", a->monitor },
		{ "pg_autoctl.formation", a->formation },
		{ "pg_autoctl.name", a->name },
		{ "postgresql.host", a->pghost },
		{ "postgresql.username", a->username },
		{ "postgresql.dbname", a->dbname },
		{ "replication.maximum_backup_rate", a->backup_rate },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (settings_text(x, table[i].key, table[i].value) == -1)
			return -1;
	return 0;
}

/* -- by which name the others reach us -- */

/* Our address on the way to the monitor: a datagram socket finds it without a packet. */
static bool
own_address(
    const char *host, const char *port, struct sockaddr_storage *me, socklen_t *len)
{
	struct addrinfo hint = { .ai_socktype = SOCK_DGRAM };
	struct addrinfo *list = NULL;
	bool found = false;

	if (getaddrinfo(host, port, &hint, &list) != 0)
		return false;
	for (struct addrinfo *a = list; a != NULL && !found; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

		*len = sizeof *me;
		found = fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0 &&
			getsockname(fd, (struct sockaddr *)me, len) == 0;
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(list);
	return found;
}

static bool
resolves_to(const char *name, const struct sockaddr_storage *me, socklen_t len)
{
	struct addrinfo hint = { .ai_socktype = SOCK_STREAM, .ai_family = me->ss_family };
	struct addrinfo *list = NULL;
	char want[NI_MAXHOST];
	char got[NI_MAXHOST];
	bool same = false;

	if (getnameinfo((const struct sockaddr *)me, len, want, sizeof want, NULL, 0,
		NI_NUMERICHOST) != 0 ||
	    getaddrinfo(name, NULL, &hint, &list) != 0)
		return false;
	for (struct addrinfo *a = list; a != NULL && !same; a = a->ai_next)
		same = getnameinfo(a->ai_addr, a->ai_addrlen, got, sizeof got, NULL, 0,
			   NI_NUMERICHOST) == 0 &&
		       strcmp(got, want) == 0;
	freeaddrinfo(list);
	return same;
}

int
node_best_name(const char *host, const char *port, bool numeric, struct buf *out)
{
	struct sockaddr_storage me;
	socklen_t len;
	char name[NI_MAXHOST];

	if (!own_address(host, port, &me, &len))
		return -1;
	if (numeric ||
	    getnameinfo((struct sockaddr *)&me, len, name, sizeof name, NULL, 0,
		NI_NAMEREQD) != 0 ||
	    !resolves_to(name, &me, len))
		(void)getnameinfo((struct sockaddr *)&me, len, name, sizeof name, NULL, 0,
		    NI_NUMERICHOST);
	buf_reset(out);
	buf_str(out, name);
	return 0;
}

static void
detect_hostname(struct config *c)
{
	char name[NI_MAXHOST];
	struct buf host = { 0 };
	struct buf port = { 0 };
	struct buf best = { 0 };

	if (config_no_monitor(c) || uri_get(c->monitor, "host", &host, NULL) == -1 ||
	    uri_get(c->monitor, "port", &port, NULL) == -1)
		buf_reset(&host);
	if (buf_len(&host) > 0 && buf_peek(&host)[0] != '/' &&
	    node_best_name(buf_peek(&host), buf_len(&port) ? buf_peek(&port) : "5432",
		false, &best) == 0)
		c->hostname = buf_take(&best);
	else if (gethostname(name, sizeof name) == 0) {
		name[sizeof name - 1] = '\0';
		c->hostname = xstrdup(name);
	}
	buf_drop(&best);
	buf_drop(&host);
	buf_drop(&port);
	log_info("this node is reached as \"%s\"; --hostname says otherwise",
	    c->hostname ? c->hostname : "");
}

static int
set_secrets(struct cmd_ctx *x)
{
	return settings_secret(x, "pg_autoctl.monitor_password", x->args.monitor_password,
		   "PG_AUTOCTL_MONITOR_PASSWORD") ||
		       settings_secret(x, "replication.password",
			   x->args.replication_password,
			   "PG_AUTOCTL_REPLICATION_PASSWORD")
		   ? -1
		   : 0;
}

static int
set_monitor(struct cmd_ctx *x, struct config *c)
{
	const char *monitor = getenv("PG_AUTOCTL_MONITOR");

	if (x->args.disable_monitor && x->args.monitor)
		return err_set(&x->err, ERR_USAGE,
		    "--monitor and --disable-monitor exclude each other");
	if (x->args.disable_monitor)
		return config_set(c, "pg_autoctl.monitor", CONFIG_NO_MONITOR, &x->err);
	if (str_empty(c->monitor) && !str_empty(monitor))
		return config_set(c, "pg_autoctl.monitor", monitor, &x->err);
	return 0;
}

int
node_options(struct cmd_ctx *x)
{
	struct config *c = &x->config;

	free(c->pgdata);
	c->pgdata = xstrdup(buf_peek(&x->pgdata));
	if (set_defaults(x) == -1 || settings_common(x) == -1 ||
	    settings_access(x) == -1 || set_texts(x) == -1 || set_secrets(x) == -1 ||
	    set_monitor(x, c) == -1)
		return -1;
	if (str_empty(c->monitor))
		return err_set(&x->err, ERR_USAGE,
		    "where is the monitor? Give --monitor, or "
		    "--disable-monitor to do without one");
	if (!config_no_monitor(c) && uri_check(c->monitor, &x->err) == -1)
		return err_wrap(&x->err, "--monitor");
	if (str_empty(c->hostname))
		detect_hostname(c);
	if (str_empty(c->hostname))
		return err_set(&x->err, ERR_USAGE,
		    "no name of this host was found: give "
		    "--hostname");
	return config_check(c, &x->err);
}
