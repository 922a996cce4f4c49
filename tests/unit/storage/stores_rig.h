/* Several stores of ada's mailbox 1, on top of store_rig.h: who is at home where, a lease at a site, a short report. */
#ifndef MQ_TESTS_STORES_RIG_H
#define MQ_TESTS_STORES_RIG_H

#include "tests/unit/storage/store_rig.h"

__attribute__((unused)) static void owner_at(struct rig *r, const char *user, const char *home)
{
    RIG_COMMAND(c, OWNER, owner, Mq__Owner, MQ__OWNER__INIT);
    c_owner.user = (char *)(uintptr_t)user;
    c_owner.home = (char *)(uintptr_t)home;
    c_owner.generation = 1;
    CHECK_OK(rig_run(r, &c));
}

__attribute__((unused)) static enum status lease_at(struct rig *r, const char *user,
                                                    const char *store, const char *site)
{
    RIG_COMMAND(c, LEASE_ACQUIRE, lease_acquire, Mq__LeaseAcquire, MQ__LEASE_ACQUIRE__INIT);
    c_lease_acquire.user = (char *)(uintptr_t)user;
    c_lease_acquire.store = (char *)(uintptr_t)store;
    c_lease_acquire.site = (char *)(uintptr_t)site;
    c_lease_acquire.holder = (char *)(uintptr_t) "feed";
    c_lease_acquire.ttl_ms = 600000;
    enum status s = rig_run(r, &c);
    if (s == OK) {
        r->lease =
            (struct token){r->result->lease->token->epoch, r->result->lease->token->position};
    }
    return s;
}

/* One message with these flags, seen by a full comparison (from 0) or as a change. */
__attribute__((unused)) static enum status report_one(struct rig *r, const char *store,
                                                      uint64_t from, uint64_t to, uint32_t uid,
                                                      uint32_t flags)
{
    struct report *p = report_new(r, "ada", store, 1, from, to);
    report_message(p, uid, flags, 100);
    p->c.uidnext = 10;
    return report_run(r, p);
}

__attribute__((unused)) static Mq__QueryResult *stores(struct rig *r)
{
    enum status s;
    RIG_QUERY(q, STORES, stores, Mq__QueryStores, MQ__QUERY_STORES__INIT);
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    return result;
}

#endif
