#!/bin/sh
# What the export container runs, at every `docker compose up` and as often as one likes: exports the encoder into
# exported/ and publishes the catalog into index/, each only where that was not done yet, or where a file of it is
# missing or damaged. Exit status 0 means that both are whole. From the environment:
#   MALGIL_ENCODER      bundled (default), a hub id, or a directory
#   MALGIL_PRECISION    auto (default), fp32, fp16 or int8
#   MALGIL_VOCABULARY   auto (default), all or ko
#   MALGIL_CATALOG      the catalog's file (default: catalogs/finance.jsonl)
#   MALGIL_NULL_TOPICS  further null topics (default: catalogs/null_topics.jsonl); empty for none
# A directory that changed under its old name is not noticed: remove exported/tokenizer/1/encoder.json to export again.
# Once a console has published (index/console-publish.json), the file counts no more: what serves stays, and is published
# again only where this version or the encoder cannot use it. Remove that file to go back to MALGIL_CATALOG.
set -eu
python -m export encoder "${MALGIL_ENCODER:-bundled}" --precision "${MALGIL_PRECISION:-auto}" \
    --vocabulary "${MALGIL_VOCABULARY:-auto}" --no-compare --only-if changed --repository exported
catalog="${MALGIL_CATALOG:-catalogs/finance.jsonl}"
null_topics="${MALGIL_NULL_TOPICS-catalogs/null_topics.jsonl}"
only_if=changed
if [ -e index/console-publish.json ] && [ -e index/CURRENT ]; then
    catalog=$(mktemp) null_topics="" only_if=missing
    trap 'rm -f "$catalog"' EXIT
    python -m export catalog show > "$catalog"  # its null topics, too
fi
python -m export catalog publish "$catalog" --offline --only-if "$only_if" \
    ${null_topics:+--null-topics "$null_topics"} --repository exported
