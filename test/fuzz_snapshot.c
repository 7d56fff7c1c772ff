/* Any bytes as snapshots, and snapshots with some bytes changed: what reads is written
 * the same again. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "fsm/snapshot.h"
#include "ini/mem.h"
#include "test/fuzz.h"

#include "ini/ban.h"

const char *const fuzz_seeds[] = {
	"",
	FSM_SNAPSHOT_FIRST "\n",
	FSM_SNAPSHOT_FIRST "\ngroup formation=\"default\" group_id=0 secondary_allowed=1",
	"\x10\x00 =\x31\x01\"\x20\x01\\\x42\x01x",
	"\nend\nautoctl-snapshot 1\nnode id=never lsn=0/3000000 reported=primary "
	"member=1,2",
	NULL,
};

static struct fsm_record one, other;

static void
read_all(const char *text)
{
	static char again[FSM_SNAPSHOT_MAX];
	struct fsm_snapshot_wrong wrong = { .line = 0 };
	const char *at = text;
	int rc;

	while ((rc = fsm_snapshot_parse(&at, &one, &wrong)) != 0) {
		const char *second = again;

		assert(at > text && at <= text + strlen(text));
		if (rc < 0) {
			assert(wrong.line > 0 && wrong.text[0]);
			continue;
		}
		assert(fsm_snapshot_format(&one, again, sizeof again) < sizeof again);
		assert(fsm_snapshot_parse(&second, &other, &wrong) == 1 && !*second);
		assert(memcmp(&one, &other, sizeof one) == 0);
	}
	assert(!*at);
}

/* A good one, of which three bytes of data each change one. */
static void
read_changed(const uint8_t *data, size_t size)
{
	static char text[FSM_SNAPSHOT_MAX];
	size_t len;

	memset(&one, 0, sizeof one);
	one.group.n = one.group.nconfigs = one.group.nlineage = one.nsteps = 1;
	one.ndecisions = 1;
	memcpy(one.group.node[0].name, "node_1", 6);
	len = fsm_snapshot_format(&one, text, sizeof text);
	for (; size >= 3; data += 3, size -= 3)
		text[((size_t)data[0] | (size_t)data[1] << 8) % len] = (char)data[2];
	read_all(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xcalloc(1, size + 1);

	if (size)
		memcpy(text, data, size);
	read_all(text);
	free(text);
	read_changed(data, size);
	return 0;
}
