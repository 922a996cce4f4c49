/* Why the leadership of a shard came to where it is. */
#ifndef MQ_RAFT_RULES_MOVE_H
#define MQ_RAFT_RULES_MOVE_H

enum move_cause {
    MOVE_UNKNOWN,
    MOVE_FIRST,   /* no leader was known before */
    MOVE_LOST,    /* the one before was not heard, or lost its majority */
    MOVE_HANDOVER /* the one before handed it over */
};

#endif
