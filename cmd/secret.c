/* Passwords: of the command line, hidden from ps as soon as they are read; from the
 * environment; from stdin. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "ini/log.h"
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

bool
cmd_is_secret(const char *key)
{
	const struct config_key *k;

	return (config_find(CONFIG_KEEPER, key, &k, NULL) == 0 ||
		   config_find(CONFIG_MONITOR, key, &k, NULL) == 0) &&
	       (k->flags & CONFIG_SECRET);
}

static void
hide_word(struct cmd_ctx *x)
{
	const char *given = x->word[1];

	if (x->cmd->run != cmd_config_set || x->nwords != 2 || str_eq(given, "-") ||
	    !cmd_is_secret(x->word[0]))
		return;
	x->word[1] =
	    strstr(x->word[0], "password") ? hide(given, "****") : hide_uri(given);
	if (x->word[1] == given)
		return;
	log_warn("what is on the command line is seen by others for a moment, and kept "
		 "in the shell's history");
	log_hint("\"config set %s -\" asks for it, or reads it from stdin", x->word[0]);
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

/* -- one line of stdin -- */

static volatile sig_atomic_t ended;

static void
on_signal(int number)
{
	ended = number;
}

static void
on_end(void (*act)(int))
{
	static const int number[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct sigaction sa = { .sa_handler = act };

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof number / sizeof *number; i++)
		sigaction(number[i], &sa, NULL);
}

/* Whoever presses ^C gets the echo of his terminal back, too. */
static bool
echo_off(struct termios *before)
{
	struct termios mute;

	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before))
		return false;
	on_end(on_signal);
	mute = *before;
	mute.c_lflag &= ~(tcflag_t)ECHO;
	mute.c_lflag |= ECHONL;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &mute);
	return true;
}

static void
echo_on(const struct termios *before)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, before);
	on_end(SIG_DFL);
	if (ended)
		fputc('\n', stderr);
}

/* Byte by byte: what follows the line is not ours. */
static int
read_line(struct buf *b, struct err *e)
{
	char c = 0;
	ssize_t n;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c && c != '\n')
		buf_char(b, c);
	if (n < 0)
		return ended ? err_set(e, ERR_USAGE, "broken off")
			     : err_sys(e, "read stdin");
	if (n && !c)
		return err_set(e, ERR_USAGE, "a value has no zero bytes");
	return buf_len(b) ? 0 : err_set(e, ERR_USAGE, "nothing came in on stdin");
}

int
cmd_secret_stdin(const char *what, const char **value, struct err *e)
{
	struct termios before;
	struct buf b = { 0 };
	bool muted = echo_off(&before);
	int rc;

	if (muted)
		fprintf(stderr, "%s: ", what);
	rc = read_line(&b, e);
	if (muted)
		echo_on(&before);
	if (rc == 0)
		*value = xstrdup(buf_peek(&b));
	buf_drop(&b);
	return rc;
}
