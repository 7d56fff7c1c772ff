/* Passwords of the command line are hidden from ps as soon as they are read. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

/* Overwrite it where it stands, which is argv; what is shown instead is cut to fit. */
static const char *
hide(const char *secret, const char *shown)
{
	const char *copy = xstrdup(secret);
	char *at = (char *)(uintptr_t)secret;
	size_t len = strlen(secret);
	size_t n = strlen(shown);

	memset(at, '*', len);
	memcpy(at, shown, n < len ? n : len);
	return copy;
}

static const char *
hide_uri(const char *uri)
{
	struct buf password = { 0 };
	struct buf shown = { 0 };
	const char *copy = uri;

	if (uri_get(uri, "password", &password, NULL) == 0 && buf_len(&password)) {
		uri_scrub(uri, &shown);
		copy = hide(uri, buf_peek(&shown));
	}
	buf_drop(&password);
	buf_drop(&shown);
	return copy;
}

static void
hide_word(struct cmd_ctx *x)
{
	const struct config_key *k;

	if (x->cmd->run != cmd_config_set || x->nwords != 2)
		return;
	if ((config_find(CONFIG_KEEPER, x->word[0], &k, NULL) == 0 ||
		config_find(CONFIG_MONITOR, x->word[0], &k, NULL) == 0) &&
	    (k->flags & CONFIG_SECRET))
		x->word[1] = strstr(k->name, "password") ? hide(x->word[1], "****")
							 : hide_uri(x->word[1]);
}

void
cmd_hide_secrets(struct cmd_ctx *x)
{
	for (const struct cmd_opt *o = cmd_options; o->name; o++) {
		const char **value =
		    (const char **)(void *)((char *)&x->args + o->offset);

		if (o->type != CMD_TEXT || !o->arg || str_empty(*value))
			continue;
		if (str_eq(o->arg, "<password>"))
			*value = hide(*value, "****");
		else if (str_eq(o->arg, "<uri>"))
			*value = hide_uri(*value);
	}
	hide_word(x);
}

const char *
cmd_secret_env(const char *name)
{
	const char *value = getenv(name);
	const char *copy = str_empty(value) ? NULL : xstrdup(value);

	unsetenv(name);
	return copy;
}
