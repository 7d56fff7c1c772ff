/* Help, the manual's synopsis, the version: prints of the command table. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/service.h"
#include "ini/str.h"

#include "ini/ban.h"

#define GLOBAL_OPTIONS 4 /* the first rows of cmd_options go with every command */

const struct cmd_opt *
cmd_opt_find(const char *name, size_t len)
{
	for (const struct cmd_opt *o = cmd_options; o->name; o++)
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	return NULL;
}

const struct cmd_opt *
help_option(const struct cmd *c, int n, char *letter)
{
	const char *p = c->opts;

	for (; *p; p += strcspn(p, " "), p += *p == ' ') {
		size_t len = strcspn(p, " /");
		const struct cmd_opt *o = cmd_opt_find(p, len);
		if (!o || n--)
			continue;
		*letter = p[len] == '/' ? p[len + 1] : o->letter;
		if (*letter == '0')
			*letter = 0;
		return o;
	}
	if (n >= GLOBAL_OPTIONS)
		return NULL;
	*letter = cmd_options[n].letter;
	return &cmd_options[n];
}

/* What a person types. */
const char *
cmd_opt_typed(const struct cmd_opt *o)
{
	if (o->type == CMD_LIST)
		return "formation";
	return o->offset == offsetof(struct cmd_args, wait_monitor) ? "wait" : o->name;
}

static void
option_line(struct buf *b, const struct cmd_opt *o, char letter)
{
	struct buf left = { 0 };

	if (letter)
		buf_printf(&left, "-%c, ", letter);
	else
		buf_str(&left, "    ");
	buf_printf(&left, "--%s", cmd_opt_typed(o));
	if (o->arg)
		buf_printf(&left, " %s", o->arg);
	buf_printf(b, "  %-38s %s\n", buf_peek(&left), o->text);
	buf_drop(&left);
}

void
help_usage(struct buf *b, const struct cmd_ctx *x, const struct cmd *c)
{
	const struct cmd_opt *o;
	char letter;

	buf_printf(b, "%s %s: %s\nusage: %s %s%s\n\n", x->program, c->usage, c->text,
	    x->program, c->usage, *c->opts ? " [options]" : "");
	for (int i = 0; (o = help_option(c, i, &letter)) != NULL; i++)
		option_line(b, o, letter);
}

bool
help_begins(const struct cmd *c, int n, const char *const *word)
{
	const char *u = c->usage;

	for (int i = 0; i < n; i++) {
		size_t len = strcspn(u, " ");
		if (*u != '<' && *u != '[' &&
		    (strlen(word[i]) != len || strncmp(u, word[i], len) != 0))
			return false;
		u += len;
		u += *u == ' ';
	}
	return true;
}

/* The commands that begin with these words. */
void
help_below(struct buf *b, const struct cmd_ctx *x, int nwords, const char *const *word)
{
	buf_printf(
	    b, "usage: %s <command> [options]\n\nAvailable commands:\n", x->program);
	for (const struct cmd *c = cmd_table; c->usage; c++)
		if (!(c->flags & CMD_INTERNAL) && help_begins(c, nwords, word))
			buf_printf(b, "  %-42s %s\n", c->usage, c->text);
	buf_printf(b, "\n\"%s help <command>\" shows the options of one.\n", x->program);
}

/* A usage sentence in mdoc: words are Cm, bound ones Ar. */
static void
mdoc_usage(struct buf *b, const char *u)
{
	buf_str(b, ".Nm");
	while (*u) {
		size_t len = strcspn(u, " ");
		if (*u == '<')
			buf_printf(b, " Ar %.*s", (int)len - 2, u + 1);
		else if (*u == '[')
			buf_printf(b, " Op Ar %.*s", (int)len - 2, u + 1);
		else
			buf_printf(b, " Cm %.*s", (int)len, u);
		u += len;
		u += *u == ' ';
	}
	buf_char(b, '\n');
}

static int
help_mdoc(void)
{
	struct buf b = { 0 };

	for (const struct cmd *c = cmd_table; c->usage; c++)
		if (!(c->flags & CMD_INTERNAL))
			mdoc_usage(&b, c->usage);
	for (const struct cmd_opt *o = cmd_options; o->name; o++)
		if (str_eq(cmd_opt_typed(o), o->name))
			buf_printf(&b, ".Fl -%s\n", o->name);
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
	return 0;
}

int
cmd_help(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	int rows = 0;

	if (x->nwords == 1 && strcmp(x->word[0], "mdoc") == 0)
		return help_mdoc();
	for (const struct cmd *c = cmd_table; c->usage; c++)
		rows += help_begins(c, x->nwords, x->word);
	if (rows == 0)
		return err_set(&x->err, ERR_USAGE, "%s: unknown command", x->word[0]);
	for (const struct cmd *c = cmd_table; rows == 1 && c->usage; c++)
		if (help_begins(c, x->nwords, x->word))
			help_usage(&b, x, c);
	if (rows > 1)
		help_below(&b, x, x->nwords, x->word);
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
	return 0;
}

int
cmd_version(struct cmd_ctx *x)
{
	int num = PQlibVersion();
	struct buf b = { 0 };

	if (x->args.json) {
		buf_str(&b, "{\n    \"pg_autoctl\": ");
		buf_json(&b, AUTOCTL_VERSION);
		buf_str(&b, ",\n    \"pgautofailover\": ");
		buf_json(&b, EXTENSION_VERSION);
		buf_printf(&b,
		    ",\n    \"pg_major\": \"%d\",\n    \"pg_version\": \"%d.%d\",\n"
		    "    \"pg_version_str\": \"PostgreSQL %d.%d\",\n"
		    "    \"pg_version_num\": %d\n}\n",
		    num / 10000, num / 10000, num % 10000, num / 10000, num % 10000, num);
	} else
		buf_printf(&b,
		    "%s version %s\n%s extension version %s\n"
		    "compiled with libpq %d.%d\n"
		    "compatible with Postgres 13, 14, 15, 16, 17 and 18\n",
		    x->program, AUTOCTL_VERSION, x->program, EXTENSION_VERSION,
		    num / 10000, num % 10000);
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
	return 0;
}
