/* Reading the state of one shard: query_run() on a read transaction of its own, on any thread, beside apply. It sees the last
 * commit; waiting until an index is committed (linearizable reads) is the caller's. Answers are bounded: at most
 * QUERY_ROWS_MAX rows and about QUERY_BYTES_MAX bytes a page, `more` says that there is another. (Queues of one host are never on
 * two pages: a host that has more than that has a page alone, of at most STORES_MAX rows.)
 *
 * Answers: OK with an encoded mq.QueryResult (index, term and time of the transaction in it), or a refusal: MALFORMED, INVALID, NOT_FOUND,
 * MOVED (this shard does not own the user), RESYNC (changes below the horizon). On a refusal the result, if any, holds index and horizon. */
#ifndef MQ_STORAGE_QUERY_H
#define MQ_STORAGE_QUERY_H

#include "base/buffer.h"
#include "base/status.h"

#define QUERY_ROWS_MAX          1000u
#define QUERY_BYTES_MAX         (512u * 1024u)
#define QUERY_REQUEST_BYTES_MAX (64u * 1024u)

struct store;

/* `out` is appended to. `query` is an encoded mq.Query. */
enum status query_run(struct store *s, struct bytes query, struct buffer *out);
/* The last committed index, for waiting readers; any thread. */
uint64_t query_committed_index(const struct store *s);

#endif
