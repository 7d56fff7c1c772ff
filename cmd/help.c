/* Help, completion, the manual's synopsis, the version: prints of the command table. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "fsm/fsm.h"
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

/* The n-th option of a row: its own, then the global ones. */
static const struct cmd_opt *
nth(const struct cmd *c, int n, char *letter)
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
	for (int i = 0; (o = nth(c, i, &letter)) != NULL; i++)
		option_line(b, o, letter);
}

static bool
begins_with(const struct cmd *c, int n, const char *const *word)
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
		if (!(c->flags & CMD_INTERNAL) && begins_with(c, nwords, word))
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
		rows += begins_with(c, x->nwords, x->word);
	if (rows == 0)
		return err_set(&x->err, ERR_USAGE, "%s: unknown command", x->word[0]);
	for (const struct cmd *c = cmd_table; rows == 1 && c->usage; c++)
		if (begins_with(c, x->nwords, x->word))
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

/* -- completion: the words typed so far are the arguments, the last may be partial -- */

struct typing {
	int n; /* whole words, without options and their values */
	const char *word[CMD_LINE_MAX];
	const char *last;
	bool value; /* the last word is the value of an option */
	struct buf said;
};

static void
suggest(struct typing *t, const char *text, size_t len)
{
	struct buf line = { 0 };

	if (strncmp(text, t->last, strlen(t->last)) != 0)
		return;
	buf_printf(&line, "\n%.*s\n", (int)len, text);
	if (!strstr(buf_peek(&t->said), buf_peek(&line))) {
		buf_str(&t->said, buf_peek(&line));
		printf("%.*s\n", (int)len, text);
	}
	buf_drop(&line);
}

static void
suggest_keys(struct typing *t)
{
	for (size_t i = 0; i < config_key_count; i++) {
		struct buf b = { 0 };
		buf_printf(&b, "%s.%s", config_keys[i].section, config_keys[i].name);
		suggest(t, buf_peek(&b), buf_len(&b));
		buf_drop(&b);
	}
}

static void
complete_word(struct typing *t, const struct cmd *c)
{
	static const struct {
		const char *type, *value;
	} values[] = { { "<shell>", "bash" }, { "<shell>", "zsh" },
		{ "<boolean>", "true" }, { "<boolean>", "false" },
		{ "<service>", "postgres" }, { "<service>", "listener" },
		{ "<service>", "node-active" }, { "<phase>", "init" },
		{ "<phase>", "steady-state" }, { "<phase>", "failover" },
		{ "<phase>", "maintenance" }, { "<phase>", "removal" } };
	const char *u = c->usage;

	for (int i = 0; i < t->n && *u; i++) {
		u += strcspn(u, " ");
		u += *u == ' ';
	}
	size_t len = strcspn(u, " ");
	if (len && *u != '<' && *u != '[')
		suggest(t, u, len);
	else if (str_starts(u + (len > 0), "key"))
		suggest_keys(t);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (str_starts(u, values[i].type))
			suggest(t, values[i].value, strlen(values[i].value));
	for (int i = 0; i < FSM_STATE_COUNT && str_starts(u, "<state>"); i++) {
		const char *name = fsm_state_name((enum fsm_state)i);
		suggest(t, name, strlen(name));
	}
}

static void
complete_option(struct typing *t, const struct cmd *c)
{
	const struct cmd_opt *o;
	char letter;

	for (int i = 0; (o = nth(c, i, &letter)) != NULL; i++) {
		struct buf b = { 0 };
		buf_printf(&b, "--%s", cmd_opt_typed(o));
		suggest(t, buf_peek(&b), buf_len(&b));
		buf_drop(&b);
	}
}

/* "--pgdata x" and "-D x" are two words that say nothing of the command. */
static bool
has_value(const char *word)
{
	for (const struct cmd_opt *o = cmd_options; o->name; o++)
		if (o->arg && ((str_starts(word, "--") && str_eq(word + 2, o->name)) ||
				  (word[1] == o->letter && word[1] && !word[2])))
			return true;
	return false;
}

static void
read_typing(struct typing *t, int n, const char *const *word)
{
	bool value = false;

	t->last = n ? word[n - 1] : "";
	for (int i = 0; i + 1 < n; i++) {
		if (!value && word[i][0] != '-' && t->n < CMD_LINE_MAX)
			t->word[t->n++] = word[i];
		value = !value && word[i][0] == '-' && has_value(word[i]);
	}
	t->value = value;
}

int
cmd_complete(struct cmd_ctx *x)
{
	struct typing t = { 0 };

	read_typing(&t, x->nwords, x->word);
	for (const struct cmd *c = cmd_table; c->usage && !t.value; c++) {
		if ((c->flags & CMD_INTERNAL) || !begins_with(c, t.n, t.word))
			continue;
		if (t.last[0] == '-')
			complete_option(&t, c);
		else
			complete_word(&t, c);
	}
	buf_drop(&t.said);
	return 0;
}

static const char bash_script[] =
    "_autoctl() {\n"
    "	local IFS=$'\\n'\n"
    "	COMPREPLY=($(\"${COMP_WORDS[0]}\" complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null | sort -u))\n"
    "}\n"
    "complete -o default -F _autoctl autoctl pg_autoctl\n";

static const char zsh_script[] = "#compdef autoctl pg_autoctl\n"
				 "_autoctl() {\n"
				 "	compadd -- ${(fu)\"$(${words[1]} complete -- "
				 "${words[2,CURRENT]} 2>/dev/null)\"}\n"
				 "}\n"
				 "compdef _autoctl autoctl pg_autoctl\n";

int
cmd_completion(struct cmd_ctx *x)
{
	if (strcmp(x->word[0], "bash") == 0)
		fputs(bash_script, stdout);
	else if (strcmp(x->word[0], "zsh") == 0)
		fputs(zsh_script, stdout);
	else
		return err_set(&x->err, ERR_USAGE,
		    "%s: unknown shell, there is bash and zsh", x->word[0]);
	return 0;
}
