/* Wrong words: what was wrong with them, and what would have been right, in two lines. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "cmd/cmd.h"

#include "ini/ban.h"

#define WORD_MAX 40
#define NEAR 2 /* letters changed, added, left out */

/* How many letters to change, add or leave out to make b of a (Levenshtein). */
static int
distance(const char *a, const char *b)
{
	int row[WORD_MAX + 1];
	int n = (int)strlen(b);

	if (n > WORD_MAX || strlen(a) > WORD_MAX)
		return WORD_MAX;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; a[i - 1]; i++) {
		int corner = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int above = row[j];
			int best = corner + (a[i - 1] != b[j - 1]);
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			corner = above;
		}
	}
	return row[n];
}

/* The word of a row behind its first n, which are these; "" when it has none. */
static bool
next_of(const struct cmd *c, const struct cmd_line *l, int n, char out[WORD_MAX])
{
	const char *u = c->usage;

	for (int i = 0; i < n; i++) {
		size_t len = strcspn(u, " ");
		bool bound = *u == '<' || *u == '[';
		if (!bound &&
		    (strlen(l->word[i]) != len || strncmp(u, l->word[i], len) != 0))
			return false;
		u += len;
		u += *u == ' ';
	}
	size_t len = strcspn(u, " ");
	if (len >= WORD_MAX)
		len = WORD_MAX - 1;
	memcpy(out, u, len);
	out[len] = '\0';
	return true;
}

/* All words that may come next, each once: " a, b, c"; near: the one that was meant. */
static void
what_next(const struct cmd_line *l, int n, struct buf *all, char near[WORD_MAX])
{
	char word[WORD_MAX];
	struct buf listed = { 0 };
	int least = NEAR + 1;

	near[0] = '\0';
	buf_char(&listed, ' ');
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		struct buf key = { 0 };
		if ((c->flags & CMD_INTERNAL) || !next_of(c, l, n, word) || !*word)
			continue;
		buf_printf(&key, " %s ", word);
		if (!strstr(buf_peek(&listed), buf_peek(&key))) {
			buf_printf(all, "%s%s", buf_len(all) ? ", " : "", word);
			buf_printf(&listed, "%s ", word);
		}
		buf_drop(&key);
		if (n < l->n && distance(l->word[n], word) < least) {
			least = distance(l->word[n], word);
			memcpy(near, word, sizeof word);
		}
	}
	buf_drop(&listed);
}

/* Would the first n words have been a command? */
static const struct cmd *
enough(const struct cmd_line *l, int n)
{
	struct cmd_line part = *l;
	int best;

	part.n = n;
	return cmd_find(&part, &best);
}

/* Commands of pg_auto_failover that scripts may call, and that are not here. A row goes
 * when its command comes. */
/* clang-format off */
static const char *const missing[] = { "node apply", "node show" };
/* clang-format on */

static const char *
is_missing(const struct cmd_line *l)
{
	for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
		const char *m = missing[i];
		int n = 0;
		while (*m && n < l->n && strlen(l->word[n]) == strcspn(m, " ") &&
		       strncmp(m, l->word[n], strcspn(m, " ")) == 0) {
			m += strcspn(m, " ");
			m += *m == ' ';
			n++;
		}
		if (!*m)
			return missing[i];
	}
	return NULL;
}

int
help_wrong_words(struct cmd_ctx *x, const struct cmd_line *l, int best)
{
	struct buf all = { 0 };
	char near[WORD_MAX];
	const char *later = is_missing(l);
	const struct cmd *c = best < l->n ? enough(l, best) : NULL;

	if (later)
		return err_set(&x->err, ERR_USAGE, "%s: not available yet", later);
	what_next(l, best, &all, near);
	if (c && !*near)
		err_set(&x->err, ERR_USAGE, "%s: unexpected argument of \"%s\"",
		    l->word[best], c->usage);
	else if (best < l->n)
		err_set(&x->err, ERR_USAGE, "%s: unknown command", l->word[best]);
	else if (l->n)
		err_set(
		    &x->err, ERR_USAGE, "expected more after \"%s\"", l->word[l->n - 1]);
	else
		err_set(&x->err, ERR_USAGE, "expected a command");
	if (l->n && strcmp(l->word[0], "do") == 0)
		err_hint(&x->err, "what was below \"do\" is below \"inspect\" and "
				  "\"manual\"");
	else if (*near)
		err_hint(&x->err, "did you mean \"%s\"?", near);
	else if (buf_len(&all))
		err_hint(&x->err, "%s%s%s: %s", best ? "after \"" : "there is",
		    best ? l->word[best - 1] : "", best ? "\"" : "", buf_peek(&all));
	buf_drop(&all);
	return -1;
}
