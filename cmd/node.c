/* autoctl create postgres, node run, drop node. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/node_create.h"
#include "cmd/service.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/statefile.h"
#include "pg/store.h"

#include "ini/ban.h"

#define LEAVE_MS 30000 /* for the keeper to notice that it was dropped */

/* -- create, run -- */

static int
load_if_any(struct cmd_ctx *x)
{
	if (x->have_config)
		return 0;
	if (buf_len(&x->cfg_path) == 0 &&
	    config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &x->cfg_path, &x->err) ==
		-1)
		return -1;
	if (!file_exists(buf_peek(&x->cfg_path))) {
		config_init(&x->config, CONFIG_KEEPER);
		return 0;
	}
	if (cmd_load_config(x) == -1)
		return -1;
	if (x->config.kind != CONFIG_KEEPER)
		return err_set(
		    &x->err, ERR_CONFIG, "%s is a monitor's", buf_peek(&x->pgdata));
	return 0;
}

static int
refuse_running(struct cmd_ctx *x)
{
	pid_t pid;
	int found = service_find(buf_peek(&x->pgdata), &pid, &x->err);

	if (found == 1)
		return err_set(&x->err, ERR_STATE, "%s is served already, by process %d",
		    buf_peek(&x->pgdata), (int)pid);
	return found;
}

/* Settings from options, and a registered node; what is there already is kept. */
static int
prepare(struct cmd_ctx *x, enum node_stage *stage)
{
	struct config *c = &x->config;

	if (load_if_any(x) == -1 || refuse_running(x) == -1 || node_options(x) == -1 ||
	    node_stage(c, stage, &x->err) == -1)
		return -1;
	if (*stage == NODE_UNFINISHED && node_never_was(c))
		*stage = NODE_NEW;
	if (*stage == NODE_NEW)
		return node_register(x, c);
	return config_save(c, buf_peek(&x->cfg_path), &x->err);
}

static enum node_mode
mode_of_create(const struct config *c)
{
	enum statefile_found found = STATEFILE_FOUND_NOTHING;
	struct buf path = { 0 };

	if (config_path(c->pgdata, CONFIG_FILE_INIT, &path, NULL) == -1 ||
	    statefile_init_read(buf_peek(&path), &found, NULL) == -1)
		found = STATEFILE_FOUND_NOTHING;
	buf_drop(&path);
	return found == STATEFILE_FOUND_RUNNING || found == STATEFILE_FOUND_PRIMARY
		   ? NODE_ADOPT
		   : NODE_CREATE;
}

int
cmd_create_postgres(struct cmd_ctx *x)
{
	enum node_stage stage;

	if (prepare(x, &stage) == -1)
		return -1;
	/* it was dropped while it was away; a service does not undo that by itself */
	if (stage == NODE_READY && !x->args.run && node_is_no_more(&x->config)) {
		stage = NODE_NEW;
		if (node_register(x, &x->config) == -1)
			return -1;
	}
	if (x->args.run)
		return node_serve(&x->config, NODE_RUN, &x->err);
	if (config_no_monitor(&x->config) && stage != NODE_READY) {
		log_info("there is no monitor to build this node for: it is in state "
			 "init");
		log_hint(
		    "run it, then \"%s manual fsm assign single\" builds it", x->program);
		return 0;
	}
	if (stage == NODE_READY) {
		log_info("this node exists: %s", buf_peek(&x->cfg_path));
		log_hint(
		    "run it with: %s run --pgdata %s", x->program, buf_peek(&x->pgdata));
		return 0;
	}
	return node_serve(&x->config, mode_of_create(&x->config), &x->err);
}

int
node_run(struct cmd_ctx *x)
{
	enum node_stage stage;

	if (prepare(x, &stage) == -1)
		return -1;
	return node_serve(&x->config, NODE_RUN, &x->err);
}

/* -- drop -- */

static int
remove_by_id(struct cmd_ctx *x, int64_t id, bool force)
{
	struct store_outcome out = { 0 };
	char text[24];
	int rc;

	snprintf(text, sizeof text, "%lld", (long long)id);
	rc = store_submit(&x->monitor, &x->err, &out,
	    "select pgautofailover.remove_node($1::bigint, $2::bool)", text,
	    force ? "true" : "false", DB_END);
	/* 42704: there is no such node; that is what was wanted */
	if (rc == -1 && strcmp(x->err.sqlstate, "42704") == 0) {
		err_clear(&x->err);
		return 0;
	}
	return rc;
}

/* The keeper leaves by itself when it hears that it was dropped. */
static int
wait_service_gone(struct cmd_ctx *x, bool *was_running)
{
	struct mono until = mono_after(clock_mono(), x->args.force ? 0 : LEAVE_MS);
	const char *pgdata = buf_peek(&x->pgdata);
	pid_t pid;
	int found = service_find(pgdata, &pid, &x->err);

	*was_running = found == 1;
	while (found == 1 && clock_nap_until(until, 100))
		found = service_find(pgdata, &pid, &x->err);
	if (found == 1)
		return service_kill(pgdata, SIGQUIT, LEAVE_MS, &x->err);
	return found;
}

static int
stop_local(struct cmd_ctx *x, int64_t id)
{
	static const struct postmaster_stop fast = { .mode = POSTMASTER_FAST };
	struct host h;
	enum setup_state s;

	if (host_init(&h, &x->config, id, &x->err) == -1 ||
	    setup_state(&h, &s, &x->err) == -1)
		return -1;
	return s == SETUP_RUNNING ? postmaster_stop(&h, &fast, &x->err) : 0;
}

static int
destroy(struct cmd_ctx *x)
{
	static const enum config_file file[] = { CONFIG_FILE_INIT, CONFIG_FILE_STATE,
		CONFIG_FILE_CFG };
	struct buf path = { 0 };
	int rc = file_rmtree(x->config.pgdata, &x->err);

	for (int i = 0; i < 3 && rc == 0; i++) {
		buf_reset(&path);
		rc = config_path(x->config.pgdata, file[i], &path, &x->err);
		if (rc == 0)
			rc = file_unlink(buf_peek(&path), &x->err);
	}
	buf_drop(&path);
	return rc;
}

static int
remember_dropped(struct cmd_ctx *x, const char *path, struct statefile *s)
{
	s->keeper.current = s->keeper.goal = FSM_DROPPED;
	return statefile_write(path, s, &x->err);
}

/* Ask the monitor; wait for the keeper; where there is none, its work is done here. */
static int
leave_group(struct cmd_ctx *x, const char *state_path, struct statefile *s)
{
	bool enabled = !config_no_monitor(&x->config);
	int64_t id = s->keeper.node_id;
	bool ran = false;

	if (enabled && s->keeper.current != FSM_DROPPED &&
	    (cmd_open_monitor(x) == -1 || remove_by_id(x, id, x->args.force) == -1))
		return -1;
	if (!x->args.no_wait && wait_service_gone(x, &ran) == -1)
		return -1;
	if (statefile_read(state_path, s, &x->err) == -1)
		return -1;
	if (x->args.no_wait || s->keeper.current == FSM_DROPPED)
		return 0;
	/* nobody was there to stop Postgres and to say so */
	if (stop_local(x, id) == -1)
		return -1;
	if (enabled && remove_by_id(x, id, true) == -1)
		return -1;
	return remember_dropped(x, state_path, s);
}

static int
drop_local(struct cmd_ctx *x)
{
	struct buf path = { 0 };
	struct statefile s;
	int rc;

	if (x->args.name || x->args.hostname || x->args.pgport)
		return err_set(&x->err, ERR_USAGE,
		    "--name, --hostname and --pgport choose a "
		    "node from elsewhere; here it is this one");
	if (config_path(x->config.pgdata, CONFIG_FILE_STATE, &path, &x->err) == -1)
		return -1;
	rc = statefile_read(buf_peek(&path), &s, &x->err);
	if (rc == 0)
		rc = leave_group(x, buf_peek(&path), &s);
	else if (errno == ENOENT && x->args.destroy) {
		err_clear(&x->err);
		rc = stop_local(x, 0);
	}
	buf_drop(&path);
	if (rc == -1)
		return -1;
	if (!x->args.destroy) {
		log_info("dropped; %s and its settings are kept", x->config.pgdata);
		return 0;
	}
	return stop_local(x, 0) == -1 ? -1 : destroy(x);
}

int
cmd_drop_node(struct cmd_ctx *x)
{
	if (x->args.monitor == NULL && buf_len(&x->pgdata) > 0) {
		if (cmd_load_config(x) == -1)
			return -1;
		if (x->config.kind == CONFIG_KEEPER)
			return drop_local(x);
	}
	return cmd_drop_node_remote(x);
}
