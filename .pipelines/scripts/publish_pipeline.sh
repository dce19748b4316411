#!/usr/bin/env bash
# Adds a version to the training pipeline's endpoint in the workspace that variable_template.yml names.
#
#   .pipelines/scripts/publish_pipeline.sh [--property build_id=17] [--no-default] [any option of cva endpoint publish]
#
# First it looks whether the settings and the workspace are right. Leaves published.json in $OUT.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

cva_json "$OUT/workspace.json" workspace check
cva_json "$OUT/published.json" endpoint publish "$@"
answers published "$OUT/published.json" >"$OUT/published.md"
summary "$OUT/published.md"
