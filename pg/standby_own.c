/* What a directory keeps of its own through a copy or a rewind, which bring the source's.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/hba.h"
#include "pg/setup.h"
#include "pg/standby.h"
#include "pg/tls.h"

#include "ini/ban.h"

/*
 * The path of a file of the settings, below this host's directory, which may be a copy
 * that is about to become PGDATA. NULL: the file is elsewhere, and stays as it is.
 */
static char *
path_here(const struct host *h, const char *file, const char *dflt)
{
	size_t n = strlen(h->cfg->pgdata);

	if (str_empty(file))
		return xasprintf("%s/%s", h->pgdata, dflt);
	if (str_starts(file, h->cfg->pgdata) && file[n] == '/')
		return xasprintf("%s%s", h->pgdata, file + n);
	return NULL;
}

static char *
cert_here(const struct host *h)
{
	return path_here(h, h->cfg->cert_file, "server.crt");
}

static char *
key_here(const struct host *h)
{
	return path_here(h, h->cfg->key_file, "server.key");
}

static int
take_file(char *path, struct buf *b, struct err *e)
{
	int rc = path ? file_read(path, b, e) : 0;

	if (rc && errno == ENOENT)
		rc = 0;
	free(path);
	return rc;
}

int
standby_own_take(const struct host *h, struct standby_own *own, struct err *e)
{
	standby_own_drop(own);
	if (hba_take(h, &own->hba, e))
		return -1;
	if (!h->cfg->ssl_active)
		return 0;
	if (take_file(cert_here(h), &own->cert, e))
		return -1;
	return take_file(key_here(h), &own->key, e);
}

void
standby_own_drop(struct standby_own *own)
{
	if (own->key.data)
		explicit_bzero(own->key.data, own->key.len);
	buf_drop(&own->hba);
	buf_drop(&own->cert);
	buf_drop(&own->key);
}

static int
put_file(const char *path, const struct buf *b, mode_t mode, struct err *e)
{
	return !path || !buf_len(b) ? 0 : file_replace(path, b, mode, e);
}

/* A key is for one host: the source's is not used here. */
static int
put_certificate(const struct host *h, const struct standby_own *own, struct err *e)
{
	char *cert = cert_here(h);
	char *key = key_here(h);
	struct tls_files files = { .cert = cert, .key = key };
	int rc;

	if (buf_len(&own->cert) == 0 && buf_len(&own->key) == 0 && cert && key &&
	    str_empty(h->cfg->ca_file))
		rc = tls_self_sign(&files, h->cfg->hostname, e);
	else
		rc = put_file(key, &own->key, 0600, e) ||
		     put_file(cert, &own->cert, 0644, e);
	free(cert);
	free(key);
	return rc ? -1 : 0;
}

/* Facts 6.7. */
int
standby_make_own(const struct host *h, const struct conf_upstream *up,
    const struct standby_own *own, struct err *e)
{
	if (conf_signal_write(h, e) || conf_auto_reset(h, e) ||
	    (h->cfg->ssl_active && put_certificate(h, own, e)) || conf_main(h, e) < 0 ||
	    conf_standby(h, up, e) < 0)
		return -1;
	return buf_len(&own->hba) ? hba_put(h, &own->hba, e) : 0;
}
