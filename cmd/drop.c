/* Taking a node out of its group from elsewhere: it is named, and its keeper is told. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/clock.h"
#include "ini/log.h"
#include "pg/store.h"

#include "ini/ban.h"

#define WAIT_MS INT64_C(60000)

static int
check_options(struct cmd_ctx *x)
{
	const struct cmd_args *a = &x->args;

	if (a->destroy)
		return err_set(
		    &x->err, ERR_USAGE, "--destroy works on the node's own host only");
	if (a->name && (a->hostname || a->pgport))
		return err_set(&x->err, ERR_USAGE,
		    "--name and --hostname, --pgport do not go together");
	if (!a->name && !a->hostname) {
		err_set(&x->err, ERR_USAGE, "which node?");
		return err_hint(&x->err, "give --name, or --hostname and --pgport");
	}
	return 0;
}

static int
find_node(struct cmd_ctx *x, char id[24])
{
	const struct cmd_args *a = &x->args;
	struct rows r = { 0 };
	int port;

	if (cmd_int(x, "pgport", a->pgport, 5432, &port) ||
	    db_query(&x->monitor, &x->err, &r,
		"select nodeid from pgautofailover.node where formationid = $1 and "
		"case when $2::text is not null then nodename = $2 "
		"else nodehost = $3 and nodeport = $4::int end",
		buf_peek(&x->formation), a->name, a->hostname,
		a->pgport ? a->pgport : "5432", DB_END))
		return -1;
	if (r.count) {
		struct row row = row_at(&r, 0);
		snprintf(id, 24, "%lld", (long long)row_i64(&row, "nodeid"));
	} else if (a->name)
		err_set(&x->err, ERR_MONITOR,
		    "node \"%s\" is not registered in formation \"%s\"", a->name,
		    buf_peek(&x->formation));
	else
		err_set(&x->err, ERR_MONITOR,
		    "no node at %s:%d is registered in formation \"%s\"", a->hostname,
		    port, buf_peek(&x->formation));
	rows_drop(&r);
	return x->err.kind ? -1 : 0;
}

/* Until its row has disappeared: the keeper has stopped and said so. */
static int
wait_gone(struct cmd_ctx *x, const char *id, int64_t wait_ms)
{
	struct mono end = mono_after(clock_mono(), wait_ms);
	struct db_notice n;
	struct rows r = { 0 };

	for (;;) {
		if (db_query(&x->monitor, &x->err, &r,
			"select 1 from pgautofailover.node where nodeid = $1::bigint", id,
			DB_END))
			return -1;
		int left = r.count;
		rows_drop(&r);
		if (!left)
			return 0;
		if (mono_reached(clock_mono(), end)) {
			err_set(&x->err, ERR_SYSTEM, "the node has not left after %lld s",
			    (long long)(wait_ms / 1000));
			return err_hint(&x->err,
			    "its keeper must answer; with --force it is not waited for");
		}
		if (db_wait_notice(&x->monitor, &n, 500, &x->err) < 0)
			return -1;
	}
}

int
cmd_drop_node_remote(struct cmd_ctx *x)
{
	struct store_outcome o;
	char id[24] = "";
	int64_t wait_ms;

	if (check_options(x) || cmd_seconds(x, "wait", x->args.wait, WAIT_MS, &wait_ms) ||
	    cmd_open_monitor(x) || find_node(x, id) ||
	    store_listen(&x->monitor, &x->err) ||
	    store_submit(&x->monitor, &x->err, &o,
		"select pgautofailover.remove_node($1::bigint, $2::bool)", id,
		x->args.force ? "true" : "false", DB_END))
		return -1;
	if (o.text[0])
		log_warn("%s", o.text);
	if (x->args.no_wait || wait_ms == 0)
		return 0;
	return wait_gone(x, id, wait_ms);
}
