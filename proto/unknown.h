/* Fields of a message that this version does not know. protobuf-c keeps them, so that what a later version says is passed on whole;
 * but it takes a field number 0 that is written in more bytes than it needs, writes it in one, and refuses that when it reads it. What
 * is packed again after it came from elsewhere is asked here first: whom we pass it on to would take it for our mistake. */
#ifndef MQ_PROTO_UNKNOWN_H
#define MQ_PROTO_UNKNOWN_H

#include <stdbool.h>

#include <protobuf-c/protobuf-c.h>

/* Can it be read again as it will be packed? Looks into the messages inside it, too. */
bool unknown_fields_ok(const ProtobufCMessage *m);

#endif
