/* Texts and names of the status codes, and the translation of errno. */
#include "base/status.h"

#include <errno.h>

static const char *const texts[] = {
#define STATUS_TEXT(name, text) text,
    STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
};

static const char *const names[] = {
#define STATUS_NAME(name, text) #name,
    STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
};

const char *status_text(enum status s)
{
    return (unsigned)s < STATUS_COUNT ? texts[s] : "unknown status";
}

const char *status_name(enum status s)
{
    return (unsigned)s < STATUS_COUNT ? names[s] : "UNKNOWN_STATUS";
}

enum status status_from_errno(int err)
{
    switch (err) {
        case 0:
            return OK;
        case ENOMEM:
            return STATUS_NO_MEMORY;
        case EMFILE:
        case ENFILE:
            return STATUS_NO_FILES;
        case ENOENT:
            return STATUS_NOT_FOUND;
        case EEXIST:
            return STATUS_EXISTS;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return STATUS_NO_SPACE;
        case EACCES:
        case EPERM:
            return STATUS_PERMISSION;
        case EWOULDBLOCK:
            return STATUS_BUSY;
        case EINVAL:
            return STATUS_INVALID;
        case ETIMEDOUT:
            return STATUS_TIMEOUT;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return STATUS_UNREACHABLE;
        default:
            return STATUS_IO;
    }
}
