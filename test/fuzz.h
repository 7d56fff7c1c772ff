/* What a fuzz target offers: libFuzzer runs it for long, test/mutate.c for a moment. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry point: must hold for any bytes; a broken promise is an assert. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Texts to begin with, NULL behind the last; also the dictionary of mutations. */
extern const char *const fuzz_seeds[];

#endif
