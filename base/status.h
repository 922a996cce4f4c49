/* One list of everything that can go wrong, for all rooms. 0 is OK. Codes of libraries are translated in
 * the one file that calls the library. Over the wire the number travels, so rows are only ever appended. */
#ifndef MQ_BASE_STATUS_H
#define MQ_BASE_STATUS_H

#define STATUS_LIST(X)                                                        \
    X(OK, "ok")                                                               \
    X(NO_MEMORY, "out of memory")                                             \
    X(INVALID, "invalid argument or value")                                   \
    X(MALFORMED, "malformed bytes")                                           \
    X(TOO_BIG, "over a stated limit")                                         \
    X(NOT_FOUND, "not found")                                                 \
    X(EXISTS, "already exists")                                               \
    X(BUSY, "busy, try again")                                                \
    X(FULL, "a bounded queue or window is full")                              \
    X(CLOSED, "closed")                                                       \
    X(TIMEOUT, "deadline passed")                                             \
    X(CANCELED, "canceled")                                                   \
    X(IO, "input/output error")                                               \
    X(NO_SPACE, "no space left on device")                                    \
    X(PERMISSION, "permission denied")                                        \
    X(LOCKED, "in use by another process")                                    \
    X(CORRUPT, "damaged data")                                                \
    X(TORN, "unfinished write at the end")                                    \
    X(NOT_LEADER, "this node does not lead the shard")                        \
    X(NO_LEADER, "the shard has no leader at the moment")                     \
    X(NO_QUORUM, "no majority of voters answers")                             \
    X(UNKNOWN_OUTCOME, "outcome unknown: it may yet be applied")              \
    X(NO_SHARD, "no such shard on this node")                                 \
    X(MOVED, "the user belongs to another shard")                             \
    X(STALE_TOKEN, "a newer lease exists")                                    \
    X(NOT_NEXT, "does not follow the cursor")                                 \
    X(RESYNC, "a full comparison is needed")                                  \
    X(OLD, "below the session's window")                                      \
    X(NO_SESSION, "unknown session")                                          \
    X(CONFLICT, "conflicts with the present state")                           \
    X(DENIED, "not permitted for this certificate")                           \
    X(WRONG_CLUSTER, "belongs to another cluster")                            \
    X(WRONG_NODE, "belongs to another node")                                  \
    X(WRONG_EPOCH, "belongs to another epoch")                                \
    X(WRONG_FORMAT, "written in an unknown format")                           \
    X(VERSION, "protocol or feature level not understood")                    \
    X(AMNESIA, "this replica has lost acknowledged entries and may not vote") \
    X(PLAN_STALE, "the plan no longer fits the state of the cluster")         \
    X(NOT_CONFIRMED, "not confirmed")                                         \
    X(UNREACHABLE, "unreachable")                                             \
    X(TLS, "TLS refused or failed")                                           \
    X(OVERLOAD, "refused by admission control")                               \
    X(INTERNAL, "internal error")                                             \
    X(UNSUPPORTED, "not supported here")                                      \
    X(NO_FILES, "too many open files; raise LimitNOFILE")

enum status {
#define STATUS_ENUM(name, text) STATUS_##name,
    STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
        STATUS_COUNT
};

#define OK STATUS_OK

/* The sentence beside the code; "unknown status" for a number of a later version. */
const char *status_text(enum status s);
/* The name as it stands on wire and in JSON, e.g. "NOT_LEADER". */
const char *status_name(enum status s);
/* errno -> status. */
enum status status_from_errno(int err);

#endif
