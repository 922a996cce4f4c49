/* A test's directory goes with everything in it. Links are not followed. */
#ifndef MQ_TESTS_REMOVE_TREE_H
#define MQ_TESTS_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

#include "tests/lib/check.h"

static int remove_tree_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_tree(const char *directory)
{
    CHECK_EQ(nftw(directory, remove_tree_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
