/* A store waits for a descriptor; to have none for a while costs it nothing. */
#include "tests/lib/no_descriptors.h"
#include "tests/unit/storage/store_rig.h"

static void a_checkpoint_waits_for_a_descriptor(void)
{
    struct rig r;
    struct no_descriptors none;
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "ada"));
    no_descriptors_begin(&none, 50);
    rig_checkpoint(&r);
    no_descriptors_end(&none);
    uint64_t index = r.index;
    store_close(r.store);
    rig_start(&r);
    CHECK_EQ(r.index, index);
    rig_close(&r);
}

/* Not CORRUPT and not IO, which would mean that the environment is lost. */
static void a_store_that_can_not_be_opened_for_want_of_one_says_so(void)
{
    struct rig r;
    struct no_descriptors none;
    struct checkpoint_descriptor d;
    struct error e;
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "ada"));
    rig_checkpoint(&r);
    store_close(r.store);
    no_descriptors_begin(&none, 0);
    CHECK_EQ(store_open(&r.options, &r.environment, &r.store, &d, &e), STATUS_NO_FILES);
    no_descriptors_end(&none);
    rig_start(&r);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(a_checkpoint_waits_for_a_descriptor);
    RUN(a_store_that_can_not_be_opened_for_want_of_one_says_so);
}
