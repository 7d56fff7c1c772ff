/* Name, host and port of a node: in its settings, and what the monitor tells others. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/metadata.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/service.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

/* "": not to be told now. */
static int
port_text(struct cmd_ctx *x, char out[16])
{
	const struct config *c = &x->config;
	struct postmaster pm;
	struct host h;

	out[0] = '\0';
	if (host_init(&h, c, 0, &x->err))
		return -1;
	postmaster_find(&h, &pm);
	if (c->proxyport > 0)
		snprintf(out, 16, "%d", c->proxyport);
	else if (!pm.pid || pm.port == c->port)
		snprintf(out, 16, "%d", c->port);
	else
		log_warn("Postgres still listens on port %d: the monitor hears of port "
			 "%d when the service is started again",
		    pm.port, c->port);
	return 0;
}

static int
taken(struct cmd_ctx *x, const char *port)
{
	static const char unique_violation[] = "23505";
	const struct config *c = &x->config;

	if (strcmp(x->err.sqlstate, unique_violation) != 0)
		return -1;
	err_set(&x->err, ERR_MONITOR,
	    "the name \"%s\" or the address %s:%s is another node's", c->name,
	    c->hostname, str_empty(port) ? "(its port)" : port);
	/* by which callers tell that it is the monitor's word */
	memcpy(x->err.sqlstate, unique_violation, sizeof unique_violation);
	return -1;
}

int
cmd_metadata_tell(struct cmd_ctx *x)
{
	const struct config *c = &x->config;
	struct statefile s;
	char id[24], port[16];

	if (c->kind != CONFIG_KEEPER || config_no_monitor(c))
		return 0;
	if (cmd_local_state(x, &s) || s.keeper.node_id <= 0) {
		err_clear(&x->err);
		return 0;
	}
	snprintf(id, sizeof id, "%lld", (long long)s.keeper.node_id);
	if (port_text(x, port) || cmd_open_monitor(x))
		return -1;
	if (db_run(&x->monitor, &x->err,
		"select pgautofailover.update_node_metadata($1::bigint, $2, $3, $4::int)",
		id, c->name, c->hostname, *port ? port : NULL, DB_END))
		return taken(x, port);
	return 0;
}

int
cmd_metadata_options(struct cmd_ctx *x)
{
	const struct {
		const char *option, *key, *value;
	} table[] = { { "name", "pg_autoctl.name", x->args.name },
		{ "hostname", "pg_autoctl.hostname", x->args.hostname },
		{ "pgport", "postgresql.port", x->args.pgport } };
	int n = 0;

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (!table[i].value)
			continue;
		if (config_set(&x->config, table[i].key, table[i].value, &x->err)) {
			x->err.kind = ERR_USAGE;
			return err_wrap(&x->err, "--%s", table[i].option);
		}
		n++;
	}
	return n;
}

void
cmd_metadata_reload(struct cmd_ctx *x)
{
	pid_t pid;

	if (service_find(buf_peek(&x->pgdata), &pid, NULL) == 1 && kill(pid, SIGHUP))
		log_warn("the service could not be told to reload, process %d: %s",
		    (int)pid, strerror(errno));
}

int
cmd_set_node_metadata(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	int n = cmd_metadata_options(x);

	if (n < 0)
		return -1;
	if (n == 0) {
		err_set(&x->err, ERR_USAGE, "set what?");
		return err_hint(&x->err, "give --name, --hostname or --pgport");
	}
	if (config_check(&x->config, &x->err) || cmd_metadata_tell(x) ||
	    config_save(&x->config, buf_peek(&x->cfg_path), &x->err))
		return -1;
	cmd_metadata_reload(x);
	if (x->args.json) {
		config_dump_json(&x->config, &b);
		puts(buf_peek(&b));
	}
	buf_drop(&b);
	return 0;
}
