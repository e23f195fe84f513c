#!/bin/sh
# What the export container runs, at every `docker compose up` and as often as one likes: exports the encoder into
# exported/ and publishes the catalog into index/, each only if that was not done yet. From the environment:
#   MALGIL_ENCODER      bundled (default), a hub id, or a directory
#   MALGIL_PRECISION    fp32 (default), int8 or fp16
#   MALGIL_VOCABULARY   all (default) or ko
#   MALGIL_CATALOG      the catalog's file (default: catalogs/finance.jsonl)
# A directory that changed under its old name is not noticed: remove exported/asked to export it again.
set -eu
asked="${MALGIL_ENCODER:=bundled} ${MALGIL_PRECISION:=fp32} ${MALGIL_VOCABULARY:=all}"
catalog="${MALGIL_CATALOG:-catalogs/finance.jsonl}"

if [ "$(cat exported/asked 2>/dev/null)" != "$asked" ]; then
    rm -f exported/asked
    python -m export encoder "$MALGIL_ENCODER" --precision "$MALGIL_PRECISION" --vocabulary "$MALGIL_VOCABULARY" \
        --repository exported
    echo "$asked" >exported/asked
fi

python -m export catalog check "$catalog"
made=$(cat exported/tokenizer/1/encoder.json "$catalog" | sha256sum)
if [ "$(cat index/filled 2>/dev/null)" != "$made" ]; then
    python -m export catalog publish "$catalog" --offline --repository exported
    echo "$made" >index/filled
fi
