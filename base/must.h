/* must(x) is for our own mistakes and stays on in release: a false one means the code is wrong, and stopping
 * is the kindest thing. Never for bytes from a network, a disk or an operator. */
#ifndef MQ_BASE_MUST_H
#define MQ_BASE_MUST_H

#define must(x) ((x) ? (void)0 : must_failed(#x, __FILE__, __LINE__))

_Noreturn void must_failed(const char *what, const char *file, int line);

#endif
