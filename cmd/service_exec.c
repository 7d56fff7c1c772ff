/* A new binary on the disk: the same process goes on as that, Postgres does not stop. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/service.h"
#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "pg/spawn.h"

#include "ini/ban.h"

#define ARGS_MAX 64
#define TRY_MS 5000

/* What we were started as, and the file that was. */
static struct {
	char path[4096];
	struct stat is;
	bool known;
	bool asked; /* by SIGUSR1 */
} binary;

/* The words of our own command line; text holds them. 0: it is not to be had. */
static int
own_words(struct buf *text, char *word[ARGS_MAX + 1])
{
	int n = 0;

	if (file_read("/proc/self/cmdline", text, NULL) || text->len == 0)
		return 0;
	for (size_t at = 0; at < text->len && n < ARGS_MAX;
	     at += strlen(text->data + at) + 1)
		word[n++] = text->data + at;
	word[n] = NULL;
	return n < ARGS_MAX ? n : 0;
}

/* As it was named, links included: an upgrade may be another target of a link. */
void
service_binary_note(void)
{
	struct buf text = { 0 };
	char *word[ARGS_MAX + 1];
	ssize_t n = -1;

	if (own_words(&text, word) > 0 && word[0][0] == '/')
		n = snprintf(binary.path, sizeof binary.path, "%s", word[0]);
	else
		n = readlink("/proc/self/exe", binary.path, sizeof binary.path - 1);
	buf_drop(&text);
	if (n <= 0 || (size_t)n >= sizeof binary.path)
		return;
	binary.path[n] = '\0';
	binary.known = stat(binary.path, &binary.is) == 0;
}

void
service_binary_ask(void)
{
	binary.asked = true;
}

bool
service_binary_changed(void)
{
	struct stat now;

	if (binary.asked)
		return true;
	return binary.known && stat(binary.path, &now) == 0 && S_ISREG(now.st_mode) &&
	       (now.st_ino != binary.is.st_ino || now.st_dev != binary.is.st_dev ||
		   now.st_size != binary.is.st_size ||
		   now.st_mtim.tv_sec != binary.is.st_mtim.tv_sec ||
		   now.st_mtim.tv_nsec != binary.is.st_mtim.tv_nsec);
}

/* What cannot even tell its version must not take our place. */
static int
try_it(struct buf *version, struct err *e)
{
	const char *argv[] = { binary.path, "version", NULL };
	struct spawn s = { .argv = argv, .deadline_ms = TRY_MS, .out = version };

	return spawn_run(&s, e);
}

/* Signals that come in between wait for the new program, see loop_init(). */
static void
hold_signals(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(how, &set, NULL);
}

int
service_binary_exec(struct err *e)
{
	struct buf text = { 0 };
	struct buf version = { 0 };
	char *word[ARGS_MAX + 1];
	int rc;

	binary.asked = false;
	/* once for each file: a bad one is named once */
	if (stat(binary.path, &binary.is))
		return err_sys(e, "look at %s", binary.path);
	rc = try_it(&version, e);
	if (rc == 0 && own_words(&text, word) == 0)
		rc = err_set(e, ERR_SYSTEM, "the own command line is not to be had");
	if (rc == 0) {
		log_info("%s is started anew: going on as %.*s", binary.path,
		    (int)strcspn(buf_peek(&version), "\n"), buf_peek(&version));
		hold_signals(SIG_BLOCK);
		execv(binary.path, word);
		rc = err_sys(e, "start %s", binary.path);
		hold_signals(SIG_UNBLOCK);
	}
	buf_drop(&text);
	buf_drop(&version);
	if (rc)
		err_hint(e, "the service goes on as it is");
	return rc ? err_wrap(e, "go on as the new %s", binary.path) : 0;
}
