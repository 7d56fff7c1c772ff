/* Any bytes as pg_autoctl.cfg: what loads must dump to what loads the same. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/config.h"
#include "ini/err.h"
#include "test/fuzz.h"

#include "ini/ban.h"

const char *const fuzz_seeds[] = {
	"[pg_autoctl]\nrole = keeper\nmonitor = "
	"postgres://autoctl_node@m/pg_auto_failover\n"
	"formation = default\ngroup = 0\nname = node_1\nhostname = h\n\n[postgresql]\n"
	"pgdata = /data\nport = 5432\n\n[timeout]\nnetwork_partition_timeout = 20\n",
	"[pg_autoctl]\nrole = monitor\nhostname = h\n[postgresql]\npgdata = /m\n[ssl]\n"
	"sslmode = verify-full\nactive = 1\ncert_file = /c\nkey_file = /k\n",
	"[pg_autoctl]\nrole=keeper\nnodename = "
	"x\n[postgresql]\npgdata=/d\nproxyport=6432\n"
	"[replication]\nmaximum_backup_rate = 32k\npassword = \" x \"\n[timeout]\n"
	"report_interval = 1500ms\nrestart_grace = 1min\n",
	NULL,
};

/* A file without a disk. */
static int
load(struct config *c, const void *data, size_t size)
{
	struct err e = { .kind = ERR_NONE };
	char path[64];
	int fd = memfd_create("cfg", 0);
	int rc;

	assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	rc = config_load(c, path, &e);
	assert(rc == 0 || (e.kind == ERR_CONFIG && e.msg[0]));
	close(fd);
	return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config c, again;
	struct buf a = { 0 }, b = { 0 };
	int rc;

	if (load(&c, data, size))
		return 0;
	config_dump_ini(&c, &a);
	rc = load(&again, buf_peek(&a), buf_len(&a));
	assert(rc == 0);
	config_dump_ini(&again, &b);
	assert(strcmp(buf_peek(&a), buf_peek(&b)) == 0);
	config_dump_json(&c, &b);
	config_drop(&c);
	config_drop(&again);
	buf_drop(&a);
	buf_drop(&b);
	return 0;
}
