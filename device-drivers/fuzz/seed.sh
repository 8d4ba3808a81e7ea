#!/bin/sh
# Fills the corpus with the fixtures, each behind one byte that says how large the pieces are.
set -eu
cd "$(dirname "$0")"
mkdir -p corpus/drivers
for raw in ../fixtures/*/*.raw; do
    name=$(printf '%s' "$raw" | sed 's|^\.\./fixtures/||; s|/|-|g')
    { printf '\100'; cat "$raw"; } > "corpus/drivers/$name"
done
echo "$(ls corpus/drivers | wc -l) seeds in fuzz/corpus/drivers"
