/* The command line taken apart: words against the usages, options against the table. */
/* SPDX-License-Identifier: PostgreSQL */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define GLOBAL_OPTIONS 5 /* the first of cmd_options go with every command */

/* -- matching words with a usage -- */

static const char *
next_word(const char *usage, size_t *len)
{
	while (*usage == ' ')
		usage++;
	*len = strcspn(usage, " ");
	return *len ? usage : NULL;
}

static bool
same(const char *w, size_t len, const char *word)
{
	return strlen(word) == len && strncmp(w, word, len) == 0;
}

/* How many words fit this row from its beginning; *whole when all of them do, and it
 * needs no more. */
static int
fit(const struct cmd *c, const struct cmd_line *l, bool *whole)
{
	const char *u = c->usage;
	const char *w;
	size_t len;
	int i = 0;

	*whole = false;
	while ((w = next_word(u, &len)) != NULL) {
		u = w + len;
		if (*w == '[' && len > 4 && strncmp(w + len - 4, "...]", 4) == 0)
			i = l->n;
		else if (*w == '[')
			i += i < l->n;
		else if (i < l->n && (*w == '<' || same(w, len, l->word[i])))
			i++;
		else
			return i;
	}
	*whole = i == l->n;
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

const struct cmd *
cmd_find(const struct cmd_line *l, int *best)
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

const struct cmd *
cmd_guess(const struct cmd_line *l)
{
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		struct cmd_line lead = { .n = leading_words(c) };
		bool whole;
		if (lead.n > l->n)
			continue;
		memcpy(lead.word, l->word, sizeof lead.word);
		if (fit(c, &lead, &whole) == lead.n)
			return c;
	}
	return NULL;
}

/* -- options -- */

/* Where a row names the option, NULL if it does not; "name/x" gives it another letter. */
static const char *
listed(const struct cmd *c, const struct cmd_opt *o, char *letter)
{
	for (const char *p = c->opts; *p; p += strcspn(p, " "), p += *p == ' ') {
		size_t len = strcspn(p, " /");
		if (!same(p, len, o->name))
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

	return o < cmd_options + GLOBAL_OPTIONS || listed(c, o, &letter);
}

static const struct cmd_opt *
by_letter(const struct cmd *c, char letter)
{
	for (const struct cmd_opt *o = cmd_options; o->name; o++) {
		char l = o->letter;
		if (c && !listed(c, o, &l) && o >= cmd_options + GLOBAL_OPTIONS)
			continue;
		if (l == letter && l != '0')
			return o;
	}
	return NULL;
}

/* --formation of create monitor may be repeated, --wait of watch takes no seconds: what
 * the command lists comes first. */
static const struct cmd_opt *
by_name(const struct cmd *c, const char *name, size_t len)
{
	char letter;

	for (const struct cmd_opt *o = cmd_options; c && o->name; o++)
		if (same(name, len, cmd_opt_typed(o)) && listed(c, o, &letter))
			return o;
	return cmd_opt_find(name, len);
}

const struct cmd_opt *
cmd_opt_meant(const struct cmd_line *l, const char *word)
{
	const struct cmd *c = cmd_guess(l);

	return word[1] == '-' ? by_name(c, word + 2, strcspn(word + 2, "="))
			      : by_letter(c, word[1]);
}

/* -- values: what stands between < > in the table is their type -- */

int
cmd_check_value(const char *type, const char *value, struct err *e)
{
	size_t len = strcspn(type + 1, ">]");
	int64_t ms;
	bool on;
	int n;

	if (same(type + 1, len, "number"))
		return str_int_between(value, 0, INT_MAX, &n, e);
	if (same(type + 1, len, "0..100"))
		return str_int_between(value, 0, 100, &n, e);
	if (same(type + 1, len, "port"))
		return str_int_between(value, 1, 65535, &n, e);
	if (same(type + 1, len, "boolean"))
		return str_bool(value, &on, e);
	if (same(type + 1, len, "seconds"))
		return str_ms(value, 1000, &ms, e);
	if (same(type + 1, len, "uri"))
		return uri_check(value, e);
	if (same(type + 1, len, "name"))
		return str_name(value, e);
	return 0;
}

static int
append(struct cmd_args *a, const char *value, struct err *e)
{
	int max = (int)(sizeof a->formations / sizeof a->formations[0]);

	if (a->nformations == max)
		return err_set(
		    e, ERR_USAGE, "too many --formation options, at most %d", max);
	a->formations[a->nformations++] = value;
	return 0;
}

static int
store(struct cmd_args *a, const struct cmd_opt *o, const char *value, struct err *e)
{
	char *at = (char *)a + o->offset;

	if (value && cmd_check_value(o->arg, value, e))
		return err_wrap(e, "--%s", cmd_opt_typed(o));
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
		return append(a, value, e);
	}
	return 0;
}

/* -- reading argv -- */

struct reader {
	const struct cmd *cmd; /* NULL: only the words are looked for */
	char **arg;            /* the one that is read */
	struct cmd_line *line;
	struct cmd_args *args;
	struct err *err;
};

/* Letters mean different options to different commands: go by the words so far. */
static const struct cmd *
meant(const struct reader *r)
{
	return r->cmd ? r->cmd : cmd_guess(r->line);
}

/* Values are checked, and options kept, when the command is known. */
static int
keep(struct reader *r, const struct cmd_opt *o, const char *value)
{
	if (r->cmd && !cmd_takes(r->cmd, o))
		return err_set(r->err, ERR_USAGE, "--%s: not an option of \"%s\"",
		    o->name, r->cmd->usage);
	if (!r->cmd && o->arg)
		return 0;
	return store(r->args, o, value, r->err);
}

static int
read_long(struct reader *r)
{
	const char *text = *r->arg + 2;
	size_t len = strcspn(text, "=");
	const struct cmd_opt *o = by_name(meant(r), text, len);
	const char *value = NULL;

	if (!o)
		return err_set(
		    r->err, ERR_USAGE, "--%.*s: unknown option", (int)len, text);
	if (!o->arg && text[len])
		return err_set(r->err, ERR_USAGE, "--%s takes no value", o->name);
	if (o->arg && text[len])
		value = text + len + 1;
	else if (o->arg && !r->arg[1])
		return err_set(r->err, ERR_USAGE, "--%s needs a value: %s",
		    cmd_opt_typed(o), o->arg);
	else if (o->arg)
		value = *++r->arg;
	return keep(r, o, value);
}

/* -abc; the last may take a value, glued on or the next word. */
static int
read_short(struct reader *r)
{
	for (const char *text = *r->arg + 1; *text; text++) {
		const struct cmd_opt *o = by_letter(meant(r), *text);
		const char *value = NULL;
		if (!o)
			return err_set(r->err, ERR_USAGE, "-%c: unknown option", *text);
		if (o->arg && text[1])
			value = text + 1;
		else if (o->arg && !r->arg[1])
			return err_set(
			    r->err, ERR_USAGE, "-%c needs a value: %s", *text, o->arg);
		else if (o->arg)
			value = *++r->arg;
		if (keep(r, o, value))
			return -1;
		if (o->arg)
			break;
	}
	return 0;
}

static bool
is_word(const char *s)
{
	return s[0] != '-' || !s[1] || (s[1] >= '0' && s[1] <= '9');
}

int
cmd_read(const struct cmd *c, char **argv, struct cmd_line *l, struct cmd_args *args,
    struct err *e)
{
	struct reader r = { c, argv + 1, l, args, e };
	bool words_only = false;

	l->n = 0;
	for (; *r.arg; r.arg++) {
		if (words_only || is_word(*r.arg)) {
			if (l->n == CMD_LINE_MAX)
				return err_set(e, ERR_USAGE, "too many words");
			l->word[l->n++] = *r.arg;
		} else if (strcmp(*r.arg, "--") == 0)
			words_only = true;
		else if ((*r.arg)[1] == '-' ? read_long(&r) : read_short(&r))
			return -1;
	}
	return 0;
}

/* -- binding -- */

/* The word before the one that is bound says what it is: "candidate-priority". */
int
cmd_bind(struct cmd_ctx *x, const struct cmd_line *l)
{
	const char *u = x->cmd->usage;
	const char *w;
	size_t len;
	int i = 0;

	while ((w = next_word(u, &len)) != NULL && i < l->n) {
		u = w + len;
		if (*w == '<' && cmd_check_value(w, l->word[i], &x->err))
			return err_wrap(&x->err, "%s", l->word[i - 1]);
		if (*w == '<' || *w == '[')
			break;
		i++;
	}
	for (; i < l->n && x->nwords < CMD_LINE_MAX; i++)
		x->word[x->nwords++] = l->word[i];
	return 0;
}
