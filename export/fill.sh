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
set -eu
python -m export encoder "${MALGIL_ENCODER:-bundled}" --precision "${MALGIL_PRECISION:-auto}" \
    --vocabulary "${MALGIL_VOCABULARY:-auto}" --no-compare --only-if changed --repository exported
null_topics="${MALGIL_NULL_TOPICS-catalogs/null_topics.jsonl}"
python -m export catalog publish "${MALGIL_CATALOG:-catalogs/finance.jsonl}" --offline --only-if changed \
    ${null_topics:+--null-topics "$null_topics"} --repository exported
