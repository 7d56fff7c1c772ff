/* node run|init|start|check: a node or a monitor as its spec file declares it. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/loop.h"
#include "cmd/node_create.h"
#include "cmd/spec.h"
#include "ini/file.h"
#include "ini/ini.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define PARK_MS 500 /* between two looks at a file that says "deferred" */

/* What a process waits for before it becomes the service. */
struct waiting {
	struct loop loop;
	int stop;  /* the signal that ends it */
	pid_t pid; /* the child that creates, 0 none */
	int status;
};

static void
on_signal(void *arg, int number)
{
	struct waiting *w = arg;

	if (number == SIGHUP)
		return;
	w->stop = number;
	if (w->pid > 0)
		kill(w->pid, number);
}

/* -- the file -- */

static int
take_pgdata(struct cmd_ctx *x, const struct spec *s)
{
	if (file_absolute(s->pgdata, &x->pgdata, &x->err))
		return -1;
	return setenv("PGDATA", buf_peek(&x->pgdata), 1) ? err_sys(&x->err, "set PGDATA")
							 : 0;
}

/* The word of the command, else the usual place. */
static const char *
named_file(const struct cmd_ctx *x)
{
	return x->nwords > 0 ? x->word[0] : SPEC_DEFAULT_FILE;
}

/* What is not valid is named, and what was read before stays. */
static void
read_again(struct spec *s, const char *file, struct log_once *once)
{
	struct spec fresh;
	struct err e = { 0 };

	if (spec_load(&fresh, file, &e)) {
		err_hint(&e, "what it said before stays in force");
		log_once_err(once, LOG_LEVEL_WARN, &e);
		return;
	}
	log_once_reset(once);
	spec_drop(s);
	*s = fresh;
}

/* -- waiting -- */

static bool
is_deferred(const struct spec *s, bool create)
{
	return str_eq(create ? s->create : s->run, "deferred");
}

/* Until "node start" lets it go. 1: told to stop meanwhile. */
static int
park(struct cmd_ctx *x, struct spec *s, const char *file, bool create)
{
	struct waiting w = { .pid = 0 };
	struct log_once once = { 0 };
	int rc = 0;

	if (!is_deferred(s, create))
		return 0;
	log_info("%s: launch.%s is deferred: waiting for \"%s node start %s\"", file,
	    create ? "create" : "run", x->program, file);
	if (loop_init(&w.loop, on_signal, &w, &x->err))
		return -1;
	while (rc == 0 && !w.stop && is_deferred(s, create)) {
		rc = loop_once(&w.loop, PARK_MS, &x->err);
		if (rc == 0 && !w.stop)
			read_again(s, file, &once);
	}
	loop_drop(&w.loop);
	return rc ? -1 : w.stop != 0;
}

static void
child_ended(void *arg, pid_t pid, int status)
{
	struct waiting *w = arg;

	(void)pid;
	w->pid = 0;
	w->status = WIFEXITED(status) ? WEXITSTATUS(status) : 12;
}

static int
create(struct cmd_ctx *x, const struct spec *s)
{
	return spec_is_monitor(s) ? cmd_create_monitor(x) : cmd_create_postgres(x);
}

/* Create in a child: Postgres is stopped at its end, and what it loaded is forgotten.
 * 1: told to stop meanwhile. */
static int
create_apart(struct cmd_ctx *x, const struct spec *s)
{
	struct waiting w = { .pid = 0 };
	int rc = 0;

	if (loop_init(&w.loop, on_signal, &w, &x->err))
		return -1;
	w.pid = fork();
	if (w.pid == -1)
		rc = err_sys(&x->err, "fork");
	if (w.pid == 0) {
		loop_drop(&w.loop);
		if (create(x, s) == 0)
			_exit(x->exit);
		log_err(LOG_LEVEL_ERROR, &x->err);
		_exit(err_exit(&x->err));
	}
	if (rc == 0)
		loop_child(&w.loop, w.pid, child_ended, &w);
	while (rc == 0 && w.pid > 0)
		rc = loop_once(&w.loop, PARK_MS, &x->err);
	loop_drop(&w.loop);
	if (rc == 0 && w.status != 0 && !w.stop)
		rc = err_set(&x->err, ERR_SYSTEM,
		    "it could not be created (exit status %d)", w.status);
	return rc ? -1 : w.stop != 0;
}

/* -- what is there -- */

static void
warn_difference(void *arg, const struct spec_key *k, const char *is)
{
	log_warn("%s: %s.%s is not what it was created with (%s): that does not change",
	    (const char *)arg, k->section, k->name, is);
	log_hint("see \"config set %s\"", k->setting);
}

/* 1: created; its settings decide. 0: not, or not to the end. */
static int
is_created(struct cmd_ctx *x, const struct spec *s, const char *file)
{
	struct buf path = { 0 };
	struct config c;
	enum node_stage stage = NODE_READY;
	int rc = config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &path, &x->err);
	bool there = rc == 0 && file_exists(buf_peek(&path));

	if (there)
		rc = config_load(&c, buf_peek(&path), &x->err);
	buf_drop(&path);
	if (rc || !there)
		return rc;
	if (spec_is_monitor(s) != (c.kind == CONFIG_MONITOR)) {
		rc = err_set(&x->err, ERR_CONFIG, "%s: node.kind is %s, but %s is a %s's",
		    file, s->kind, c.pgdata,
		    c.kind == CONFIG_MONITOR ? "monitor" : "node");
	} else {
		if (c.kind == CONFIG_KEEPER)
			rc = node_stage(&c, &stage, &x->err);
		if (rc == 0 && stage == NODE_READY)
			spec_compare(s, &c, warn_difference, (void *)(uintptr_t)file);
	}
	config_drop(&c);
	return rc ? -1 : stage == NODE_READY;
}

/* -- node run -- */

/* Everything up to the point where the service begins. 1: told to stop meanwhile. */
static int
get_ready(struct cmd_ctx *x, struct spec *s, const char *file)
{
	struct cmd_args plain = x->args;
	int there = is_created(x, s, file);
	int rc = there < 0 ? -1 : 0;

	if (rc == 0 && !there) {
		if ((rc = park(x, s, file, true)) != 0 || (rc = take_pgdata(x, s)) != 0)
			return rc;
		spec_options(s, &x->args);
		if (!is_deferred(s, false))
			return 0; /* it is created, and goes on without a stop */
		rc = create_apart(x, s);
		x->args = plain;
	}
	return rc ? rc : park(x, s, file, false);
}

/* As process 1 of a container no signal ends us before somebody listens to it. */
static void
leave_at_once(int number)
{
	(void)number;
	_exit(0);
}

static void
listen_early(void)
{
	struct sigaction sa = { .sa_handler = leave_at_once };

	if (getpid() != 1)
		return;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
}

static int
run_file(struct cmd_ctx *x, const char *file)
{
	static struct spec s; /* the options borrow from it */
	struct buf path = { 0 };
	int rc;

	if (spec_load(&s, file, &x->err) || take_pgdata(x, &s) ||
	    file_absolute(file, &path, &x->err))
		return -1;
	rc = get_ready(x, &s, file);
	if (rc == 0 && setenv(SPEC_ENV, buf_peek(&path), 1))
		rc = err_sys(&x->err, "set " SPEC_ENV);
	buf_drop(&path);
	if (rc)
		return rc > 0 ? 0 : -1;
	listen_early();
	return spec_is_monitor(&s) ? cmd_monitor_run(x) : node_run(x);
}

/* A file: with one, the options would be a second truth. */
int
cmd_node_run(struct cmd_ctx *x)
{
	if (x->nwords > 0 && x->args.pgdata)
		return err_set(&x->err, ERR_USAGE,
		    "--pgdata: postgresql.pgdata of %s says it", x->word[0]);
	if (x->nwords > 0 || (!x->args.pgdata && file_exists(SPEC_DEFAULT_FILE)))
		return run_file(x, named_file(x));
	if (!buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which data directory?");
		return err_hint(&x->err, "give a file, or --pgdata, or set PGDATA");
	}
	listen_early();
	return node_run(x);
}

int
cmd_node_init(struct cmd_ctx *x)
{
	static struct spec s;
	const char *file = named_file(x);
	int there;

	if (spec_load(&s, file, &x->err) || take_pgdata(x, &s))
		return -1;
	there = is_created(x, &s, file);
	if (there > 0)
		log_info("%s exists", buf_peek(&x->pgdata));
	if (there)
		return there > 0 ? 0 : -1;
	spec_options(&s, &x->args);
	return create(x, &s);
}

/* -- node start -- */

/* A file that is mounted by itself cannot be renamed over. */
static int
write_in_place(const char *file, const struct buf *text, struct err *e)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd == -1)
		return err_sys(e, "open %s", file);
	if (pwrite(fd, buf_peek(text), buf_len(text), 0) != (ssize_t)buf_len(text) ||
	    ftruncate(fd, (off_t)buf_len(text)) || fsync(fd))
		rc = err_sys(e, "write %s", file);
	close(fd);
	return rc;
}

static int
write_back(const char *file, const struct ini_doc *doc, struct err *e)
{
	struct buf text = { 0 };
	struct stat st;
	int rc = stat(file, &st) ? err_sys(e, "look at %s", file) : 0;

	ini_format(doc, &text);
	if (rc == 0) {
		rc = file_replace(file, &text, st.st_mode & 07777, e);
		if (rc && (errno == EBUSY || errno == EACCES || errno == EPERM ||
			      errno == EROFS || errno == EXDEV))
			rc = write_in_place(file, &text, e);
	}
	buf_drop(&text);
	return rc;
}

/* 1: something was deferred. */
static int
let_go(struct ini_doc *doc, struct err *e)
{
	static const char *const name[] = { "create", "run" };
	int changed = 0;

	for (int i = 0; i < 2; i++) {
		if (!str_eq(ini_get(doc, "launch", name[i]), "deferred"))
			continue;
		if (ini_set(doc, "launch", name[i], "immediate", e))
			return -1;
		changed = 1;
	}
	return changed;
}

int
cmd_node_start(struct cmd_ctx *x)
{
	const char *file = named_file(x);
	struct ini_doc doc = { 0 };
	struct buf text = { 0 };
	struct spec s;
	int rc;

	if (spec_load(&s, file, &x->err))
		return -1;
	spec_drop(&s);
	rc = file_read(file, &text, &x->err);
	if (rc == 0)
		rc = ini_read(&doc, file, &text, &x->err);
	if (rc == 0)
		rc = let_go(&doc, &x->err);
	if (rc == 0)
		log_info("%s: nothing is deferred", file);
	if (rc > 0)
		rc = write_back(file, &doc, &x->err);
	ini_drop(&doc);
	buf_drop(&text);
	return rc;
}

/* -- node check -- */

struct check_line {
	const char *label, *value;
	bool of_node; /* says nothing of a monitor */
};

static void
print_check(const struct cmd_ctx *x, const struct check_line *l, bool first)
{
	struct buf b = { 0 };

	if (x->args.json) {
		buf_printf(&b, "%s    \"%s\": ", first ? "" : ",\n", l->label);
		buf_json(&b, l->value ? l->value : "");
	} else
		buf_printf(&b, "  %s:%*s%s\n", l->label, 20 - (int)strlen(l->label), "",
		    l->value ? l->value : "");
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
}

static void
print_spec(const struct cmd_ctx *x, const struct spec *s, const char *uri)
{
	const struct check_line line[] = {
		{ "kind", s->kind, false },
		{ "pgdata", s->pgdata, false },
		{ "name", s->name, true },
		{ "hostname", s->hostname, false },
		{ "port", s->port, false },
		{ "monitor_pguri", uri, true },
		{ "formation", s->formation_name, true },
		{ "group", s->group, true },
		{ "candidate_priority", s->priority, true },
		{ "replication_quorum", s->quorum, true },
		{ "ssl", s->ssl, false },
		{ "auth", s->auth, false },
		{ "pg_hba_lan", s->hba_lan, true },
	};

	for (size_t i = 0; i < sizeof line / sizeof line[0]; i++)
		if (!line[i].of_node || !spec_is_monitor(s))
			print_check(x, &line[i], i == 0);
}

int
cmd_node_check(struct cmd_ctx *x)
{
	struct buf uri = { 0 };
	struct spec s;

	if (spec_load(&s, x->word[0], &x->err))
		return -1;
	if (!str_empty(s.pguri))
		uri_scrub(s.pguri, &uri);
	if (x->args.json)
		puts("{");
	else
		printf("Node spec \"%s\" is valid.\n", x->word[0]);
	print_spec(x, &s, buf_peek(&uri));
	if (x->args.json)
		puts("\n}");
	buf_drop(&uri);
	spec_drop(&s);
	return 0;
}
