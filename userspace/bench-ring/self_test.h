/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELF_TEST_H
#define SELF_TEST_H

#include <stdbool.h>

bool self_test(void);

#endif /* SELF_TEST_H */
