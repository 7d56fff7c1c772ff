/* From argv to the exit status: find the command, read its options, set up, run, report.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define WORDS_MAX 64

struct line { /* argv, sorted */
	int n;
	const char *word[WORDS_MAX];
	int nopts;
	struct {
		const char *text; /* as typed, without the dashes */
		const struct cmd_opt *opt;
		const char *value;
	} opt[WORDS_MAX];
};

/* -- matching words with a usage -- */

static const char *
next_word(const char *usage, size_t *len)
{
	while (*usage == ' ')
		usage++;
	*len = strcspn(usage, " ");
	return *len ? usage : NULL;
}

/* How many words fit this row from its beginning; *whole when all of them do, and it
 * needs no more. */
static int
fit(const struct cmd *c, const struct line *l, bool *whole)
{
	const char *u = c->usage;
	const char *w;
	size_t len;
	int i = 0;
	bool rest = false;
	bool missing = false;

	while ((w = next_word(u, &len)) != NULL) {
		u = w + len;
		if (*w == '[') {
			rest = len > 4 && strncmp(w + len - 4, "...]", 4) == 0;
			i = rest ? l->n : i < l->n ? i + 1 : i;
		} else if (i < l->n && *w == '<')
			i++;
		else if (i < l->n && strlen(l->word[i]) == len &&
			 strncmp(w, l->word[i], len) == 0)
			i++;
		else {
			missing = true;
			break;
		}
	}
	*whole = !missing && i == l->n;
	return i;
}

static int
leading_words(const struct cmd *c)
{
	const char *u = c->usage;
	const char *w;
	size_t len;
	int n = 0;

	while ((w = next_word(u, &len)) != NULL && *w != '<' && *w != '[') {
		u = w + len;
		n++;
	}
	return n;
}

static const struct cmd *
find(const struct line *l, int *best)
{
	bool whole;

	*best = 0;
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		int n = fit(c, l, &whole);
		if (whole && l->n)
			return c;
		if (n > *best)
			*best = n;
	}
	return NULL;
}

/* -- reading argv -- */

static const char *
letter_of(const char *opts, const char *name, char *letter)
{
	size_t n = strlen(name);

	for (const char *p = opts; p && *p; p += strcspn(p, " "), p += *p == ' ') {
		size_t len = strcspn(p, " /");
		if (len != n || strncmp(p, name, n) != 0)
			continue;
		if (p[len] == '/')
			*letter = p[len + 1];
		return p;
	}
	return NULL;
}

bool
cmd_takes(const struct cmd *c, const struct cmd_opt *o)
{
	char letter;

	return o < cmd_options + 5
		   ? o < cmd_options + 4 || letter_of(c->opts, o->name, &letter)
		   : letter_of(c->opts, o->name, &letter) != NULL;
}

static const struct cmd_opt *
by_letter(const struct cmd *c, char letter)
{
	for (const struct cmd_opt *o = cmd_options; o->name; o++) {
		char l = o->letter;
		if (c && letter_of(c->opts, o->name, &l) == NULL && o >= cmd_options + 4)
			continue;
		if (l == letter && l != '0')
			return o;
	}
	return NULL;
}

/* "--formation" of create monitor is the list; the option's own name there is longer. */
static const struct cmd_opt *
by_name_for(const struct cmd *c, const char *name, size_t len)
{
	const struct cmd_opt *o = cmd_opt_find(name, len);
	char letter;

	if (c && o && strcmp(o->name, "formation") == 0 &&
	    !letter_of(c->opts, "formation", &letter) &&
	    letter_of(c->opts, "formations", &letter))
		return cmd_opt_find("formations", 10);
	return o;
}

static int
store(struct cmd_args *a, const struct cmd_opt *o, const char *value, struct err *e)
{
	char *at = (char *)a + o->offset;

	switch (o->type) {
	case CMD_FLAG:
		*(bool *)(void *)at = true;
		break;
	case CMD_COUNT:
		++*(int *)(void *)at;
		break;
	case CMD_TEXT:
		*(const char **)(void *)at = value;
		break;
	case CMD_LIST:
		if (a->nformations ==
		    (int)(sizeof a->formations / sizeof a->formations[0]))
			return err_set(e, ERR_USAGE,
			    "too many --formation options, at most %zu",
			    sizeof a->formations / sizeof a->formations[0]);
		a->formations[a->nformations++] = value;
		break;
	}
	return 0;
}

static int
read_long(const struct cmd *c, const char *text, char **argv, int *i,
    const struct cmd_opt **opt, const char **value, struct err *e)
{
	size_t len = strcspn(text, "=");
	const struct cmd_opt *o = by_name_for(c, text, len);

	if (!o)
		return err_set(e, ERR_USAGE, "--%.*s: unknown option", (int)len, text);
	*opt = o;
	*value = NULL;
	if (!o->arg && text[len])
		return err_set(e, ERR_USAGE, "--%s takes no value", o->name);
	if (o->arg && text[len])
		*value = text + len + 1;
	else if (o->arg && !argv[*i + 1])
		return err_set(e, ERR_USAGE, "--%s needs a value: %s", o->name, o->arg);
	else if (o->arg)
		*value = argv[++*i];
	return 0;
}

/* -abc; the last may take a value, glued on or the next word. */
static int
read_short(const struct cmd *c, const char *text, char **argv, int *i,
    struct cmd_args *args, struct err *e)
{
	for (; *text; text++) {
		const struct cmd_opt *o = by_letter(c, *text);
		const char *value = NULL;
		if (!o)
			return err_set(e, ERR_USAGE, "-%c: unknown option", *text);
		if (o->arg && text[1])
			value = text + 1;
		else if (o->arg && !(value = argv[++*i]))
			return err_set(
			    e, ERR_USAGE, "-%c needs a value: %s", *text, o->arg);
		if (args && store(args, o, value, e))
			return -1;
		if (o->arg)
			break;
	}
	return 0;
}

static bool
is_number(const char *s)
{
	return s[0] == '-' && s[1] >= '0' && s[1] <= '9';
}

/* The command by its fixed words, while the others may still follow the options: letters
 * mean different options to different commands. */
static const struct cmd *
guess(const struct line *l)
{
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		struct line lead = { .n = leading_words(c) };
		bool whole;
		if (lead.n > l->n)
			continue;
		memcpy(lead.word, l->word, sizeof lead.word);
		if (fit(c, &lead, &whole) == lead.n)
			return c;
	}
	return NULL;
}

/* Without a command: collect the words only. With it: the options as it means them. */
static int
read_argv(const struct cmd *c, int argc, char **argv, struct line *l,
    struct cmd_args *args, struct err *e)
{
	bool words_only = false;

	l->n = 0;
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];
		const struct cmd_opt *o = NULL;
		const char *value = NULL;
		if (words_only || a[0] != '-' || !a[1] || (is_number(a) && c)) {
			if (l->n == WORDS_MAX)
				return err_set(e, ERR_USAGE, "too many words");
			l->word[l->n++] = a;
		} else if (strcmp(a, "--") == 0)
			words_only = true;
		else if (a[1] == '-') {
			if (read_long(c ? c : guess(l), a + 2, argv, &i, &o, &value, e))
				return -1;
			if (c && !cmd_takes(c, o))
				return err_set(e, ERR_USAGE,
				    "--%s: not an option of \"%s\"", o->name, c->usage);
			if (args && store(args, o, value, e))
				return -1;
		} else if (read_short(c ? c : guess(l), a + 1, argv, &i, args, e))
			return -1;
	}
	return 0;
}

/* -- setting up -- */

static const char *
from_env(const char *given, const char *variable)
{
	const char *v = given ? NULL : getenv(variable);

	return given ? given : v && *v ? v : NULL;
}

static int
set_pgdata(struct cmd_ctx *x)
{
	const char *dir = from_env(x->args.pgdata, "PGDATA");

	if (!dir)
		return 0;
	if (file_absolute(dir, &x->pgdata, &x->err))
		return -1;
	if (x->args.pgdata && setenv("PGDATA", buf_peek(&x->pgdata), 1))
		return err_sys(&x->err, "set PGDATA");
	return 0;
}

int
cmd_load_config(struct cmd_ctx *x)
{
	if (x->have_config)
		return 0;
	if (!buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which data directory?");
		return err_hint(&x->err, "give --pgdata, or set PGDATA");
	}
	if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_CFG, &x->cfg_path, &x->err))
		return -1;
	if (config_load(&x->config, buf_peek(&x->cfg_path), &x->err)) {
		if (errno == ENOENT) {
			err_set(&x->err, ERR_USAGE,
			    "%s: no settings for this data directory",
			    buf_peek(&x->pgdata));
			err_hint(&x->err,
			    "is PGDATA right? \"%s create postgres\" or \"%s create "
			    "monitor\" makes %s",
			    x->program, x->program, buf_peek(&x->cfg_path));
		}
		return -1;
	}
	x->have_config = true;
	return 0;
}

/* --monitor, PG_AUTOCTL_MONITOR, a node's setting, or the monitor's own database. */
static int
monitor_uri(struct cmd_ctx *x)
{
	const char *uri = from_env(x->args.monitor, "PG_AUTOCTL_MONITOR");

	buf_reset(&x->uri);
	if (uri) {
		if (x->args.monitor && x->args.pgdata)
			log_warn("--pgdata is not looked at: --monitor says whom to ask");
		if (uri_check(uri, &x->err))
			return err_wrap(&x->err, "the monitor's connection string");
		buf_str(&x->uri, uri);
		return 0;
	}
	if (!buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which monitor?");
		return err_hint(&x->err,
		    "give --monitor or --pgdata, or set PG_AUTOCTL_MONITOR or "
		    "PGDATA");
	}
	if (cmd_load_config(x))
		return -1;
	if (x->config.kind == CONFIG_KEEPER && config_no_monitor(&x->config))
		return err_set(&x->err, ERR_CONFIG, "%s: the monitor is disabled",
		    buf_peek(&x->cfg_path));
	if (!str_empty(x->config.monitor))
		buf_str(&x->uri, x->config.monitor);
	return 0;
}

/* The monitor's own host: over the socket, as the owner of the metadata. */
static int
open_local(struct cmd_ctx *x, struct db_target *t)
{
	static const char *const hosts[] = { "/var/run/postgresql", "/tmp", "localhost" };
	const char *host = x->config.host;

	t->port = x->config.port;
	t->dbname = "pg_auto_failover";
	t->user = "autoctl";
	if (!str_empty(host)) {
		t->host = host;
		return db_open(&x->monitor, t, &x->err);
	}
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		t->host = hosts[i];
		if (db_open(&x->monitor, t, &x->err) == 0)
			return 0;
	}
	return -1;
}

int
cmd_open_monitor(struct cmd_ctx *x)
{
	struct db_target t = { .connect_ms = 2000, .statement_ms = 10000 };

	if (db_is_open(&x->monitor))
		return 0;
	if (monitor_uri(x))
		return -1;
	t.uri = buf_len(&x->uri) ? buf_peek(&x->uri) : NULL;
	if (t.uri ? db_open(&x->monitor, &t, &x->err) : open_local(x, &t)) {
		err_wrap(&x->err, "connect to the monitor");
		x->err.kind = ERR_MONITOR;
		return -1;
	}
	return 0;
}

static void
set_formation(struct cmd_ctx *x)
{
	const char *f = x->args.formation;

	if (!f && x->have_config && x->config.kind == CONFIG_KEEPER)
		f = x->config.formation;
	buf_reset(&x->formation);
	buf_str(&x->formation, str_empty(f) ? "default" : f);
}

int
cmd_group(struct cmd_ctx *x, int *group)
{
	struct rows r = { 0 };
	int rc = -1;

	if (x->args.group)
		return cmd_int(x, "group", x->args.group, 0, group);
	if (x->have_config && x->config.kind == CONFIG_KEEPER && x->config.group >= 0) {
		*group = x->config.group;
		return 0;
	}
	if (db_query(&x->monitor, &x->err, &r,
		"select distinct groupid from pgautofailover.node where formationid = $1",
		buf_peek(&x->formation), DB_END))
		return -1;
	if (r.count == 1) {
		struct row row = row_at(&r, 0);
		*group = row_int(&row, "groupid");
		rc = 0;
	} else if (r.count == 0)
		err_set(&x->err, ERR_STATE, "no node is registered in formation \"%s\"",
		    buf_peek(&x->formation));
	else
		err_set(&x->err, ERR_USAGE,
		    "formation \"%s\" has %d groups: say which with --group",
		    buf_peek(&x->formation), r.count);
	rows_drop(&r);
	return rc;
}

int
cmd_int(struct cmd_ctx *x, const char *option, const char *value, int dflt, int *to)
{
	*to = dflt;
	if (value && str_int_between(value, 0, INT_MAX, to, &x->err))
		return err_wrap(&x->err, "--%s", option);
	return 0;
}

int
cmd_seconds(struct cmd_ctx *x, const char *option, const char *value, int64_t dflt_ms,
    int64_t *to_ms)
{
	*to_ms = dflt_ms;
	if (value && str_ms(value, 1000, to_ms, &x->err))
		return err_wrap(&x->err, "--%s", option);
	return 0;
}

static int
set_up(struct cmd_ctx *x)
{
	unsigned flags = x->cmd->flags;

	if (set_pgdata(x))
		return -1;
	if ((flags & CMD_PGDATA) && !buf_len(&x->pgdata)) {
		err_set(&x->err, ERR_USAGE, "which data directory?");
		return err_hint(&x->err, "give --pgdata, or set PGDATA");
	}
	if ((flags & CMD_CONFIG) && cmd_load_config(x))
		return -1;
	if ((flags & CMD_KEEPER) && x->config.kind != CONFIG_KEEPER)
		return err_set(&x->err, ERR_CONFIG,
		    "%s is a monitor's: run this on a node", buf_peek(&x->pgdata));
	if ((flags & CMD_MONITOR) && cmd_open_monitor(x))
		return -1;
	set_formation(x);
	return 0;
}

/* -- the whole -- */

static void
set_log(const struct cmd_ctx *x)
{
	if (x->args.quiet)
		log_level_set(LOG_LEVEL_ERROR);
	else if (x->args.verbose > 1)
		log_level_set(LOG_LEVEL_DEBUG);
	log_plain(x->cmd && (x->cmd->flags & CMD_SERVICE) ? NULL : x->program);
}

static int
report(struct cmd_ctx *x)
{
	if (x->err.kind == ERR_NONE)
		err_set(
		    &x->err, ERR_SYSTEM, "failed without a reason: please report this");
	log_err(LOG_LEVEL_ERROR, &x->err);
	return err_exit(&x->err);
}

static int
usage_error(struct cmd_ctx *x, const struct line *l, int best)
{
	struct buf b = { 0 };

	log_plain(x->program);
	if (l->n == 0)
		err_set(&x->err, ERR_USAGE, "expected a command");
	else if (best < l->n)
		err_set(&x->err, ERR_USAGE, "%s: unknown command", l->word[best]);
	else
		err_set(
		    &x->err, ERR_USAGE, "expected more after \"%s\"", l->word[l->n - 1]);
	report(x);
	help_below(&b, x, best, l->word);
	fputs(buf_peek(&b), stderr);
	buf_drop(&b);
	return err_exit(&x->err);
}

static int
option_error(struct cmd_ctx *x)
{
	struct buf b = { 0 };

	log_plain(x->program);
	report(x);
	if (x->cmd) {
		help_usage(&b, x, x->cmd);
		fputs(buf_peek(&b), stderr);
	} else
		fprintf(stderr, "%s: hint: \"%s help\" lists the commands\n", x->program,
		    x->program);
	buf_drop(&b);
	return err_exit(&x->err);
}

static int
asked_for_help(struct cmd_ctx *x, const struct line *l, int best)
{
	struct buf b = { 0 };

	if (x->cmd)
		help_usage(&b, x, x->cmd);
	else
		help_below(&b, x, best, l->word);
	fputs(buf_peek(&b), stderr);
	buf_drop(&b);
	return 0;
}

/* An answer that did not get out is no success. */
static int
finish(struct cmd_ctx *x)
{
	if (fflush(stdout) || ferror(stdout)) {
		err_sys(&x->err, "write the answer");
		return report(x);
	}
	return x->exit;
}

static int
run(struct cmd_ctx *x)
{
	if (!x->cmd->run)
		err_set(&x->err, ERR_USAGE, "%s: not available yet", x->cmd->usage);
	if (!x->cmd->run || set_up(x) || x->cmd->run(x))
		return report(x);
	return finish(x);
}

static void
bind(struct cmd_ctx *x, const struct line *l)
{
	for (int i = leading_words(x->cmd); i < l->n && x->nwords < CMD_WORDS_MAX; i++)
		x->word[x->nwords++] = l->word[i];
}

/* autoctl-monitor means "autoctl monitor". */
static char **
split_name(const char *base, int *argc, char **argv)
{
	const char *dash = strrchr(base, '-');
	char **v = xcalloc((size_t)*argc + 2, sizeof *v);
	int n = 0;

	v[n++] = argv[0];
	if (dash && dash[1])
		v[n++] = xstrdup(dash + 1);
	for (int i = 1; i < *argc; i++)
		v[n++] = argv[i];
	*argc = n;
	return v;
}

int
cmd_main(int argc, char **argv)
{
	static struct cmd_ctx x;
	struct line l = { 0 };
	const char *base = argc && argv[0] ? argv[0] : "autoctl";
	int best = 0;
	int rc;

	base = strrchr(base, '/') ? strrchr(base, '/') + 1 : base;
	x.program = str_starts(base, "pg_autoctl") ? "pg_autoctl" : "autoctl";
	x.path = "/proc/self/exe";
	argv = split_name(base, &argc, argv);
	log_plain(x.program);
	if (read_argv(NULL, argc, argv, &l, &x.args, &x.err)) {
		x.cmd = guess(&l);
		return option_error(&x);
	}
	x.cmd = find(&l, &best);
	if (x.args.help)
		return asked_for_help(&x, &l, best);
	if (x.args.version && !x.cmd)
		return cmd_version(&x) ? report(&x) : finish(&x);
	if (!x.cmd)
		return usage_error(&x, &l, best);
	memset(&x.args, 0, sizeof x.args);
	if (strcmp(x.cmd->usage, "complete [words...]") != 0 &&
	    read_argv(x.cmd, argc, argv, &l, &x.args, &x.err))
		return option_error(&x);
	bind(&x, &l);
	set_log(&x);
	rc = run(&x);
	db_close(&x.monitor);
	return rc;
}
