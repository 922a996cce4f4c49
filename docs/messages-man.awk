# mailquorum-messages(7) from docs/messages.md: headings become sections, the rows of tables items. awk -v version=0.1.0 -f this messages.md
function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/`/, "", text)
    gsub(/"/, "\\(dq", text)
    sub(/^[.']/, "\\\\\\&&", text)
    return text
}
function trim(text) { gsub(/^ +| +$/, "", text); return text }
BEGIN {
    FS = "|"
    printf ".TH MAILQUORUM\\-MESSAGES 7 \"\" \"Mailquorum %s\" \"Mailquorum\"\n", version
    print ".SH NAME\nmailquorum\\-messages \\- what the messages of Mailquorum mean and what to do\n.SH DESCRIPTION"
}
/^# / { next }
/^## / { print ".SH " roff(toupper(substr($0, 4))); next }
/^\| *(id|---)/ { next }
/^\|---/ { next }
/^\|/ {
    # id | (outcome |) meaning | what to do
    n = NF - 1
    print ".TP\n\\fB" roff(trim($2)) "\\fR"
    line = ""
    for (i = 3; i < n; i++) line = line (line == "" ? "" : ": ") trim($i)
    print roff(line) "."
    print "What to do: " roff(trim($n)) "."
    next
}
/^ *$/ { print ".PP"; next }
{ print roff($0) }
END {
    print ".SH SEE ALSO\nclusterctl(1),\nmailquorumd(8)"
}
