/* enable monitor, disable monitor: another monitor, or none, under a running node. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/metadata.h"
#include "cmd/service.h"
#include "ini/clock.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "pg/store.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define LET_GO_MS 15000
#define LOOK_MS 100

/* What the old monitor has of this node. */
struct entry {
	char id[24];
	bool known;
	bool writer;
	int others;
};

static int
use_monitor(struct cmd_ctx *x, const char *uri)
{
	free(x->config.monitor);
	x->config.monitor = xstrdup(uri);
	if (config_save(&x->config, buf_peek(&x->cfg_path), &x->err) == -1)
		return -1;
	cmd_metadata_reload(x);
	return 0;
}

/* -- disable -- */

static int
look_up(struct cmd_ctx *x, struct entry *n)
{
	struct rows r = { 0 };
	struct row row;

	if (db_query(&x->monitor, &x->err, &r,
		"select s.writable, (select count(*) from pgautofailover.node o where "
		"o.formationid = n.formationid and o.groupid = n.groupid and o.nodeid <> "
		"n.nodeid and o.goalstate <> 'dropped') as others from "
		"pgautofailover.node n join pgautofailover.state s on s.name = "
		"n.goalstate "
		"where n.nodeid = $1::bigint",
		n->id, DB_END) == -1)
		return -1;
	n->known = r.count > 0;
	if (n->known) {
		row = row_at(&r, 0);
		n->writer = row_bool(&row, "writable");
		n->others = row_int(&row, "others");
	}
	rows_drop(&r);
	return 0;
}

/* A keeper that is told that its node is gone would leave: it must have let go before. */
static int
wait_let_go(struct cmd_ctx *x, const char *id)
{
	struct mono until = mono_after(clock_mono(), LET_GO_MS);
	struct rows r = { 0 };
	int held;

	do {
		if (db_query(&x->monitor, &x->err, &r,
			"select from pgautofailover.node n join pg_stat_activity a on "
			"a.pid = n.session_pid where n.nodeid = $1::bigint",
			id, DB_END) == -1)
			return -1;
		held = r.count;
		rows_drop(&r);
	} while (held && clock_nap_until(until, LOOK_MS));
	if (held)
		return err_set(
		    &x->err, ERR_SYSTEM, "the keeper does not let go of the monitor");
	return 0;
}

static int
forget_here(struct cmd_ctx *x, const struct entry *n)
{
	struct store_outcome out = { 0 };

	if (wait_let_go(x, n->id) == -1)
		return -1;
	/* were the writer taken out, the monitor would promote who is left there */
	if (n->writer && n->others > 0) {
		log_warn("this node writes, and %d more are registered: its row stays at "
			 "the old monitor, which promotes nobody then",
		    n->others);
		return 0;
	}
	if (store_submit(&x->monitor, &x->err, &out,
		"select pgautofailover.remove_node($1::bigint, true)", n->id,
		DB_END) == -1 &&
	    strcmp(x->err.sqlstate, "42704") != 0)
		return err_wrap(&x->err, "remove this node from the old monitor");
	err_clear(&x->err);
	return 0;
}

static int
refuse_registered(struct cmd_ctx *x)
{
	err_set(&x->err, ERR_STATE, "this node is registered with the monitor");
	return err_hint(&x->err,
	    "--force removes it there, its Postgres goes on; or \"%s "
	    "drop node\" takes it out of service",
	    x->program);
}

/* The monitor is asked first: what is refused changes nothing. */
int
cmd_disable_monitor(struct cmd_ctx *x)
{
	char *uri = x->config.monitor ? xstrdup(x->config.monitor) : NULL;
	struct statefile s;
	struct entry n = { .known = false };
	int rc = 0;

	if (config_no_monitor(&x->config)) {
		log_info("this node has no monitor");
		free(uri);
		return 0;
	}
	if (cmd_local_state(x, &s) == -1)
		rc = -1;
	snprintf(n.id, sizeof n.id, "%lld", rc ? 0LL : (long long)s.keeper.node_id);
	if (rc == 0 && (rc = cmd_open_monitor(x)) == 0)
		rc = look_up(x, &n);
	if (rc == -1 && x->args.force && x->err.kind == ERR_MONITOR) {
		log_warn("%s; going on without it", x->err.msg);
		err_clear(&x->err);
		rc = 0;
	}
	if (rc == 0 && n.known && !x->args.force)
		rc = refuse_registered(x);
	if (rc == 0)
		rc = use_monitor(x, CONFIG_NO_MONITOR);
	if (rc == 0 && n.known && forget_here(x, &n) == -1) {
		struct err e = x->err;
		if (use_monitor(x, uri) == 0)
			x->err = e;
		rc = -1;
	}
	free(uri);
	return rc;
}

/* -- enable -- */

/* A standby that came first would be taken for the group's only node, and be promoted. */
static int
check_writer(struct cmd_ctx *x, const char *group)
{
	struct rows r = { 0 };
	int found;

	if (db_query(&x->monitor, &x->err, &r,
		"select from pgautofailover.node n join pgautofailover.state s on s.name "
		"in (n.goalstate, n.reportedstate) where s.writable and n.formationid = "
		"$1 and n.groupid = $2::int",
		x->config.formation, group, DB_END) == -1)
		return -1;
	found = r.count;
	rows_drop(&r);
	if (found)
		return 0;
	err_set(&x->err, ERR_STATE,
	    "this node is a standby, and the monitor does not know its primary yet");
	return err_hint(
	    &x->err, "run \"%s enable monitor\" on the primary first", x->program);
}

/* The same number, so that slots and names of standbys stay; what it is, by its role. */
static int
register_again(struct cmd_ctx *x, const struct keeper *k, bool recovery, bool *known)
{
	const struct config *c = &x->config;
	char id[24], group[16], port[16], sysid[24];
	struct rows r = { 0 };
	int rc;

	snprintf(id, sizeof id, "%lld", (long long)k->node_id);
	snprintf(group, sizeof group, "%d", k->group_id);
	snprintf(port, sizeof port, "%d", c->proxyport > 0 ? c->proxyport : c->port);
	snprintf(sysid, sizeof sysid, "%lld", (long long)k->system_identifier);
	if (db_query(&x->monitor, &x->err, &r,
		"select from pgautofailover.node where nodeid = $1::bigint and nodename "
		"= "
		"$2 and sysidentifier = $3::bigint",
		id, c->name, sysid, DB_END) == -1)
		return -1;
	*known = r.count > 0;
	rows_drop(&r);
	if (*known)
		return 0;
	if (recovery && check_writer(x, group) == -1)
		return -1;
	rc = db_run(&x->monitor, &x->err,
	    "select pgautofailover.register_node($1, $2, $3::int, $4, $5, $6::bigint, "
	    "$7::bigint, $8::int, $9, $10, 50, true)",
	    c->formation, c->hostname, port, c->dbname, c->name, sysid, id, group,
	    recovery ? "init" : "single", c->nodekind, DB_END);
	return rc == -1 ? err_wrap(&x->err, "register with the new monitor") : 0;
}

int
cmd_enable_monitor(struct cmd_ctx *x)
{
	struct host_position at;
	struct statefile s;
	struct host h;
	bool known;
	pid_t pid;

	if (!config_no_monitor(&x->config)) {
		err_set(&x->err, ERR_CONFIG, "this node has a monitor");
		return err_hint(
		    &x->err, "\"%s disable monitor --force\" parts from it", x->program);
	}
	if (uri_check(x->word[0], &x->err) == -1 || cmd_local_state(x, &s) == -1 ||
	    cmd_local(x, &h) == -1)
		return -1;
	if (host_position(&h, &at, &x->err) == -1)
		return err_wrap(&x->err, "this node's Postgres");
	x->args.monitor = x->word[0];
	if (cmd_open_monitor(x) == -1 ||
	    register_again(x, &s.keeper, at.recovery, &known) == -1)
		return -1;
	/* a keeper that runs does this by itself when it hears of the other monitor */
	if (service_find(buf_peek(&x->pgdata), &pid, NULL) != 1) {
		keeper_other_monitor(&s.keeper);
		if (cmd_local_state_write(x, &s) == -1)
			return -1;
	}
	log_info("%s with the new monitor as node %lld",
	    known ? "already registered" : "registered", (long long)s.keeper.node_id);
	return use_monitor(x, x->word[0]);
}
