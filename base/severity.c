#include "base/severity.h"

const char *severity_word(enum severity s)
{
    static const char *const words[SEVERITY_COUNT] = {"OK", "BLUE", "YELLOW", "ORANGE", "RED"};
    return words[s];
}

const char *severity_name(enum severity s)
{
    static const char *const names[SEVERITY_COUNT] = {"ok", "blue", "yellow", "orange", "red"};
    return names[s];
}
