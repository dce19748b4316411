#!/usr/bin/env bash
# Says how a training run ended: the model and its metrics. Asks once and never waits.
#
#   RUN_ID=<run> .pipelines/scripts/collect_training.sh
#
# Exit codes: 0 completed, 1 failed or cancelled, 75 still running (ask again later). Leaves in $OUT/model: run.json
# and, when a model was registered, model.json with its id, NAME:VERSION.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
need RUN_ID

mkdir -p "$OUT/model"
cva_json "$OUT/model/run.json" job show "$RUN_ID"
ended=0
answers ended "$OUT/model/run.json" "$OUT/model/model.json" >"$OUT/ended.md" || ended=$?
summary "$OUT/ended.md"
case $ended in
  0) ;;
  75) vso 'task.logissue type=error' "run $RUN_ID has not ended; run this stage again later" ;;
  *) vso 'task.logissue type=error' "run $RUN_ID left no model; the summary says why" ;;
esac
exit "$ended"
