#!/usr/bin/env bash
# Shows the champion that a release would bring to devices, for the person who approves it.
#
#   MODEL_NAME=Cap_Detection_Model .pipelines/scripts/review_champion.sh
#
# Leaves champion.json in $OUT; in a pipeline the output variable version.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need MODEL_NAME

cva_json "$OUT/champion.json" model show "$MODEL_NAME@champion"
version=$(answers value "$OUT/champion.json" version)
answers champion "$OUT/champion.json" >"$OUT/champion.md"
summary "$OUT/champion.md"
vso 'task.setvariable variable=version;isOutput=true' "$version"
