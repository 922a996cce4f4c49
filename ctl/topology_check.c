/* What a cluster must be to be worth founding. Pure: decides on the struct alone, says why. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "ctl/topology.h"

static const char *const reserved[] = {"ca", "operator"};

static void warn(struct topology *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(struct topology *t, const char *format, ...)
{
    if (t->warnings_n < TOPOLOGY_WARNINGS_MAX) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(t->warnings[t->warnings_n], sizeof(t->warnings[0]), format, args);
        va_end(args);
        t->warnings_n++;
    }
}

static bool same_host(const struct topology_node *a, const struct topology_node *b)
{
    char host_a[160], host_b[160], port[8];
    return address_split(a->address, host_a, sizeof(host_a), port, sizeof(port)) &&
           address_split(b->address, host_b, sizeof(host_b), port, sizeof(port)) &&
           strcmp(host_a, host_b) == 0;
}

const struct topology_node *topology_find_node(const struct topology *t, const char *name)
{
    for (unsigned i = 0; i < t->nodes_n; i++) {
        if (strcmp(t->nodes[i].name, name) == 0) {
            return &t->nodes[i];
        }
    }
    return NULL;
}

unsigned topology_sites(const struct topology *t, const char *out_sites[NODES_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < t->nodes_n; i++) {
        unsigned j = 0;
        while (j < n && strcmp(out_sites[j], t->nodes[i].site) != 0) {
            j++;
        }
        if (j == n) {
            out_sites[n++] = t->nodes[i].site;
        }
    }
    return n;
}

/* What was left out. Files that go to /etc go to a machine of their own: there it listens on every address, for the machine's own name
 * is often a loopback address to itself, and keeps its state and its socket where the unit has them. */
static enum status fill_node(const struct topology *t, struct topology_node *n, struct error *e)
{
    bool installed = t->install_directory[0] != '\0';
    if (n->listen[0] == '\0' && installed) {
        snprintf(n->listen, sizeof(n->listen), "%s:%s", n->address[0] == '[' ? "[::]" : "0.0.0.0",
                 strrchr(n->address, ':') + 1);
    } else if (n->listen[0] == '\0') {
        if (strlen(n->address) >= sizeof(n->listen)) {
            return error_set(e, STATUS_TOO_BIG, "[node %s] address is too long", n->name);
        }
        memcpy(n->listen, n->address, strlen(n->address) + 1);
    }
    if (n->data_directory[0] == '\0' && installed) {
        snprintf(n->data_directory, sizeof(n->data_directory), "%s", TOPOLOGY_DATA_DIRECTORY);
    }
    if (n->socket[0] == '\0' && installed) {
        snprintf(n->socket, sizeof(n->socket), "%s", TOPOLOGY_SOCKET);
    }
    return OK;
}

static enum status check_node(struct topology *t, struct topology_node *n, struct error *e)
{
    char host[160], port[8];
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (strcmp(n->name, reserved[i]) == 0) {
            return error_set(e, STATUS_INVALID, "node name \"%s\" is reserved", n->name);
        }
    }
    if (strncmp(n->name, "mail-", 5) == 0) {
        return error_set(e, STATUS_INVALID,
                         "node name \"%s\": names that begin with mail- are for mail hosts",
                         n->name);
    }
    if (!topology_name_valid(n->site)) {
        return error_set(e, STATUS_INVALID,
                         "[node %s] site \"%s\": it must be given, of a-z, 0-9 and -", n->name,
                         n->site);
    }
    if (!address_split(n->address, host, sizeof(host), port, sizeof(port))) {
        return error_set(e, STATUS_INVALID,
                         "[node %s] address \"%s\" is not host:port (IPv6: [address]:port)",
                         n->name, n->address);
    }
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
        return error_set(
            e, STATUS_INVALID,
            "[node %s] address %s: the others cannot dial that; set listen to it, and address to "
            "what they can dial",
            n->name, n->address);
    }
    if (n->listen[0] != '\0' && !address_split(n->listen, host, sizeof(host), port, sizeof(port))) {
        return error_set(e, STATUS_INVALID, "[node %s] listen \"%s\" is not address:port", n->name,
                         n->listen);
    }
    enum status s = fill_node(t, n, e);
    if (s != OK) {
        return s;
    }
    if (n->data_directory[0] != '\0' && n->data_directory[0] != '/') {
        return error_set(e, STATUS_INVALID, "[node %s] data_directory must be an absolute path",
                         n->name);
    }
    for (const struct topology_node *o = t->nodes; o < n; o++) {
        if (strcmp(o->address, n->address) == 0) {
            return error_set(e, STATUS_INVALID, "nodes %s and %s have the same address %s", o->name,
                             n->name, n->address);
        }
        if (n->socket[0] != '\0' && strcmp(o->socket, n->socket) == 0 && same_host(o, n)) {
            warn(t, "nodes %s and %s are on one machine and have the same socket path", o->name,
                 n->name);
        }
    }
    return OK;
}

static bool list_has(const struct setting_list *l, const char *item)
{
    for (unsigned i = 0; i < l->n; i++) {
        if (strcmp(l->items[i], item) == 0) {
            return true;
        }
    }
    return false;
}

static void list_add(struct setting_list *l, const char *item)
{
    if (l->n < SETTING_LIST_MAX && !list_has(l, item)) {
        snprintf(l->items[l->n++], SETTING_ITEM_MAX, "%s", item);
    }
}

/* The directory is everywhere; other shards by default on every data node and witness. */
static enum status fill_members(struct topology *t, struct topology_shard *s, struct error *e)
{
    bool directory = s == &t->shards[0];
    if (s->members.n == 0) {
        for (unsigned i = 0; i < t->nodes_n; i++) {
            if (directory || t->nodes[i].role != ROLE_STANDBY) {
                list_add(&s->members, t->nodes[i].name);
            }
        }
    }
    for (unsigned i = 0; i < s->members.n; i++) {
        if (topology_find_node(t, s->members.items[i]) == NULL) {
            return error_set(e, STATUS_INVALID, "[shard %s] member \"%s\" is no node of this file",
                             s->name, s->members.items[i]);
        }
        for (unsigned j = 0; j < i; j++) {
            if (strcmp(s->members.items[i], s->members.items[j]) == 0) {
                return error_set(e, STATUS_INVALID, "[shard %s] member \"%s\" is named twice",
                                 s->name, s->members.items[i]);
            }
        }
    }
    if (s->members.n > MEMBERS_MAX) {
        return error_set(e, STATUS_TOO_BIG, "[shard %s] has more than %d members%s", s->name,
                         MEMBERS_MAX, directory ? "" : ": name them with members =");
    }
    return OK;
}

static bool site_holds_data(const struct topology *t, const struct topology_shard *s,
                            const char *site)
{
    for (unsigned i = 0; i < s->members.n; i++) {
        const struct topology_node *n = topology_find_node(t, s->members.items[i]);
        if (n->role == ROLE_DATA && strcmp(n->site, site) == 0) {
            return true;
        }
    }
    return false;
}

static enum status fill_preference(struct topology *t, struct topology_shard *s, struct error *e)
{
    const char *sites[NODES_MAX];
    unsigned n = topology_sites(t, sites);
    if (s->preference.n == 0) {
        for (unsigned i = 0; i < n; i++) {
            if (site_holds_data(t, s, sites[i])) {
                list_add(&s->preference, sites[i]);
            }
        }
    }
    for (unsigned i = 0; i < s->preference.n; i++) {
        if (!site_holds_data(t, s, s->preference.items[i])) {
            return error_set(e, STATUS_INVALID,
                             "[shard %s] prefers \"%s\", where none of its members holds data",
                             s->name, s->preference.items[i]);
        }
    }
    return OK;
}

/* agreement.md: two voters survive less than one; an even number needs one more vote for nothing. */
static enum status check_voters(struct topology *t, const struct topology_shard *s, struct error *e)
{
    unsigned voters = 0;
    unsigned witnesses = 0;
    unsigned data = 0;
    for (unsigned i = 0; i < s->members.n; i++) {
        const struct topology_node *n = topology_find_node(t, s->members.items[i]);
        voters += n->role != ROLE_STANDBY;
        witnesses += n->role == ROLE_WITNESS;
        data += n->role == ROLE_DATA;
    }
    if (data == 0) {
        return error_set(e, STATUS_INVALID, "shard %s has no data node among its members", s->name);
    }
    if (voters == 2) {
        return error_set(
            e, STATUS_INVALID,
            "shard %s has two voters: losing either one stops it. Add a third, a witness will do",
            s->name);
    }
    if (voters % 2 == 0 && witnesses == 0) {
        return error_set(e, STATUS_INVALID,
                         "shard %s has %u voters and no witness: two equal halves stop each other. "
                         "Add a witness",
                         s->name, voters);
    }
    if (voters == 1) {
        warn(t, "shard %s has one voter: nothing survives its loss", s->name);
    } else if (voters % 2 == 0) {
        warn(t, "shard %s has %u voters, no more robust than %u", s->name, voters, voters - 1);
    }
    const char *sites[NODES_MAX];
    unsigned sites_n = topology_sites(t, sites);
    for (unsigned i = 0; voters > 1 && i < sites_n; i++) {
        unsigned there = 0;
        for (unsigned j = 0; j < s->members.n; j++) {
            const struct topology_node *n = topology_find_node(t, s->members.items[j]);
            there += n->role != ROLE_STANDBY && strcmp(n->site, sites[i]) == 0;
        }
        if (voters - there < voters / 2 + 1) {
            warn(t, "shard %s does not survive the loss of site %s: %u of its %u voters are there",
                 s->name, sites[i], there, voters);
        }
    }
    return OK;
}

static enum status check_shared(struct topology *t, struct error *e)
{
    unsigned holder = 0;
    for (unsigned i = 1; i < t->shards_n; i++) {
        if (t->shards[i].shared_dict) {
            if (holder != 0) {
                return error_set(
                    e, STATUS_INVALID,
                    "shards %s and %s both say shared_dict: one holds the shared entries",
                    t->shards[holder].name, t->shards[i].name);
            }
            holder = i;
        }
    }
    t->shards[holder != 0 ? holder : 1].shared_dict = true;
    return OK;
}

enum status topology_check(struct topology *t, struct error *e)
{
    enum status s = OK;
    if (!topology_name_valid(t->cluster_name)) {
        return error_set(e, STATUS_INVALID,
                         "[cluster] name \"%s\": it must be given, of a-z, 0-9 and -",
                         t->cluster_name);
    }
    if (t->nodes_n == 0) {
        return error_set(e, STATUS_INVALID, "there is no [node NAME]");
    }
    if (t->shards_n < 2) {
        return error_set(e, STATUS_INVALID, "there is no [shard NAME]: users need at least one");
    }
    for (unsigned i = 0; s == OK && i < t->nodes_n; i++) {
        s = check_node(t, &t->nodes[i], e);
    }
    for (unsigned i = 0; s == OK && i < t->shards_n; i++) {
        s = fill_members(t, &t->shards[i], e);
        if (s == OK) {
            s = fill_preference(t, &t->shards[i], e);
        }
        if (s == OK) {
            s = check_voters(t, &t->shards[i], e);
        }
    }
    return s == OK ? check_shared(t, e) : s;
}
