/* What burns with each site, from the view; and the table as CSV. */
#include "ctl/rpo.h"

#include "tests/lib/check.h"

void screen_print_csv(const struct screen *s, FILE *out);

static struct cluster_view view;

static void begin(void)
{
    memset(&view, 0, sizeof(view));
    view.quorum = true;
    view.as_of_ms = 100000;
    view.shards_n = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct view_shard *s = &view.shards[i];
        s->shard = i + 1;
        s->sites_n = 2;
        s->sites_known = true;
        s->sites[0] =
            (struct view_holding){"beijing", 1, 0, 98000 + i * 500, 10 * (i + 1), 1000 * (i + 1)};
        s->sites[1] = (struct view_holding){"shanghai", 1, i, 99000, 0, 0};
    }
}

static json_t *show(struct screen *s)
{
    screen_init(s, "test");
    rpo_show(&view, s);
    return json_object_get(json_object_get(s->data, "rpo"), "sites");
}

static const char *text_of(json_t *sites, size_t i, const char *key)
{
    const char *text = json_string_value(json_object_get(json_array_get(sites, i), key));
    return text != NULL ? text : "null";
}

static void shards_are_summed_and_the_worst_position_counts(void)
{
    struct screen s;
    begin();
    json_t *sites = show(&s);
    CHECK_EQ(json_array_size(sites), 2);
    CHECK_STR_EQ(text_of(sites, 0, "messages_only_there"), "30");
    CHECK_STR_EQ(text_of(sites, 0, "bytes_only_there"), "3000");
    CHECK(json_real_value(json_object_get(json_array_get(sites, 0), "records_behind_seconds")) ==
          2.0);
    /* One of Shanghai's stores never said that all is reported. */
    CHECK(json_is_null(json_object_get(json_array_get(sites, 1), "records_behind_seconds")));
    screen_deinit(&s);
}

static void without_every_leaders_word_nothing_is_said_as_if_it_were_known(void)
{
    struct screen s;
    begin();
    view.shards[1].sites_known = false;
    json_t *sites = show(&s);
    CHECK_STR_EQ(text_of(sites, 0, "messages_only_there"), "null");
    CHECK(json_is_null(json_object_get(json_array_get(sites, 0), "records_behind_seconds")));
    screen_deinit(&s);
}

static void csv_quotes_what_needs_it(void)
{
    struct screen s;
    char text[200] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    screen_init(&s, "test");
    screen_column(&s, "A");
    screen_column(&s, "B");
    screen_cell(&s, "plain");
    screen_cell(&s, "with \"quotes\", and a comma");
    screen_print_csv(&s, out);
    fclose(out);
    CHECK_STR_EQ(text, "A,B\r\nplain,\"with \"\"quotes\"\", and a comma\"\r\n");
    screen_deinit(&s);
}

CHECK_MAIN
{
    RUN(shards_are_summed_and_the_worst_position_counts);
    RUN(without_every_leaders_word_nothing_is_said_as_if_it_were_known);
    RUN(csv_quotes_what_needs_it);
}
