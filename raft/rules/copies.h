/* Which copies of a shard hold the same, by the digests that they gave at one index. A copy that gave none says nothing for or against the
 * others; nor does one whose own rows do not give its digest. Whoever differs from a majority of those that count is wrong; where there is
 * no such majority, nobody can say which copy is. */
#ifndef MQ_RAFT_RULES_COPIES_H
#define MQ_RAFT_RULES_COPIES_H

#include <stdbool.h>
#include <stdint.h>

struct copy_digest {
    bool known;
    bool damaged; /* its rows do not give its digest */
    uint8_t digest[16];
};

enum copy_verdict {
    COPY_SILENT, /* gave no digest */
    COPY_SAME,
    COPY_DIFFERS, /* from a majority of the others */
    COPY_DISPUTED /* copies differ, and no digest has a majority */
};

/* out_verdicts has room for n. */
void copies_judge(const struct copy_digest *copies, unsigned n, enum copy_verdict *out_verdicts);

#endif
