/* SPDX-License-Identifier: MIT */
#include "fuzz_level.h"

/* The very functions that tell what the machine has, under another name. */
#define bragg_cpu_level machine_cpu_level
#include "cpu_level.c"
#undef bragg_cpu_level

static int is_set;
static cpu_level current;

int fuzz_set_level(cpu_level level)
{
    if (!machine_has(level))
        return 0;
    current = level;
    is_set = 1;
    return 1;
}

cpu_level bragg_cpu_level(void)
{
    if (!is_set)
        fuzz_set_level(machine_cpu_level());
    return current;
}
