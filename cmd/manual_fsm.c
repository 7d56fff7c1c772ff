/* manual fsm: a node driven step by step, or without a monitor. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/node_alone.h"
#include "cmd/node_step.h"
#include "cmd/out.h"
#include "cmd/service.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/setup.h"

#include "ini/ban.h"

#define STEP_MS 900000 /* a step may be a base backup */
#define ASSIGN_MS 30000
#define POLL_MS 100
#define NO_STEPS "the keeper that runs is not in step mode"

/* -- the keeper's socket -- */

static int
no_socket(struct cmd_ctx *x)
{
	err_set(&x->err, ERR_STATE, NO_STEPS);
	return err_hint(&x->err, "start it with PG_AUTOCTL_SUSPENDED=1 in its "
				 "environment, or stop it first");
}

static int
read_line(struct cmd_ctx *x, int fd, char *line, size_t size)
{
	struct mono until = mono_after(clock_mono(), STEP_MS);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < size - 1 && !memchr(line, '\n', n)) {
		int64_t left = mono_between(clock_mono(), until);
		ssize_t got = -1;

		if (left <= 0)
			return err_set(&x->err, ERR_SYSTEM, "the keeper gives no answer");
		if (poll(&p, 1, (int)left) < 1)
			continue;
		got = recv(fd, line + n, size - 1 - n, 0);
		if (got == -1 && errno == EINTR)
			continue;
		if (got < 1)
			return err_set(
			    &x->err, ERR_STATE, "the keeper left without an answer");
		n += (size_t)got;
	}
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* One word there, one line back. */
static int
ask_keeper(struct cmd_ctx *x, const char *word, char *line, size_t size)
{
	struct sockaddr_un at;
	struct buf b = { 0 };
	int dir, fd, rc;

	if (node_step_socket(x->config.pgdata, &at, &dir, &x->err) == -1)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&at, sizeof at);
	close(dir);
	buf_printf(&b, "%s\n", word);
	if (rc == -1)
		no_socket(x);
	else if (send(fd, buf_peek(&b), buf_len(&b), MSG_NOSIGNAL) !=
		 (ssize_t)buf_len(&b))
		rc = err_sys(&x->err, "tell the keeper");
	else
		rc = read_line(x, fd, line, size);
	buf_drop(&b);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* "OK old new" into its two words. */
static int
take_answer(struct cmd_ctx *x, char *line, const char **old, const char **new)
{
	char *rest;

	if (str_starts(line, "ERROR "))
		return err_set(&x->err, ERR_STATE, "%s", line + strlen("ERROR "));
	if (!str_starts(line, "OK ") || !(rest = strchr(line + 3, ' ')))
		return err_set(&x->err, ERR_SYSTEM, "the keeper says \"%s\"", line);
	*rest = '\0';
	*old = line + 3;
	*new = rest + 1;
	return 0;
}

/* -- step -- */

static int
step(struct cmd_ctx *x, enum node_step_kind kind)
{
	static const char *const words[] = {
		[STEP_BOTH] = "STEP", [STEP_REPORT] = "REPORT", [STEP_ADVANCE] = "ADVANCE"
	};
	char line[400] = "";
	const char *old, *new;
	pid_t pid;
	int found;

	if (config_no_monitor(&x->config))
		return err_set(&x->err, ERR_CONFIG,
		    "%s: the monitor is disabled, \"manual fsm assign\" drives this node",
		    buf_peek(&x->cfg_path));
	found = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (found == -1)
		return -1;
	if (found ? ask_keeper(x, words[kind], line, sizeof line) == -1
		  : node_step_once(&x->config, kind, line, sizeof line, &x->err) == -1)
		return -1;
	if (take_answer(x, line, &old, &new) == -1)
		return -1;
	printf("%s ➜ %s\n", old, new);
	return 0;
}

int
cmd_manual_fsm_step(struct cmd_ctx *x)
{
	return step(x, STEP_BOTH);
}

int
cmd_manual_fsm_step_report(struct cmd_ctx *x)
{
	return step(x, STEP_REPORT);
}

int
cmd_manual_fsm_step_advance(struct cmd_ctx *x)
{
	return step(x, STEP_ADVANCE);
}

/* -- without a monitor -- */

static int
needs_no_monitor(struct cmd_ctx *x)
{
	if (config_no_monitor(&x->config))
		return 0;
	err_set(&x->err, ERR_CONFIG, "%s: the monitor drives this node",
	    buf_peek(&x->cfg_path));
	return err_hint(&x->err, "\"%s disable monitor\" hands it to you", x->program);
}

/* Without a keeper the state file is all there is. */
static int
assign_in_file(struct cmd_ctx *x, struct statefile *s, int to)
{
	struct keeper *k = &s->keeper;

	if (k->current != (enum fsm_state)to && !fsm_edge(k->current, (enum fsm_state)to))
		return err_set(&x->err, ERR_STATE, "there is no way from %s to %s",
		    fsm_state_name(k->current), fsm_state_name((enum fsm_state)to));
	k->goal = (enum fsm_state)to;
	k->goal_seq++;
	k->term++;
	return cmd_local_state_write(x, s);
}

static int
tell_keeper(struct cmd_ctx *x, const char *state)
{
	struct buf word = { 0 };
	const char *old, *new;
	char line[400];
	int rc;

	buf_printf(&word, "ASSIGN %s", state);
	rc = ask_keeper(x, buf_peek(&word), line, sizeof line);
	if (rc == 0)
		rc = take_answer(x, line, &old, &new);
	buf_drop(&word);
	return rc;
}

int
cmd_manual_fsm_assign(struct cmd_ctx *x)
{
	struct mono until = mono_after(clock_mono(), ASSIGN_MS);
	int to = fsm_state_find(x->word[0]);
	struct statefile s;
	pid_t pid;
	int found;

	if (to < 0 || to == FSM_UNKNOWN)
		return err_set(
		    &x->err, ERR_USAGE, "%s: there is no such state", x->word[0]);
	if (needs_no_monitor(x) == -1 || cmd_local_state(x, &s) == -1)
		return -1;
	found = service_find(buf_peek(&x->pgdata), &pid, &x->err);
	if (found == -1 ||
	    (found ? tell_keeper(x, x->word[0]) == -1 : assign_in_file(x, &s, to) == -1))
		return -1;
	do {
		if (cmd_local_state(x, &s) == -1)
			return -1;
		if (s.keeper.current == (enum fsm_state)to)
			return cmd_inspect_fsm_state(x);
	} while (found && clock_nap_until(until, POLL_MS));
	err_set(&x->err, ERR_STATE, "this node is %s, and not yet %s",
	    fsm_state_name(s.keeper.current), x->word[0]);
	return found ? -1
		     : err_hint(&x->err, "its keeper does not run: \"%s run\" goes there",
			   x->program);
}

/* -- init -- */

/* What the data directory says of itself; the state is init, with an id from before. */
int
cmd_manual_fsm_init(struct cmd_ctx *x)
{
	struct statefile s, old;
	struct control c;
	struct host h;

	statefile_init(&s);
	if (cmd_local_alone(x) == -1)
		return -1;
	if (cmd_local_state(x, &old) == 0) {
		s.keeper.node_id = old.keeper.node_id;
		s.keeper.group_id = old.keeper.group_id;
		s.keeper.goal_seq = old.keeper.goal_seq;
		s.keeper.term = old.keeper.term;
		s.keeper.epoch = old.keeper.epoch;
	}
	err_clear(&x->err);
	if (cmd_local_programs(x, &h) == -1)
		return -1;
	if (setup_control(&h, &c, NULL) == 0) {
		s.pg_version = h.version / 100;
		s.control_version = c.control_version;
		s.catalog_version = c.catalog_version;
		s.keeper.system_identifier = c.system_identifier;
	}
	s.keeper.goal = FSM_INIT;
	return cmd_local_state_write(x, &s) == -1 ? -1 : cmd_inspect_fsm_state(x);
}

/* -- the file of nodes -- */

static void
print_nodes(const struct alone *a)
{
	static const struct out_column columns[] = { { "Name", 4, false },
		{ "Node", 5, false }, { "Host:Port", 10, false }, { "LSN", 9, false },
		{ "Primary?", 8, false } };
	char lsn[STR_LSN_MAX];
	struct out o;

	out_init(&o, columns, 5);
	for (int i = 0; i < a->n; i++) {
		const struct peer *p = &a->peer[i].peer;

		out_cell(&o, "%s", p->name);
		out_cell(&o, "%lld", (long long)p->id);
		out_cell(&o, "%s:%d", p->host, p->port);
		out_cell(&o, "%s", str_lsn_format(p->lsn, lsn));
		out_cell(&o, "%s", a->peer[i].primary ? "yes" : "no");
	}
	out_print(&o);
}

static int
nodes_path(struct cmd_ctx *x, struct buf *path)
{
	return config_path(buf_peek(&x->pgdata), CONFIG_FILE_NODES, path, &x->err);
}

int
cmd_manual_fsm_nodes_get(struct cmd_ctx *x)
{
	struct buf path = { 0 }, json = { 0 };
	struct alone a = { 0 };
	int rc;

	if (needs_no_monitor(x) == -1)
		return -1;
	rc = nodes_path(x, &path);
	if (rc == 0 && file_exists(buf_peek(&path)))
		rc = file_read(buf_peek(&path), &json, &x->err);
	else
		buf_str(&json, "[\n]\n");
	if (rc == 0 && (rc = node_alone_parse(buf_peek(&json), &a, &x->err)) == -1)
		err_wrap(&x->err, "%s", buf_peek(&path));
	if (rc == 0 && x->args.json)
		fputs(buf_peek(&json), stdout);
	else if (rc == 0)
		print_nodes(&a);
	buf_drop(&path);
	buf_drop(&json);
	return rc;
}

/* Checked first: a keeper that runs takes it over within a second. */
int
cmd_manual_fsm_nodes_set(struct cmd_ctx *x)
{
	struct buf path = { 0 }, json = { 0 };
	struct alone a = { 0 };
	int rc;

	if (needs_no_monitor(x) == -1)
		return -1;
	rc = file_read(x->word[0], &json, &x->err);
	if (rc == 0 && (rc = node_alone_parse(buf_peek(&json), &a, &x->err)) == -1)
		err_wrap(&x->err, "%s", x->word[0]);
	if (rc == 0)
		rc = nodes_path(x, &path);
	if (rc == 0)
		rc = file_mkdir_above(buf_peek(&path), 0700, &x->err);
	if (rc == 0)
		rc = file_replace(buf_peek(&path), &json, 0600, &x->err);
	if (rc == 0)
		print_nodes(&a);
	buf_drop(&path);
	buf_drop(&json);
	return rc;
}
