/* Runs a fuzz target over mutations of its seeds, the same ones each time. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test/fuzz.h"
#include "test/tap.h"

#include "ini/ban.h"

#define ROUNDS 4000 /* for each seed; libFuzzer does the long runs */
#define SIZE_MAX_BYTES 4096

static uint8_t input[SIZE_MAX_BYTES];
static size_t input_size;
static uint64_t state;

/* xorshift64 */
static size_t
any(size_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? (size_t)(state % below) : 0;
}

/* Show the input that broke it, then die of the signal. */
static void
on_crash(int sig)
{
	static const char hex[] = "0123456789abcdef";
	struct sigaction die = { .sa_handler = SIG_DFL };
	ssize_t ignored = write(STDOUT_FILENO, "# input: ", 9);

	for (size_t i = 0; i < input_size && ignored >= 0; i++) {
		char two[2] = { hex[input[i] >> 4], hex[input[i] & 15] };

		ignored = write(STDOUT_FILENO, two, 2);
	}
	ignored = write(STDOUT_FILENO, "\n", 1);
	sigaction(sig, &die, NULL);
	raise(sig);
}

static void
remove_some(void)
{
	size_t at = any(input_size);
	size_t n = any(input_size - at) % 16;

	memmove(input + at, input + at + n, input_size - at - n);
	input_size -= n;
}

static void
insert_some(const void *bytes, size_t n)
{
	size_t at = any(input_size + 1);

	if (input_size + n > sizeof input)
		return;
	memmove(input + at + n, input + at, input_size - at);
	memcpy(input + at, bytes, n);
	input_size += n;
}

static void
mutate(size_t seeds)
{
	static const char special[] = "\n\r\t \"'\\[]{}()=#;:,/.-+*0\xff\x80\xc3";
	const char *other;
	uint8_t again[64];
	size_t from;
	char c;

	switch (any(6)) {
	case 0:
		if (input_size)
			input[any(input_size)] = (uint8_t)any(256);
		break;
	case 1:
		remove_some();
		break;
	case 2:
		c = special[any(sizeof special)]; /* its NUL, too */
		insert_some(&c, 1);
		break;
	case 3:
		other = fuzz_seeds[any(seeds)];
		from = any(strlen(other) + 1);
		insert_some(other + from, any(strlen(other) - from + 1));
		break;
	case 4:
		if (input_size)
			input[any(input_size)] ^= (uint8_t)(1u << any(8));
		break;
	default: /* the bytes are moved while they are put in */
		memcpy(again, input, sizeof again);
		if (input_size)
			insert_some(again, any(input_size) % 64);
	}
}

int
main(void)
{
	static const int fatal[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGALRM };
	struct sigaction crash = { .sa_handler = on_crash };
	size_t seeds = 0;

	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		sigaction(fatal[i], &crash, NULL);
	while (fuzz_seeds[seeds])
		seeds++;
	for (size_t s = 0; s < seeds; s++) {
		size_t n = strlen(fuzz_seeds[s]);

		state = 88172645463325252u + s;
		for (int i = 0; i < ROUNDS; i++) {
			if (i % 8 == 0) {
				input_size = n < sizeof input ? n : sizeof input;
				memcpy(input, fuzz_seeds[s], input_size);
			}
			alarm(10); /* an endless loop is a crash, too */
			LLVMFuzzerTestOneInput(input, input_size);
			mutate(seeds);
		}
		OK(true, "seed %zu: %d inputs", s, ROUNDS);
	}
	return tap_done();
}
