/* SPDX-License-Identifier: MIT */
/* Takes the place of cpu_level.c in the fuzz targets: the level may change between two calls. */
#ifndef BRAGG_FUZZ_LEVEL_H
#define BRAGG_FUZZ_LEVEL_H

#include "cpu_level.h"

/* Non-zero if this machine has the level, which is then in force. */
int fuzz_set_level(cpu_level level);

#endif
