/* Completion of the command line: words and options from the table, names from the
 * monitor. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "fsm/fsm.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

#define HURRY_MS 1000 /* somebody waits at the keyboard */

struct typing {
	struct cmd_ctx *x;     /* the options of the line are in its args */
	struct cmd_line words; /* whole ones, without options and their values */
	const char *last;
	const struct cmd_opt *value; /* whose value the last one is; NULL: nobody's */
	const char *glued; /* "--name=" before it, when it is one word with it */
	struct buf said;
};

static void
suggest(struct typing *t, const char *text, size_t len)
{
	struct buf line = { 0 };

	if (len < strlen(t->last) || strncmp(text, t->last, strlen(t->last)) != 0)
		return;
	buf_printf(&line, "\n%.*s\n", (int)len, text);
	if (!strstr(buf_peek(&t->said), buf_peek(&line))) {
		buf_str(&t->said, buf_peek(&line));
		printf("%.*s%.*s\n", t->glued ? (int)strcspn(t->glued, "=") + 1 : 0,
		    t->glued ? t->glued : "", (int)len, text);
	}
	buf_drop(&line);
}

/* "a|b|c" */
static void
suggest_choice(struct typing *t, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "|");
		suggest(t, text, len);
		text += len;
		text += *text == '|';
	}
}

/* -- names that the monitor knows -- */

static const struct {
	const char *option, *word; /* whose value it is: --option, or <word> of a usage */
	const char *column;
} asked[] = { { "formation", NULL, "formationid" }, { "name", NULL, "nodename" },
	{ "if-lost", NULL, "nodename" }, { "group", NULL, "groupid" },
	{ "hostname", NULL, "nodehost" }, { "pgport", NULL, "nodeport" },
	{ "citus-cluster", NULL, "nodecluster" }, { "tli", NULL, "reportedtli" },
	{ "region", "<region>", "region" } };

static const char names_sql[] =
    "select distinct name from ("
    "select to_jsonb(n) ->> $1 as name, formationid from pgautofailover.node n union all "
    "select to_jsonb(f) ->> $1, formationid from pgautofailover.formation f) v "
    "where name <> '' and ($2::text is null or formationid = $2) order by name";

/* Where the monitor's address may stand. */
static void
use_pgdata(struct cmd_ctx *x)
{
	if (!x->args.pgdata)
		return;
	buf_reset(&x->pgdata);
	if (file_absolute(x->args.pgdata, &x->pgdata, &x->err))
		err_clear(&x->err);
}

/* Without an answer there is nothing to choose from, and nothing to complain of. */
static void
suggest_asked(struct typing *t, const char *column)
{
	struct cmd_ctx *x = t->x;
	struct rows r = { 0 };

	x->hurry_ms = HURRY_MS;
	use_pgdata(x);
	if (cmd_try_monitor(x) || db_query(&x->monitor, &x->err, &r, names_sql, column,
				      x->args.formation, DB_END)) {
		err_clear(&x->err);
		return;
	}
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		const char *name = row_text(&row, "name");
		if (!strpbrk(name, "\n\r"))
			suggest(t, name, strlen(name));
	}
	rows_drop(&r);
}

/* What is created or set has a name that nobody knows yet. */
static bool
is_known(const struct typing *t, const char *option)
{
	const struct cmd *c = cmd_guess(&t->words);

	if (!c || str_eq(option, "region"))
		return true;
	if (str_eq(option, "formation"))
		return !str_starts(c->usage, "create formation") &&
		       !str_starts(c->usage, "create monitor");
	return str_starts(c->opts, "pgdata monitor formation");
}

/* -- values -- */

static const char *
range_of(const char *key)
{
	const struct config_key *k;

	if (config_find(CONFIG_KEEPER, key, &k, NULL) &&
	    config_find(CONFIG_MONITOR, key, &k, NULL))
		return "";
	if (k->type == CONFIG_BOOL)
		return "0|1";
	return k->type == CONFIG_CHOICE ? k->range : "";
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
suggest_states(struct typing *t)
{
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		const char *name = fsm_state_name((enum fsm_state)i);
		suggest(t, name, strlen(name));
	}
}

/* By its type in the table. */
static void
suggest_typed(struct typing *t, const char *type)
{
	static const struct {
		const char *type, *choice;
	} known[] = { { "<shell>", "bash|zsh" }, { "<boolean>", "true|false" },
		{ "<service>", "postgres|listener|node-active" },
		{ "<phase>", "init|steady-state|failover|maintenance|removal" },
		{ "<kind>", "pgsql" },
		{ "<method>", "scram-sha-256|md5|password|cert|trust" } };

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_starts(type, known[i].type))
			suggest_choice(t, known[i].choice);
	if (str_starts(type + 1, "key"))
		suggest_keys(t);
	else if (str_starts(type, "<state>"))
		suggest_states(t);
	else if (str_starts(type, "<mode>"))
		suggest_choice(t, range_of("ssl.sslmode"));
	else if (str_starts(type, "<value>"))
		suggest_choice(t, range_of(t->words.word[t->words.n - 1]));
}

static void
complete_value(struct typing *t)
{
	const char *option = cmd_opt_typed(t->value);

	suggest_typed(t, t->value->arg);
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
		if (str_eq(option, asked[i].option) && is_known(t, option))
			suggest_asked(t, asked[i].column);
}

/* -- words and options -- */

static void
complete_word(struct typing *t, const struct cmd *c)
{
	const char *u = c->usage;
	size_t len;

	for (int i = 0; i < t->words.n && *u; i++) {
		u += strcspn(u, " ");
		u += *u == ' ';
	}
	len = strcspn(u, " ");
	if (len && *u != '<' && *u != '[')
		suggest(t, u, len);
	else if (len)
		suggest_typed(t, u);
	for (size_t i = 0; len && i < sizeof asked / sizeof *asked; i++)
		if (asked[i].word && str_starts(u, asked[i].word))
			suggest_asked(t, asked[i].column);
}

static void
complete_option(struct typing *t, const struct cmd *c)
{
	const struct cmd_opt *o;
	char letter;

	for (int i = 0; (o = help_option(c, i, &letter)) != NULL; i++) {
		struct buf b = { 0 };
		buf_printf(&b, "--%s", cmd_opt_typed(o));
		suggest(t, buf_peek(&b), buf_len(&b));
		buf_drop(&b);
	}
}

static void
complete(struct typing *t)
{
	if (t->value) {
		complete_value(t);
		return;
	}
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		if ((c->flags & CMD_INTERNAL) ||
		    !help_begins(c, t->words.n, t->words.word))
			continue;
		if (t->last[0] == '-')
			complete_option(t, c);
		else
			complete_word(t, c);
	}
}

/* -- what is typed so far -- */

static void
keep(struct typing *t, const struct cmd_opt *o, const char *value)
{
	if (o->type == CMD_TEXT)
		*(const char **)(void *)((char *)&t->x->args + o->offset) = value;
}

/* One whole word. */
static void
take(struct typing *t, const char *word)
{
	const struct cmd_opt *o = t->value;
	const char *equals = strchr(word, '=');

	t->value = NULL;
	if (o) {
		keep(t, o, word);
	} else if (word[0] != '-') {
		if (t->words.n < CMD_LINE_MAX)
			t->words.word[t->words.n++] = word;
	} else if ((o = cmd_opt_meant(&t->words, word)) != NULL && o->arg) {
		if (word[1] == '-' && equals)
			keep(t, o, equals + 1);
		else if (word[1] != '-' && word[2])
			keep(t, o, word + 2);
		else
			t->value = o;
	}
}

static void
take_last(struct typing *t, const char *word)
{
	const char *equals = strchr(word, '=');
	const struct cmd_opt *o;

	t->last = word;
	if (t->value || !str_starts(word, "--") || !equals)
		return;
	o = cmd_opt_meant(&t->words, word);
	t->last = equals + 1;
	if (o && o->arg)
		t->value = o;
	t->glued = word;
}

int
cmd_complete(struct cmd_ctx *x)
{
	struct typing t = { .x = x };

	for (int i = 0; i + 1 < x->nwords; i++)
		take(&t, x->word[i]);
	take_last(&t, x->nwords ? x->word[x->nwords - 1] : "");
	complete(&t);
	buf_drop(&t.said);
	return 0;
}

/* The next word of a shell's line, without its quotes; NULL: no more. */
static char *
shell_word(const char **at)
{
	const char *p = *at;
	char quote = 0;
	struct buf b = { 0 };

	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p && p > *at)
		*at = p;
	else if (!*p)
		return NULL;
	for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
		if (quote ? *p == quote : *p == '"' || *p == '\'')
			quote = quote ? 0 : *p;
		else if (*p == '\\' && p[1] && quote != '\'')
			buf_char(&b, *++p);
		else
			buf_char(&b, *p);
	}
	*at = p;
	return buf_take(&b);
}

/* bash breaks words at ":" and "=", so it passes the line, and wants what follows them.
 */
int
cmd_complete_line(struct cmd_ctx *x)
{
	struct typing t = { .x = x };
	const char *at = x->word[0];
	char *next = shell_word(&at); /* the program */
	char *word;

	free(next);
	word = shell_word(&at);
	while (word && (next = shell_word(&at)) != NULL) {
		take(&t, word); /* which keeps it */
		word = next;
	}
	take_last(&t, word ? word : "");
	t.glued = NULL;
	complete(&t);
	buf_drop(&t.said);
	return 0;
}

static const char bash_script[] =
    "_autoctl() {\n"
    "	local IFS=$'\\n'\n"
    "	COMPREPLY=($(\"${COMP_WORDS[0]}\" complete-line -- \"${COMP_LINE:0:COMP_POINT}\" "
    "2>/dev/null))\n"
    "}\n"
    "complete -o default -F _autoctl autoctl pg_autoctl\n";

static const char zsh_script[] =
    "#compdef autoctl pg_autoctl\n"
    "_autoctl() {\n"
    "	local -a found\n"
    "	found=(${(f)\"$(${words[1]} complete -- \"${(@Q)words[2,CURRENT]}\" "
    "2>/dev/null)\"})\n"
    "	if (( $#found )); then compadd -- $found; else _files; fi\n"
    "}\n"
    "if [[ $funcstack[1] == _autoctl ]]; then\n"
    "	_autoctl \"$@\"\n"
    "else\n"
    "	compdef _autoctl autoctl pg_autoctl\n"
    "fi\n";

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
