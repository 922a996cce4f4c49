/* Text forms of ids and roles. */
#include "base/identity.h"

void uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        text[2 * i] = digits[u->bytes[i] >> 4];
        text[2 * i + 1] = digits[u->bytes[i] & 15];
    }
    text[32] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return -1;
}

bool uuid_parse(const char *text, struct uuid *out_u)
{
    struct uuid u;
    if (strlen(text) != 32) {
        return false;
    }
    for (int i = 0; i < 16; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        u.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out_u = u;
    return true;
}

static const char *const role_names[] = {"data", "witness", "standby"};

const char *node_role_name(enum node_role role)
{
    return (unsigned)role < 3 ? role_names[role] : "unknown";
}

bool node_role_parse(const char *text, enum node_role *out_role)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, role_names[i]) == 0) {
            *out_role = (enum node_role)i;
            return true;
        }
    }
    return false;
}
